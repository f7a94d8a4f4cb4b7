"""Where the command writes: standard output, standard error, and files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from pictory_async.cli._errors import Misuse
from pictory_async.cli._text import one_line


class LineWriter:
    """A writer of whole lines that falls silent once its pipe is closed.

    Attributes:
        closed: Whether the reader of the pipe has gone.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.closed = False

    def write(self, line: str) -> None:
        """Write a line and flush it; a closed pipe is recorded, not raised."""
        if self.closed:
            return
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except BrokenPipeError:
            self.closed = True
            _discard_buffer(self._stream)

    def write_json(self, data: dict[str, Any]) -> None:
        """Write an object as a line of JSON in ASCII, harmless to a terminal."""
        self.write(to_json(data))


def stdout() -> LineWriter:
    """Return a writer for standard output: the results that were asked for."""
    return LineWriter(sys.stdout)


def stderr() -> LineWriter:
    """Return a writer for standard error: errors, notes and summaries."""
    return LineWriter(sys.stderr)


def can_redraw(stream: TextIO) -> bool:
    """Return whether *stream* is a terminal on which lines can be overwritten."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def _discard_buffer(stream: TextIO) -> None:
    """Send what is still buffered to the null device: Python flushes it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


# --- JSON -------------------------------------------------------------------------


def to_json(data: dict[str, Any]) -> str:
    """Return an object as one line of JSON in ASCII, with exact numbers."""
    return json.dumps(data, default=_number)


def _number(value: object) -> int | float | str:
    """Return a `Decimal` as a JSON number if that is exact, else as text."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


# --- files ------------------------------------------------------------------------


def make_folder(folder: Path) -> None:
    """Make the folder for images, before any of them is paid for.

    Raises:
        Misuse: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
        raise Misuse(f"cannot write to {one_line(folder)}: {reason}") from None


@contextmanager
def replace_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces *path* when the block ends without an error.

    Until then, and if the block or the machine fails, *path* is left as it was.

    Raises:
        OSError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
