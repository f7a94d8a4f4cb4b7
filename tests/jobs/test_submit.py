"""Submits that are cancelled, lost or cut off by closing: one POST, no id lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from pictory_async import (
    InvalidResponseError,
    Limits,
    PictorySession,
    RateLimitedError,
    ServerError,
    SessionClosedError,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.looptime

PROMPT = "A lighthouse at dawn"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault.drop(on="submit", handled=True), TransportError),
        (Fault.drop(on="submit"), TransportError),
        (Fault.truncate(on="submit", keep=5), TransportError),
        (Fault.hang(on="submit", handled=True), TransportError),
        (Fault.answer(502, on="submit", handled=True), ServerError),
        (Fault.answer(504, on="submit"), ServerError),
        (Fault.answer(520, on="submit"), ServerError),
        (Fault.answer(200, on="submit", body="<html>"), InvalidResponseError),
        (Fault.answer(200, on="submit", body=b""), InvalidResponseError),
        (Fault.answer(200, on="submit", body={"success": True}), InvalidResponseError),
        (Fault.answer(204, on="submit", body=b""), InvalidResponseError),
    ],
    ids=lambda v: getattr(v, "action", None) or v.__name__,
)
async def test_open_outcome_is_never_sent_again(
    session: PictorySession,
    sandbox: Sandbox,
    fault: Fault,
    cause: type[Exception],
) -> None:
    """What may have created a job is raised as unknown, after exactly one POST."""
    sandbox.add_fault(fault)
    before = datetime.now(UTC)
    with pytest.raises(SubmissionUnknownError) as caught:
        await session.submit(PROMPT)
    error = caught.value
    assert isinstance(error.cause, cause)
    assert error.__cause__ is error.cause
    assert error.request is not None
    assert error.request.prompt == PROMPT
    assert error.started_at is not None
    assert error.ended_at is not None
    assert before - timedelta(seconds=1) <= error.started_at <= error.ended_at
    assert len([r for r in sandbox.requests if r.kind == "submit"]) == 1


async def test_refused_connection_is_not_sent(unused_tcp_port: int) -> None:
    """Without a server all attempts fail, and the error says that nothing was sent."""
    async with PictorySession(
        "pictai_fake", base_url=f"http://127.0.0.1:{unused_tcp_port}"
    ) as session:
        with pytest.raises(TransportError) as caught:
            await session.submit(PROMPT)
    assert not caught.value.sent
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_cancelled_before_its_turn_sends_nothing(sandbox: Sandbox) -> None:
    """A submit that waits for its turn is withdrawn."""
    sandbox.add_fault(Fault.slow(5, on="submit"))
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, limits=Limits(concurrent_requests=1)
    ) as session:
        first = asyncio.create_task(session.submit(PROMPT))
        second = asyncio.create_task(session.submit("Another lighthouse"))
        await asyncio.sleep(1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await first
        await asyncio.sleep(60)
    assert [body["prompt"] for body in sandbox.submitted] == [PROMPT]


async def test_cancelled_before_its_first_step_sends_nothing(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A task that is cancelled before it ran sends nothing."""
    task = asyncio.create_task(session.submit(PROMPT))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(1)
    assert sandbox.requests == []


async def test_task_that_never_ran_gives_its_turn_back(sandbox: Sandbox) -> None:
    """Cancelling all tasks at that moment leaves the session usable."""
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        limits=Limits(concurrent_requests=1),
    ) as session:
        submit = asyncio.create_task(session.submit(PROMPT))
        await asyncio.sleep(0)
        posts = [t for t in asyncio.all_tasks() if t.get_name() == "pictory-submit"]
        assert [post.cancel() for post in posts] == [True]
        with pytest.raises(SessionClosedError):
            await submit
        assert not sandbox.requests
        await session.submit(PROMPT)
    assert len(sandbox.requests) == 1


async def test_cancelled_at_every_step_before_the_wire_sends_nothing_or_keeps_the_job(
    sandbox: Sandbox,
) -> None:
    """Whenever it is cancelled, a job that exists is in session.jobs."""
    for steps in range(40):
        async with PictorySession(
            sandbox.api_key, base_url=sandbox.base_url
        ) as session:
            known = len(sandbox.jobs)
            task = asyncio.create_task(session.submit(PROMPT))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(1)
            created = list(sandbox.jobs)[known:]
            assert [job.job_id for job in session.jobs] == created
            if not isinstance(results[0], BaseException):
                break  # it ended before it could be cancelled
    assert sandbox.jobs


