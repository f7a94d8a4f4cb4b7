"""Prompt files: a line, a record or a JSON object for each image."""

from __future__ import annotations

import csv
import difflib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final, TextIO

import attrs

from pictory_async import ImageRequest, InvalidRequestError
from pictory_async.cli._batch.filenames import FileNames, stem
from pictory_async.cli._errors import Misuse
from pictory_async.cli._prompts import control_problem, open_text, text_problem

FORMATS: Final = ("txt", "csv", "tsv", "jsonl")
# The fields of a request, and the name of its file.
FIELDS: Final[tuple[str, ...]] = (
    "prompt",
    "model",
    "aspect_ratio",
    "style",
    "reference_image_url",
    "webhook",
    "filename",
)
_ALLOWED: Final = ", ".join(FIELDS)

Defaults = Mapping[str, str | None]
# The values of a line by name or, as text, what is wrong with it.
_Values = dict[str, Any] | str
_Lines = Iterator[tuple[int, _Values]]


@attrs.frozen
class Row:
    """A prompt that can be sent.

    Attributes:
        line: Where it begins in its file; the first line is 1.
        request: The request to send.
        filename: The name for its image, without extension; None if it has none.
        columns: The values that are not sent, by the name of their column.
    """

    line: int
    request: ImageRequest
    filename: str | None = None
    columns: Mapping[str, Any] = attrs.field(factory=dict)


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
    names = FileNames()
    for line, values in _READERS[kind](open_text(source)):
        yield _row(line, values, defaults, names)


def _row(
    line: int, values: _Values, defaults: Defaults, names: FileNames
) -> Row | BadRow:
    if isinstance(values, str):
        return BadRow(line, values)
    given = {name: value for name, value in values.items() if value is not None}
    sent = {name: given.pop(name) for name in FIELDS if name in given}
    if problem := _problem(line, sent, given, names):
        return BadRow(line, problem)
    filename = sent.pop("filename", None)
    try:
        request = ImageRequest(**{**defaults, **sent})
    except InvalidRequestError as error:
        return BadRow(line, f"{error.field}: {error.reason}")
    return Row(line, request, None if filename is None else stem(filename), given)


def _problem(
    line: int, sent: Mapping[str, Any], others: Mapping[str, Any], names: FileNames
) -> str | None:
    """Return what is wrong with the values of a line; None if nothing is found."""
    if misspelt := _misspelt(others, sent):
        return misspelt
    for name, value in itertools.chain(sent.items(), others.items()):
        if isinstance(value, str) and (problem := control_problem(value)):
            return f"{name}: {problem}"
    if "prompt" not in sent:
        return "prompt: is missing"
    filename = sent.get("filename")
    if not isinstance(filename, str | None):
        return f"filename: must be a string, not {type(filename).__name__}"
    problem = names.problem(line, filename)
    return problem and f"filename: {problem}"


# --- names of columns -------------------------------------------------------------


def _field(name: str) -> str:
    """Return the field that is meant by "Aspect Ratio" or "aspectRatio", or *name*."""
    return _BY_LETTERS.get(_letters(name), name)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


_BY_LETTERS: Final = {_letters(name): name for name in FIELDS}


def _misspelt(others: Iterable[str], known: Iterable[str]) -> str | None:
    """Return which of the other names is a misspelt field that is not there."""
    missing = [name for name in FIELDS if name not in known]
    for name in others:
        if near := difflib.get_close_matches(_letters(name), missing, 1, cutoff=0.8):
            return f"unknown {name!r:.40}: is {near[0]} meant? Allowed are {_ALLOWED}"
    return None


# --- one function for each format -------------------------------------------------


def _txt(text: TextIO) -> _Lines:
    # No line is a comment: a prompt may begin with anything.
    for number, line in enumerate(text, start=1):
        if problem := text_problem(line):
            yield number, problem
        elif prompt := line.strip():
            yield number, {"prompt": prompt}


def _jsonl(text: TextIO) -> _Lines:
    for number, line in enumerate(text, start=1):
        if line.strip():
            yield number, text_problem(line) or _object(line.rstrip())


