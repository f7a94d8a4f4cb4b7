"""Uses every public name as a user would; mypy and pyright read it, nobody runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import aiohttp
from aiohttp import web
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from yarl import URL

from pictory_async import (
    MODELS,
    STYLES,
    Adaptive,
    APIError,
    AuthenticationError,
    Backoff,
    BadRequestError,
    Batch,
    BatchOutcome,
    BatchProgress,
    BudgetExceededError,
    ConfigurationError,
    DownloadError,
    FixedInterval,
    GeneratedImage,
    HistoryImage,
    HistoryPage,
    ImageHistory,
    ImageRequest,
    InvalidRequestError,
    InvalidResponseError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobHandle,
    JobNotFoundError,
    JobState,
    JobStatus,
    JobTimeoutError,
    JournalError,
    JournalMismatchError,
    JournalSummary,
    Limits,
    ModelInfo,
    NotFoundError,
    PaginationError,
    PermissionDeniedError,
    PictoryError,
    PictorySession,
    PollPolicy,
    RateLimitedError,
    RequestStats,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    SessionClosedError,
    SessionStats,
    SubmissionUnknownError,
    TransportError,
    WrongLoopError,
    __version__,
    read_journal,
)
from pictory_async.sandbox import (
    Behavior,
    Fault,
    ImageView,
    JobView,
    Sandbox,
    SeenRequest,
    ThreadedSandbox,
    Throttle,
    WebhookDelivery,
)
from pictory_async.webhook import WebhookReceiver

ImageJob = JobHandle[GeneratedImage]


class EverySecond:
    """A policy of one's own."""

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Return one second."""
        return 1.0 + 0 * (polls + elapsed + len(model))

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Learn nothing."""


policy: PollPolicy = EverySecond()
policy = Backoff(10, factor=1.25, maximum=30, jitter=0.1, rand=lambda: 0.5)
adaptive: PollPolicy = Adaptive(interval=10, maximum=30, memory=56, rand=lambda: 0.5)
policy = FixedInterval(15)


async def session_api(http: aiohttp.ClientSession) -> None:
    """Open, submit, follow, list, download, close."""
    async with PictorySession() as first:
        assert_type(first, PictorySession)
    session = PictorySession(
        "key",
        base_url=URL("https://example.com"),
        polling=policy,
        retries=RetryPolicy(
            5, first=0.5, factor=2, maximum=20, max_retry_after=120, throttled_for=300
        ),
        limits=Limits(concurrent_requests=32, requests_per_second=None),
        request_timeout=30,
        job_timeout=None,
        http=http,
    )
    request = ImageRequest(
        "A lighthouse",
        model="seedream3.0",
        aspect_ratio="1:1",
        style=None,
        reference_image_url=None,
        webhook=None,
        extra={"seed": 1},
    )
    assert_type(request.estimated_credits, Decimal | None)
    job = await session.submit(request, style="vintage")
    assert_type(job, JobHandle[GeneratedImage])
    assert_type(await job, GeneratedImage)
    assert_type(await job.result(timeout=3), GeneratedImage)
    assert_type(await job.wait(timeout=3), JobStatus)
    assert_type(job.status.state, JobState)
    assert_type(job.status.error, PictoryError | None)
    assert_type(job.status.problem, PictoryError | None)
    assert_type(job.request, ImageRequest | None)
    assert_type(job.done(), bool)
    async for status in job.updates():
        assert_type(status, JobStatus)
    job.poll_now()
    image = await session.generate("A lighthouse", webhook="https://a", timeout=60)
    assert_type(image.credits_used, Decimal | None)
    assert_type(image.width, int | None)
    assert_type(session.job("id"), JobHandle[GeneratedImage])
    assert_type(session.jobs, tuple[JobHandle[GeneratedImage], ...])
    assert_type(session.poll_now("id"), bool)
    assert_type(session.loop, asyncio.AbstractEventLoop | None)
    await session.drain(timeout=1)
    unknown = SubmissionUnknownError()
    assert_type(await session.reconcile(unknown), HistoryImage | None)
    assert_type(await session.download(image, Path(), overwrite=True), Path)
    await session.aclose()


def stats_api(session: PictorySession) -> Decimal:
    """Read the figures."""
    stats = session.stats
    assert_type(stats, SessionStats)
    for requests in (stats.submits, stats.polls, stats.pages, stats.downloads):
        assert_type(requests, RequestStats)
        failures = requests.refused + requests.failed + requests.throttled
        assert_type(requests.total - requests.ok - failures, int)
    assert_type(stats.retries + stats.throttled_seconds, float)
    assert_type(stats.jobs_in_flight + stats.jobs_completed + stats.jobs_failed, int)
    assert_type(stats.polls_per_job, float | None)
    return stats.credits_used


