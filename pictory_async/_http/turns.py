"""Turns for requests: how many at the same time, how fast, and in which order."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Callable

from pictory_async._core.endpoints import Kind
from pictory_async._core.errors import SessionClosedError
from pictory_async._policy.pace import Limits, Pace

# Seconds. An event loop may fire a timer a little early, and setting it again for the
# rest would spin. The spacing is kept: `Pace` counts from the moment that was due.
_TOLERANCE = 1e-3


class Turns:
    """Gives each request its turn.

    There is a queue for each kind of request, and the queues are served in rotation, so
    that ten thousand submits do not keep one poll waiting. A 429 or 503 slows all of
    them (`throttle`). State changes only in methods without an await, so they cannot
    interleave.

    Attributes:
        pace: The earliest moment of the next start.
        now: The clock of the event loop.
        concurrent_requests: How many turns there are.
    """

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.pace: Pace = Pace(limit=limits.requests_per_second)
        self._loop = loop
        self.now: Callable[[], float] = loop.time
        self.concurrent_requests: int = limits.concurrent_requests
        self._free = limits.concurrent_requests
        self._queues: dict[Kind, deque[asyncio.Future[None]]] = {
            kind: deque() for kind in Kind
        }
        self._rotation = deque(Kind)  # the kind to serve next is the first
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf  # as uvloop's handles may not know it
        self._context = contextvars.Context()  # not that of the first task to wait
        self._closed = False

    def try_acquire(self) -> bool:
        """Take a turn if one is free and nobody waits; return whether it was taken."""
        if self._closed or self._waiting or not self._may_start():
            return False
        self._start()
        return True

    async def acquire(self, kind: Kind) -> None:
        """Wait for a turn. Cancelling this gives up the place in the queue.

        Raises:
            SessionClosedError: The session was closed; nothing was sent.
        """
        if self._closed:
            raise SessionClosedError
        if self.try_acquire():
            return
        waiter = self._loop.create_future()
        self._queues[kind].append(waiter)
        self._waiting += 1
        self._give_turns()
        try:
            await waiter
        except asyncio.CancelledError:
            self._forget(waiter)
            raise
        if self._closed:  # after the turn was given
            raise SessionClosedError

    def release(self) -> None:
        """Give a turn back, and pass it to the next in the rotation."""
        self._free += 1
        if self._waiting:
            self._give_turns()

    def throttle(self, *, started: float, retry_after: float | None) -> float | None:
        """Slow the whole session down: a request begun at *started* was throttled.

        Returns:
            The requests a second from now on.
        """
        now = self._loop.time()
        self.pace.throttled(now, started=started, retry_after=retry_after)
        return self.pace.rate(now)

    def close(self) -> None:
        """Refuse all requests that wait, and all later ones."""
        self._closed = True
        self._stop_timer()
        for queue in self._queues.values():
            for waiter in queue:
                if not waiter.done():
                    waiter.set_exception(SessionClosedError())
            queue.clear()
        self._waiting = 0

    def _may_start(self) -> bool:
        return self._free > 0 and self.pace.ready_at() <= self._loop.time() + _TOLERANCE

    def _start(self) -> None:
        self._free -= 1
        self.pace.started(self._loop.time())

    def _give_turns(self) -> None:
        while self._waiting and self._may_start():
            waiter = self._next_waiter()
            if not waiter.done():  # one that was cancelled is no longer counted
                self._waiting -= 1
                self._start()
                waiter.set_result(None)
        if self._waiting and self._free:
            self._set_timer(self.pace.ready_at())

    def _next_waiter(self) -> asyncio.Future[None]:
        while not self._queues[self._rotation[0]]:
            self._rotation.rotate(-1)
        waiter = self._queues[self._rotation[0]].popleft()
        self._rotation.rotate(-1)
        return waiter

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        """Take back what a cancelled waiter had: its place, or its turn."""
        if self._closed:
            return
        if waiter.cancelled():
            self._waiting -= 1  # it stays in its queue and is skipped there
        else:
            self.release()

    def _set_timer(self, moment: float) -> None:
        if self._timer is None or self._timer_due != moment:
            self._stop_timer()
            self._timer_due = moment
            self._timer = self._loop.call_at(
                moment, self._on_timer, context=self._context.copy()
            )

    def _on_timer(self) -> None:
        self._timer = None
        self._give_turns()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
