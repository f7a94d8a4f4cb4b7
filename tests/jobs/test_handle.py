"""The handle: awaited by many, polled once, at exact times."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from pictory_async import (
    AuthenticationError,
    Backoff,
    GeneratedImage,
    InvalidRequestError,
    JobExpiredError,
    JobFailedError,
    JobHandle,
    JobNotFoundError,
    JobState,
    JobStatus,
    JobTimeoutError,
    PermissionDeniedError,
    PictorySession,
)
from pictory_async.sandbox import Behavior, Fault, Sandbox

pytestmark = pytest.mark.looptime

PROMPT = "A lighthouse at dawn"


def polled_at(sandbox: Sandbox) -> list[float]:
    """Return when the sandbox was polled, in seconds from the submit."""
    submitted = next(r.at for r in sandbox.requests if r.kind == "submit")
    return [round(r.at - submitted, 3) for r in sandbox.requests if r.kind == "job"]


async def test_gives_the_image(session: PictorySession, sandbox: Sandbox) -> None:
    """Awaiting the handle gives the finished image and the request."""
    job = await session.submit(PROMPT, aspect_ratio="16:9", style="vintage")
    image = await job
    assert isinstance(image, GeneratedImage)
    assert (image.width, image.height, str(image.credits_used)) == (1280, 720, "2")
    assert image.request is job.request
    assert image.job_id == job.job_id
    assert image.url.endswith(f"/{sandbox.images[0].id}.png")


async def test_polls_when_the_policy_says(sandbox: Sandbox) -> None:
    """The documented 10 seconds come first, then a quarter more each time."""
    polling = Backoff(jitter=0)
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=polling
    ) as session:
        sandbox.hold()
        job = await session.submit(PROMPT)
        await job.wait(timeout=100)
        assert polled_at(sandbox) == [10, 22.5, 38.125, 57.656, 82.07]
        sandbox.release()
        await job
    assert polled_at(sandbox)[5:] == [112.07]


async def test_twenty_awaiters_cost_as_many_polls_as_one(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Of twenty awaiters ten are cancelled; the others and the polls do not notice."""
    job = await session.submit(PROMPT)
    tasks = [asyncio.create_task(job.result()) for _ in range(20)]
    await asyncio.sleep(12)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    images = [r for r in results if isinstance(r, GeneratedImage)]
    assert len(images) == 10
    assert len({id(image) for image in images}) == 1
    assert polled_at(sandbox) == [10, 20]
    assert await job is images[0]


async def test_impatient_waiter_leaves_the_job_alone(session: PictorySession) -> None:
    """The time-out of one waiter says that the job is still polled."""
    job = await session.submit(PROMPT)
    with pytest.raises(JobTimeoutError) as caught:
        await job.result(timeout=3)
    assert caught.value.still_running
    assert caught.value.job_id == job.job_id
    assert isinstance(caught.value, TimeoutError)
    assert not job.done()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await job
    assert (await job).job_id == job.job_id


async def test_result_with_zero_timeout_looks_without_waiting(
    session: PictorySession,
) -> None:
    """A time-out of 0 returns a result that is there, and raises without one."""
    job = await session.submit(PROMPT)
    with pytest.raises(JobTimeoutError):
        await job.result(timeout=0)
    await job
    assert (await job.result(timeout=0)).job_id == job.job_id


@pytest.mark.parametrize("timeout", [-1, float("nan"), "3", True])
async def test_refuses_an_unusable_timeout(
    session: PictorySession, timeout: float
) -> None:
    """A time-out is seconds from 0, or None; the error names the field."""
    job = await session.submit(PROMPT)
    with pytest.raises(InvalidRequestError) as caught:
        await job.wait(timeout=timeout)
    assert caught.value.field == "timeout"


