"""Prompt files: a line, a record or a JSON object for each image."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final, TextIO

import attrs

from pictory_async import ImageRequest, InvalidRequestError
from pictory_async.cli._errors import Misuse

FORMATS: Final = ("txt", "csv", "tsv", "jsonl")
FIELDS: Final = (
    "prompt",
    "model",
    "aspect_ratio",
    "style",
    "reference_image_url",
    "webhook",
)
_ALLOWED = ", ".join(FIELDS)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# What the error handler "surrogateescape" makes of bytes that are not UTF-8.
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")

Defaults = Mapping[str, str | None]
# The values of a line by field or, as text, what is wrong with it.
_Fields = dict[str, Any] | str
_Lines = Iterator[tuple[int, _Fields]]


@attrs.frozen
class Row:
    """A prompt that can be sent.

    Attributes:
        line: Where it begins in its file; the first line is 1.
        request: The request to send.
    """

    line: int
    request: ImageRequest


@attrs.frozen
class BadRow:
    """A line that is not a valid prompt.

    Attributes:
        line: Where it begins in its file.
        problem: The field at fault, and what is allowed.
    """

    line: int
    problem: str


def format_of(name: str) -> str:
    """Return the format of a file by the end of its name.

    Raises:
        Misuse: It ends with none of `FORMATS`.
    """
    ending = name.rpartition(".")[2].lower()
    if "." in name and ending in FORMATS:
        return ending
    raise Misuse(f"{name}: the name does not show the format; add --format FORMAT")


def read_rows(
    source: BinaryIO, kind: str, defaults: Defaults
) -> Iterator[Row | BadRow]:
    """Yield the prompts of a file one by one; skip blank lines.

    Args:
        source: The file; it is not closed.
        kind: One of `FORMATS`.
        defaults: The values of fields that a line does not give.

    Raises:
        Misuse: The file as a whole is unusable, such as one without a prompt column.
    """
    start = source.read(2)
    if start in _UTF_16:
        raise Misuse("the file is UTF-16; save it as UTF-8")
    text = io.TextIOWrapper(
        io.BufferedReader(_Joined(start, source)),
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="",
    )
    for line, fields in _READERS[kind](text):
        yield _row(line, fields, defaults)


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


def _row(line: int, fields: _Fields, defaults: Defaults) -> Row | BadRow:
    if isinstance(fields, str):
        return BadRow(line, fields)
    if unknown := fields.keys() - set(FIELDS):
        return BadRow(line, f"{_unknown(unknown)}; allowed are {_ALLOWED}")
    if undecoded := [name for name, value in fields.items() if _undecoded(value)]:
        return BadRow(line, f"{undecoded[0]}: is not UTF-8 text")
    given = {name: value for name, value in fields.items() if value is not None}
    if "prompt" not in given:
        return BadRow(line, "prompt: is missing")
    try:
        return Row(line, ImageRequest(**{**defaults, **given}))
    except InvalidRequestError as error:
        return BadRow(line, f"{error.field}: {error.reason}")


def _undecoded(value: object) -> bool:
    return isinstance(value, str) and _NOT_UTF_8.search(value) is not None


def _unknown(names: set[str]) -> str:
    return "unknown " + ", ".join(f"{name!r:.40}" for name in sorted(names))


# --- one function for each format -------------------------------------------------


def _txt(text: TextIO) -> _Lines:
    # No line is a comment: a prompt may begin with anything.
    for number, line in enumerate(text, start=1):
        if prompt := line.strip():
            yield number, {"prompt": prompt}


def _jsonl(text: TextIO) -> _Lines:
    for number, line in enumerate(text, start=1):
        if line.strip():
            yield number, _object(line)


def _object(line: str) -> _Fields:
    try:
        value = json.loads(line, object_pairs_hook=_unique_names)
    except json.JSONDecodeError as error:
        return f"is not JSON: {error.msg} (column {error.colno})"
    except (ValueError, RecursionError) as error:
        return f"is not usable JSON: {error}"
    if not isinstance(value, dict):
        return 'must be a JSON object such as {"prompt": "A lighthouse"}'
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice")
    return fields


def _csv(text: TextIO, *, delimiter: str = ",") -> _Lines:
    records = _records(csv.reader(text, delimiter=delimiter, strict=True))
    _, header = next(records, (1, []))
    names = _columns(header)
    for line, record in records:
        if isinstance(record, str):
            yield line, record
        elif any(record):
            yield line, _by_name(names, record)


def _tsv(text: TextIO) -> _Lines:
    return _csv(text, delimiter="\t")


def _records(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record and the line on which it begins; cells may have several."""
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"its quotes are malformed: {error}"
        else:
            yield line, [cell.strip() for cell in record]


def _columns(header: list[str] | str) -> list[str]:
    """Return the names of the columns.

    Raises:
        Misuse: The first line does not name them.
    """
    if isinstance(header, str):
        raise Misuse(f"line 1: {header}")
    if unknown := set(header) - set(FIELDS):
        raise Misuse(
            f"line 1: {_unknown(unknown)} among the column names; "
            f"allowed are {_ALLOWED}"
        )
    if "prompt" not in header or len(set(header)) != len(header):
        raise Misuse(
            "line 1: must name the columns, each once, and prompt among them; "
            f"allowed are {_ALLOWED}"
        )
    return header


def _by_name(names: list[str], record: list[str]) -> _Fields:
    if len(record) > len(names):
        return (
            f"has {len(record)} cells for {len(names)} columns; "
            "quote a cell that contains the separator"
        )
    return {name: cell or None for name, cell in zip(names, record, strict=False)}


_READERS: Final[Mapping[str, Callable[[TextIO], _Lines]]] = {
    "txt": _txt,
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
}
