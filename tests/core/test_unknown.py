"""Submissions whose outcome is unknown, and the search for their images."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pictory_async import (
    AuthenticationError,
    FixedInterval,
    HistoryImage,
    ImageRequest,
    InvalidRequestError,
    PictorySession,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async._core import unknown as reconcile_module
from pictory_async._core.catalogue import DEFAULT_MODEL
from pictory_async._core.unknown import Claims, search_for
from pictory_async.sandbox import Fault, Sandbox

PROMPT = "A lighthouse at dawn"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def error_for(request: ImageRequest | None = None) -> SubmissionUnknownError:
    """Return the error of a POST that lasted from noon to half a minute later."""
    return SubmissionUnknownError(
        request=request or ImageRequest(PROMPT),
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=30),
    )


def image(seconds: float | None = 60, **fields: Any) -> HistoryImage:
    """Return an image made so many seconds after noon."""
    made = None if seconds is None else NOON + timedelta(seconds=seconds)
    url = f"https://example.com/{seconds}.png"
    values = {
        "id": "a",
        "url": url,
        "prompt": PROMPT,
        "model": DEFAULT_MODEL,
        "created_at": made,
    } | fields
    return HistoryImage(**values)


@pytest.mark.parametrize(
    ("candidate", "matches"),
    [
        (image(0), True),
        (image(-120), True),
        (image(-121), False),
        (image(30 + 900), True),
        (image(30 + 901), False),
        (image(None), False),
        (image(prompt="Another lighthouse"), False),
        (image(aspect_ratio="9:16"), True),
        (image(model="flux-schnell"), False),
        (image(model=None), False),
        (image(style="vintage"), False),
        (image(reference_image_url="https://example.com/x.png"), False),
    ],
)
def test_image_of_an_open_request(candidate: HistoryImage, matches: bool) -> None:
    """The prompt is equal and the time fits; an option that is absent is absent."""
    assert search_for(error_for(), job_timeout=900).matches(candidate) is matches


@pytest.mark.parametrize("name", ["model", "aspect_ratio", "style"])
def test_what_was_named_must_be_equal(name: str) -> None:
    """A model, ratio or style of the request is one of the image."""
    values = {"model": "nanobanana", "aspect_ratio": "16:9", "style": "cartoon"}
    request = ImageRequest(PROMPT, **values)
    search = search_for(error_for(request), job_timeout=900)
    assert search.matches(image(**values))
    assert not search.matches(image(**values | {name: "other"}))
    assert not search.matches(image(**values | {name: None}))


def test_a_reference_must_be_present_and_the_very_one_is_preferred() -> None:
    """The service may host it at another URL; another program's may be in the way."""
    asked = "https://example.com/sketch.png"
    request = ImageRequest(PROMPT, reference_image_url=asked)
    search = search_for(error_for(request), job_timeout=900)
    hosted = "https://cdn.example.com/1.png"
    images = [image(9, reference_image_url=asked), image(3, reference_image_url=hosted)]
    assert all(search.matches(each) for each in images)
    assert not search.matches(image())
    assert Claims().choose(search, images, others=()) is images[0]
    assert Claims().choose(search, images[1:], others=()) is images[1]


@pytest.mark.parametrize("then", [None, 3600.0])
def test_times_are_corrected_by_the_clock_of_the_service(then: float | None) -> None:
    """What the error says of the clocks counts, else what is known by now."""
    error = error_for()
    error.clock_offset = then
    ahead = timedelta(hours=1)
    search = search_for(error, job_timeout=900, clock_offset=ahead)
    assert search.matches(image(3600))
    assert not search.matches(image(0))
    assert search == search_for(error, job_timeout=900)  # for whom it is: not compared


def test_no_latest_time_without_job_timeout() -> None:
    """A job that may take for ever may have been made at any time since."""
    search = search_for(error_for(), job_timeout=None)
    assert search.matches(image(10**6))


@pytest.mark.parametrize(
    "error", [None, "x", TransportError(), SubmissionUnknownError()]
)
def test_other_errors_are_refused(error: object) -> None:
    """Only an unknown submission can be looked for."""
    with pytest.raises(InvalidRequestError) as caught:
        search_for(error, job_timeout=900)
    assert caught.value.field == "error"


def test_oldest_unclaimed_image_is_chosen() -> None:
    """The newest come first, the oldest is taken, and taken once."""
    claims = Claims()
    images = [image(90), image(60), image(30)]
    first = search_for(error_for(), job_timeout=900)
    second = search_for(
        error_for(ImageRequest(PROMPT, extra={"a": 1})), job_timeout=900
    )
    claims.take(f"{images[2].url}?signed=anew", now=NOON)
    assert claims.choose(first, images, others={images[1].url}) is images[0]
    assert claims.choose(first, images, others=()) is images[0]
    assert claims.choose(second, images, others=()) is images[1]
    assert claims.choose(second, images[:1], others=()) is None


