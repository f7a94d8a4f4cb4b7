"""Deadlines: one timer, the semantics of `asyncio.timeout`, and no unfair time-out."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictory_async._http.deadlines import GRACE, Deadlines

SECONDS = 4.0

Scope = Callable[[], AbstractAsyncContextManager[object]]


@attrs.frozen
class Schedule:
    """What happens to a request, and when, in seconds.

    Attributes:
        work: How long the body takes.
        cancels: When somebody else cancels the task.
        outer: When a time-out around the deadline is over.
        stubborn: Whether the body swallows its first cancellation and works on.
        fails: Whether the body turns a cancellation into an error of its own.
    """

    work: float
    cancels: tuple[float, ...] = ()
    outer: float | None = None
    stubborn: bool = False
    fails: bool = False


times = st.sampled_from([0.0, 1.0, SECONDS - 1, SECONDS, SECONDS + 1, 2 * SECONDS])
schedules = st.builds(
    Schedule,
    work=times,
    cancels=st.lists(times, max_size=3).map(tuple),
    outer=st.none() | times,
    stubborn=st.booleans(),
    fails=st.booleans(),
)


async def body(schedule: Schedule) -> str:
    """Do the work of a request."""
    try:
        await asyncio.sleep(schedule.work)
    except asyncio.CancelledError:
        if schedule.fails:
            raise OSError from None
        if not schedule.stubborn:
            raise
        await asyncio.sleep(schedule.work)
    return "done"


def outcome(schedule: Schedule, make: Callable[[], Scope]) -> tuple[object, ...]:
    """Return how the request ends under that kind of deadline, when, and what is left.

    What is left is the number of cancellations that nobody has dealt with.
    """

    async def request(scope: Scope) -> tuple[object, ...]:
        task, inner = asyncio.current_task(), "not reached"
        assert task is not None
        result = ""
        try:
            async with asyncio.timeout(schedule.outer):
                try:
                    async with scope():
                        inner = await body(schedule)
                except TimeoutError:
                    inner = "timed out"
                    await asyncio.sleep(0)
        except (TimeoutError, OSError, asyncio.CancelledError) as error:
            result = type(error).__name__
        now = asyncio.get_running_loop().time()
        return inner, result, now, task.cancelling()

    async def main() -> tuple[object, ...]:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(request(make()))
        for at in schedule.cancels:
            loop.call_at(at, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return ("cancelled", loop.time())

    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        return runner.run(main())


def ours() -> Scope:
    """Return deadlines of this package."""
    deadlines = Deadlines(SECONDS)

    @asynccontextmanager
    async def scope() -> AsyncIterator[None]:
        with deadlines.start():
            yield

    return scope


def theirs() -> Scope:
    """Return time-outs of the standard library."""
    return lambda: asyncio.timeout(SECONDS)


@settings(deadline=None, max_examples=400)
@given(schedules)
def test_a_deadline_is_a_timeout_of_the_standard_library(schedule: Schedule) -> None:
    """Nested, cancelled from outside, in one step or twice: the end is the same."""
    assert outcome(schedule, ours) == outcome(schedule, theirs)


@pytest.mark.looptime
async def test_each_request_has_its_own_time() -> None:
    """One timer serves all, and none of them ends with another's deadline."""
    deadlines, ended = Deadlines(SECONDS), list[tuple[int, float]]()
    loop = asyncio.get_running_loop()

    async def request(number: int) -> None:
        await asyncio.sleep(number)
        try:
            with deadlines.start():
                await asyncio.sleep(1 if number == 2 else 100)
        except TimeoutError:
            ended.append((number, loop.time()))

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(request(number))
    assert ended == [(0, 4), (1, 5), (3, 7)]


@pytest.mark.looptime
async def test_nothing_is_left_of_a_request_that_ended() -> None:
    """Neither the request nor its task is kept until its time would have been over."""
    deadlines = Deadlines(SECONDS)
    with deadlines.start() as deadline:
        await asyncio.sleep(1)

    assert not deadlines._open
    assert deadline._task is None
    deadlines.close()
    assert deadlines._timer is None


async def test_an_answer_that_came_while_the_loop_was_busy_is_read() -> None:
    """A timer that is late lets the loop read first."""
    deadlines = Deadlines(0.1)
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    with deadlines.start():
        far.sendall(b"the answer")
        block(0.5)  # it waits in the socket until after the deadline
        assert await reader.readexactly(10) == b"the answer"
    deadlines.close()
    far.close()
    writer.close()
    await writer.wait_closed()


async def test_a_silence_that_lasts_is_a_timeout_also_on_a_busy_loop() -> None:
    """Being late puts a deadline off, not away."""
    deadlines, loop = Deadlines(0.1), asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError), deadlines.start():
        block(0.3)
        await asyncio.get_running_loop().create_future()
    assert loop.time() - began >= 0.3 + GRACE


def block(seconds: float) -> None:
    """Keep the event loop busy, as a heavy cell of a notebook does."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(1000))