async def batch_api(session: PictorySession) -> None:
    """Generate many, in every way."""

    async def later() -> AsyncIterator[str | ImageRequest]:
        yield "A lighthouse"

    def shown(progress: BatchProgress) -> None:
        assert_type(progress.total, int | None)
        assert_type(progress.submitted, int)
        assert_type(progress.credits_used + progress.credits_reserved, Decimal)

    assert_type(session.generate_many(["A lighthouse"]), Batch)
    session.generate_many(iter([ImageRequest("A lighthouse")]), progress=True)
    batch = session.generate_many(
        later(),
        model="flux-schnell",
        aspect_ratio="1:1",
        style="vintage",
        reference_image_url="https://a/b.png",
        webhook="https://a",
        max_in_flight=50,
        ordered=True,
        journal=Path("run.sqlite"),
        save_to="pictures/",
        max_credits=Decimal("0.6"),
        on_unknown="reconcile",
        progress=shown,
    )
    async with batch as entered:
        assert_type(entered, Batch)
        async for outcome in batch:
            assert_type(outcome, BatchOutcome)
            assert_type(outcome.index, int)
            assert_type(outcome.request, ImageRequest | None)
            assert_type(outcome.job_id, str | None)
            assert_type(outcome.image, GeneratedImage | None)
            assert_type(outcome.error, PictoryError | None)
            assert_type(outcome.path, Path | None)
            assert_type(outcome.unwrap(), GeneratedImage)
    assert_type(batch.progress, BatchProgress)
    assert_type(await batch.results(), list[BatchOutcome])
    await batch.aclose()
    assert_type(read_journal("run.sqlite"), JournalSummary)
    summary = read_journal(Path("run.sqlite"))
    assert_type(summary.indices, frozenset[int])
    assert_type(summary.credits_used + summary.credits_reserved, Decimal)


async def webhook_api(session: PictorySession, app: web.Application) -> None:
    """Hear of the end of jobs."""
    receiver = WebhookReceiver(session, public_url="https://a", secret="b" * 32)
    assert_type(await session.submit("A lighthouse", webhook=receiver.url), ImageJob)
    assert_type(await receiver.receive("token", b"{}"), int)
    app.router.add_post("/{token}", receiver.aiohttp_handler)
    Starlette(routes=[Mount("/pictory", app=receiver.asgi)])
    FastAPI().mount("/pictory", receiver.asgi)


async def history_api(session: PictorySession) -> None:
    """Walk by item and by page."""
    history = session.history(start="key", since=datetime.now(UTC), limit=3)
    assert_type(history, ImageHistory)
    assert_type(history.next_page_key, str | None)
    async for image in history:
        assert_type(image, HistoryImage)
        assert_type(image.created_at, datetime | None)
        await session.download(image, "folder/")
    async for page in history.pages():
        assert_type(page, HistoryPage)
        assert_type(page.images, tuple[HistoryImage, ...])


def error_api(error: PictoryError) -> object:
    """Tell errors apart by their attributes."""
    match error:
        case InvalidRequestError():
            return error.field, error.reason
        case (
            BadRequestError()
            | AuthenticationError()
            | PermissionDeniedError()
            | NotFoundError()
            | RateLimitedError()
            | ServerError()
        ):
            assert_type(error.retry_after, float | None)
            return error.from_api
        case APIError():
            assert_type(error.fields, dict[str, tuple[str, ...]])
            return error.status, error.code, error.message, error.body
        case RequestTimeoutError() | TransportError():
            return error.sent, error.method, error.path
        case InvalidResponseError():
            return error.where, error.why
        case SubmissionUnknownError():
            assert_type(error.started_at, datetime | None)
            return error.request, error.ended_at, error.cause
        case JobFailedError():
            return error.job_id, error.code, error.message
        case JobTimeoutError():
            return error.still_running
        case JobNotFoundError() | JobExpiredError() | JobError():
            return error.job_id
        case PaginationError():
            return error.next_page_key
        case BudgetExceededError():
            return assert_type(error.limit + error.reserved + error.price, Decimal)
        case JournalMismatchError():
            return error.index, error.path
        case JournalError():
            return error.path, error.reason
        case DownloadError():
            return error.url, error.status
        case SessionClosedError():
            return error.job_id
        case ConfigurationError() | WrongLoopError() | _:
            return __version__


def catalogue_api() -> None:
    """Look models up."""
    assert_type(MODELS, Mapping[str, ModelInfo])
    assert_type(STYLES, tuple[str, ...])
    info = MODELS["seedream3.0"]
    assert_type(info.aspect_ratios, tuple[str, ...])
    assert_type(info.credits_per_image, Decimal)


async def sandbox_api() -> None:
    """Run a stand-in for the service."""
    async with Sandbox(
        behavior=Behavior(unknown_job="200"), throttle=Throttle(5, burst=2)
    ) as sandbox:
        sandbox.add_fault(Fault.answer(503, on="submit"), Fault.drop(handled=True))
        sandbox.fail_next()
        assert_type(sandbox.requests, list[SeenRequest])
        assert_type(sandbox.jobs, dict[str, JobView])
        assert_type(sandbox.images, list[ImageView])
        assert_type(sandbox.webhooks, list[WebhookDelivery])
        PictorySession(sandbox.api_key, base_url=sandbox.base_url)


def threaded_sandbox_api() -> None:
    """Run one in a thread of its own."""
    with ThreadedSandbox(duration=0, pictures=False) as sandbox:
        assert_type(sandbox, ThreadedSandbox)
        sandbox.hold()
        assert_type(sandbox.submitted, list[Mapping[str, Any]])


def test_fixtures(
    pictory_sandbox: ThreadedSandbox, pictory_session: PictorySession
) -> None:
    """Be given what the pytest plugin makes."""
    assert_type(pictory_session.loop, asyncio.AbstractEventLoop | None)
    assert_type(pictory_sandbox.base_url, str)