def test_memory_is_bounded_until_something_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Images are forgotten in the end, but not while one may still be searched for."""
    monkeypatch.setattr(reconcile_module, "REMEMBERED", 10)
    claims = Claims()
    for number in range(1000):
        claims.take(f"{number}", now=NOON)
    assert len(claims._taken) <= 20
    assert hash("999") in claims._taken
    claims.keep_for(search_for(error_for(), job_timeout=900))
    for number in range(1000):
        claims.take(f"{number}", now=NOON)
    assert len(claims._taken) >= 1000
    claims.take("much later", now=NOON + timedelta(hours=1))
    assert len(claims._taken) == 10


@asynccontextmanager
async def studio(
    polling: float = 10,
) -> AsyncIterator[tuple[PictorySession, Sandbox]]:
    """A session and a sandbox whose calendar begins with the test's fake clock."""
    async with (
        Sandbox(duration=20.0, pictures=False) as sandbox,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(polling)
        ) as session,
    ):
        yield session, sandbox


@pytest.mark.looptime
async def test_finds_the_image_of_a_lost_answer() -> None:
    """The POST created a job and its answer was lost: its image is found."""
    async with studio() as (session, sandbox):
        sandbox.add_fault(Fault.drop(on="submit", handled=True))
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(PROMPT, style="vintage")
        assert await session.reconcile(caught.value) is None
        await asyncio.sleep(25)
        found = await session.reconcile(caught.value)
        assert found is not None
        assert found.id == sandbox.images[0].id
        assert await session.reconcile(caught.value) == found
        copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
        assert await session.reconcile(copied) == found
        assert len(sandbox.submitted) == 1


@pytest.mark.looptime
async def test_finds_nothing_where_nothing_was_created() -> None:
    """The request was lost before it was handled."""
    async with studio() as (session, sandbox):
        for _ in range(150):
            sandbox.add_image("Something else")
        sandbox.add_fault(Fault.drop(on="submit"))
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(PROMPT)
        await asyncio.sleep(60)
        assert await session.reconcile(caught.value) is None


@pytest.mark.looptime
async def test_image_of_another_call_is_never_taken() -> None:
    """An image of a known job is not taken, although its prompt is the same."""
    async with studio() as (session, sandbox):
        sandbox.add_fault(Fault.drop(on="submit"))
        lost, kept = await asyncio.gather(
            session.generate(PROMPT), session.generate(PROMPT), return_exceptions=True
        )
        error = next(r for r in (lost, kept) if isinstance(r, SubmissionUnknownError))
        assert len(sandbox.images) == 1
        assert await session.reconcile(error) is None


@pytest.mark.looptime
async def test_image_of_a_job_not_polled_yet_is_not_taken() -> None:
    """A job that may have ended since its last poll is polled before choosing."""
    async with studio(polling=300) as (session, sandbox):
        mine = await session.submit(PROMPT)
        other = await session.submit("Something else")
        sandbox.add_fault(Fault.drop(on="submit"))
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(PROMPT)
        await asyncio.sleep(25)
        assert {image.prompt for image in sandbox.images} >= {PROMPT}
        assert await session.reconcile(caught.value) is None
        assert not mine.done()
        assert not other.done()
        assert sandbox.polls(mine.job_id) == 1
        assert sandbox.polls(other.job_id) == 0


@pytest.mark.looptime
async def test_two_lost_answers_get_two_images() -> None:
    """Each of two errors with one prompt gets an image of its own."""
    async with studio() as (session, sandbox):
        sandbox.add_fault(Fault.drop(on="submit", handled=True, times=2))
        errors = await asyncio.gather(
            session.submit(PROMPT), session.submit(PROMPT), return_exceptions=True
        )
        await asyncio.sleep(25)
        found = [
            await session.reconcile(error)
            for error in errors
            if isinstance(error, SubmissionUnknownError)
        ]
        assert {image.id for image in found if image} == {i.id for i in sandbox.images}
        assert len(found) == 2


@pytest.mark.looptime
async def test_unreadable_history_is_raised() -> None:
    """If the history cannot be read, the error is raised."""
    async with studio() as (session, sandbox):
        sandbox.add_fault(Fault.answer(401, on="images"))
        with pytest.raises(AuthenticationError):
            await session.reconcile(
                SubmissionUnknownError(
                    request=ImageRequest(PROMPT),
                    started_at=datetime.now(UTC),
                    ended_at=datetime.now(UTC),
                )
            )


def test_search_is_the_same_for_a_copy() -> None:
    """An error that went through a journal finds the image it found before."""
    error = error_for()
    again = copy.copy(error)
    assert search_for(error, job_timeout=9) == search_for(again, job_timeout=9)
