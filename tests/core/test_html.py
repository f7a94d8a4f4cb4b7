"""What notebooks display is escaped and bounded, and reveals no secret."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest

from pictory_async import (
    BatchOutcome,
    BatchProgress,
    DownloadError,
    GeneratedImage,
    HistoryImage,
    HistoryPage,
    ImageRequest,
    InvalidRequestError,
    JobFailedError,
    JobHandle,
    JobTimeoutError,
    PictorySession,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async._batch.outcomes import BatchResults
from pictory_async._core.html import MOST_PICTURES
from pictory_async.sandbox import Fault, Sandbox

SIGNED = "https://cdn.example/a.png?Signature=s3cret&Expires=1"
ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
WEBHOOK = "https://hooks.example/unguessable"
REQUEST = ImageRequest("A fox in the snow", model="seedream3.0", webhook=WEBHOOK)
IMAGE = GeneratedImage(
    job_id="j1",
    url=SIGNED,
    width=1280,
    height=720,
    credits_used=Decimal("0.60"),
    request=REQUEST,
)
OF_HISTORY = HistoryImage(
    id="h1",
    url=SIGNED,
    prompt="A fox in the snow",
    model="seedream3.0",
    style="vintage",
    width=720,
    height=1280,
    created_at=datetime(2026, 11, 21, 9, 5, tzinfo=UTC),
)
ALLOWED = {
    *("style", "div", "p", "figure", "figcaption", "a", "img", "span", "b"),
    *("strong", "progress", "wbr"),
}
BLOCKS = ALLOWED - {"strong", "wbr"}
VOID = {"img", "wbr"}


class Page(HTMLParser):
    """The elements of a page, its visible text, and whether each one is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element; no attribute may be repeated."""
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in BLOCKS:
            self.texts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Record visible text."""
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All visible text, on one line."""
        return " ".join("".join(self.texts).replace("\xa0", " ").split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of one name."""
        return [attributes for name, attributes in self.elements if name == tag]


def read(shown: Any) -> Page:
    """Return what a notebook shows; hold what is true of all of it."""
    html = shown if isinstance(shown, str) else shown._repr_html_()
    page = Page(html)
    assert not page.open
    assert {tag for tag, _ in page.elements} <= ALLOWED
    assert "@import" not in html
    assert "url(" not in html
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            url = attributes.get(name)
            assert url is None or url.startswith(("https://", "http://"))
        if tag == "img":
            assert attributes["loading"] == "lazy"
            assert attributes["alt"]
    return page


def outcomes() -> Iterator[BatchOutcome]:
    """Return one of each kind."""
    yield BatchOutcome(index=0, request=REQUEST, job_id="j1", image=IMAGE)
    yield BatchOutcome(
        index=1,
        request=REQUEST,
        job_id="j2",
        image=attrs.evolve(IMAGE, credits_used=None),
        error=DownloadError("disk full", url="https://cdn.example/a.png"),
    )
    yield BatchOutcome(
        index=2, request=REQUEST, error=SubmissionUnknownError(request=REQUEST)
    )
    yield BatchOutcome(
        index=3, error=InvalidRequestError(field="prompt", reason="is too short")
    )
    yield BatchOutcome(
        index=4, image=attrs.evolve(IMAGE, job_id=""), path=Path("out/000004-j5.png")
    )


