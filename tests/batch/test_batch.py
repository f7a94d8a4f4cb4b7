"""Batches: lazy, bounded, one outcome a prompt, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from pictory_async import (
    BatchOutcome,
    BatchProgress,
    BudgetExceededError,
    FixedInterval,
    ImageRequest,
    InvalidRequestError,
    Limits,
    PictorySession,
    SessionClosedError,
    WrongLoopError,
)
from pictory_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.looptime


class Counted:
    """Prompts that count how many were taken from them."""

    def __init__(self, n: int) -> None:
        self.n, self.pulled = n, 0

    def __iter__(self) -> Iterator[str]:
        for number in range(self.n):
            self.pulled += 1
            yield f"Picture number {number}"

    async def slowly(self) -> AsyncIterator[str]:
        """Yield them after a second each."""
        for prompt in self:
            await asyncio.sleep(1)
            yield prompt


def prompts(n: int) -> list[str]:
    """Return *n* prompts."""
    return list(Counted(n))


def batch_tasks() -> list[str]:
    """Return the names of all tasks of batches."""
    return [
        task.get_name()
        for task in asyncio.all_tasks()
        if task.get_name().startswith("pictory-batch") and not task.done()
    ]


async def test_each_prompt_has_its_outcome(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Images, with the request, the job and the place."""
    outcomes = await session.generate_many(prompts(20), max_in_flight=7).results()
    assert [outcome.index for outcome in outcomes] == list(range(20))
    for outcome in outcomes:
        image = outcome.unwrap()
        assert outcome.request == ImageRequest(f"Picture number {outcome.index}")
        assert image.request == outcome.request
        assert sandbox.job(image.job_id).request["prompt"] == outcome.request.prompt
        assert outcome.job_id == image.job_id
        assert outcome.path is None
    assert len(sandbox.submitted) == 20


