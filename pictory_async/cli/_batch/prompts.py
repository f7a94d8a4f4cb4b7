"""Prompt files: a line, a record or an object for each image."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final, TextIO

import attrs

from pictory_async import ImageRequest, InvalidRequestError
from pictory_async.cli._run import Misuse

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
# How Python decodes bytes that are no UTF-8, when told to go on.
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")

Defaults = Mapping[str, str | None]
# The values of a line by field; or, as text, what is wrong with it.
_Fields = dict[str, Any] | str
_Reader = Callable[[TextIO], Iterator[tuple[int, _Fields]]]


@attrs.frozen
class Row:
    """A prompt that can be sent.

    Attributes:
        line: Where it begins in its file; the first line is 1.
        request: What to ask for.
    """

    line: int
    request: ImageRequest


@attrs.frozen
class BadRow:
    """A line that is no prompt.

    Attributes:
        line: Where it begins in its file.
        problem: Which field, and what is allowed.
    """

    line: int
    problem: str


def format_of(name: str) -> str:
    """Return the format that a file's name ends with.

    Raises:
        Misuse: It ends with none of `FORMATS`.
    """
    ending = name.rpartition(".")[2].lower()
    if "." in name and ending in FORMATS:
        return ending
    raise Misuse(f"{name}: its name does not tell its format; add --format FORMAT")


def read_rows(
    source: BinaryIO, kind: str, defaults: Defaults
) -> Iterator[Row | BadRow]:
    """Read the prompts of a file, one by one; lines that are blank are skipped.

    Args:
        source: The file; it is not closed.
        kind: One of `FORMATS`.
        defaults: What a line that leaves a field open asks for.

    Raises:
        Misuse: It is no such file as a whole, such as one without a prompt column.
    """
    beginning = source.read(2)
    if beginning in _UTF_16:
        raise Misuse("the file is UTF-16; save it as UTF-8")
    text = io.TextIOWrapper(
        io.BufferedReader(_Joined(beginning, source)),
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="",
    )
    for line, fields in _READERS[kind](text):
        yield _row(line, fields, defaults)


class _Joined(io.RawIOBase):
    """The first bytes of a file that cannot go back, and the rest of it."""

    def __init__(self, beginning: bytes, rest: BinaryIO) -> None:
        self._beginning, self._rest = beginning, rest

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes; what a pipe has now is enough."""
        data, self._beginning = self._beginning, b""
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
    if broken := [name for name, value in fields.items() if _is_broken(value)]:
        return BadRow(line, f"{broken[0]}: is not UTF-8 text")
    given = {name: value for name, value in fields.items() if value is not None}
    if "prompt" not in given:
        return BadRow(line, "prompt: is missing")
    try:
        return Row(line, ImageRequest(**{**defaults, **given}))
    except InvalidRequestError as error:
        return BadRow(line, f"{error.field}: {error.reason}")


def _is_broken(value: object) -> bool:
    return isinstance(value, str) and _NOT_UTF_8.search(value) is not None


def _unknown(names: set[str]) -> str:
    return "unknown " + ", ".join(f"{name!r:.40}" for name in sorted(names))


# --- one function for each format -------------------------------------------------


def _txt(text: TextIO) -> Iterator[tuple[int, _Fields]]:
    # No line is a comment: a prompt may begin with anything.
    for number, line in enumerate(text, start=1):
        if prompt := line.strip():
            yield number, {"prompt": prompt}


def _jsonl(text: TextIO) -> Iterator[tuple[int, _Fields]]:
    for number, line in enumerate(text, start=1):
        if line.strip():
            yield number, _object(line)


def _object(line: str) -> _Fields:
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        return f"is not JSON: {error.msg} (column {error.colno})"
    except (ValueError, RecursionError) as error:
        return f"is not usable JSON: {error}"
    if not isinstance(value, dict):
        return 'must be a JSON object such as {"prompt": "A lighthouse"}'
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice")
    return fields


def _csv(text: TextIO, *, delimiter: str = ",") -> Iterator[tuple[int, _Fields]]:
    records = _records(csv.reader(text, delimiter=delimiter, strict=True))
    _, header = next(records, (1, []))
    names = _columns(header)
    for line, record in records:
        if isinstance(record, str):
            yield line, record
        elif any(record):
            yield line, _named(names, record)


def _tsv(text: TextIO) -> Iterator[tuple[int, _Fields]]:
    return _csv(text, delimiter="\t")


def _records(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """Give each record with the line on which it begins; quotes may hold lines."""
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"its quotes cannot be read: {error}"
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
            f"line 1: {_unknown(unknown)} among the names of columns; "
            f"allowed are {_ALLOWED}"
        )
    if "prompt" not in header or len(set(header)) != len(header):
        raise Misuse(
            "line 1: must name the columns, each once, and one of them prompt; "
            f"allowed are {_ALLOWED}"
        )
    return header


def _named(names: list[str], record: list[str]) -> _Fields:
    if len(record) > len(names):
        return (
            f"has {len(record)} cells for {len(names)} columns; "
            "quote a text that has the separator in it"
        )
    return {name: cell or None for name, cell in zip(names, record, strict=False)}


_READERS: Final[Mapping[str, _Reader]] = {
    "txt": _txt,
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
}
