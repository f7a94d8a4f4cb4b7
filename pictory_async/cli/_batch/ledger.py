"""The ledger of a batch: an entry for each prompt, and what all of them come to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from pictory_async import (
    BatchOutcome,
    BudgetExceededError,
    JobTimeoutError,
    SessionClosedError,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async.cli._batch.prompts import Row
from pictory_async.cli._errors import error_data
from pictory_async.cli._output import to_json
from pictory_async.cli._text import one_line

Entry = Mapping[str, Any]

# States of failed prompts from which another run can get an image and a file without
# paying twice.
_RETRYABLE: Final = frozenset({"completed", "in-progress", "not-sent"})
# What every entry has that a sheet shows.
_NEEDED: Final = frozenset({
    "line",
    "prompt",
    "model",
    "aspect_ratio",
    "style",
    "job_id",
    "state",
    "file",
    "width",
    "height",
    "credits_used",
    "error",
})


def is_unsent(entry: Entry) -> bool:
    """Return whether nothing was sent for a prompt, so that it has not failed."""
    return bool(entry["state"] == "not-sent")


def entry_of(outcome: BatchOutcome, *, row: Row, folder: Path) -> dict[str, Any]:
    """Return the manifest's entry of an outcome.

    Args:
        outcome: The outcome of a prompt.
        row: The prompt.
        folder: What the image's path is relative to, so that the folder can be moved.
    """
    request, image = row.request, outcome.image
    return {
        "line": row.line,
        "prompt": request.prompt,
        "model": request.model,
        "aspect_ratio": request.aspect_ratio,
        "style": request.style,
        "reference_image_url": request.reference_image_url,
        "columns": dict(row.columns),
        "job_id": outcome.job_id,
        "state": _state(outcome),
        "file": _relative(outcome.path, folder) if outcome.path else None,
        "width": image.width if image else None,
        "height": image.height if image else None,
        "credits_used": image.credits_used if image else None,
        "error": error_data(outcome.error) if outcome.error else None,
    }


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _state(outcome: BatchOutcome) -> str:
    """Return the state of a prompt, whether it has a job or not."""
    match outcome.error:
        case _ if outcome.image is not None:
            return "completed"
        case SubmissionUnknownError():
            return "unknown"
        case JobTimeoutError():
            return "in-progress"
        case SessionClosedError(job_id=str()):
            return "in-progress"
        case BudgetExceededError() | SessionClosedError():
            return "not-sent"
        case TransportError(sent=False):
            return "not-sent"
        case _:
            return "failed"


class Ledger:
    """Entries that arrive in any order and are read in the order of their lines.

    Each is kept as its line of JSON: a tenth of the memory of its objects, and ready
    to be written.
    """

    def __init__(self) -> None:
        self._lines: dict[int, bytes] = {}

    def add(self, entry: Entry) -> bytes:
        """Keep an entry, in place of an earlier one; return it as a line of JSON."""
        line = f"{to_json(dict(entry))}\n".encode()
        self._lines[entry["line"]] = line
        return line

    def recall(self, manifest: Iterable[bytes], rows: Iterable[Row]) -> None:
        """Keep the entries of an earlier run that are about the same prompts.

        A run that was killed may have left half a line, and more than one entry for a
        prompt: the last one counts.
        """
        prompts = {row.line: row.request.prompt for row in rows}
        for line in manifest:
            entry = _read(line)
            if entry and prompts.get(entry["line"]) == entry["prompt"]:
                self._lines[entry["line"]] = line

    def lines(self) -> list[bytes]:
        """Return each entry as a line of JSON, in the order of the prompts."""
        return [self._lines[number] for number in sorted(self._lines)]


def read_entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries of a ledger's lines."""
    for line in lines:
        yield json.loads(line, parse_float=Decimal)


def _read(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    complete = isinstance(entry, dict) and entry.keys() >= _NEEDED
    return entry if complete and line.endswith(b"\n") else None


class Totals:
    """What the entries of a batch come to so far.

    Attributes:
        ended: Prompts that have ended.
        images: Prompts with an image.
        failed: Prompts with an error, even if only the file is missing.
        unsent: Prompts that were not sent.
        unknown: Failed prompts that may have been paid for.
        retryable: Prompts without a file that the same command would try again.
        credits: The cost of the images, as far as the service named it.
        exact: Whether it named the cost of all of them.
        causes: The errors by cause, also those of prompts that were not sent.
        size: Width and height of the first image; None if there is none.
    """

    def __init__(self) -> None:
        self.ended = self.images = self.failed = self.unsent = 0
        self.unknown = self.retryable = 0
        self.credits = Decimal(0)
        self.exact = True
        self.causes = Causes()
        self.size: tuple[int, int] | None = None

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        self.ended += 1
        if entry["error"]:
            unsent = is_unsent(entry)
            self.unsent += unsent
            self.failed += not unsent
            self.causes.add(entry["line"], entry["error"])
            self.unknown += entry["state"] == "unknown"
            self.retryable += entry["state"] in _RETRYABLE
        if entry["state"] == "completed":
            self._add_image(entry)

    @property
    def without(self) -> int:
        """Prompts that have ended without an image and a file."""
        return self.failed + self.unsent

    def _add_image(self, entry: Entry) -> None:
        self.images += 1
        self.credits += Decimal(str(entry["credits_used"] or 0))
        self.exact = self.exact and entry["credits_used"] is not None
        if entry["width"] and entry["height"]:
            self.size = self.size or (entry["width"], entry["height"])


# --- failures by cause, in memory that does not grow with their number -------------

_LINES_KEPT: Final = 5
# A service that puts an id into each code must fill neither memory nor screen.
_CAUSES_KEPT: Final = 20
_OTHER: Final = "other causes"


@attrs.define
class Cause:
    """A kind of failure that several prompts may share.

    Attributes:
        name: The type of error, with the service's status and code if it has them.
        example: The message of the first failure.
        prompts: How many prompts failed like this.
        lines: Where the first few of them stand in the prompt file.
    """

    name: str
    example: str
    prompts: int = 0
    lines: list[int] = attrs.field(factory=list)

    def add(self, line: int) -> None:
        """Count one more prompt."""
        self.prompts += 1
        if len(self.lines) < _LINES_KEPT:
            self.lines.append(line)

    @property
    def where(self) -> str:
        """The lines of the prompts, such as "lines 3, 8 and 12 more"."""
        shown = [str(line) for line in self.lines]
        if more := self.prompts - len(shown):
            shown.append(f"{more:,} more")
        *first, last = shown
        lines = f"{', '.join(first)} and {last}" if first else last
        return f"line {lines}" if self.prompts == 1 else f"lines {lines}"


class Causes:
    """Failures counted by their cause."""

    def __init__(self) -> None:
        self._causes: dict[str, Cause] = {}

    def add(self, line: int, error: Mapping[str, Any]) -> None:
        """Count the failure of a line; *error* is that of its entry."""
        name = _name(error)
        if name not in self._causes and len(self._causes) >= _CAUSES_KEPT:
            name = _OTHER
        cause = self._causes.setdefault(name, Cause(name, str(error["message"])))
        cause.add(line)

    def __iter__(self) -> Iterator[Cause]:
        """Yield the causes, the most frequent first."""
        return iter(sorted(self._causes.values(), key=lambda cause: -cause.prompts))


def _name(error: Mapping[str, Any]) -> str:
    details = (error.get(key) for key in ("status", "code"))
    words = [str(error["type"]), *(str(each) for each in details if each)]
    return one_line(" ".join(words), limit=80)
