"""Batches in processes that end themselves: ``python -m tests.support.batch_runs``.

Each line of standard input is one run: a `Run` as JSON. A fork of this process, which
has everything imported, runs the batch, and gets the signal at the moment that the line
names. Its outcome is one line of standard output.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import attrs

from pictory_async import FixedInterval, PictorySession
from pictory_async._batch.journal_file import JournalFile
from pictory_async._core import decode, wire
from pictory_async._http.transport import Transport
from pictory_async._media import download as download_module


@attrs.frozen(kw_only=True)
class Run:
    """One run.

    Attributes:
        base_url: The base URL of the sandbox.
        api_key: The key of the sandbox.
        journal: The journal file.
        folder: The folder for the images.
        name: The beginning of each prompt.
        prompts: The number of prompts.
        max_in_flight: As for `PictorySession.generate_many`.
        event: The number of the event at which the signal is sent: the beginning or
            end of a request, transaction or file. 0 for none.
        delay: Seconds from that event to the signal.
        signal: The number of the signal.
    """

    base_url: str
    api_key: str
    journal: str
    folder: str
    name: str = "Picture number"
    prompts: int = 100
    max_in_flight: int = 4
    event: int = 0
    delay: float = 0.0
    signal: int = signal.SIGKILL


class Killer:
    """Counts events, and sends the signal at the chosen one."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._count = itertools.count(1)

    def __call__(self) -> None:
        """Count one event; called from the loop and from threads."""
        if next(self._count) != self._run.event:
            return
        if not self._run.delay:
            os.kill(os.getpid(), self._run.signal)
            return
        arguments = (os.getpid(), self._run.signal)
        later = threading.Timer(self._run.delay, os.kill, arguments)
        later.daemon = True
        later.start()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return *function*, with an event before and after it."""

        def counted(*args: Any) -> Any:
            self()
            result = function(*args)
            self()
            return result

        return counted

    def around_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the coroutine function *function*, likewise."""

        async def counted(*args: Any, **options: Any) -> Any:
            self()
            result = await function(*args, **options)
            self()
            return result

        return counted


async def run_batch(run: Run) -> list[list[Any]]:
    """Run the batch; return index, job, error and file of each outcome."""
    async with PictorySession(
        run.api_key, base_url=run.base_url, polling=FixedInterval(0.005)
    ) as session:
        batch = session.generate_many(
            [f"{run.name} {number}" for number in range(run.prompts)],
            journal=run.journal,
            save_to=run.folder,
            max_in_flight=run.max_in_flight,
        )
        return [
            [
                o.index,
                o.job_id,
                type(o.error).__name__ if o.error else None,
                str(o.path),
            ]
            for o in await batch.results()
        ]


def in_a_fork(run: Run, write: int) -> None:
    """Run the batch and write its outcomes; never returns."""
    killer = Killer(run)
    JournalFile.write = killer.around(JournalFile.write)  # type: ignore[method-assign]
    part = download_module._Part
    part.commit = killer.around(part.commit)  # type: ignore[method-assign]
    Transport.send = killer.around_async(Transport.send)  # type: ignore[method-assign]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcomes = asyncio.run(run_batch(run))
        os.write(write, json.dumps(outcomes).encode())
    except KeyboardInterrupt:
        os._exit(130)
    os._exit(0)


def main() -> None:
    """Make a fork for each line."""
    decode._image_reader()  # made once, instead of in each fork
    wire._orjson_loads()
    gc.freeze()
    for line in sys.stdin:
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            in_a_fork(Run(**json.loads(line)), write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            outcomes = json.loads(pipe.read() or b"null")
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"status": status, "outcomes": outcomes}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
