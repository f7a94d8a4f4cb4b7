"""Edge cases of the scheduler; what users see of it is in test_handle."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from pictory_async import FixedInterval, JobTimeoutError, Limits, PictorySession
from pictory_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.looptime

PROMPT = "A lighthouse at dawn"


async def test_answer_after_the_deadline_is_too_late(sandbox: Sandbox) -> None:
    """A poll that is answered after the job's deadline changes nothing."""
    sandbox.add_fault(Fault.slow(15, on="job"))
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        polling=FixedInterval(15),
        job_timeout=25,
    ) as session:
        job = await session.submit(PROMPT)
        with pytest.raises(JobTimeoutError):
            await job
        await asyncio.sleep(20)
        assert isinstance(job.status.error, JobTimeoutError)
        assert job.status.polls == 0


async def test_polls_waiting_for_their_turn_end_with_the_session(
    sandbox: Sandbox,
) -> None:
    """Closing does not wait for polls, and ends each job once."""
    sandbox.add_fault(Fault.hang(on="job", times=None))
    session = PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        polling=FixedInterval(1),
        limits=Limits(concurrent_requests=2, requests_per_second=1),
    )
    jobs = [await session.submit(PROMPT) for _ in range(4)]
    await asyncio.sleep(2)
    await session.aclose()
    assert all(job.done() for job in jobs)


class BadPupil:
    """A policy that cannot learn."""

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Return ten seconds."""
        return 10 + 0 * (polls + elapsed + len(model))

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Raise."""
        raise ZeroDivisionError


async def test_policy_that_cannot_learn_harms_no_job(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The image is there; the log says what went wrong."""
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=BadPupil()
    ) as session:
        image = await session.generate(PROMPT)
    assert image.url
    assert "failed to learn" in caplog.text


async def test_a_problem_of_the_last_poll_is_told(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Status and updates say why a poll failed, until one is answered."""
    sandbox.add_fault(Fault.answer(502, on="job"))
    job = await session.submit(PROMPT)
    problems = [getattr(s.problem, "status", None) async for s in job.updates()]
    assert problems == [None, 502, None]


async def test_byte_a_second_ends_the_attempt(sandbox: Sandbox) -> None:
    """A server that sends too slowly is given up after the time-out, each time."""
    sandbox.add_fault(Fault.trickle(on="job", times=2))
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        polling=FixedInterval(10),
        request_timeout=7,
    ) as session:
        job = await session.submit(PROMPT)
        await job
        polls = [r.at for r in sandbox.requests if r.kind == "job"]
        assert [round(b - a) for a, b in pairwise(polls)] == [
            17,
            17,
        ]


async def test_many_jobs_are_polled_by_few_tasks(sandbox: Sandbox) -> None:
    """The number of tasks depends on requests in flight, not on jobs in flight."""
    sandbox.hold()
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        polling=FixedInterval(10),
        limits=Limits(concurrent_requests=8),
        job_timeout=30,
    ) as session:
        await asyncio.gather(*(session.submit(PROMPT) for _ in range(500)))
        most = 0
        async with asyncio.timeout(100):
            while session.jobs:
                await asyncio.sleep(0.5)
                named = [
                    t for t in asyncio.all_tasks() if t.get_name() == "pictory-poll"
                ]
                most = max(most, len(named))
        assert 0 < most <= 8