class TestPicture:
    def test_shows_the_picture_and_its_facts(self) -> None:
        """The signature is in the source alone, and keeps working there."""
        page = read(IMAGE)
        assert page.text == (
            "A fox in the snow 1280 × 720 · seedream3.0 · 0.6 credits · job j1"  # noqa: RUF001
        )
        (img,), (link,) = page.of("img"), page.of("a")
        assert img["src"] == link["href"] == SIGNED
        assert img["alt"] == "A fox in the snow"
        assert (img["width"], img["height"]) == ("480", "270")
        assert img["referrerpolicy"] == "no-referrer"
        assert link["rel"] == "noopener noreferrer"
        assert WEBHOOK not in IMAGE._repr_html_()

    def test_shows_what_is_known(self) -> None:
        """A picture is displayed although a number is missing."""
        page = read(GeneratedImage(job_id="", url=SIGNED))
        assert not page.text
        (img,) = page.of("img")
        assert (img["width"], "height" in img) == ("480", False)
        assert img["alt"] == "generated image"

    @pytest.mark.parametrize(
        ("size", "shown"),
        [
            ((1, 10**9), "1920"),
            ((10**9, 1), "1"),
            ((-5, 5), None),
            ((5, -5), None),
            ((0, 5), None),
        ],
    )
    def test_absurd_size_is_bounded(
        self, size: tuple[int, int], shown: str | None
    ) -> None:
        """What the service says does not fill the notebook."""
        width, height = size
        image = attrs.evolve(IMAGE, width=width, height=height)
        (img,) = read(image).of("img")
        assert img.get("height") == shown

    @pytest.mark.parametrize(
        "url",
        [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)//https://",
            "java\nscript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "//cdn.example/a.png",
            "https:///a.png",
            "https://cdn.example/a b.png",
            "",
        ],
    )
    def test_only_web_urls_become_links(self, url: str) -> None:
        """Any other has neither a picture nor a link, and is not shown."""
        page = read(attrs.evolve(IMAGE, url=url))
        assert not page.of("img")
        assert not page.of("a")
        assert "no picture to show" in page.text
        assert "alert" not in page.text

    def test_url_cannot_leave_its_attribute(self) -> None:
        """Quotes are escaped."""
        url = "https://cdn.example/a.png?q=\"'><script>alert(1)</script>"
        (img,) = read(attrs.evolve(IMAGE, url=url)).of("img")
        assert img["src"] == url
        assert set(img) == {"src", "width", "height", "alt", "loading"} | {
            "referrerpolicy"
        }

    def test_all_text_is_escaped(self) -> None:
        """Whatever the service or the user says is text."""
        request = ImageRequest(ATTACK).override(model=ATTACK)
        page = read(GeneratedImage(job_id=ATTACK, url=SIGNED, request=request))
        assert page.text.count("<script>alert(1)</script>") == 3
        assert page.of("img")[0]["alt"] == ATTACK
        assert not page.of("script")

    def test_long_prompt_is_cut(self) -> None:
        """No control character reorders the text."""
        image = attrs.evolve(IMAGE, request=ImageRequest("fox\u202e" * 1000))
        assert len(image._repr_html_()) < 4_000
        assert "…" in read(image).text
        assert "\u202e" not in image._repr_html_()


class TestHistory:
    def test_image(self) -> None:
        """Its caption has the date and the model."""
        text = read(OF_HISTORY).text
        assert text == (
            "A fox in the snow 2026-11-21 09:05 UTC · 720 × 1280 · "  # noqa: RUF001
            "seedream3.0 · vintage"
        )

    def test_image_of_which_little_is_known(self) -> None:
        """What the service left out is left out."""
        page = read(HistoryImage(id="h1", url=SIGNED))
        assert not page.text
        assert len(page.of("img")) == 1

    def test_page_is_a_gallery(self) -> None:
        """Its key is not shown: it is for programs."""
        page = read(HistoryPage(images=(OF_HISTORY,) * 3, next_page_key="k3y"))
        assert page.text.startswith("3 images · more pages follow A fox")
        assert "k3y" not in page.text
        assert len(page.of("img")) == 3

    def test_empty_page(self) -> None:
        """The last page does not announce another one."""
        assert read(HistoryPage(images=())).text == "0 images"

    def test_gallery_is_bounded(self) -> None:
        """It says what it leaves out."""
        page = read(HistoryPage(images=(OF_HISTORY,) * 1000))
        assert len(page.of("img")) == MOST_PICTURES
        assert page.text.endswith("900 more are not shown here.")


