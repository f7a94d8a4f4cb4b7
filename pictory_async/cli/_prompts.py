"""Text that prompts are read from: its encoding, and what is no prompt's text.

Every command that takes prompts from a file or from standard input reads them here, so
that none of them pays for a byte order mark or for text in another encoding.
"""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, TextIO

from pictory_async.cli._errors import Misuse

# The longest come first: that of UTF-32 begins like that of UTF-16.
_OTHER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_MARK_LENGTH: Final = 4
# What the error handler "surrogateescape" makes of bytes that are not UTF-8.
_NOT_UTF_8: Final = re.compile("[\udc80-\udcff]+")
# No prompt has them, except for tabs and line ends.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def standard_input() -> BinaryIO:
    """Return the bytes of standard input.

    Raises:
        Misuse: The process has none.
    """
    if sys.stdin is None:
        raise Misuse("there is no standard input")
    return sys.stdin.buffer


def open_text(source: BinaryIO) -> TextIO:
    """Return the text of a file or pipe, to be read line by line.

    What is not UTF-8 stays in the text, so that `text_problem` can say where it is.

    Args:
        source: The file; it is not closed.

    Raises:
        Misuse: Its byte order mark is that of another encoding.
    """
    start = source.read(_MARK_LENGTH)
    for mark, encoding in _OTHER_MARKS:
        if start.startswith(mark):
            raise Misuse(f"is {encoding} text; save it as UTF-8")
    return io.TextIOWrapper(
        io.BufferedReader(_Joined(start, source)),
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="",
    )


def text_problem(text: str) -> str | None:
    """Return what keeps text of a file from being a prompt; None if nothing does."""
    if undecoded := _NOT_UTF_8.search(text):
        likely = _likely_encoding(undecoded[0].encode(errors="surrogateescape"))
        return f"is not UTF-8 text; probably it is {likely}: save the file as UTF-8"
    if "\0" in text:
        return "has NUL characters; probably it is UTF-16: save the file as UTF-8"
    return control_problem(text)


def control_problem(text: str) -> str | None:
    """Return which control character keeps *text* from being a prompt, if any does."""
    if control := _CONTROLS.search(text):
        code = f"U+{ord(control[0]):04X}"
        return f"has the control character {code}; tabs and line ends are allowed"
    return None


def read_prompts(source: BinaryIO, name: str) -> Iterator[str]:
    """Yield the prompts of a text, one a line; skip blank lines.

    Args:
        source: The file; it is not closed.
        name: What to call it in errors.

    Raises:
        Misuse: A line is not text that can be sent; names the line.
    """
    try:
        text = open_text(source)
    except Misuse as error:
        raise Misuse(f"{name}: {error}") from None
    for number, line in enumerate(text, start=1):
        if problem := text_problem(line):
            raise Misuse(f"{name}:{number}: {problem}")
        if prompt := line.strip():
            yield prompt


def _likely_encoding(undecoded: bytes) -> str:
    """Return the name of the encoding that bytes outside UTF-8 are probably in."""
    try:
        undecoded.decode("cp1252")
    except UnicodeDecodeError:  # it leaves five bytes undefined
        return "in an older encoding"
    return "Windows-1252"


class _Joined(io.RawIOBase):
    """The first bytes of a stream that cannot be rewound, then the rest of it."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes, as many as a pipe has now."""
        data, self._start = self._start, b""
        if not data:
            read = getattr(self._rest, "read1", self._rest.read)
            data = read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