async def test_failed_job_raises_for_every_waiter(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The service's code and sentence arrive, and the traceback does not grow."""
    sandbox.fail_next(code="MODERATION", message="not this one")
    job = await session.submit(PROMPT)
    lengths = []
    for _ in range(4):
        with pytest.raises(JobFailedError) as caught:
            await job
        lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert (caught.value.code, caught.value.message) == ("MODERATION", "not this one")
    assert caught.value.job_id == job.job_id
    assert len(set(lengths)) == 1
    status = await job.wait()
    assert (status.state, status.error, status.final) == (JobState.FAILED, None, True)


async def test_cleaned_job_is_expired(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A job whose data was cleaned says so."""
    job = await session.submit(PROMPT)
    sandbox.clean(job.job_id)
    with pytest.raises(JobExpiredError):
        await job
    assert job.status.state == JobState.CLEANED


async def test_unknown_state_word_is_kept_and_polled_on(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A state newer than this release is logged once and does not end the job."""
    job = await session.submit(PROMPT)
    sandbox.set_state(job.job_id, "paused")
    status = await job.wait(timeout=45)
    assert status.state == "paused"
    assert not status.final
    assert caplog.text.count("'paused'") == 1
    sandbox.finish(job.job_id)
    assert (await job).job_id == job.job_id
    assert polled_at(sandbox) == [10, 20, 30, 40, 50]


async def test_unknown_state_word_for_ever_ends_at_the_deadline(
    sandbox: Sandbox,
) -> None:
    """A job that never ends fails exactly at its deadline, and is released."""
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, job_timeout=60
    ) as session:
        job = await session.submit(PROMPT)
        sandbox.set_state(job.job_id, "paused")
        status = await job.wait()
        assert status.elapsed == pytest.approx(60, abs=0.01)
        assert isinstance(status.error, JobTimeoutError)
        assert not status.error.still_running
        assert session.jobs == ()
        polls = len(polled_at(sandbox))
        await asyncio.sleep(100)
        assert len(polled_at(sandbox)) == polls
        sandbox.finish(job.job_id)
        again = session.job(job.job_id)
        assert (await again).job_id == job.job_id


async def test_deadline_holds_when_the_server_never_answers(sandbox: Sandbox) -> None:
    """A half-open connection does not hold up the deadline."""
    sandbox.add_fault(Fault.hang(on="job", times=None))
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, job_timeout=25, request_timeout=60
    ) as session:
        job = await session.submit(PROMPT)
        with pytest.raises(JobTimeoutError):
            await job
        assert job.status.elapsed == pytest.approx(25, abs=0.01)


async def test_deadlines_come_in_order_of_submission(sandbox: Sandbox) -> None:
    """Each job has its own deadline, also after an earlier one has ended."""
    sandbox.hold()
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, job_timeout=30
    ) as session:
        jobs = []
        for _ in range(3):
            jobs.append(await session.submit(PROMPT))
            await asyncio.sleep(5)
        sandbox.finish(jobs[0].job_id)
        sandbox.hold()
        statuses = [await job.wait() for job in jobs]
    assert [s.state for s in statuses] == ["completed", "in-progress", "in-progress"]
    assert [round(s.elapsed) for s in statuses[1:]] == [30, 30]


async def test_no_deadline_without_job_timeout(sandbox: Sandbox) -> None:
    """With ``job_timeout=None`` a job is polled for as long as it takes."""
    sandbox.hold()
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, job_timeout=None
    ) as session:
        job = await session.submit(PROMPT)
        assert not (await job.wait(timeout=5000)).final
        sandbox.release()
        await job


