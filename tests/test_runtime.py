"""A session's life: loops, tasks, threads, forks, closing, forgetting."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from pictory_async import (
    FixedInterval,
    GeneratedImage,
    JobHandle,
    JobTimeoutError,
    PictorySession,
    SessionClosedError,
    WrongLoopError,
)
from pictory_async.sandbox import Fault, Sandbox

ValueT = TypeVar("ValueT")
PROMPT = "A lighthouse at dawn"


def run(main: Coroutine[Any, Any, ValueT]) -> ValueT:
    """Do as `asyncio.run`, and leave the thread's own event loop as it is."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(main)


def test_constructor_needs_no_loop() -> None:
    """A session can be a module's global."""
    session = PictorySession("pictai_fake")
    assert session.jobs == ()
    assert session.history().next_page_key is None


def test_attaching_needs_a_running_loop() -> None:
    """Attaching a job needs a running loop, and says so without one."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        PictorySession("pictai_fake").job("a")


def sandbox_in_thread(ready: threading.Event, box: list[Sandbox]) -> threading.Thread:
    """Start a sandbox in a thread of its own, independent of the loops of the test."""

    async def serve() -> None:
        async with Sandbox(duration=0.05, pictures=False) as sandbox:
            stop = asyncio.Event()
            sandbox.stop = lambda: loop.call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
            loop = asyncio.get_running_loop()
            box.append(sandbox)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="sandbox")
    thread.start()
    return thread


@pytest.fixture
def outside() -> Iterator[Sandbox]:
    """A sandbox outside of any loop of the test."""
    ready, box = threading.Event(), list[Sandbox]()
    thread = sandbox_in_thread(ready, box)
    assert ready.wait(10)
    yield box[0]
    box[0].stop()  # type: ignore[attr-defined]
    thread.join(10)


def test_two_runs_on_one_session(outside: Sandbox) -> None:
    """After its loop was closed the session opens anew; no socket is left open."""
    session = PictorySession(
        outside.api_key, base_url=outside.base_url, polling=FixedInterval(0.01)
    )
    first = run(session.generate(PROMPT))
    second = run(session.generate(PROMPT))
    assert first.job_id != second.job_id
    run(session.aclose())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


def test_job_of_a_closed_loop_is_followed_on_in_the_next(outside: Sandbox) -> None:
    """A handle can be submitted in one run and awaited in another."""
    session = PictorySession(
        outside.api_key, base_url=outside.base_url, polling=FixedInterval(0.05)
    )
    job = run(session.submit(PROMPT))
    assert not job.done()

    async def wait() -> GeneratedImage:
        return await job

    image = run(wait())
    assert image.job_id == job.job_id
    assert run(wait()) is image  # a finished handle can be awaited anywhere
    run(session.aclose())


@pytest.mark.parametrize("over", [True, False])
def test_overdue_jobs_are_polled_once_in_the_next_loop(
    outside: Sandbox, *, over: bool
) -> None:
    """Of jobs whose deadline passed between two runs, those that ended give images."""
    outside.hold()
    session = PictorySession(
        outside.api_key, base_url=outside.base_url, job_timeout=0.05
    )

    async def submit() -> list[JobHandle[GeneratedImage]]:
        return [await session.submit(PROMPT) for _ in range(3)]

    jobs = run(submit())
    if over:
        outside.release()

    async def wait() -> list[BaseException | GeneratedImage]:
        await asyncio.sleep(0.1)
        waits = (job.result() for job in jobs)
        return await asyncio.gather(*waits, return_exceptions=True)

    kind = GeneratedImage if over else JobTimeoutError
    assert [type(outcome) for outcome in run(wait())] == [kind] * 3
    assert [job.status.polls for job in jobs] == [1] * 3
    assert session.jobs == ()
    run(session.aclose())


def test_waiter_left_in_a_closed_loop_harms_nobody(outside: Sandbox) -> None:
    """A task of a closed loop cannot be woken, but the others are."""
    session = PictorySession(
        outside.api_key, base_url=outside.base_url, polling=FixedInterval(0.05)
    )
    left = list[asyncio.Task[Any]]()

    async def leave_a_waiter() -> JobHandle[GeneratedImage]:
        job = await session.submit(PROMPT)
        left.append(asyncio.create_task(job.wait()))
        await asyncio.sleep(0)
        return job

    loop = asyncio.new_event_loop()
    job = loop.run_until_complete(leave_a_waiter())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()

    async def wait() -> GeneratedImage:
        image = await job
        await session.drain(timeout=5)
        return image

    assert run(wait()).job_id == job.job_id
    run(session.aclose())
    left[0].get_coro().close()  # type: ignore[union-attr]
    left[0]._log_destroy_pending = False  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop here")
def test_runs_on_uvloop(outside: Sandbox) -> None:
    """Many short timers, two runs and a close, on the loop that web servers use."""
    import uvloop

    session = PictorySession(
        outside.api_key, base_url=outside.base_url, polling=FixedInterval(0.0004)
    )

    async def many() -> int:
        async def generate() -> str:
            job = await session.submit(PROMPT)
            for _ in range(20):
                job.poll_now()
                await asyncio.sleep(0)
            return (await job).url

        return len(set(await asyncio.gather(*(generate() for _ in range(60)))))

    for _ in range(2):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(many()) == 60
    run(session.aclose())


def test_closing_after_the_loop_was_closed_tells_the_jobs(outside: Sandbox) -> None:
    """Handles that will not be polled again end."""
    session = PictorySession(outside.api_key, base_url=outside.base_url)
    job = run(session.submit(PROMPT))
    run(session.aclose())
    assert isinstance(job.status.error, SessionClosedError)


def test_another_live_loop_is_refused(outside: Sandbox) -> None:
    """Every method raises on the loop of another thread."""
    session = PictorySession(outside.api_key, base_url=outside.base_url)

    async def use_from_thread() -> list[BaseException]:
        job = await session.submit(PROMPT)
        return await asyncio.to_thread(lambda: asyncio.run(misuse(job)))

    async def misuse(job: JobHandle[GeneratedImage]) -> list[BaseException]:
        uses = (session.submit(PROMPT), job.result(), job.wait(), session.aclose())
        return [
            e
            for e in await asyncio.gather(*uses, return_exceptions=True)
            if isinstance(e, BaseException)
        ]

    async def main() -> list[BaseException]:
        errors = await use_from_thread()
        await session.aclose()
        return errors

    errors = run(main())
    assert [type(e) for e in errors] == [WrongLoopError] * 4
    assert isinstance(errors[0], RuntimeError)


def _use_after_fork(session: PictorySession, pipe: object) -> None:
    async def use() -> str:
        try:
            await session.submit(PROMPT)
        except WrongLoopError as error:
            return str(error)
        return "no error"

    pipe.send(asyncio.run(use()))  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forked_process_is_refused(outside: Sandbox) -> None:
    """A session that was opened before a fork shares its sockets: it is refused."""
    session = PictorySession(outside.api_key, base_url=outside.base_url)

    async def main() -> str:
        await session.submit(PROMPT)
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        child = context.Process(target=_use_after_fork, args=(session, theirs))
        child.start()
        text: str = await asyncio.to_thread(ours.recv)
        await asyncio.to_thread(child.join)
        await session.aclose()
        return text

    assert "forked" in run(main())


async def test_another_process_is_told_apart(sandbox: Sandbox) -> None:
    """The process that opened the session is the only one that may use it."""
    async with PictorySession(sandbox.api_key, base_url=sandbox.base_url) as session:
        engine = session._runtime.use()
        engine.process += 1
        with pytest.raises(WrongLoopError, match="forked"):
            await session.submit(PROMPT)
        engine.process -= 1


async def test_opened_used_and_closed_in_three_tasks(sandbox: Sandbox) -> None:
    """A notebook's cells are different tasks."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    await asyncio.create_task(session.__aenter__())
    job = await asyncio.create_task(session.submit(PROMPT))
    sandbox.finish(job.job_id)
    job.poll_now()
    image = await asyncio.create_task(job.result())
    assert image.job_id == job.job_id
    await asyncio.create_task(session.aclose())


