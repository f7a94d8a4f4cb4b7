"""Background tasks with an owner, and waiting that harms nobody."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

ValueT = TypeVar("ValueT")


class TaskOwner:
    """Named background tasks. Any task may start them; any task may end them.

    A plain set, because a task group or cancel scope must be left by the task that
    entered it, and a notebook's cells are different tasks.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(
        self,
        coro: Coroutine[Any, Any, ValueT],
        *,
        name: str,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[ValueT]:
        """Start *coro* as a task that is held until it ends.

        Args:
            coro: What it does.
            name: What it is called in ``asyncio.all_tasks()``.
            context: Its context variables; a copy of the caller's by default.
        """
        loop = asyncio.get_running_loop()
        task = loop.create_task(coro, name=name, context=context)
        self._tasks.add(task)  # the loop itself holds only a weak reference
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Tell all tasks to end; wait for nothing."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Cancel all tasks but this one and wait until they have ended. Idempotent.

        Cancelling this is safe: every task has been told to stop by then.
        """
        while pending := self._tasks - {asyncio.current_task()}:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending)


async def uncancelled(work: asyncio.Future[ValueT]) -> ValueT:
    """Wait for *work*, which is not to be stopped, and return its result.

    Cancelling this waits for it, however often, and is raised then.
    """
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as exc:
            cancelled = exc
    error = None if work.cancelled() else work.exception()  # marks it as seen
    if cancelled is not None:
        raise cancelled
    if error is not None:
        raise error
    return work.result()


class Signal:
    """Wakes the tasks that wait for it. One that is cancelled disturbs no other."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        # A list: 88 bytes for the one waiter that most have, where a set takes 216.
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Return when the signal fires next. Cancelling this is safe."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:  # else it fired in this moment
                self._waiters.remove(waiter)
            raise

    def fire(self) -> None:
        """Wake everyone who waits now."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            # One left over from a loop that was closed cannot be woken any more.
            if not waiter.done() and not waiter.get_loop().is_closed():
                waiter.set_result(None)