async def test_cancelled_on_the_wire_keeps_the_job(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A web handler that goes away loses no paid job."""
    sandbox.add_fault(Fault.slow(3, on="submit"))
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(3)
    (job,) = session.jobs
    assert job.request is not None
    assert caplog.text.count(job.job_id) == 1
    assert (await job).job_id == job.job_id
    assert len(sandbox.submitted) == 1


async def test_cancelled_while_it_waits_to_try_again_sends_nothing_more(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Between two attempts nothing is on the wire, so nothing is finished."""
    sandbox.add_fault(Fault.answer(429, on="submit", retry_after=30))
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(60)
    assert len(sandbox.requests) == 1


async def test_cancelled_submit_that_fails_is_logged(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for the error, so it is logged."""
    sandbox.add_fault(Fault.drop(on="submit", delay=3))
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await session.drain()
    assert "a cancelled submit ended with: the submission may or may not" in caplog.text
    assert f"prompt={PROMPT!r}" in caplog.text


async def test_cancelled_submit_is_not_tried_again(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A POST that is refused after its caller was cancelled is not sent again."""
    sandbox.add_fault(Fault.answer(429, on="submit", delay=2))
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await session.drain()
    assert len(sandbox.requests) == 1
    assert "a cancelled submit ended with" in caplog.text


async def test_closing_does_not_wait_for_what_was_refused(sandbox: Sandbox) -> None:
    """A POST that is refused while the session closes is raised, not retried."""
    sandbox.add_fault(Fault.answer(429, on="submit", delay=2))
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    await session.aclose()
    assert asyncio.get_running_loop().time() - began == pytest.approx(1, abs=0.01)
    with pytest.raises(RateLimitedError):
        await task


async def test_cancelled_in_the_moment_of_the_answer_is_logged(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """An outcome that arrives just as its waiter is cancelled is logged."""
    sandbox.add_fault(Fault.drop(on="submit", handled=True))
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(0)  # it has begun its own task now
    posts = [t for t in asyncio.all_tasks() if "submit" in t.get_name()]
    posts[0].add_done_callback(lambda _: task.cancel())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "may or may not have created a job" in caplog.text


async def test_closing_lets_a_post_on_the_wire_answer(sandbox: Sandbox) -> None:
    """It is answered within five seconds, and its handle ends with the job's id."""
    sandbox.add_fault(Fault.slow(4, on="submit"))
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    await session.aclose()
    job = await task
    with pytest.raises(SessionClosedError) as caught:
        await job
    assert caught.value.job_id == next(iter(sandbox.jobs))


async def test_closing_does_not_wait_longer_than_the_grace(sandbox: Sandbox) -> None:
    """A POST that does not answer in five seconds is unknown."""
    sandbox.add_fault(Fault.hang(on="submit", handled=True))
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    await session.aclose()
    assert asyncio.get_running_loop().time() - began == pytest.approx(5, abs=0.01)
    with pytest.raises(SubmissionUnknownError) as caught:
        await task
    assert caught.value.request is not None


async def test_closing_withdraws_what_has_not_gone_out(sandbox: Sandbox) -> None:
    """A submit that waits for its turn or its retry raises that nothing was sent."""
    sandbox.add_fault(Fault.slow(2, on="submit"))
    session = PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, limits=Limits(concurrent_requests=1)
    )
    on_the_wire = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    await session.aclose()
    assert (await on_the_wire).done()
    with pytest.raises(SessionClosedError) as caught:
        await waiting
    assert caught.value.job_id is None
    assert len(sandbox.submitted) == 1


async def test_closing_withdraws_what_waits_to_try_again(sandbox: Sandbox) -> None:
    """Closing does not wait for a Retry-After."""
    sandbox.add_fault(Fault.answer(429, on="submit", retry_after=60))
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    await session.aclose()
    assert asyncio.get_running_loop().time() == pytest.approx(began, abs=0.01)
    with pytest.raises(SessionClosedError):
        await task
    assert len(sandbox.requests) == 1


async def test_abandoned_and_closed_over_is_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A POST that nobody waits for and that is never answered is logged."""
    sandbox.add_fault(Fault.hang(on="submit"))
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await session.aclose()
    assert "given up on the wire" in caplog.text
