"""Ten pitfalls of clients like this one, each with its test.

They are what users of comparable libraries complain about.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from pictory_async import (
    APIError,
    FixedInterval,
    GeneratedImage,
    JobFailedError,
    JobHandle,
    JobTimeoutError,
    Limits,
    PaginationError,
    PictorySession,
    RateLimitedError,
    SessionClosedError,
    SubmissionUnknownError,
    WrongLoopError,
)
from pictory_async._core.catalogue import DEFAULT_MODEL
from pictory_async.sandbox import Fault, Sandbox, Throttle

pytestmark = pytest.mark.looptime

PROMPT = "A lighthouse at dawn"


def posts(sandbox: Sandbox) -> list[float]:
    """Return when POSTs arrived."""
    return [r.at for r in sandbox.requests if r.kind == "submit"]


async def test_pitfall_1_ambiguous_post_is_sent_again(unused_tcp_port: int) -> None:
    """A POST whose answer is lost is one POST; one that was not sent is repeated."""
    async with (
        Sandbox(duration=20, pictures=False, port=unused_tcp_port) as sandbox,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(10)
        ) as session,
    ):
        sandbox.add_fault(Fault.drop(on="submit", handled=True))
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(PROMPT)
        assert len(posts(sandbox)) == 1
        await asyncio.sleep(25)
        found = await session.reconcile(caught.value)
        assert found is not None
        assert found.id == sandbox.images[0].id

        await sandbox.aclose()  # nobody listens: the connection is refused

        async def come_back() -> None:
            await asyncio.sleep(0.05)
            await sandbox.start()

        _, job = await asyncio.gather(come_back(), session.submit("Another one"))
        assert len(sandbox.submitted) == 2

        sandbox.add_fault(Fault.answer(429, on="submit", retry_after=2))
        before = len(posts(sandbox))
        await session.submit("A third one")
        refused, accepted = posts(sandbox)[before:]
        assert accepted - refused >= 2
        assert len(sandbox.submitted) == 3
        await job


async def test_pitfall_2_stale_keep_alive_connection() -> None:
    """With a server that closes idle connections, no POST arrives twice.

    Connections are idle in simulated time, while the HTTP library measures its own
    limit for idle connections in real time: so some are used at the very moment at
    which the server closes them. Such a submit is unknown, or was not sent and is
    repeated on a new connection.
    """
    async with (
        Sandbox(duration=5, pictures=False, keepalive_timeout=20) as sandbox,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(6)
        ) as session,
    ):
        unknown = 0
        for number in range(50):
            try:
                await session.generate(f"{PROMPT}, number {number}")
            except SubmissionUnknownError:
                unknown += 1
            await asyncio.sleep(number)  # around and beyond the server's patience
        prompts = [r.body["prompt"] for r in sandbox.requests if r.kind == "submit"]
    assert len(prompts) == len(set(prompts)) >= 50 - unknown
    assert unknown < 25


async def test_pitfall_3_unknown_status_or_field(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A job in a new state is polled on, new fields are kept, missing ones are None."""
    job = await session.submit(PROMPT)
    sandbox.set_state(job.job_id, "paused")
    assert (await job.wait(timeout=25)).state == "paused"
    assert caplog.text.count("paused") == 1
    data = {
        "status": "completed",
        "url": None,
        "height": "720",
        "aiCreditsUsed": 0.6,
        "seed": 7,
    }
    sandbox.answer_job(job.job_id, {"success": True, "data": data}, times=1)
    finished = {"success": True, "data": data | {"url": "https://example.com/a.png"}}
    await asyncio.sleep(10)
    assert not job.done()  # completed without a URL: polled again
    sandbox.answer_job(job.job_id, finished)
    image = await job
    assert (image.width, image.height, str(image.credits_used)) == (None, 720, "0.6")
    assert image.extra == {"seed": 7}

    forever = await session.submit(PROMPT)
    sandbox.set_state(forever.job_id, "paused")
    with pytest.raises(JobTimeoutError):
        await forever

    sandbox.answer_job("old", {"success": False, "data": {"error_code": 1}})
    with pytest.raises(JobFailedError):
        await session.job("old")


