"""A sandbox in a thread of its own, for tests whose event loops come and go."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pictory_async.sandbox._sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

ValueT = TypeVar("ValueT")


class ThreadedSandbox(Sandbox):
    """A `Sandbox` that runs in a thread of its own, on its own event loop.

    For synchronous tests, and for programs that have several event loops, as with
    the test clients of web frameworks:

    ```python
    with ThreadedSandbox(duration=0) as sandbox:
        sandbox.fail_next()
        ...
        assert len(sandbox.submitted) == 1
    ```

    All methods and attributes may be used from any thread, and after the end as well;
    those of `Sandbox` that are no coroutines wait until the other thread has done it,
    which takes well below a millisecond. Times are those of the thread's own loop.
    `aclose` and `start` inside of the ``with`` block make an outage.

    Its options are those of `Sandbox`.

    Entering it is what raises.

    Raises:
        ImportError: Pictures are wanted and Pillow is not installed.
        OSError: The port is taken.
    """

    # No constructor: its options and their types are those of `Sandbox`.
    _home: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _leave: asyncio.Event

    def __enter__(self) -> Self:
        """Start the thread; return when the sandbox listens."""
        if self._thread is not None:
            raise RuntimeError("a sandbox stays in its loop: make a new one")
        listens: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=self._run, args=(listens,), name="pictory-sandbox", daemon=True
        )
        self._thread.start()
        try:
            listens.result()
        except Exception:
            self._thread.join()  # it could not start, and has ended
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the sandbox and wait for the end of its thread."""
        if self._home is not None and self._thread is not None:
            self._home.call_soon_threadsafe(self._leave.set)
            self._thread.join()

    async def start(self) -> Self:
        """Listen again, after an outage. Cancelling this does not undo it.

        Raises:
            RuntimeError: It is running, or its thread is not: use ``with``.
        """
        await self._await_there(super().start)
        return self

    async def aclose(self) -> None:
        """Stop listening for a while; leaving the ``with`` block is the end.

        Cancelling this cancels it there too; what it left open ends with the block.

        Raises:
            RuntimeError: Its thread is not running: use ``with``.
        """
        await self._await_there(super().aclose)

    def _run(self, listens: concurrent.futures.Future[None]) -> None:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(self._live(listens))

    async def _live(self, listens: concurrent.futures.Future[None]) -> None:
        try:
            await super().start()
        except BaseException as error:  # noqa: BLE001 - raised by `__enter__`
            listens.set_exception(error)
            return
        self._leave = asyncio.Event()
        self._home = asyncio.get_running_loop()
        listens.set_result(None)
        try:
            await self._leave.wait()
        finally:
            self._home = None  # what is used from now on is used here
            await super().aclose()

    async def _await_there(
        self, function: Callable[[], Coroutine[Any, Any, Any]]
    ) -> None:
        if self._home is None:
            raise RuntimeError(
                "the thread is not running: use `with`, not `async with`"
            )
        done = asyncio.run_coroutine_threadsafe(function(), self._home)
        await asyncio.wrap_future(done)

    def _do_there(self, function: Callable[[], ValueT]) -> ValueT:
        """Call *function* in the sandbox's thread; return what it returns."""
        home = self._home
        if home is None or threading.current_thread() is self._thread:
            return function()
        done: concurrent.futures.Future[ValueT] = concurrent.futures.Future()
        home.call_soon_threadsafe(_settle, done, function)
        return done.result()


def _settle(
    done: concurrent.futures.Future[ValueT], function: Callable[[], ValueT]
) -> None:
    try:
        done.set_result(function())
    except BaseException as error:  # noqa: BLE001 - raised to whoever called
        done.set_exception(error)


def _from_anywhere(method: Callable[..., ValueT]) -> Callable[..., ValueT]:
    @functools.wraps(method)
    def call(self: ThreadedSandbox, *args: Any, **kwargs: Any) -> ValueT:
        return self._do_there(functools.partial(method, self, *args, **kwargs))

    return call


def _override_all() -> None:
    """Let every public method and property of `Sandbox` do its work in the thread."""
    for name, member in vars(Sandbox).items():
        if name.startswith("_") or name in vars(ThreadedSandbox):
            continue
        if isinstance(member, property):
            assert member.fget is not None  # noqa: S101 - all of them can be read
            there = property(_from_anywhere(member.fget), doc=member.__doc__)
            setattr(ThreadedSandbox, name, there)
        elif inspect.isfunction(member):
            setattr(ThreadedSandbox, name, _from_anywhere(member))


_override_all()
