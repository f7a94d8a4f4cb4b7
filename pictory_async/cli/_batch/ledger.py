"""What became of each prompt of a batch: an entry for each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pictory_async import (
    BatchOutcome,
    BudgetExceededError,
    JobTimeoutError,
    SessionClosedError,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async.cli._batch.causes import Causes
from pictory_async.cli._output import to_json
from pictory_async.cli._words import error_data

Entry = Mapping[str, Any]

# Of prompts with an error: what can still become an image and a file without a doubt.
_OPEN = frozenset({"completed", "in-progress", "not-sent"})


def entry_of(outcome: BatchOutcome, *, line: int, folder: Path) -> dict[str, Any]:
    """Return an outcome as the manifest has it.

    Args:
        outcome: What became of a prompt.
        line: Where the prompt begins in its file.
        folder: What the image's path is told relative to, so that the folder can be
            moved.
    """
    request, image = outcome.request, outcome.image
    assert request is not None  # noqa: S101 - prompts were checked before they went in
    return {
        "index": outcome.index,
        "line": line,
        "prompt": request.prompt,
        "model": request.model,
        "aspect_ratio": request.aspect_ratio,
        "style": request.style,
        "reference_image_url": request.reference_image_url,
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
    """Return a word for how a prompt stands, also where no job was created."""
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


class Tally:
    """What a batch came to so far.

    Attributes:
        ended: How many prompts have ended.
        images: How many of them have an image.
        failed: How many have an error, be it that only the file is missing.
        unknown: How many of these may have been paid for.
        open: How many of these the same command would take up again.
        credits: What the images cost, as far as the service said.
        exact: Whether it said so of all.
        causes: The errors by cause.
        size: Width and height of the first image; None if there is none.
    """

    def __init__(self) -> None:
        self.ended = self.images = self.failed = self.unknown = self.open = 0
        self.credits = Decimal(0)
        self.exact = True
        self.causes = Causes()
        self.size: tuple[int, int] | None = None

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        self.ended += 1
        if entry["error"]:
            self.failed += 1
            self.causes.add(entry["line"], entry["error"])
            self.unknown += entry["state"] == "unknown"
            self.open += entry["state"] in _OPEN
        if entry["state"] == "completed":
            self._add_image(entry)

    def _add_image(self, entry: Entry) -> None:
        self.images += 1
        self.credits += entry["credits_used"] or 0
        self.exact = self.exact and entry["credits_used"] is not None
        if entry["width"] and entry["height"]:
            self.size = self.size or (entry["width"], entry["height"])


class Ledger:
    """Entries that come in any order and are read in that of their prompts.

    A line of JSON each: a tenth of what the objects would take, and as it is written.
    """

    def __init__(self) -> None:
        self._lines: dict[int, bytes] = {}

    def add(self, entry: Entry) -> None:
        """Keep an entry."""
        self._lines[entry["index"]] = f"{to_json(dict(entry))}\n".encode()

    def lines(self) -> Iterator[bytes]:
        """Give each entry as a line of JSON, in the order of the prompts."""
        return (self._lines[index] for index in sorted(self._lines))

    def entries(self) -> Iterator[Entry]:
        """Give each entry, in the order of the prompts."""
        return map(json.loads, self.lines())