async def test_pitfall_4_no_real_deadline(sandbox: Sandbox) -> None:
    """A server that never answers ends the attempt, but not the polling."""
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        polling=FixedInterval(10),
        request_timeout=5,
        job_timeout=100,
    ) as session:
        sandbox.add_fault(Fault.answer(502, on="job"))
        assert (await session.generate(PROMPT)).url
        sandbox.hold()
        sandbox.add_fault(Fault.hang(on="job", times=None))
        job = await session.submit(PROMPT)
        with pytest.raises(JobTimeoutError) as caught:
            await job
        assert caught.value.job_id == job.job_id
        assert job.status.elapsed == pytest.approx(100, abs=0.01)
        assert job.status.polls >= 6
        sandbox.clear_faults()
        sandbox.release()
        assert (await session.job(job.job_id)).job_id == job.job_id


async def test_pitfall_5_queueing_counts_as_request_time() -> None:
    """With two turns and a slow server, 200 submits wait long without a time-out."""
    async with Sandbox(duration=1, pictures=False) as sandbox:
        sandbox.add_fault(Fault.slow(20, on="submit", times=None))
        async with PictorySession(
            sandbox.api_key,
            base_url=sandbox.base_url,
            limits=Limits(concurrent_requests=2),
            polling=FixedInterval(30),
            request_timeout=30,
        ) as session:
            jobs = await asyncio.gather(*(session.submit(PROMPT) for _ in range(200)))
            assert len({job.job_id for job in jobs}) == 200
            waiting = [asyncio.create_task(session.submit(PROMPT)) for _ in range(50)]
            await asyncio.sleep(1)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            sandbox.clear_faults()
            assert (await session.submit(PROMPT)).job_id


async def test_pitfall_6_another_event_loop_or_thread(session: PictorySession) -> None:
    """Another loop gets a clear error immediately, not a hang nor "loop is closed"."""
    job = await session.submit(PROMPT)
    errors = list[BaseException]()

    def elsewhere() -> None:
        async def use() -> None:
            uses = (session.submit(PROMPT), job.result(), anext(session.history()))
            errors.extend(await asyncio.gather(*uses, return_exceptions=True))  # type: ignore[arg-type]

        asyncio.run(use())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join, 5)
    assert [type(error) for error in errors] == [WrongLoopError] * 3
    assert await job


async def test_pitfall_7_background_task_lost_or_dead_in_silence(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A job without references goes on, an error reaches all waiters, idle is idle."""
    job_id = (await session.submit(PROMPT)).job_id
    gc.collect()
    await asyncio.sleep(25)
    assert session.jobs == ()
    assert f"completed: job {job_id}" in caplog.text or sandbox.polls(job_id) == 2

    dead = await session.submit(PROMPT)
    sandbox.add_fault(Fault.answer(503, on="job", times=3))
    sandbox.add_fault(Fault.answer(403, on="job", after=3, times=None))
    waiters = [asyncio.create_task(dead.result()) for _ in range(5)]
    outcomes = await asyncio.gather(*waiters, return_exceptions=True)
    assert [getattr(outcome, "status", None) for outcome in outcomes] == [403] * 5


async def test_pitfall_7_many_handles_are_quiet_between_polls(sandbox: Sandbox) -> None:
    """A thousand jobs in flight need no timer and no task each."""
    sandbox.hold()
    loop = asyncio.get_running_loop()
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(600)
    ) as session:
        jobs = [await session.submit(PROMPT) for _ in range(1000)]
        tasks = {t for t in asyncio.all_tasks() if t.get_name().startswith("pictory")}
        assert tasks == set()
        timers = 0
        call_at = loop.call_at

        def counted(*args: object, **kwargs: object) -> asyncio.TimerHandle:
            nonlocal timers
            timers += 1
            return call_at(*args, **kwargs)  # type: ignore[arg-type]

        loop.call_at = counted  # type: ignore[assignment, method-assign]
        await asyncio.sleep(60)
        assert timers <= 10  # this sleep, and those of idle connections
        assert not any(job.done() for job in jobs)


async def test_pitfall_8_cancelled_and_many_awaiters(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Three await, one is cancelled; a time-out, then an await; one failure of ten."""
    job = await session.submit(PROMPT)
    tasks = [asyncio.create_task(job.result()) for _ in range(3)]
    await asyncio.sleep(5)
    tasks[0].cancel()
    assert (await tasks[1]) is (await tasks[2])
    assert sandbox.polls(job.job_id) == 2

    other = await session.submit(PROMPT)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(other.result(), 0.1)
    assert (await other).job_id == other.job_id

    sandbox.fail_next()
    calls = (session.generate(PROMPT, model=DEFAULT_MODEL) for _ in range(10))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, GeneratedImage) for result in results) == 9
    assert sum(isinstance(result, JobFailedError) for result in results) == 1


