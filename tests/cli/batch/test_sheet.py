"""The contact sheet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pictory_async.cli._batch.ledger import Totals
from pictory_async.cli._batch.sheet import Heading, contact_sheet
from pictory_async.sandbox._drawing.png import solid

EVIL = (
    "<script>document.title='owned'</script>\x1b[31m & \"quotes\" "
    "<img src=x onerror=alert(1)>"
)
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def entry(line: int = 1, **values: Any) -> dict[str, Any]:
    """Return an entry of a manifest with an image."""
    return {
        "index": line - 1,
        "line": line,
        "prompt": "A lighthouse",
        "model": "flux-schnell",
        "aspect_ratio": "16:9",
        "style": None,
        "reference_image_url": None,
        "job_id": "j1",
        "state": "completed",
        "file": f"{line:06}-j1.png",
        "width": 1280,
        "height": 720,
        "credits_used": 0.6,
        "error": None,
        **values,
    }


def failed(line: int = 1, **values: Any) -> dict[str, Any]:
    """Return the entry of a failed job."""
    error = {"type": "JobFailedError", "code": "<ODD>", "message": "It's <b>odd</b>"}
    nothing = {"file": None, "width": None, "height": None, "credits_used": None}
    return entry(line, **nothing, **{"state": "failed", "error": error, **values})


def sheet(
    *entries: dict[str, Any], total: int | None = None, running: bool = False
) -> str:
    """Return the page of some entries."""
    totals = Totals()
    for each in entries:
        used = each["credits_used"]
        exact = None if used is None else Decimal(str(used))
        totals.add({**each, "credits_used": exact})
    heading = Heading(
        source="<prompts>.csv",
        made=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        total=len(entries) if total is None else total,
        totals=totals,
        running=running,
    )
    return "".join(contact_sheet(heading, entries))


class Elements(HTMLParser):
    """The elements and the text of a page, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        """Keep a text."""
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def test_all_that_comes_from_outside_is_text() -> None:
    """Prompts, codes, messages, models and file names open no element."""
    page = sheet(
        entry(1, prompt=EVIL, model="<i>", style='"><i>', file='a"><i>#?%.png'),
        failed(2, prompt=EVIL * 3, job_id="<i>"),
    )
    seen = Elements(page)

    assert not seen.all("script") + seen.all("i") + seen.all("b")[2:]
    assert len(seen.all("img")) == 1
    assert seen.all("img")[0]["src"] == "a%22%3E%3Ci%3E%23%3F%25.png"
    assert seen.text.count("<script>document.title='owned'</script>[31m &") == 4
    assert "It's <b>odd</b>" in seen.text
    assert not any(name.startswith("on") for _, each in seen.elements for name in each)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", page)


