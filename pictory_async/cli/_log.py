"""What the library logs, and how much of it is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pictory_async.cli._output import Lines
from pictory_async.cli._text import plain

# Seconds for which a failed request is news.
_FRESH = 10.0


class Listener(logging.Handler):
    """Hears what the library logs; tells the part that somebody wants.

    The library tries failed requests again without a word but in its log, so this is
    where a view learns why nothing moves.

    Attributes:
        tell: The lowest level that is written to standard error.
    """

    def __init__(self, lines: Lines, *, verbose: bool) -> None:
        super().__init__(logging.INFO)
        self._lines = lines
        self._quiet = logging.INFO if verbose else logging.CRITICAL
        self.tell = self._quiet
        self._told: set[str] = set()
        self._trouble: tuple[float, str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a record."""
        if getattr(record, "pictory_event", None) == "retried":
            reason = getattr(record, "pictory_reason", None)
            self._trouble = time.monotonic(), plain(str(reason))
        if record.levelno >= self.tell:
            self._tell(plain(record.getMessage()))

    @contextmanager
    def telling_warnings(self) -> Iterator[None]:
        """Tell warnings, each once, such as of a model that is not documented."""
        self.tell = min(logging.WARNING, self._quiet)
        try:
            yield
        finally:
            self.tell = self._quiet
            self._told.clear()

    def trouble(self) -> str | None:
        """Return why something was asked again just now; None if nothing was."""
        if self._trouble and time.monotonic() - self._trouble[0] < _FRESH:
            return self._trouble[1]
        return None

    def _tell(self, message: str) -> None:
        if self.tell == self._quiet or message not in self._told:
            self._told.add(message)
            self._lines.write(f"note: {message}")


@contextmanager
def listening(lines: Lines, *, verbose: bool) -> Iterator[Listener]:
    """Hear the library's log for a while, and keep it from everybody else."""
    logger = logging.getLogger("pictory_async")
    level, propagate = logger.level, logger.propagate
    listener = Listener(lines, verbose=verbose)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(listener)
    try:
        yield listener
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagate
        logger.setLevel(level)
