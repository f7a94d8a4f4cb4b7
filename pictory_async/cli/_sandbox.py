"""``pictory sandbox``: a stand-in for the service, for other programs."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from pictory_async.cli._connect import DURATION, start_sandbox
from pictory_async.cli._errors import DONE
from pictory_async.cli._output import LineWriter, stderr, stdout
from pictory_async.cli._text import one_line

if TYPE_CHECKING:
    from pictory_async.sandbox import Throttle


@attrs.frozen(kw_only=True)
class SandboxArguments:
    """The command line of ``pictory sandbox``.

    Attributes:
        port: The port to listen on; 0 takes any free one.
        duration: Seconds that a job takes, at least and at most.
        credits: The credits that may be spent; None sets no limit.
        failure_rate: The share of jobs that fail.
        throttle: Requests that are admitted per second; None admits all.
        verbose: Whether to write each request.
    """

    port: int = 0
    duration: tuple[float, float] = DURATION
    credits: Decimal | None = None
    failure_rate: float = 0.0
    throttle: float | None = None
    verbose: bool = False


async def serve_sandbox(args: SandboxArguments) -> int:
    """Run a sandbox until it is interrupted; return the exit code."""
    out, err = stdout(), stderr()
    async with start_sandbox(
        port=args.port,
        duration=args.duration,
        credits=args.credits,
        failure_rate=args.failure_rate,
        throttle=_throttle(args.throttle),
    ) as sandbox:
        err.write(f"The sandbox is listening on {sandbox.base_url}")
        err.write(f"with the key {sandbox.api_key}. In another terminal:\n")
        out.write(f"export PICTORY_API_BASE_URL={sandbox.base_url}")
        out.write(f"export PICTORY_API_KEY={sandbox.api_key}")
        err.write("\nCtrl-C stops it and discards its jobs and pictures.\n")
        with _showing_requests(err, verbose=args.verbose):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                err.write("\nThe sandbox has stopped.")
    return DONE


def _throttle(rate: float | None) -> Throttle | None:
    """Return a limit that admits a second's worth of requests at once."""
    from pictory_async.sandbox import Throttle  # noqa: PLC0415 - loads a server

    return None if rate is None else Throttle(rate, burst=max(1, math.ceil(rate)))


class _RequestLog(logging.Handler):
    """A handler that writes the log of the sandbox, a line for each request."""

    def __init__(self, lines: LineWriter) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record with its local time."""
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        self._lines.write(f"{moment} {one_line(record.getMessage())}")


@contextmanager
def _showing_requests(lines: LineWriter, *, verbose: bool) -> Iterator[None]:
    if not verbose:
        yield
        return
    logger = logging.getLogger("pictory_async.sandbox")
    level, handler = logger.level, _RequestLog(lines)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
