"""From a coroutine to an exit code: signals, and errors that end a command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from pictory_async import ConfigurationError, InvalidRequestError, PictoryError
from pictory_async.cli._errors import FAILED, MISUSED, Misuse, explain
from pictory_async.cli._output import can_redraw, stderr

_SHOW_CURSOR = "\x1b[?25h"


def run_async(main: Coroutine[Any, Any, int]) -> int:
    """Run the coroutine of a command; report what ended it early; return its code."""

    def run() -> int:
        with asyncio.Runner() as runner:
            return runner.run(_interruptible(main))

    return report_errors(run)


def report_errors(action: Callable[[], int]) -> int:
    """Call *action*; report what ended it early, and return the exit code."""
    try:
        return action()
    except Misuse as error:
        stderr().write(f"Error: {error}")
        return MISUSED
    except (ConfigurationError, InvalidRequestError) as error:
        stderr().write(f"Error: {explain(error)}")
        return MISUSED
    except (PictoryError, OSError) as error:
        stderr().write(f"Error: {explain(error)}")
        return FAILED


async def _interruptible(main: Coroutine[Any, Any, int]) -> int:
    """Cancel *main* on the first signal, so that it can clean up; exit on the next."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    received: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if received:
            _exit_now(128 + number)
        received.append(number)
        loop.call_soon_threadsafe(task.cancel)

    with _signal_handler(on_signal):
        try:
            return await main
        except asyncio.CancelledError:
            if not received:
                raise
            return 128 + received[0]


@contextmanager
def _signal_handler(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    # The terminal has gone; under nohup that is to be ignored.
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup and signal.getsignal(hangup) != signal.SIG_IGN:
        numbers.append(hangup)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _exit_now(code: int) -> None:
    """End the process, whatever it is doing."""
    with suppress(OSError):  # a terminal that is gone has no cursor
        if can_redraw(sys.stdout):
            os.write(sys.stdout.fileno(), _SHOW_CURSOR.encode())
    os._exit(code)
