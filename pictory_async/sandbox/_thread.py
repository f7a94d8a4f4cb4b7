"""A sandbox in a thread of its own, for tests with several event loops."""

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

    For synchronous tests, and for programs with several event loops, such as the test
    clients of web frameworks:

    ```python
    with ThreadedSandbox(duration=0) as sandbox:
        sandbox.fail_next()
        ...
        assert len(sandbox.submitted) == 1
    ```

    All methods and attributes may be used from any thread, even after the end; those
    of `Sandbox` that are not coroutines block until the other thread has answered,
    which takes well below a millisecond. Times are those of the thread's own loop.
    `aclose` and `start` inside the ``with`` block simulate an outage.

    The options are those of `Sandbox`. The errors are raised on entering it.

    Raises:
        ImportError: Pictures are wanted and Pillow is not installed.
        OSError: The port is taken.
    """

    # No constructor: its options and their types are those of `Sandbox`.
    _thread_loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _stop: asyncio.Event | None = None

    def __enter__(self) -> Self:
        """Start the thread; return once the sandbox is listening."""
        if self._thread is not None:
            raise RuntimeError("a sandbox stays in its loop: make a new one")
        listening: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name="pictory-sandbox", daemon=True
        )
        self._thread.start()
        try:
            listening.result()
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
        loop, stop, thread = self._thread_loop, self._stop, self._thread
        if loop is not None and stop is not None and thread is not None:
            loop.call_soon_threadsafe(stop.set)
            thread.join()

    async def start(self) -> Self:
        """Listen again after an outage. Cancelling this does not undo it.

        Raises:
            RuntimeError: It is running, or its thread is not: use ``with``.
        """
        await self._await_in_thread(super().start)
        return self

    async def aclose(self) -> None:
        """Stop listening for a while; leaving the ``with`` block ends the sandbox.

        Cancelling this cancels the closing; what is left open ends with the block.

        Raises:
            RuntimeError: Its thread is not running: use ``with``.
        """
        await self._await_in_thread(super().aclose)

    def _run(self, listening: concurrent.futures.Future[None]) -> None:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(self._main(listening))

    async def _main(self, listening: concurrent.futures.Future[None]) -> None:
        try:
            await super().start()
        except BaseException as error:  # noqa: BLE001 - raised by `__enter__`
            listening.set_exception(error)
            return
        self._stop = stop = asyncio.Event()
        self._thread_loop = asyncio.get_running_loop()
        listening.set_result(None)
        try:
            await stop.wait()
        finally:
            self._thread_loop = None  # methods run in their caller's thread now
            await super().aclose()

    async def _await_in_thread(
        self, function: Callable[[], Coroutine[Any, Any, Any]]
    ) -> None:
        if self._thread_loop is None:
            raise RuntimeError(
                "the thread is not running: use `with`, not `async with`"
            )
        done = asyncio.run_coroutine_threadsafe(function(), self._thread_loop)
        await asyncio.wrap_future(done)

    def _call_in_thread(self, function: Callable[[], ValueT]) -> ValueT:
        """Call *function* in the sandbox's thread and return its result."""
        loop = self._thread_loop
        if loop is None or threading.current_thread() is self._thread:
            return function()
        done: concurrent.futures.Future[ValueT] = concurrent.futures.Future()
        loop.call_soon_threadsafe(_set_result, done, function)
        return done.result()


def _set_result(
    done: concurrent.futures.Future[ValueT], function: Callable[[], ValueT]
) -> None:
    try:
        done.set_result(function())
    except BaseException as error:  # noqa: BLE001 - raised to the caller
        done.set_exception(error)


def _in_thread(method: Callable[..., ValueT]) -> Callable[..., ValueT]:
    @functools.wraps(method)
    def call(self: ThreadedSandbox, *args: Any, **kwargs: Any) -> ValueT:
        return self._call_in_thread(functools.partial(method, self, *args, **kwargs))

    return call


def _override_all() -> None:
    """Make every public method and property of `Sandbox` run in the thread."""
    for name, member in vars(Sandbox).items():
        if name.startswith("_") or name in vars(ThreadedSandbox):
            continue
        if isinstance(member, property):
            assert member.fget is not None  # noqa: S101 - all of them can be read
            wrapped = property(_in_thread(member.fget), doc=member.__doc__)
            setattr(ThreadedSandbox, name, wrapped)
        elif inspect.isfunction(member):
            setattr(ThreadedSandbox, name, _in_thread(member))


_override_all()
