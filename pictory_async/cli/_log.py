"""The library's log: kept out of other handlers, and partly shown to the user."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pictory_async.cli._output import LineWriter
from pictory_async.cli._text import one_line

# Seconds for which a failed request is worth showing.
_RECENT = 10.0
# A file may have a wrong value on each of its lines.
_WARNINGS_KEPT = 20


class LogHandler(logging.Handler):
    """A handler that writes some records as notes and remembers the last retry.

    The library retries failed requests without a sign but in its log, so this is how
    a view learns why nothing moves.

    Args:
        lines: Where notes go.
        verbose: Whether to write every record; else none, but see `showing_warnings`.
    """

    def __init__(self, lines: LineWriter, *, verbose: bool) -> None:
        super().__init__(logging.INFO)
        self._lines = lines
        self._threshold = logging.INFO if verbose else logging.CRITICAL
        self._warnings: Counter[str] | None = None
        self._retry: tuple[float, str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record if it is important enough; remember a retry."""
        if getattr(record, "pictory_event", None) == "retried":
            reason = getattr(record, "pictory_reason", None)
            self._retry = time.monotonic(), one_line(reason)
        if record.levelno >= self._threshold:
            self._write(one_line(record.getMessage()))
        elif self._warnings is not None and record.levelno >= logging.WARNING:
            self._count(one_line(record.getMessage()))

    @contextmanager
    def showing_warnings(self) -> Iterator[None]:
        """Write the warnings of the block at its end, each once, with their number."""
        self._warnings = Counter()
        try:
            yield
        finally:
            warnings, self._warnings = self._warnings, None
            for message, number in warnings.items():
                times = f" ({number:,} prompts)" if number > 1 else ""
                self._write(f"{message}{times}")

    def recent_retry(self) -> str | None:
        """Return why a request was retried a moment ago; None if none was."""
        if self._retry and time.monotonic() - self._retry[0] < _RECENT:
            return self._retry[1]
        return None

    def _count(self, message: str) -> None:
        assert self._warnings is not None  # noqa: S101 - within `showing_warnings`
        if message not in self._warnings and len(self._warnings) >= _WARNINGS_KEPT:
            message = "other values are not documented either"
        self._warnings[message] += 1

    def _write(self, message: str) -> None:
        self._lines.write(f"note: {message}")


@contextmanager
def capture_log(lines: LineWriter, *, verbose: bool) -> Iterator[LogHandler]:
    """Handle the library's log inside the block, instead of all other handlers."""
    logger = logging.getLogger("pictory_async")
    level, propagate = logger.level, logger.propagate
    handler = LogHandler(lines, verbose=verbose)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
        logger.setLevel(level)
