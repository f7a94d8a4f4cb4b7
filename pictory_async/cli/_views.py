"""How things go, told in plain lines: one for each event, for pipes and scripts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from pictory_async import SessionClosedError, SubmissionUnknownError
from pictory_async.cli._output import Lines
from pictory_async.cli._text import count, plain
from pictory_async.cli._words import explain
from pictory_async.cli._work import Item, credits_used

# Characters of a prompt in a line that is not about the prompt.
PROMPT_SHOWN = 60

PATIENCE = (
    "Waiting up to 5 seconds for answers to prompts just sent; Ctrl-C again ends this "
    "at once."
)


class LineView:
    """Tells each event in a line of its own, without control codes.

    Args:
        record: Writes an item that is over, as its reader wants it.
        remarks: Where failures are told.
        accepted: Writes that an item has its job; None if nobody wants to know.
        summary: Whether to end with a line about all items.
    """

    def __init__(
        self,
        record: Callable[[Item], None],
        remarks: Lines,
        *,
        accepted: Callable[[Item], None] | None = None,
        summary: bool = False,
    ) -> None:
        self._record = record
        self._remarks = remarks
        self._accepted = accepted
        self._summary = summary

    def accepted(self, item: Item) -> None:
        """Tell of an item's job."""
        if self._accepted:
            self._accepted(item)

    def over(self, item: Item) -> None:
        """Tell how an item ended."""
        self._record(item)
        if worth_telling(item.error):
            self._remarks.write(failure(item))

    def closing(self, items: Sequence[Item]) -> None:
        """Tell what it all came to."""
        if self._summary:
            self._remarks.write(summary(items))

    async def __aenter__(self) -> Self:
        """Begin; lines need no preparation."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End; lines need no tidying."""


def worth_telling(error: Exception | None) -> bool:
    """Say whether an error is news; what an interruption ended is told as a whole."""
    return error is not None and not isinstance(error, SessionClosedError)


def failure(item: Item) -> str:
    """Return the line that says which item failed, and why."""
    if item.prompt is None:
        return f"failed: {reason(item)}"
    return f"failed: {plain(item.prompt, limit=PROMPT_SHOWN)}: {reason(item)}"


def reason(item: Item) -> str:
    """Return why an item failed and, if it only was not saved, what saves it."""
    assert item.error is not None  # noqa: S101 - it failed
    why = explain(item.error)
    if item.image is None or isinstance(item.error, FileExistsError):
        return why
    return f"{why}; to try again: pictory job {plain(item.job_id)} --output DIR"


def summary(items: Sequence[Item]) -> str:
    """Return a line with images, credits, failures and seconds."""
    images = sum(item.image is not None for item in items)
    failed = sum(item.error is not None for item in items)
    used, complete = credits_used(items)
    parts = [
        count(images, "image"),
        count(used, "credit") if complete else f"at least {count(used, 'credit')}",
        f"{failed} failed" if failed else "",
        f"{max(item.seconds for item in items):.1f} s",
    ]
    return ", ".join(part for part in parts if part)


class Farewell:
    """Tells what an interruption left behind, and how to go on with it.

    Called when the interruption comes, and once more when the requests that were on
    the wire have been answered.

    Args:
        remarks: Where to tell it.
        folder: Where images were to go, if anywhere.
        lost: Whether the jobs end with this command, as those of its sandbox do.
    """

    def __init__(
        self, remarks: Lines, *, folder: Path | None, lost: bool = False
    ) -> None:
        self._remarks = remarks
        self._folder = folder
        self._lost = lost
        self._told: list[str] | None = None

    def __call__(self, items: Sequence[Item]) -> None:
        """Tell what is new since the last call."""
        first = self._told is None
        if first:
            also = " The jobs of its sandbox end with it." if self._lost else ""
            self._remarks.write(f"Interrupted.{also}")
        if not self._lost:
            self._tell_jobs([item for item in items if item.resumable])
        self._told = self._told or []
        if not first:
            self._tell_rest(items)
        elif any(item.handle is None and item.error is None for item in items):
            self._remarks.write(PATIENCE)

    def _tell_jobs(self, items: Sequence[Item]) -> None:
        told = self._told or []
        new = [item for item in items if item.job_id and item.job_id not in told]
        for item in new:
            what = f"  {plain(item.prompt, limit=PROMPT_SHOWN)}" if item.prompt else ""
            state = "not saved yet" if item.image else "still in progress"
            self._remarks.write(f"{state}: {plain(item.job_id)}{what}")
        self._told = told + [str(item.job_id) for item in new]
        if new:
            self._remarks.write(f"Go on with: {self._command(self._told)}")

    def _command(self, job_ids: Sequence[str]) -> str:
        words = ["pictory", "job", *map(plain, job_ids), "--wait"]
        if self._folder is not None:
            words += ["--output", str(self._folder)]
        return shlex.join(words)

    def _tell_rest(self, items: Sequence[Item]) -> None:
        unsent = sum(
            isinstance(item.error, SessionClosedError) and item.handle is None
            for item in items
        )
        if unsent:
            self._remarks.write(f"{count(unsent, 'prompt')} not sent, nothing created.")
        if any(isinstance(item.error, SubmissionUnknownError) for item in items):
            self._remarks.write("Look in `pictory history` before you repeat a prompt.")