class TestBatch:
    def test_results_show_every_outcome(self) -> None:
        """Those without a picture say why."""
        page = read(BatchResults(outcomes()))
        assert page.text.startswith(
            "5 prompts · 2 completed · 2 failed · 1 unknown · 1.2 credits"
        )
        assert len(page.of("figure")) == 5
        assert len(page.of("img")) == 3
        assert page.text.count("SubmissionUnknownError") == 1
        assert page.text.count("InvalidRequestError") == 1
        assert "DownloadError: " in page.text
        assert "disk full" in page.text
        assert "prompt: is too short" in page.text
        assert "000004-j5.png" in page.text
        assert "s3cret" not in page.text

    def test_thousand_results_are_a_bounded_gallery(self) -> None:
        """Slices of them are galleries, so that all can be looked at."""
        many = BatchResults(list(outcomes()) * 200)
        page = read(many)
        assert len(page.of("figure")) == MOST_PICTURES
        assert page.text.endswith(
            "900 more are not shown here. [100:] of the list shows the next."
        )
        assert "900 prompts" not in page.text
        assert read(many[100:]).text.startswith("900 prompts")

    def test_results_are_a_list(self) -> None:
        """With all that a list can."""
        plain = list(outcomes())
        some = BatchResults(plain)
        assert some == plain
        assert repr(some) == repr(plain)
        assert some[-1].index == 4
        assert [outcome.index for outcome in some[1::2]] == [1, 3]
        assert type(pickle.loads(pickle.dumps(some[:2]))) is BatchResults  # noqa: S301

    def test_no_results(self) -> None:
        """An empty batch is one."""
        assert read(BatchResults()).text == "0 prompts · 0 completed · 0 credits"

    @pytest.mark.parametrize("outcome", list(outcomes()))
    def test_one_outcome(self, outcome: BatchOutcome) -> None:
        """It is shown as in the gallery."""
        page = read(outcome)
        assert f"#{outcome.index}" in page.text
        assert len(page.of("img")) == (outcome.image is not None)

    def test_progress(self) -> None:
        """A bar if the total is known, and the counts."""
        now = BatchProgress(
            total=2_000,
            completed=1_001,
            failed=2,
            unknown=1,
            credits_used=Decimal(20),
            credits_reserved=Decimal("0.6"),
        )
        page = read(now._repr_html_())
        assert page.text == (
            "1,004 of 2,000 · 1,001 completed · 2 failed · 1 unknown · "
            "20 credits used · 0.6 reserved"
        )
        assert page.of("progress") == [{"value": "1004", "max": "2000"}]

    @pytest.mark.parametrize(("total", "shown"), [(None, "0 of ?"), (0, "0 of 0")])
    def test_progress_without_a_total(self, total: int | None, shown: str) -> None:
        """A bar of an unknown length would never stand still."""
        page = read(BatchProgress(total=total)._repr_html_())
        assert page.text == f"{shown} · 0 completed · 0 credits used"
        assert not page.of("progress")

    @pytest.mark.looptime
    async def test_from_the_session(
        self, session: PictorySession, sandbox: Sandbox
    ) -> None:
        """A batch shows how far it is, and its results are a gallery."""
        batch = session.generate_many(["Picture by day", "Picture by night"])
        assert read(batch).text == "0 of 2 · 0 completed · 0 credits used"
        sandbox.fail_next()
        page = read(await batch.results())
        assert Counter(tag for tag, _ in page.elements)["img"] == 1
        assert page.text.startswith("2 prompts · 1 completed · 1 failed · 2 credits")
        assert read(batch).text.startswith("2 of 2 · 1 completed · 1 failed · 2 credi")


@pytest.mark.looptime
class TestJob:
    async def test_in_progress_and_completed(self, session: PictorySession) -> None:
        """The state, the time and the polls; the picture once it is there."""
        job = await session.submit("Picture by night", webhook=WEBHOOK)
        await job.wait(timeout=12)
        running = read(job).text
        assert running == (
            f"in-progress for 12.0 s · 1 poll · job {job.job_id} Picture by night"
        )
        image = await job
        page = read(job)
        assert page.text.startswith(
            f"completed after 20.0 s · 2 polls · job {job.job_id} Picture by night"
        )
        assert [img["src"] for img in page.of("img")] == [image.url]
        assert WEBHOOK not in job._repr_html_()

    async def test_failed(self, session: PictorySession, sandbox: Sandbox) -> None:
        """The reason is displayed."""
        sandbox.fail_next(message=ATTACK)
        job = await session.submit("Picture by night")
        with pytest.raises(JobFailedError):
            await job
        page = read(job)
        assert page.text.startswith("failed after 20.0 s · 2 polls")
        assert "JobFailedError: job" in page.text
        assert "<script>" in page.text

    async def test_problem_of_the_last_poll(
        self, session: PictorySession, sandbox: Sandbox
    ) -> None:
        """The failure of the last poll is displayed, and that the job goes on."""
        job = session.job((await session.submit("Picture by night")).job_id)
        sandbox.add_fault(Fault.answer(400 + 8, on="job"))
        await job.wait(timeout=11)
        assert "in-progress for 11.0 s" in read(job).text
        assert "The last poll failed. APIError: GET" in read(job).text

    async def test_attached_and_given_up(self, sandbox: Sandbox) -> None:
        """A handle that ended without a final state shows its time in minutes."""
        async with PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, job_timeout=3661
        ) as session:
            sandbox.hold()
            submitted = await session.submit("Picture by night")
            async with PictorySession(
                sandbox.api_key, base_url=sandbox.base_url, job_timeout=3661
            ) as other:
                job: JobHandle[GeneratedImage] = other.job(submitted.job_id)
                with pytest.raises(JobTimeoutError):
                    await job
                assert read(job).text.startswith("ended after 61 min 01 s")
                assert "JobTimeoutError" in read(job).text


def test_unknown_errors_are_not_failed_ones() -> None:
    """They may have cost something."""
    unknown = SubmissionUnknownError(cause=TransportError("lost"))
    text = read(BatchResults([BatchOutcome(index=0, error=unknown)])).text
    assert text.startswith("1 prompt · 0 completed · 1 unknown · 0 credits")
