"""Batches in processes that end themselves: ``python -m tests.support.batch_runs``.

Each line of standard input is one run: a `Run` as JSON. A fork of this process, which
has everything imported, runs the batch, and is struck by the signal in the moment that
the line says. What came out of it is one line of standard output.
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
from pictory_async._core import decode as _convert
from pictory_async._core import wire as _json
from pictory_async._http.transport import Transport
from pictory_async._media import download as download_module


@attrs.frozen(kw_only=True)
class Run:
    """One run.

    Attributes:
        base_url: Of the sandbox, like the key.
        api_key: Its key.
        journal: The file.
        folder: Where the images go.
        name: What the prompts begin with.
        prompts: How many there are.
        max_in_flight: How many at a time.
        event: The number of the request, transaction or file, begun or ended, at
            which the signal comes; 0 for none.
        delay: Seconds that it comes later than that.
        signal: Its number.
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


class Striker:
    """Counts what happens, and sends the signal."""

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
        blow = (os.getpid(), self._run.signal)
        later = threading.Timer(self._run.delay, os.kill, blow)
        later.daemon = True
        later.start()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return *function*, with an event before and after it."""

        def struck(*args: Any) -> Any:
            self()
            result = function(*args)
            self()
            return result

        return struck

    def around_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the coroutine function *function*, likewise."""

        async def struck(*args: Any, **options: Any) -> Any:
            self()
            result = await function(*args, **options)
            self()
            return result

        return struck


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
    """Run the batch and write what came out; never returns."""
    striker = Striker(run)
    JournalFile.write = striker.around(JournalFile.write)  # type: ignore[method-assign]
    part = download_module._Part
    part.commit = striker.around(part.commit)  # type: ignore[method-assign]
    Transport.send = striker.around_async(Transport.send)  # type: ignore[method-assign]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcomes = asyncio.run(run_batch(run))
        os.write(write, json.dumps(outcomes).encode())
    except KeyboardInterrupt:
        os._exit(130)
    os._exit(0)


def main() -> None:
    """Make a fork for each line."""
    _convert._image_reader()  # what would be made in each of them
    _json._orjson_loads()
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