async def test_closing_with_jobs_in_flight_tells_them(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Each handle gets its own id, the log one line with all; the jobs go on."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    jobs = [await session.submit(PROMPT) for _ in range(3)]
    waiters = [asyncio.create_task(job.result()) for job in jobs]
    await asyncio.sleep(0)
    await session.aclose()
    errors = await asyncio.gather(*waiters, return_exceptions=True)
    assert [e.job_id for e in errors if isinstance(e, SessionClosedError)] == [
        job.job_id for job in jobs
    ]
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(lines) == 1
    assert all(job.job_id in lines[0] for job in jobs)
    assert session.jobs == ()
    assert [job.state for job in sandbox.jobs.values()] == ["in-progress"] * 3


@pytest.mark.looptime
async def test_closing_ends_polls_and_pages_under_way(sandbox: Sandbox) -> None:
    """A request that hangs when the session closes leaves no task and no socket."""
    sandbox.add_fault(Fault.hang(on="job", times=None))
    sandbox.add_fault(Fault.hang(on="images", times=None))
    session = PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(1)
    )
    await session.submit(PROMPT)
    page = asyncio.create_task(session.history().__anext__())
    await asyncio.sleep(2)
    await session.aclose()
    with pytest.raises(SessionClosedError):
        await page


async def test_left_by_an_exception_it_closes(sandbox: Sandbox) -> None:
    """The exception propagates and the jobs are ended."""
    with pytest.raises(ZeroDivisionError):
        async with PictorySession(sandbox.api_key, base_url=sandbox.base_url) as s:
            job = await s.submit(PROMPT)
            raise ZeroDivisionError
    assert isinstance(job.status.error, SessionClosedError)


