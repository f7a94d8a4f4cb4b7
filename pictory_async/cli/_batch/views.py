"""How a batch goes, told in lines: for pipes, scripts and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, Self

import attrs

from pictory_async.cli._batch.ledger import Entry, Tally
from pictory_async.cli._output import Lines, remarks, results
from pictory_async.cli._text import count, plain
from pictory_async.cli._views import PROMPT_SHOWN

# Causes told at the end; the manifest has all of them.
_CAUSES_TOLD = 10


class BatchView(Protocol):
    """Whoever is told how a batch goes."""

    def over(self, entry: Entry) -> None:
        """Learn that a prompt has ended, well or not."""
        ...

    def closing(self, lines: Iterable[str]) -> None:
        """Tell what it all came to."""
        ...

    async def __aenter__(self) -> Self:
        """Begin to show."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Leave the screen to others."""
        ...


@attrs.define
class BatchLines:
    """Tells each prompt that ended in a line of its own, without control codes.

    Attributes:
        folder: Where the images go.
        json: Whether an object is written for each prompt, as the manifest has it.
    """

    folder: Path
    json: bool = False
    _out: Lines = attrs.field(factory=results, init=False)
    _err: Lines = attrs.field(factory=remarks, init=False)

    def over(self, entry: Entry) -> None:
        """Tell how a prompt ended."""
        if self.json:
            self._out.write_json(dict(entry))
        elif entry["file"]:
            self._out.write(f"saved {self.folder / entry['file']}")
        if entry["error"]:
            self._err.write(failure_line(entry))

    def closing(self, lines: Iterable[str]) -> None:
        """Tell what it all came to."""
        for line in lines:
            self._err.write(line)

    async def __aenter__(self) -> Self:
        """Begin; lines need no preparation."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End; lines need no tidying."""


def failure_line(entry: Entry) -> str:
    """Return the line that says which prompt failed, and why."""
    prompt = plain(entry["prompt"], limit=PROMPT_SHOWN)
    return f"failed: line {entry['line']}: {prompt}: {entry['error']['message']}"


def summary_lines(tally: Tally, seconds: float) -> Iterator[str]:
    """Give what a batch came to, with its failures by cause."""
    cost = count(tally.credits, "credit")
    parts = [
        count(tally.images, "image"),
        cost if tally.exact else f"at least {cost}",
        f"{tally.failed} failed" if tally.failed else "",
        f"{seconds:.1f} s",
    ]
    yield ", ".join(part for part in parts if part)
    causes = list(tally.causes)
    for cause in causes[:_CAUSES_TOLD]:
        yield f"  {cause.prompts:,} x {cause.name} ({cause.where})"
        yield f"      {cause.example}"
    if (more := len(causes) - _CAUSES_TOLD) > 0:
        yield f"  and {count(more, 'more cause')}"
    if tally.unknown:
        yield (
            f"{count(tally.unknown, 'prompt')} may have been paid for: look in "
            "`pictory history`, or run it again with --on-unknown reconcile"
        )
