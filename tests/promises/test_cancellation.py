"""One test for each await of the session, the handle and the transport.

Each test cancels at that await, and then shows that nothing is lost, blocked or left
behind: with a single turn for all requests, the next one would hang if the turn had not
been released.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pictory_async import (
    FixedInterval,
    GeneratedImage,
    HistoryImage,
    JobHandle,
    Limits,
    PictorySession,
    SubmissionUnknownError,
)
from pictory_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.looptime

PROMPT = "A lighthouse at dawn"


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[PictorySession]:
    """A session with a single turn."""
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        polling=FixedInterval(10),
        limits=Limits(concurrent_requests=1),
    ) as opened:
        yield opened


async def cancel(
    coro: Coroutine[Any, Any, Any], *, after: float
) -> asyncio.Task[object]:
    """Run *coro* as a task, cancel it after so many seconds, and check that it is."""
    task = asyncio.create_task(coro)
    await asyncio.sleep(after)
    assert not task.done(), "it was over before it could be cancelled"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return task


async def still_works(session: PictorySession) -> None:
    """Check that a request can be made without delay."""
    async with asyncio.timeout(5):
        assert [page async for page in session.history().pages()]


def left_in(folder: Path) -> list[str]:
    """Return the names of all files in *folder*."""
    return [path.name for path in folder.iterdir()]


def served(sandbox: Sandbox) -> HistoryImage:
    """Return an image that can be downloaded."""
    made = sandbox.add_image(PROMPT)
    origin = sandbox.base_url.removesuffix("/pictoryapis")
    return HistoryImage(id=made.id, url=f"{origin}/images/user/x/{made.id}.png")


# --- the session --------------------------------------------------------------------


async def test_submit_waiting_for_its_turn(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Nothing is sent."""
    sandbox.add_fault(Fault.slow(5, on="images"))
    page = asyncio.create_task(anext(session.history(), None))
    await asyncio.sleep(0.1)
    await cancel(session.submit(PROMPT), after=1)
    await page
    await still_works(session)
    assert sandbox.submitted == []


async def test_submit_waiting_for_a_connection(sandbox: Sandbox) -> None:
    """Nothing is sent, and the turn is released."""

    class Slow(aiohttp.TCPConnector):
        wait = 60.0

        async def connect(self, *args: Any, **options: Any) -> Any:
            await asyncio.sleep(self.wait)
            return await super().connect(*args, **options)

    connector = Slow()
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        PictorySession(
            sandbox.api_key,
            base_url=sandbox.base_url,
            http=http,
            limits=Limits(concurrent_requests=1),
            request_timeout=100,
        ) as session,
    ):
        await cancel(session.submit(PROMPT), after=5)
        connector.wait = 0
        await still_works(session)
        await asyncio.sleep(200)
    assert sandbox.submitted == []


async def test_submit_on_the_wire(session: PictorySession, sandbox: Sandbox) -> None:
    """It is finished in the background, and its job is kept."""
    sandbox.add_fault(Fault.slow(3, on="submit"))
    await cancel(session.submit(PROMPT), after=1)
    await asyncio.sleep(3)
    (job,) = session.jobs
    assert (await job).job_id == next(iter(sandbox.jobs))
    await still_works(session)