def test_asks_for_nothing_but_the_images_beside_it() -> None:
    """The content security policy of the page forbids anything else."""
    seen = Elements(sheet(entry(1), failed(2)))

    addresses = [
        each[name]
        for _, each in seen.elements
        for name in ("src", "href")
        if name in each
    ]
    assert all(re.fullmatch(r"[\w.-]+|#line-\d+", each) for each in addresses), (
        addresses
    )
    assert {name for name, _ in seen.elements}.isdisjoint({"link", "script", "iframe"})
    (policy,) = [
        each["content"]
        for each in seen.all("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; img-src 'self' file:;")


def test_large_batches_load_only_what_is_in_view() -> None:
    """Images are lazy, and what is out of view is not laid out."""
    page = sheet(*(entry(line) for line in range(1, 21)))

    images = Elements(page).all("img")
    assert len(images) == 20
    assert all(each["loading"] == "lazy" and each["alt"] for each in images)
    assert "content-visibility: auto" in page


def test_the_page_is_made_as_it_is_written() -> None:
    """Entries are read one at a time, so the length of a batch does not matter."""
    read: list[int] = []

    def entries():
        for line in range(1, 10_001):
            read.append(line)
            yield entry(line)

    heading = Heading(source="a", made=datetime.now(UTC), total=1, totals=Totals())
    pieces = contact_sheet(heading, entries())
    while "<figure" not in next(pieces):
        pass

    assert read == [1]


def test_failures_are_shown_by_cause_and_in_their_place() -> None:
    """Causes link to their failures, and a filter shows only these."""
    page = sheet(
        entry(1),
        failed(2),
        entry(3, file=None, error={"type": "DownloadError", "message": "gone"}),
    )
    seen = Elements(page)

    assert "2 failures, by cause" in seen.text
    assert {"#line-2", "#line-3"} <= {each["href"] for each in seen.all("a")}
    assert [each["id"] for each in seen.all("figure")] == ["line-1", "line-2", "line-3"]
    assert [each["class"] for each in seen.all("figure")] == [
        "image",
        "failed",
        "failed",
    ]
    assert "not saved" in seen.text
    assert [each["id"] for each in seen.all("input")] == [
        "everything",
        "only-images",
        "only-failed",
    ]
    assert "1.2 credits" in seen.text


def test_a_batch_without_failures_has_no_filter() -> None:
    """It has no list of causes either."""
    seen = Elements(sheet(entry(1)))

    assert not seen.all("input")
    assert "by cause" not in seen.text
    assert "<prompts>.csv: 1 image" in seen.text


def test_what_was_not_sent_is_no_failure() -> None:
    """It has a color and a choice of its own."""
    page = sheet(entry(1), failed(2, state="not-sent"), failed(3, state="not-sent"))
    seen = Elements(page)

    assert [each["class"] for each in seen.all("figure")] == [
        "image",
        "unsent",
        "unsent",
    ]
    assert [each["id"] for each in seen.all("input")] == [
        "everything",
        "only-images",
        "only-unsent",
    ]
    assert "2 not sent, by cause" in seen.text
    assert seen.all("details")[0]["class"] == "causes unsent"
    both = Elements(sheet(failed(1), failed(2, state="not-sent")))
    assert "1 failure and 1 not sent, by cause" in both.text


def test_facts_break_behind_a_dot() -> None:
    """No line of them begins with one, and a size has a sign of multiplication."""
    page = sheet(entry(7, style="vintage"))

    assert (
        "line&nbsp;7&nbsp;\u00b7 flux-schnell&nbsp;\u00b7 vintage&nbsp;\u00b7 "
        "1280&nbsp;\u00d7&nbsp;720&nbsp;\u00b7 0.6&nbsp;credits</p>"
    ) in page


def test_an_interrupted_batch_says_so() -> None:
    """The page shows what there was by then."""
    assert "interrupted after 1 of 1,000" in sheet(entry(1), total=1000)
    assert "1 of 1,000 so far" in sheet(entry(1), total=1000, running=True)


@pytest.mark.parametrize(
    ("size", "ratio"), [((1280, 720), 1.7778), ((1, 9), 0.5625), ((None, None), 1)]
)
def test_frames_have_the_shape_of_the_images(size, ratio) -> None:
    """The first image sets it, up to 16:9 in either direction."""
    page = sheet(entry(1, width=size[0], height=size[1]))

    assert f"--ratio: {ratio:.4f};" in page


@pytest.mark.skipif(BROWSER is None, reason="there is no browser")
def test_a_browser_sees_text_and_runs_nothing(tmp_path: Path) -> None:
    """The page opened from disk shows its images and no script runs."""
    for line in (1, 2):
        (tmp_path / entry(line)["file"]).write_bytes(solid(8, 8, (90, 90, 200)))
    page = sheet(entry(1, prompt=EVIL), entry(2), failed(3, prompt=EVIL))
    # The script would change the title.
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-extensions",
        "--disable-background-networking",
        "--no-first-run",
        "--dump-dom",
        f"--user-data-dir={tmp_path / 'profile'}",
    )

    run = subprocess.run(  # noqa: S603 - a browser that was found
        [
            str(BROWSER),
            *options,
            f"--user-data-dir={tmp_path / 'profile'}",
            (tmp_path / "index.html").as_uri(),
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=50,
        env={**os.environ, "HOME": str(tmp_path)},
    )

    seen = Elements(run.stdout)
    assert "<title>&lt;prompts&gt;.csv: 2 images</title>" in run.stdout
    assert not seen.all("script")
    assert len(seen.all("img")) == 2
