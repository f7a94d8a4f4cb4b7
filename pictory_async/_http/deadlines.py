"""One timer for the deadlines of all requests, which is late rather than unfair.

Every request has the same time, so they end in the order in which they began, and one
timer serves them all: a timer each costs about a tenth of a request.

If the event loop was busy for long, its timers run late, and answers wait unread in
the sockets. A deadline that is found late is put off, so that the loop can read them
first: only a silence that the loop has listened to is a time-out.
"""

from __future__ import annotations

import asyncio
import contextvars
from types import TracebackType
from typing import Final, Self

# Seconds. What a loop that is merely busy may be late by.
LATE: Final = 0.05

# Seconds to read what has arrived while the loop was busy.
GRACE: Final = 1.0


class Deadline:
    """The time of one request: ``with deadlines.start():``.

    It cancels the task that entered it, and turns that cancellation, and no other,
    into `TimeoutError`, exactly as `asyncio.timeout` does.
    """

    __slots__ = ("_cancelling", "_deadlines", "_task", "at", "expired")

    def __init__(self, deadlines: Deadlines, at: float) -> None:
        self._deadlines = deadlines
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self.at = at
        self.expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - requests are sent by tasks
        self._task, self._cancelling = task, task.cancelling()
        self._deadlines.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._deadlines.remove(self)
        task, self._task = self._task, None
        if not self.expired or task is None:
            return
        # Somebody else may have cancelled the task as well: that one counts.
        alone = task.uncancel() <= self._cancelling
        if alone and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def expire(self) -> None:
        """End the request."""
        self.expired = True
        if self._task is not None:
            self._task.cancel()


class Deadlines:
    """The deadlines of a session's requests on one event loop."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._open: dict[Deadline, None] = {}  # the first ends first
        self._timer: asyncio.TimerHandle | None = None
        self._context = contextvars.Context()  # not that of whoever comes first

    def start(self) -> Deadline:
        """Return the deadline of a request that begins now."""
        return Deadline(self, self._loop.time() + self._seconds)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def add(self, deadline: Deadline) -> None:
        """Watch *deadline*."""
        self._open[deadline] = None
        if self._timer is None:
            self._set_timer(deadline.at)

    def remove(self, deadline: Deadline) -> None:
        """Watch *deadline* no more."""
        self._open.pop(deadline, None)

    def _set_timer(self, at: float) -> None:
        self._timer = self._loop.call_at(at, self._on_timer, at, context=self._context)

    def _on_timer(self, at: float) -> None:
        """Expire what is due; put it off if the loop has not listened until now."""
        now = self._loop.time()
        if now - at > LATE:
            self._set_timer(now + GRACE)
            return
        self._timer = None
        for deadline in list(self._open):
            if deadline.at > at:
                self._set_timer(deadline.at)
                return
            del self._open[deadline]
            deadline.expire()
