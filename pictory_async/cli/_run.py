"""From a coroutine to an exit code: interruptions and errors that end a command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from pictory_async import ConfigurationError, InvalidRequestError, PictoryError
from pictory_async.cli._output import is_screen, remarks
from pictory_async.cli._words import explain

DONE: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 128 + signal.SIGINT

_SHOW_CURSOR = "\x1b[?25h"


class Misuse(Exception):  # noqa: N818 - like a usage error: nothing has gone wrong yet
    """The command cannot begin as things are; the text says why."""


def execute(work: Coroutine[Any, Any, int]) -> int:
    """Run a command's work; say what ended it early, and return the exit code."""

    def run() -> int:
        with asyncio.Runner() as runner:
            return runner.run(_interruptible(work))

    return telling_errors(run)


def telling_errors(action: Callable[[], int]) -> int:
    """Do something; say what ended it early, and return the exit code."""
    try:
        return action()
    except Misuse as error:
        remarks().write(f"Error: {error}")
        return MISUSED
    except (ConfigurationError, InvalidRequestError) as error:
        remarks().write(f"Error: {explain(error)}")
        return MISUSED
    except (PictoryError, OSError) as error:
        remarks().write(f"Error: {explain(error)}")
        return FAILED


async def _interruptible(work: Coroutine[Any, Any, int]) -> int:
    """Cancel *work* on the first signal, so that it can tidy up; die on the second."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    caught: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if caught:
            _die(128 + number)
        caught.append(number)
        loop.call_soon_threadsafe(task.cancel)

    with _handling(on_signal):
        try:
            return await work
        except asyncio.CancelledError:
            if not caught:
                raise
            return 128 + caught[0]


@contextmanager
def _handling(on_signal: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _die(code: int) -> None:
    """End the process at once, whatever it is doing."""
    if is_screen(sys.stdout):
        os.write(sys.stdout.fileno(), _SHOW_CURSOR.encode())
    os._exit(code)