async def test_updates_begin_with_now_and_end_with_the_end(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Each poll is an update, and the last one is final."""
    job = await session.submit(PROMPT)
    seen = [status async for status in job.updates()]
    assert [(s.state.value, s.polls, round(s.elapsed)) for s in seen] == [
        ("in-progress", 0, 0),
        ("in-progress", 1, 10),
        ("completed", 2, 20),
    ]
    assert [status async for status in job.updates()] == [seen[-1]]


async def test_slow_consumer_of_updates_sees_the_latest(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Nothing piles up for a consumer that takes its time."""
    sandbox.hold()
    job = await session.submit(PROMPT)
    seen = list[JobStatus]()
    async for status in job.updates():
        seen.append(status)
        if len(seen) == 2:
            sandbox.release()
        await asyncio.sleep(35)
    assert [(s.polls, s.final) for s in seen] == [(0, False), (3, False), (4, True)]


async def test_leaving_updates_disturbs_nothing(session: PictorySession) -> None:
    """Breaking out of the updates leaves the job and its other waiters."""
    job = await session.submit(PROMPT)
    waiter = asyncio.create_task(job.result())
    updates = job.updates()
    async for _ in updates:
        break
    await updates.aclose()  # type: ignore[attr-defined]
    assert (await waiter).job_id == job.job_id


async def test_poll_now_does_not_wait(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The job is polled immediately, before the policy's time."""
    job = await session.submit(PROMPT)
    await asyncio.sleep(3)
    job.poll_now()
    await asyncio.sleep(1)
    assert polled_at(sandbox) == [3]
    sandbox.finish(job.job_id)
    job.poll_now()
    await job
    assert polled_at(sandbox) == [3, 4]
    job.poll_now()
    await asyncio.sleep(50)
    assert polled_at(sandbox) == [3, 4]


async def test_poll_now_during_a_poll_asks_once_more(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A poll in flight may be older than what the caller knows, so one more follows."""
    job = await session.submit(PROMPT)
    sandbox.add_fault(Fault.slow(2, on="job"))
    await asyncio.sleep(11)
    job.poll_now()
    job.poll_now()
    await asyncio.sleep(3)
    assert polled_at(sandbox) == [10, 12]


async def test_two_handles_of_one_job_share_one_poller(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Attaching to a job that is in progress here costs no poll."""
    job = await session.submit(PROMPT)
    other = session.job(job.job_id)
    assert await other is await job
    assert polled_at(sandbox) == [10, 20]


async def test_attached_job_is_polled_immediately(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A job known by its id alone has no request, and its time starts now."""
    mine = await session.submit(PROMPT)
    await asyncio.sleep(50)
    job = session.job(mine.job_id)
    assert job.request is None
    image = await job
    assert image.request is None
    assert job.status.elapsed == pytest.approx(0, abs=0.01)
    assert job.status.polls == 1


async def test_unknown_job_is_not_found(session: PictorySession) -> None:
    """An id that the service does not know ends at the first answer."""
    job = session.job("11111111-2222-3333-4444-555555555555")
    with pytest.raises(JobNotFoundError) as caught:
        await job
    assert caught.value.job_id == job.job_id
    status = job.status
    assert isinstance(status.error, JobNotFoundError)
    assert status.polls == 1


async def test_unknown_job_in_the_other_documented_form() -> None:
    """Not found also comes as a 200 with success false."""
    async with (
        Sandbox(behavior=Behavior(unknown_job="200")) as sandbox,
        PictorySession(sandbox.api_key, base_url=sandbox.base_url) as session,
    ):
        with pytest.raises(JobNotFoundError):
            await session.job("nobody-knows-this")


async def test_not_found_is_lag_just_after_the_submit(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A job that is not found within 30 seconds of its submit is polled again."""
    sandbox.add_fault(Fault.answer(404, on="job", times=2))
    job = await session.submit(PROMPT)
    assert (await job).job_id == job.job_id
    assert polled_at(sandbox) == [10, 20, 30]


async def test_not_found_is_the_end_later(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A 404 more than 30 seconds after the submit is not found."""
    sandbox.hold()
    sandbox.add_fault(Fault.answer(404, on="job", after=3))
    job = await session.submit(PROMPT)
    with pytest.raises(JobNotFoundError):
        await job
    assert polled_at(sandbox) == [10, 20, 30, 40]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.answer(500, on="job"),
        Fault.answer(502, on="job", body="<html>bad gateway</html>"),
        Fault.answer(503, on="job"),
        Fault.answer(504, on="job"),
        Fault.answer(408, on="job"),
        Fault.answer(302, on="job", headers={"Location": "http://127.0.0.1:9/"}),
        Fault.answer(200, on="job", body=b""),
        Fault.answer(200, on="job", body="<html>hello</html>"),
        Fault.answer(200, on="job", body=[1, 2]),
        Fault.answer(200, on="job", body={"success": True, "data": {}}),
        Fault.answer(
            200, on="job", body={"success": True, "data": {"status": "completed"}}
        ),
        Fault.drop(on="job"),
        Fault.truncate(on="job", keep=9),
    ],
    ids=lambda fault: f"{fault.action}-{fault.reply.status if fault.reply else ''}",
)
async def test_failed_poll_never_fails_the_job(
    session: PictorySession, sandbox: Sandbox, fault: Fault
) -> None:
    """A failed poll is repeated after the policy's delay."""
    sandbox.add_fault(fault)
    job = await session.submit(PROMPT)
    assert (await job).job_id == job.job_id
    # aiohttp itself repeats a GET once on a kept connection that was closed.
    assert polled_at(sandbox) in ([10, 20], [10, 10, 20])


async def test_poll_waits_at_least_as_long_as_the_service_asks(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A 429 with Retry-After puts the next poll off by exactly that."""
    sandbox.add_fault(Fault.answer(429, on="job", retry_after=45))
    job = await session.submit(PROMPT)
    await job
    assert polled_at(sandbox) == [10, 55]


async def test_poll_never_waits_longer_than_the_maximum(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A Retry-After of a day is cut to the two minutes of the policy."""
    sandbox.add_fault(Fault.answer(429, on="job", retry_after=86_400))
    job = await session.submit(PROMPT)
    await job
    assert polled_at(sandbox) == [10, 130]


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthenticationError), (403, PermissionDeniedError)]
)
async def test_refused_key_ends_the_job_immediately(
    session: PictorySession, sandbox: Sandbox, status: int, error: type[Exception]
) -> None:
    """What polling again cannot change is raised at the first answer."""
    sandbox.add_fault(Fault.answer(status, on="job", times=None))
    job = await session.submit(PROMPT)
    with pytest.raises(error):
        await job
    assert polled_at(sandbox) == [10]
    assert type(job.status.error) is error


async def test_failure_that_nobody_awaits_makes_one_log_line(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed job without a waiter logs one line, and no unretrieved exception."""
    sandbox.fail_next()
    job = await session.submit(PROMPT)
    await session.drain()
    assert job.done()
    lines = [r for r in caplog.records if r.levelname == "WARNING"]
    assert len(lines) == 1
    assert job.job_id in lines[0].getMessage()


async def test_repr_shows_id_state_and_end(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The representation is for debugging, and short."""
    sandbox.fail_next()
    job: JobHandle[GeneratedImage] = await session.submit(PROMPT)
    assert repr(job) == f"<JobHandle {job.job_id} in-progress polls=0>"
    await job.wait()
    assert repr(job) == f"<JobHandle {job.job_id} JobFailedError polls=2>"


class Broken:
    """A policy with a bug."""

    def __init__(self, delay: object) -> None:
        self.value = delay

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Return nonsense, or raise."""
        if isinstance(self.value, Exception):
            raise self.value
        return self.value  # type: ignore[return-value]

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Raise."""
        raise ZeroDivisionError


@pytest.mark.parametrize("delay", [RuntimeError("bug"), -1, float("nan"), "soon", None])
async def test_broken_policy_is_replaced_for_the_job(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, delay: object
) -> None:
    """A policy that raises or returns nonsense is logged, and the job goes on."""
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=Broken(delay)
    ) as session:
        job = await session.submit(PROMPT)
        assert (await job).job_id == job.job_id
    assert "poll policy failed" in caplog.text


class Recorder:
    """A policy that records its calls."""

    def __init__(self) -> None:
        self.delays: list[tuple[int, float, str]] = []
        self.ends: list[tuple[str, float, float]] = []

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Record it; return ten seconds."""
        self.delays.append((polls, round(elapsed), model))
        return 10

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Record it."""
        self.ends.append((model, round(earliest), round(latest)))


async def test_policy_is_told_between_which_polls_a_job_ended(
    sandbox: Sandbox,
) -> None:
    """It learns from submitted jobs that completed or failed, not attached ones."""
    policy = Recorder()
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=policy
    ) as session:
        await (await session.submit(PROMPT, model="flux-schnell"))
        sandbox.fail_next()
        failed = await session.submit(PROMPT)
        await failed.wait()
        await session.job(failed.job_id).wait()
        sandbox.clean((cleaned := await session.submit(PROMPT)).job_id)
        await cleaned.wait()
    assert policy.ends == [("flux-schnell", 10, 20), ("seedream3.0", 10, 20)]
    assert policy.delays[:3] == [
        (0, 0, "flux-schnell"),
        (1, 10, "flux-schnell"),
        (0, 0, "seedream3.0"),
    ]
