"""Turns for requests: how many at once, how fast, and whose turn it is."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Callable

from pictory_async._core.endpoints import Kind
from pictory_async._core.errors import SessionClosedError
from pictory_async._policy.pace import Limits, Pace

# Seconds. A loop may fire a timer a little early, and to set it again for the rest
# would spin; the spacing is kept, because the next start is counted from the due one.
_EARLY = 1e-3


class Turns:
    """Gives each request its turn.

    A waiter reserves its place in the queue of its kind, and the kinds take turns, so
    that ten thousand submits do not keep one poll waiting. All state changes in
    methods without an await, so there is no interleaving to think of.
    """

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.pace: Pace = Pace(limit=limits.requests_per_second)
        self._loop = loop
        self.now: Callable[[], float] = loop.time
        self.at_once: int = limits.concurrent_requests
        self._free = limits.concurrent_requests
        self._queues: dict[Kind, deque[asyncio.Future[None]]] = {
            kind: deque() for kind in Kind
        }
        self._turns = deque(Kind)
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf  # uvloop's handles do not always know it
        self._context = contextvars.Context()  # not that of whoever waits first
        self._closed = False

    def try_acquire(self) -> bool:
        """Take a turn if nobody has to wait; return whether it was taken."""
        if self._closed or self._waiting or not self._may_start():
            return False
        self._start()
        return True

    async def acquire(self, kind: Kind) -> None:
        """Wait for a turn. Cancelling this gives the place up.

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
        if self._closed:  # between the turn and this moment
            raise SessionClosedError

    def release(self) -> None:
        """Give a turn back."""
        self._free += 1
        if self._waiting:
            self._give_turns()

    def throttle(self, *, started: float, retry_after: float | None) -> float | None:
        """Slow the whole session down: a request begun at *started* was refused.

        Returns:
            Requests a second from now on.
        """
        now = self._loop.time()
        self.pace.throttled(now, started=started, retry_after=retry_after)
        return self.pace.rate(now)

    def close(self) -> None:
        """Refuse everyone who waits, and everyone who comes."""
        self._closed = True
        self._stop_timer()
        for queue in self._queues.values():
            for waiter in queue:
                if not waiter.done():
                    waiter.set_exception(SessionClosedError())
            queue.clear()
        self._waiting = 0

    def _may_start(self) -> bool:
        return self._free > 0 and self.pace.ready_at() <= self._loop.time() + _EARLY

    def _start(self) -> None:
        self._free -= 1
        self.pace.started(self._loop.time())

    def _give_turns(self) -> None:
        while self._waiting and self._may_start():
            waiter = self._next_waiter()
            if not waiter.done():  # else it was cancelled, and is not counted
                self._waiting -= 1
                self._start()
                waiter.set_result(None)
        if self._waiting and self._free:
            self._come_back_at(self.pace.ready_at())

    def _next_waiter(self) -> asyncio.Future[None]:
        while not self._queues[self._turns[0]]:
            self._turns.rotate(-1)
        waiter = self._queues[self._turns[0]].popleft()
        self._turns.rotate(-1)
        return waiter

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        """Take back what a cancelled waiter had: its place, or the turn given."""
        if self._closed:
            return
        if waiter.cancelled():
            self._waiting -= 1  # it stays in its queue and is passed over there
        else:
            self.release()

    def _come_back_at(self, moment: float) -> None:
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
