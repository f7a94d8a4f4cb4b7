"""The figures of a session: the counters alone, and those of a real session."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from pictory_async import (
    APIError,
    AuthenticationError,
    DownloadError,
    FixedInterval,
    GeneratedImage,
    ImageRequest,
    InvalidResponseError,
    JobFailedError,
    PictoryError,
    PictorySession,
    RateLimitedError,
    RequestStats,
    RequestTimeoutError,
    ServerError,
    SessionClosedError,
    SessionStats,
)
from pictory_async._core.endpoints import Kind
from pictory_async._http.stats import Counters
from pictory_async.sandbox import Fault, Sandbox

PROMPT = "A lighthouse at dawn"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RateLimitedError(status=429), "throttled"),
        (ServerError(status=503), "throttled"),
        (AuthenticationError(status=401), "refused"),
        (APIError(status=200), "refused"),
        (APIError(status=302), "refused"),
        (ServerError(status=500), "failed"),
        (APIError(status=101), "failed"),
        (RequestTimeoutError(), "failed"),
        (InvalidResponseError(), "failed"),
        (DownloadError(), "failed"),
    ],
)
def test_each_failure_has_its_column(error: PictoryError, outcome: str) -> None:
    """A failed attempt is counted once, under the outcome of its error."""
    counters = Counters()
    counters.attempt_failed(Kind.PAGE, error)
    stats = counters.snapshot(jobs_in_flight=0)
    assert stats.pages == RequestStats(**{outcome: 1})
    assert stats.pages.total == 1
    assert stats == SessionStats(pages=stats.pages)


def test_what_was_not_sent_is_no_attempt() -> None:
    """A request that a closed session refuses is not counted."""
    counters = Counters()
    counters.attempt_failed(Kind.POLL, SessionClosedError())
    assert counters.snapshot(jobs_in_flight=0) == SessionStats()


def test_only_waiting_for_the_service_is_throttling() -> None:
    """Seconds are counted for 429 and 503 only, retries always."""
    counters = Counters()
    counters.retry(RateLimitedError(status=429), after=1.5)
    counters.retry(ServerError(status=503), after=0.5)
    counters.retry(RequestTimeoutError(), after=7)
    stats = counters.snapshot(jobs_in_flight=3)
    assert (stats.retries, stats.throttled_seconds, stats.jobs_in_flight) == (3, 2, 3)


def test_credits_are_exact_and_by_the_price_list_where_nobody_says() -> None:
    """Ten times 0.6 are 6; an image without a number counts its price, if any."""
    request = ImageRequest(PROMPT, model="nanobanana")
    counters = Counters()
    for _ in range(10):
        image = GeneratedImage(job_id="a", url="b", credits_used=Decimal("0.6"))
        counters.job_ended(polls=1, result=image)
    counters.job_ended(
        polls=2, result=GeneratedImage(job_id="a", url="b", request=request)
    )
    counters.job_ended(polls=4, result=GeneratedImage(job_id="a", url="b"))
    counters.job_ended(polls=2, result=None)
    stats = counters.snapshot(jobs_in_flight=0)
    assert stats.credits_used == Decimal(10)
    assert (stats.jobs_completed, stats.jobs_failed) == (12, 1)
    assert stats.polls_per_job == 18 / 13


def test_a_snapshot_stays_as_it_is() -> None:
    """A snapshot does not change; later figures are in the next one."""
    counters = Counters()
    before = counters.snapshot(jobs_in_flight=0)
    counters.ok[Kind.SUBMIT] += 1
    assert before.submits.ok == 0
    assert counters.snapshot(jobs_in_flight=0).submits.ok == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        before.retries = 1  # type: ignore[misc]


@pytest.mark.looptime
async def test_a_session_counts_what_it_does(
    session: PictorySession, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Every kind of request and every end of a job is in the figures."""
    assert session.stats == SessionStats()
    sandbox.add_fault(
        Fault.answer(429, on="submit", headers={"Retry-After": "3"}),
        Fault.answer(500, on="job"),
        Fault.answer(500, on="images"),
    )
    sandbox.fail_next()
    failing = await session.submit(PROMPT)
    assert session.stats.jobs_in_flight == 1
    with pytest.raises(JobFailedError):
        await failing
    image = await session.generate(PROMPT, model="flux-schnell")
    assert [found.url async for found in session.history()] == [image.url]
    await session.download(image, tmp_path / "a.png")
    with pytest.raises(DownloadError):
        await session.download(attrs.evolve(image, url=image.url + "x"), tmp_path)

    stats = session.stats
    assert stats.submits == RequestStats(ok=2, throttled=1)
    assert stats.polls == RequestStats(ok=3, failed=1)
    assert stats.pages == RequestStats(ok=1, failed=1)
    assert stats.downloads == RequestStats(ok=1, refused=1)
    assert stats.retries == 3
    assert stats.throttled_seconds == 3
    assert (stats.jobs_in_flight, stats.jobs_completed, stats.jobs_failed) == (0, 1, 1)
    assert stats.polls_per_job == 2
    assert stats.credits_used == Decimal("0.6")
    sent = stats.submits.total + stats.polls.total + stats.pages.total
    api = {"submit", "job", "images"}
    assert sent == len([seen for seen in sandbox.requests if seen.kind in api])


async def test_figures_outlive_the_loop_and_the_session(sandbox: Sandbox) -> None:
    """The figures are available on any thread, and after the session was closed."""
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(60)
    ) as session:
        await session.submit(PROMPT)
    stats = await asyncio.to_thread(lambda: session.stats)
    assert stats.submits.ok == 1
    # It is no longer polled, and how it ends is not known.
    assert (stats.jobs_in_flight, stats.jobs_failed) == (0, 0)