async def test_nothing_happens_before_the_iteration(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Neither is a prompt read nor a request sent, nor a task begun."""
    source = Counted(3)
    batch = session.generate_many(source)
    await asyncio.sleep(60)
    assert source.pulled == len(sandbox.requests) == 0
    assert batch_tasks() == []
    assert batch.progress == BatchProgress()


async def test_outcomes_are_given_as_they_end_or_in_order(sandbox: Sandbox) -> None:
    """The slow first one holds the others back only if they are to be in order."""
    slow_first = {"Picture number 0": 100.0}
    async with (
        Sandbox(
            duration=lambda body: slow_first.get(body["prompt"], 5.0), pictures=False
        ) as uneven,
        PictorySession(uneven.api_key, base_url=uneven.base_url) as session,
    ):
        as_they_end = [o.index async for o in session.generate_many(prompts(5))]
        batch = session.generate_many(prompts(5), ordered=True)
        in_order = [o.index async for o in batch]
    assert as_they_end[-1] == 0
    assert sorted(as_they_end) == in_order == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_slow_consumer_stops_the_pulling(
    session: PictorySession, sandbox: Sandbox, ordered: bool
) -> None:
    """Never more than max_in_flight are ahead of the outcomes that were taken."""
    source, taken = Counted(15), 0
    async for _ in session.generate_many(source, max_in_flight=5, ordered=ordered):
        taken += 1
        await asyncio.sleep(100)
        assert source.pulled <= taken + 5
        assert len(sandbox.submitted) <= taken + 5
    assert taken == source.pulled == 15


async def test_no_more_are_in_flight_than_asked_for(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The limit is one on jobs, from the POST to the outcome."""
    most = 0
    async for _ in session.generate_many(prompts(30), max_in_flight=4):
        most = max(most, len(session.jobs))
    assert most <= 4


async def test_an_async_source_is_awaited(session: PictorySession) -> None:
    """The total is known once the source has ended; jobs start before that."""
    batch = session.generate_many(Counted(10).slowly(), max_in_flight=3)
    assert batch.progress.total is None
    indices = [outcome.index async for outcome in batch]
    assert sorted(indices) == list(range(10))
    assert batch.progress.total == 10


class Pages:
    """An async iterable whose iterator is a generator, as that of a database is."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            for prompt in prompts(100):
                yield prompt
        finally:
            await asyncio.sleep(0)
            self.closed = True
            if self.error is not None:
                raise self.error


async def test_the_iterator_of_the_source_is_closed(session: PictorySession) -> None:
    """By the time the batch is left, not when the garbage is collected."""
    source = Pages()
    async with session.generate_many(source, max_in_flight=2) as batch:
        await anext(aiter(batch))
        assert not source.closed
    assert source.closed


async def test_a_generator_that_was_passed_in_stays_open(
    session: PictorySession,
) -> None:
    """Its owner can go on with the prompts that the batch left."""
    source = Counted(10).slowly()
    async with session.generate_many(source, max_in_flight=1) as batch:
        await anext(aiter(batch))
    assert [prompt async for prompt in source] == prompts(10)[1:]


async def test_an_error_of_closing_the_source_is_dropped_by_a_stop(
    session: PictorySession,
) -> None:
    """Leaving the batch drops the error; at the end of the source it is raised."""
    async with session.generate_many(Pages(OSError("no")), max_in_flight=2) as batch:
        await anext(aiter(batch))
    assert batch_tasks() == []
    with pytest.raises(OSError, match="no"):
        await session.generate_many(Pages(OSError("no"))).results()
    assert batch_tasks() == []


async def test_no_prompt_is_no_outcome(session: PictorySession) -> None:
    """An empty batch ends at once."""
    batch = session.generate_many([])
    assert await batch.results() == []
    assert batch.progress.total == 0


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_error_of_the_source_comes_last(
    session: PictorySession, asynchronous: bool
) -> None:
    """After the outcomes of the prompts that were taken; then the batch is over."""

    def failing() -> Iterator[str]:
        yield from prompts(3)
        raise OSError("the list is gone")

    async def failing_later() -> AsyncIterator[str]:
        for prompt in failing():
            yield prompt

    source: Any = failing_later() if asynchronous else failing()
    iterator = aiter(session.generate_many(source))
    for _ in range(3):
        (await anext(iterator)).unwrap()
    with pytest.raises(OSError, match="the list is gone"):
        await anext(iterator)
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)
    assert batch_tasks() == []


async def test_one_failure_does_not_hurt_the_rest(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Refused, unknown, failed, not even a prompt: each is an outcome of its own."""
    sandbox.add_fault(
        Fault.answer(400, on="submit"), Fault.drop(on="submit", handled=True)
    )
    sandbox.fail_next(2)  # the first of them is the unknown one
    batch = session.generate_many(["x", 7, *prompts(6)], max_in_flight=1)  # type: ignore[list-item]
    kinds = [type(outcome.error).__name__ async for outcome in batch]
    assert kinds == [
        "InvalidRequestError",
        "InvalidRequestError",
        "BadRequestError",
        "SubmissionUnknownError",
        "JobFailedError",
        "NoneType",
        "NoneType",
        "NoneType",
    ]
    now = batch.progress
    assert (now.completed, now.failed, now.unknown, now.total) == (3, 4, 1, 8)


async def test_options_fill_what_a_request_leaves_open(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """They are defaults here; in submit they override."""
    named = ImageRequest("Picture by name", model="nanobanana")
    batch = session.generate_many(["Picture by text", named], model="flux-schnell")
    await batch.results()
    assert {body["prompt"]: body["model"] for body in sandbox.submitted} == {
        "Picture by text": "flux-schnell",
        "Picture by name": "nanobanana",
    }


async def test_a_batch_is_iterated_once(session: PictorySession) -> None:
    """The second time is an error that says what to do."""
    batch = session.generate_many(prompts(2))
    await batch.results()
    with pytest.raises(RuntimeError, match="iterated once"):
        aiter(batch)
    with pytest.raises(RuntimeError, match="iterated once"):
        await batch.results()


# --- leaving ----------------------------------------------------------------------


async def leave_by_break(batch: Any) -> None:
    """Take two outcomes and leave."""
    count = 0
    async for _ in batch:
        count += 1
        if count == 2:
            break


async def leave_by_error(batch: Any) -> None:
    """Fail after one outcome."""
    with pytest.raises(ZeroDivisionError):
        async for _ in batch:
            raise ZeroDivisionError


async def leave_by_cancellation(batch: Any) -> None:
    """Be cancelled while waiting for an outcome."""

    async def consume() -> None:
        async for _ in batch:
            await asyncio.sleep(3)

    task = asyncio.create_task(consume())
    await asyncio.sleep(25)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_results(batch: Any) -> None:
    """Give up waiting for all of them."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(25):
            await batch.results()


async def leave_the_context(batch: Any) -> None:
    """Leave the async with in the middle."""
    async with batch:
        await anext(aiter(batch))


async def leave_and_collect(batch: Any) -> None:
    """Have the iterator in a cycle that only the collector finds."""
    iterator: Any = aiter(batch)
    await anext(iterator)
    cycle: list[Any] = [iterator]
    cycle.append(cycle)
    del iterator, cycle
    gc.collect()


@pytest.mark.parametrize(
    "leave",
    [
        leave_by_break,
        leave_by_error,
        leave_by_cancellation,
        leave_results,
        leave_the_context,
        leave_and_collect,
    ],
)
async def test_leaving_stops_at_once_and_leaves_no_task(
    session: PictorySession, sandbox: Sandbox, leave: Any
) -> None:
    """Nothing more is pulled or sent; what is in flight is in session.jobs."""
    source = Counted(1000)
    batch = session.generate_many(source, max_in_flight=8)
    await leave(batch)
    pulled, sent = source.pulled, len(sandbox.submitted)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert batch_tasks() == []
    in_flight = [j for j, view in sandbox.jobs.items() if view.state == "in-progress"]
    assert {job.job_id for job in session.jobs} >= set(in_flight)
    await asyncio.sleep(1000)
    assert (source.pulled, len(sandbox.submitted)) == (pulled, sent)
    assert session.jobs == ()


async def test_a_post_on_the_wire_is_finished(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Its job is in session.jobs, though nobody waits for it any more."""
    sandbox.add_fault(Fault.slow(3, on="submit", times=None))
    batch = session.generate_many(prompts(50), max_in_flight=4)
    waiting = asyncio.create_task(anext(aiter(batch)))
    await asyncio.sleep(1)
    await batch.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert batch_tasks() == []
    await asyncio.sleep(4)
    assert len(session.jobs) == len(sandbox.jobs) == 4
    assert batch.progress.submitted == 4


async def test_what_never_got_its_turn_keeps_no_credits(sandbox: Sandbox) -> None:
    """Left while most wait for theirs: only what was sent may still be charged."""
    sandbox.hold()
    sandbox.add_fault(
        Fault.answer(429, on="submit", after=2, times=None, retry_after=60)
    )
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, limits=Limits(concurrent_requests=2)
    ) as session:
        batch = session.generate_many(prompts(50), max_in_flight=20)
        waiting = asyncio.create_task(anext(aiter(batch)))
        await asyncio.sleep(30)
        await batch.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
        await asyncio.sleep(0)
        assert batch.progress.submitted == len(sandbox.submitted) == 2
        assert batch.progress.credits_reserved == 4


async def test_a_step_that_is_given_up_loses_nothing(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A time-out around one step does not end the batch."""
    iterator = aiter(session.generate_many(prompts(3)))
    outcomes: list[BatchOutcome] = []
    while len(outcomes) < 3:
        try:
            async with asyncio.timeout(3):
                outcomes.append(await anext(iterator))
        except TimeoutError:
            continue
    assert sorted(outcome.index for outcome in outcomes) == [0, 1, 2]
    assert len(sandbox.submitted) == 3


async def test_closing_the_session_ends_the_batch(sandbox: Sandbox) -> None:
    """Jobs in flight give outcomes with their ids; then the iteration raises why."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    source = Counted(100)
    outcomes: list[BatchOutcome] = []

    async def consume() -> None:
        async for outcome in session.generate_many(source, max_in_flight=5):
            outcomes.append(outcome)  # noqa: PERF401 - what came is kept on an error

    task = asyncio.create_task(consume())
    await asyncio.sleep(5)
    await session.aclose()
    with pytest.raises(SessionClosedError):
        await task
    assert {outcome.job_id for outcome in outcomes} == set(sandbox.jobs)
    assert all(isinstance(o.error, SessionClosedError) for o in outcomes)
    assert source.pulled <= 10
    with pytest.raises(SessionClosedError):
        session.generate_many(["A lighthouse"])


async def test_a_batch_of_a_closed_session_cannot_begin(sandbox: Sandbox) -> None:
    """Its first step says so, and reads no prompt."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    source = Counted(3)
    batch = session.generate_many(source)
    await session.aclose()
    with pytest.raises(SessionClosedError):
        await batch.results()
    assert source.pulled == 0


async def test_left_before_its_first_step(session: PictorySession) -> None:
    """A batch that was closed before it began has no outcome, and no task."""
    batch = session.generate_many(prompts(2))
    await batch.aclose()
    await batch.aclose()
    with pytest.raises(RuntimeError):
        aiter(batch)
    begun = session.generate_many(prompts(2))
    waiting = asyncio.create_task(anext(aiter(begun)))
    await asyncio.sleep(0)
    await begun.aclose()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert batch_tasks() == []


async def test_a_source_that_cancels_itself_ends_the_batch(
    session: PictorySession,
) -> None:
    """The batch does not wait for ever, nor end as if all were done."""

    async def source() -> AsyncIterator[str]:
        yield "Picture number 0"
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await session.generate_many(source()).results()
    assert batch_tasks() == []


@pytest.mark.parametrize("reaction", ["ends", "goes on", "raises"])
async def test_a_source_that_ignores_its_cancellation_sends_nothing_more(
    session: PictorySession, sandbox: Sandbox, reaction: str
) -> None:
    """What it yields, returns or raises after the batch was left is dropped."""

    async def source() -> AsyncIterator[str]:
        yield "Picture number 0"
        try:
            await asyncio.sleep(10_000)
        except asyncio.CancelledError:
            if reaction == "raises":
                raise OSError("no") from None
        if reaction == "goes on":
            yield "Picture number 1"

    async with session.generate_many(source()) as batch:
        await anext(aiter(batch))
    assert batch_tasks() == []
    await asyncio.sleep(100)
    assert len(sandbox.submitted) == 1


@pytest.mark.looptime(False)  # threads, in real time
async def test_an_iterator_is_dropped_and_used_in_other_threads() -> None:
    """Garbage may be collected anywhere; a step needs the loop of the first one."""
    async with (
        Sandbox(duration=0.01, pictures=False) as quick,
        PictorySession(
            quick.api_key, base_url=quick.base_url, polling=FixedInterval(0.01)
        ) as session,
    ):
        iterator: Any = aiter(session.generate_many(prompts(100), max_in_flight=2))

        async def step() -> None:
            await anext(iterator)

        await step()
        with pytest.raises(WrongLoopError):
            await asyncio.to_thread(asyncio.run, step())
        await asyncio.to_thread(iterator.__del__)
        with pytest.raises(StopAsyncIteration):
            while True:
                await step()
        assert batch_tasks() == []
        assert len(quick.submitted) < 100


# --- the ceiling --------------------------------------------------------------------


@pytest.mark.parametrize("limit", [7, "7", 7.0, Decimal(7)])
async def test_the_ceiling_is_kept(
    session: PictorySession, sandbox: Sandbox, limit: Any
) -> None:
    """Three images of two credits fit under seven; no other request is sent."""
    batch = session.generate_many(prompts(6), max_credits=limit, ordered=True)
    outcomes = await batch.results()
    assert [outcome.error is None for outcome in outcomes] == [True] * 3 + [False] * 3
    error = outcomes[3].error
    assert isinstance(error, BudgetExceededError)
    assert (error.limit, error.reserved) == (7, 6)
    assert len(sandbox.submitted) == 3
    assert sandbox.credits_used == batch.progress.credits_used == 6


async def test_a_failed_job_makes_room(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """What does not fit waits while a job in flight could still fail."""
    sandbox.fail_next(2)
    batch = session.generate_many(prompts(4), max_credits=4, ordered=True)
    outcomes = await batch.results()
    kinds = [type(outcome.error).__name__ for outcome in outcomes]
    assert kinds == ["JobFailedError", "JobFailedError", "NoneType", "NoneType"]


async def test_a_refused_request_makes_room_and_an_unknown_one_does_not(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """What may have been charged counts."""
    sandbox.add_fault(
        Fault.answer(400, on="submit"), Fault.drop(on="submit", handled=True)
    )
    batch = session.generate_many(prompts(4), max_credits=4, max_in_flight=1)
    kinds = [type(outcome.error).__name__ async for outcome in batch]
    assert kinds == [
        "BadRequestError",
        "SubmissionUnknownError",
        "NoneType",
        "BudgetExceededError",
    ]
    assert (batch.progress.credits_used, batch.progress.credits_reserved) == (2, 2)


async def test_a_timed_out_job_keeps_its_reservation(sandbox: Sandbox) -> None:
    """Its reservation could not be made."""
    sandbox.hold()
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, job_timeout=60
    ) as session:
        batch = session.generate_many(prompts(2), max_credits=2, ordered=True)
        outcomes = await batch.results()
    assert type(outcomes[0].error).__name__ == "JobTimeoutError"
    assert isinstance(outcomes[1].error, BudgetExceededError)
    assert batch.progress.credits_reserved == 2


async def test_a_model_of_unknown_price_is_refused_under_a_ceiling(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The error names the model; without a ceiling the request is sent."""
    request = ImageRequest("Picture by a new model", model="newmodel9")
    (outcome,) = await session.generate_many([request], max_credits=100).results()
    assert isinstance(outcome.error, InvalidRequestError)
    assert outcome.error.field == "model"
    assert "newmodel9" in str(outcome.error)
    assert sandbox.requests == []
    await session.generate_many([request]).results()
    assert len(sandbox.requests) >= 1


# --- progress -----------------------------------------------------------------------


async def test_progress_is_shown(session: PictorySession) -> None:
    """The function gets each change, up to the last."""
    seen: list[BatchProgress] = []
    batch = session.generate_many(
        prompts(4), progress=seen.append, model="flux-schnell"
    )
    await batch.results()
    assert seen[0] == BatchProgress(total=4)
    assert seen[-1] == batch.progress
    assert seen[-1] == BatchProgress(
        total=4, submitted=4, completed=4, credits_used=Decimal("2.4")
    )
    assert max(now.credits_reserved for now in seen) == Decimal("2.4")
    assert [now.completed for now in seen] == sorted(now.completed for now in seen)
    assert repr(batch) == "<Batch 4 of 4 completed=4 failed=0 unknown=0>"
    assert "of ?" in repr(session.generate_many(iter(())))


async def test_a_broken_progress_function_hurts_nothing(
    session: PictorySession, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once and not called again."""
    calls: list[BatchProgress] = []

    def broken(now: BatchProgress) -> None:
        calls.append(now)
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        outcomes = await session.generate_many(prompts(3), progress=broken).results()
    assert all(outcome.image for outcome in outcomes)
    assert len(calls) == caplog.text.count("progress failed") == 1