def _object(line: str) -> _Values:
    try:
        value = json.loads(line, object_pairs_hook=_by_field)
    except json.JSONDecodeError as error:
        if error.pos >= len(line):
            return f"ends too early, at column {error.colno}: {error.msg}"
        return f"is not JSON: {error.msg} (column {error.colno})"
    except (ValueError, RecursionError) as error:
        return f"is not usable JSON: {error}"
    if not isinstance(value, dict):
        return 'must be a JSON object such as {"prompt": "A lighthouse"}'
    return value


def _by_field(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = {_field(name): value for name, value in pairs}
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice")
    return fields


# The separator of a file, and those that are tried if the first line has no prompt
# column with it: Excel takes a semicolon where a comma is the decimal sign.
_SEPARATORS: Final = {"csv": ",;\t", "tsv": "\t,;"}
# Excel's own line, before the names of the columns.
_NAMED_SEPARATOR: Final = re.compile(r'"?sep=([^"\r\n])"?[,;\t]*\s*', re.IGNORECASE)


def _csv(text: TextIO, *, separators: str = _SEPARATORS["csv"]) -> _Lines:
    first = next(text, "")
    skipped = 0
    if named := _NAMED_SEPARATOR.fullmatch(first):
        separators, skipped, first = named[1], 1, next(text, "")
    if problem := text_problem(first):
        raise Misuse(f"line {1 + skipped}: {problem}")
    delimiter = _separator(first, separators)
    lines = itertools.chain([first], text)
    records = _records(csv.reader(lines, delimiter=delimiter, strict=True))
    _, header = next(records, (1, list[str]()))
    names = _columns(header, 1 + skipped, separators)
    for line, record in records:
        if isinstance(record, str):
            yield line + skipped, record
        elif any(record):
            yield line + skipped, _by_name(names, record)


def _tsv(text: TextIO) -> _Lines:
    return _csv(text, separators=_SEPARATORS["tsv"])


def _separator(header: str, separators: str) -> str:
    """Return the separator with which a line names a prompt column, else the first."""
    for separator in separators:
        cells = header.split(separator)
        if any(_field(cell.strip(' "\r\n')) == "prompt" for cell in cells):
            return separator
    return separators[0]


def _records(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record and the line on which it begins; cells may have several."""
    while True:
        line = reader.line_num + 1
        try:
            record = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"its quotes are malformed: {error}"
        else:
            yield line, record


def _columns(header: list[str] | str, line: int, separators: str) -> list[str]:
    """Return the names of the columns, less the empty ones that Excel leaves behind.

    Raises:
        Misuse: The line does not name them.
    """
    if isinstance(header, str):
        raise Misuse(f"line {line}: {header}")
    names = [_field(cell) for cell in header]
    while names and not names[-1]:
        names.pop()
    # A table of pandas has its index in a first column without a name.
    names = [name or f"column {place}" for place, name in enumerate(names, start=1)]
    if misspelt := _misspelt([n for n in names if n not in FIELDS], names):
        raise Misuse(f"line {line}: {misspelt}")
    if "prompt" not in names or len(set(names)) != len(names):
        raise Misuse(
            f"line {line}: must name the columns, each once, and prompt among them, "
            f"separated by {_spelled(separators)}; allowed are {_ALLOWED}, and others "
            "that are not sent"
        )
    return names


def _spelled(separators: str) -> str:
    words = {",": "commas", ";": "semicolons", "\t": "tabs"}
    return " or ".join(words.get(each, repr(each)) for each in separators)


def _by_name(names: list[str], record: list[str]) -> _Values:
    cells = len(record)
    while cells > len(names) and not record[cells - 1]:
        cells -= 1
    if cells > len(names):
        return (
            f"has {cells} cells for {len(names)} columns; "
            "quote a cell that contains the separator"
        )
    values = dict(zip(names, record, strict=False))
    for name, cell in values.items():
        if problem := text_problem(cell):
            return f"{name}: {problem}"
    return {name: cell or None for name, cell in values.items()}


_READERS: Final[Mapping[str, Callable[[TextIO], _Lines]]] = {
    "txt": _txt,
    "csv": _csv,
    "tsv": _tsv,
    "jsonl": _jsonl,
}