async def test_submit_while_the_answer_is_read(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """An answer that has begun to arrive is read to its end."""
    sandbox.add_fault(Fault.trickle(on="submit", interval=0.1))
    await cancel(session.submit(PROMPT), after=2)
    await session.drain()
    assert [job.state for job in sandbox.jobs.values()] == ["completed"]
    assert session.jobs == ()
    await still_works(session)


async def test_submit_waiting_to_try_again(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Nothing is sent any more."""
    sandbox.add_fault(Fault.answer(429, on="submit", retry_after=3))
    await cancel(session.submit(PROMPT), after=1)
    await asyncio.sleep(10)
    await still_works(session)
    assert len([r for r in sandbox.requests if r.kind == "submit"]) == 1


async def test_generate_while_it_submits(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """As for submit: the job is kept."""
    sandbox.add_fault(Fault.slow(3, on="submit"))
    await cancel(session.generate(PROMPT), after=1)
    await session.drain()
    assert [job.state for job in sandbox.jobs.values()] == ["completed"]


async def test_generate_with_a_timeout_while_it_submits(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A cancellation is not mistaken for the time-out."""
    sandbox.add_fault(Fault.slow(3, on="submit"))
    await cancel(session.generate(PROMPT, timeout=100), after=1)
    await session.drain()
    assert [job.state for job in sandbox.jobs.values()] == ["completed"]


async def test_generate_while_it_waits_for_the_image(session: PictorySession) -> None:
    """The job goes on, in session.jobs."""
    await cancel(session.generate(PROMPT), after=5)
    (job,) = session.jobs
    assert (await job).job_id == job.job_id


async def test_drain(session: PictorySession) -> None:
    """Nothing is disturbed."""
    job = await session.submit(PROMPT)
    await cancel(session.drain(), after=5)
    await session.drain()
    assert job.done()


async def test_reconcile_while_it_reads_the_history(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Nothing is claimed; the next call finds what there is."""
    sandbox.add_fault(Fault.drop(on="submit", handled=True))
    with pytest.raises(SubmissionUnknownError) as caught:
        await session.submit(PROMPT)
    sandbox.add_fault(Fault.slow(5, on="images"))
    await cancel(session.reconcile(caught.value), after=1)
    await still_works(session)
    await session.reconcile(caught.value)


async def test_closing(session: PictorySession, sandbox: Sandbox) -> None:
    """The closing goes on in the background."""
    sandbox.add_fault(Fault.slow(3, on="submit"))
    submit = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    await cancel(session.aclose(), after=1)
    await session.aclose()
    assert (await submit).done()


async def test_leaving_the_session(sandbox: Sandbox) -> None:
    """A block that is cancelled while it closes has closed."""
    sandbox.add_fault(Fault.hang(on="submit"))
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)

    async def block() -> None:
        async with session:
            await asyncio.sleep(1)

    submit = asyncio.create_task(session.submit(PROMPT))
    await cancel(block(), after=3)  # in the grace of five seconds
    await session.aclose()
    with pytest.raises(SubmissionUnknownError):
        await submit


# --- history ------------------------------------------------------------------------


async def test_history_while_a_page_is_fetched(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The position has not moved: the page is fetched again."""
    ids = [sandbox.add_image(f"{PROMPT} {n}").id for n in range(3)][::-1]
    sandbox.add_fault(Fault.slow(5, on="images"))
    history = session.history()
    await cancel(history.__anext__(), after=1)  # type: ignore[arg-type]
    assert [image.id async for image in history] == ids


async def test_history_while_another_task_fetches(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A waiter for another task's page does not disturb it."""
    sandbox.add_image(PROMPT)
    sandbox.add_fault(Fault.slow(5, on="images"))
    history = session.history()
    first = asyncio.create_task(history.__anext__())  # type: ignore[arg-type]
    await asyncio.sleep(1)
    await cancel(history.__anext__(), after=1)  # type: ignore[arg-type]
    assert (await first).id == sandbox.images[0].id  # type: ignore[attr-defined]


async def test_pages_while_a_page_is_fetched(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The iterator of pages goes on as well."""
    sandbox.add_image(PROMPT)
    sandbox.add_fault(Fault.slow(5, on="images"))
    pages = session.history().pages()
    await cancel(pages.__anext__(), after=1)  # type: ignore[arg-type]
    assert len((await anext(pages)).images) == 1


# --- the handle ---------------------------------------------------------------------


@pytest.fixture
async def job(session: PictorySession) -> JobHandle[GeneratedImage]:
    """A job in progress."""
    return await session.submit(PROMPT)


async def test_awaiting(job: JobHandle[GeneratedImage], sandbox: Sandbox) -> None:
    """Neither the job nor the number of polls is disturbed."""

    async def wait() -> GeneratedImage:
        return await job

    await cancel(wait(), after=5)
    await job
    assert sandbox.polls(job.job_id) == 2


async def test_result_with_timeout(job: JobHandle[GeneratedImage]) -> None:
    """A cancellation is not mistaken for the time-out."""
    await cancel(job.result(timeout=100), after=5)
    await job


async def test_wait(job: JobHandle[GeneratedImage]) -> None:
    """The job can be waited for again."""
    await cancel(job.wait(), after=5)
    assert (await job.wait()).final


async def test_updates(job: JobHandle[GeneratedImage]) -> None:
    """A consumer that is cancelled between two updates leaves the job alone."""

    async def consume() -> None:
        async for _ in job.updates():
            pass

    await cancel(consume(), after=5)
    assert [status.final async for status in job.updates()][-1]


# --- downloads and the transport ----------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault.slow(5, on="file"),
        Fault.hang(on="file"),
        Fault.trickle(on="file"),
        Fault.answer(503, on="file", retry_after=60),
    ],
    ids=["sent", "no answer", "body", "retrying"],
)
async def test_download(
    session: PictorySession, sandbox: Sandbox, tmp_path: Path, fault: Fault
) -> None:
    """Wherever it is cancelled, nothing is left on disk and the turn is released."""
    image = served(sandbox)
    sandbox.add_fault(fault)
    await cancel(session.download(image, tmp_path), after=2)
    assert left_in(tmp_path) == []
    await still_works(session)
    assert (await session.download(image, tmp_path)).exists()


async def test_download_waiting_for_its_turn(
    session: PictorySession, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Its place in the queue is given up."""
    image = served(sandbox)
    sandbox.add_fault(Fault.slow(5, on="images"))
    page = asyncio.create_task(anext(session.history(), None))
    await asyncio.sleep(0.1)
    await cancel(session.download(image, tmp_path), after=1)
    await page
    await still_works(session)
    assert [r for r in sandbox.requests if r.kind == "file"] == []


@pytest.mark.parametrize("interval", [0.05, 3.0], ids=["body", "first byte"])
async def test_answer_of_a_free_request(
    session: PictorySession, sandbox: Sandbox, interval: float
) -> None:
    """A page whose answer is being read is given up with its connection."""
    sandbox.add_image(PROMPT)
    sandbox.add_fault(Fault.trickle(on="images", interval=interval))
    history = session.history()
    await cancel(history.__anext__(), after=1)  # type: ignore[arg-type]
    assert (await anext(history)).prompt == PROMPT
