"""Where the command writes: standard output, standard error, and files."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

from pictory_async.cli._errors import Misuse, explain
from pictory_async.cli._text import one_line


class SafeStream:
    """A stream that raises nothing: it falls silent once it cannot be written.

    A reader that has gone, a full disk or a terminal that was closed must never cost
    images that are paid for.

    Args:
        stream: Standard output or standard error; None if the process has none.

    Attributes:
        silent: Whether what is written is dropped.
        error: Why; None if the process never had the stream.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.silent = stream is None
        self.error: Exception | None = None

    @property
    def encoding(self) -> str:
        """The encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:
        """What becomes of characters that the encoding lacks."""
        return getattr(self._stream, "errors", None) or "strict"

    @property
    def buffer(self) -> BinaryIO:
        """The binary file below, to which click writes completions."""
        return io.BytesIO() if self._stream is None else self._stream.buffer

    def isatty(self) -> bool:
        """Return whether it is a terminal that can still be written."""
        if self._stream is None or self.silent:
            return False
        with self._falling_silent():
            return self._stream.isatty()
        return False

    def fileno(self) -> int:
        """Return the number of its file.

        Raises:
            OSError: It has none.
        """
        if self._stream is None:
            raise OSError("there is no stream")
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write *text*.

        Raises:
            TypeError: It is not text, which is how click tells text from binary files.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected str, not {type(text).__name__}")
        if self._stream is not None and not self.silent:
            with self._falling_silent():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        if self._stream is not None and not self.silent:
            with self._falling_silent():
                self._stream.flush()

    @contextmanager
    def _falling_silent(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: the file was closed
            self.silent, self.error = True, error
            self._discard_buffer()

    def _discard_buffer(self) -> None:
        """Send what is still buffered to the null device: Python flushes it at exit."""
        try:
            number = self.fileno()
        except (OSError, ValueError):  # then nothing of it is flushed at exit
            return
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


class LineWriter:
    """A writer of whole lines to standard output or standard error.

    Args:
        stream: Where they go.
        instead: Writes the lines that *stream* no longer takes; None drops them.
    """

    def __init__(
        self, stream: TextIO | SafeStream, *, instead: LineWriter | None = None
    ) -> None:
        safe = stream if isinstance(stream, SafeStream) else SafeStream(stream)
        self._stream, self._instead = safe, instead
        self._diverted = False

    @property
    def closed(self) -> bool:
        """Whether nobody reads what is written, as of a pipe without a reader."""
        return self._stream.silent

    @property
    def failed(self) -> bool:
        """Whether the stream took lines and then no more."""
        return self._stream.error is not None

    def write(self, line: str) -> None:
        """Write a line and flush it."""
        self._stream.write(f"{line}\n")
        self._stream.flush()
        if self._stream.error is not None and self._instead is not None:
            self._divert(line, self._stream.error, self._instead)

    def _divert(self, line: str, error: Exception, instead: LineWriter) -> None:
        if not self._diverted:
            self._diverted = True
            instead.write(f"note: {broken_output(error)}; its lines follow here")
        instead.write(line)

    def write_json(self, data: dict[str, Any]) -> None:
        """Write an object as a line of JSON, harmless to a terminal."""
        text = to_json(data)
        # Any other encoding may lack a character; JSON can spell each in ASCII.
        if not self._stream.encoding.lower().startswith("utf"):
            text = _escape(text, _NOT_ASCII)
        self.write(text)


def stdout(*, instead: LineWriter | None = None) -> LineWriter:
    """Return a writer for standard output: the results that were asked for.

    Args:
        instead: Writes what standard output does not take, if that must not be lost.
    """
    return LineWriter(sys.stdout, instead=instead)


def stderr() -> LineWriter:
    """Return a writer for standard error: errors, notes and summaries."""
    return LineWriter(sys.stderr)


def broken_output(error: Exception) -> str:
    """Return what to say of a standard output that failed with *error*."""
    return f"standard output cannot be written ({explain(error)})"


def can_redraw(stream: TextIO) -> bool:
    """Return whether *stream* is a terminal on which lines can be overwritten."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


# --- JSON -------------------------------------------------------------------------


# They could steer a terminal, reorder a line or break it, or are not valid text.
_HARMFUL: Final = re.compile(
    "[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NOT_ASCII: Final = re.compile("[^\x00-\x7f]")


def to_json(data: dict[str, Any]) -> str:
    """Return an object as one line of JSON, readable, with exact numbers."""
    return _escape(json.dumps(data, default=_number, ensure_ascii=False), _HARMFUL)


def _escape(text: str, characters: re.Pattern[str]) -> str:
    """Spell some characters of JSON text, which are all in strings, as escapes."""
    return characters.sub(lambda found: json.dumps(found[0])[1:-1], text)


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