@pytest.mark.parametrize("how", ["normally", "by an exception", "by cancellation"])
async def test_pitfall_9_leaks_at_shutdown(sandbox: Sandbox, how: str) -> None:
    """Closing with twenty jobs in flight ends each, and leaves nothing behind."""
    before = asyncio.all_tasks()
    jobs = list[JobHandle[GeneratedImage]]()
    inside = asyncio.Event()

    async def use() -> None:
        async with PictorySession(
            sandbox.api_key, base_url=sandbox.base_url
        ) as session:
            jobs.extend([await session.submit(PROMPT) for _ in range(20)])
            inside.set()
            if how == "by an exception":
                raise ZeroDivisionError
            if how == "by cancellation":
                await asyncio.Event().wait()

    task = asyncio.create_task(use())
    await inside.wait()
    if how == "by cancellation":
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    ours = {t for t in asyncio.all_tasks() - before if "pictory" in t.get_name()}
    assert ours == set()
    for job in jobs:
        with pytest.raises(SessionClosedError) as caught:
            await job
        assert caught.value.job_id == job.job_id
    assert {job.state for job in sandbox.jobs.values()} == {"in-progress"}


async def test_pitfall_10_paging_traps(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Three thousand empty pages, a repeated key, a lost page: no loop, no gap."""
    item = {"id": "a", "url": "https://example.com/a.png"}
    empty = [
        Fault.answer(200, on="images", body={"items": [], "nextPageKey": f"{n}"})
        for n in range(3000)
    ]
    sandbox.add_fault(*empty, Fault.answer(200, on="images", body={"items": [item]}))
    assert [image.id async for image in session.history()] == ["a"]

    again = {"items": [item], "nextPageKey": "same"}
    sandbox.add_fault(Fault.answer(200, on="images", body=again, times=5))
    before = sum(r.kind == "images" for r in sandbox.requests)
    with pytest.raises(PaginationError) as caught:
        async for _ in session.history():
            pass
    assert caught.value.next_page_key == "same"
    assert sum(r.kind == "images" for r in sandbox.requests) - before == 2
    sandbox.clear_faults()

    for number in range(250):
        sandbox.add_image(f"Picture number {number}")
    sandbox.add_fault(Fault.answer(400, on="images", after=2))
    history, seen = session.history(), list[str]()
    with pytest.raises(APIError):
        async for image in history:
            seen.append(image.id)
    resumed = session.history(start=history.next_page_key)
    seen += [image.id async for image in resumed]
    assert seen == [image.id for image in sandbox.images]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_pitfall_10_runaway_waits(
    session: PictorySession, sandbox: Sandbox, form: str
) -> None:
    """A Retry-After of a day, in either form, is raised instead of waited for."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    wait = "100000" if form == "seconds" else format_datetime(tomorrow, usegmt=True)
    sandbox.add_fault(
        Fault.answer(429, on="submit", headers={"Retry-After": wait}),
        Fault.answer(429, on="images", headers={"Retry-After": wait}),
    )
    for use in (session.submit(PROMPT), anext(session.history())):
        with pytest.raises(RateLimitedError) as caught:
            await use
        assert caught.value.retry_after == pytest.approx(100_000, rel=0.2)


@pytest.mark.parametrize(
    "throttle",
    [
        Throttle(60, burst=60, status=429, html=True),
        Throttle(60, burst=60, status=503, html=True),
    ],
    ids=["429", "503"],
)
async def test_proxy_that_lets_60_a_second_through(
    throttle: Throttle, tmp_path: Path
) -> None:
    """200 concurrent images through a proxy that throttles: all arrive, none twice."""
    async with (
        Sandbox(duration=20, pictures=False, throttle=throttle) as sandbox,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(10)
        ) as session,
    ):
        images = await asyncio.gather(
            *(session.generate(f"{PROMPT} {number}") for number in range(200))
        )
        assert len({image.url for image in images}) == 200
        assert len(sandbox.submitted) == 200
        assert sandbox.throttled > 0
        path = await session.download(images[0], tmp_path)
        assert path.exists()