async def test_left_by_cancellation_it_closes(sandbox: Sandbox) -> None:
    """A cancelled block closes its session and stays cancelled."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    inside = asyncio.Event()

    async def block() -> None:
        async with session:
            await session.submit(PROMPT)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "closed" in repr(session)


async def test_closed_by_two_tasks(sandbox: Sandbox) -> None:
    """Both wait for the same closing; cancelling one does not stop it."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    job = await session.submit(PROMPT)
    first, second, third = (asyncio.create_task(session.aclose()) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    results = await asyncio.gather(first, second, third, return_exceptions=True)
    assert results[0] is results[2] is None
    assert job.done()


async def test_forgotten_without_closing_warns(sandbox: Sandbox) -> None:
    """A session that is dropped while open says so, as files and sockets do."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    async with session:
        pass
    del session
    gc.collect()  # closed: nothing to say
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    await session.__aenter__()
    runtime = session._runtime
    with pytest.warns(ResourceWarning, match="unclosed <PictorySession"):
        del session
        gc.collect()
    await runtime.aclose()


def test_failed_constructor_leaves_nothing_to_warn_of() -> None:
    """A constructor that raised does not warn of an unclosed session."""
    with pytest.raises(ValueError, match="base_url"):
        PictorySession("pictai_fake", base_url="nonsense")
    gc.collect()


async def test_poll_now_from_another_task(sandbox: Sandbox) -> None:
    """Any task of the loop may poll a job immediately."""
    async with PictorySession(sandbox.api_key, base_url=sandbox.base_url) as session:
        job = await session.submit(PROMPT)
        sandbox.finish(job.job_id)
        asyncio.get_running_loop().call_soon(job.poll_now)
        await job


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_a_thousand_sessions_leave_no_file_open(sandbox: Sandbox) -> None:
    """The number of open files after 1,000 openings and closings is as before."""

    async def one() -> None:
        async with PictorySession(sandbox.api_key, base_url=sandbox.base_url) as s:
            await s.history(limit=1).pages().__anext__()

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(20):
        await one()
    before = open_files()
    for _ in range(1000):
        await one()
    # The server's side of the last connections may still be open.
    assert abs(open_files() - before) <= 4


async def test_brought_session_survives_two_of_ours(sandbox: Sandbox) -> None:
    """A user's aiohttp session can serve one session after another."""
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            async with PictorySession(
                sandbox.api_key, base_url=sandbox.base_url, http=http
            ) as session:
                await session.submit(PROMPT)
    assert len(sandbox.submitted) == 2
