"""The progress of a batch as plain lines: for pipes, scripts and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pictory_async.cli._batch.ledger import Entry, Totals
from pictory_async.cli._items import View
from pictory_async.cli._output import stderr, stdout
from pictory_async.cli._text import count, one_line, summary_line
from pictory_async.cli._views import PROMPT_SHOWN

# Causes listed in the summary; the manifest has every error.
_CAUSES_SHOWN: Final = 10


class BatchLines(View[Entry]):
    """A view of lines without control codes, one for each prompt that ended.

    Args:
        folder: Where the images are saved.
        json: Whether to write the entry of the manifest for each prompt.
    """

    def __init__(self, folder: Path, *, json: bool = False) -> None:
        self._folder = folder
        self._json = json
        self._out, self._err = stdout(), stderr()

    def ended(self, entry: Entry) -> None:
        """Write how a prompt ended."""
        if self._json:
            self._out.write_json(dict(entry))
        elif entry["file"]:
            self._out.write(f"saved {self._folder / entry['file']}")
        if entry["error"]:
            self._err.write(failure_line(entry))

    def summarize(self, lines: Iterable[str]) -> None:
        """Write the summary."""
        for line in lines:
            self._err.write(line)


def failure_line(entry: Entry) -> str:
    """Return the line that says which prompt failed, and why."""
    prompt = one_line(entry["prompt"], limit=PROMPT_SHOWN)
    return f"failed: line {entry['line']}: {prompt}: {entry['error']['message']}"


def summary_lines(totals: Totals, seconds: float) -> Iterator[str]:
    """Yield what a batch came to, and its failures by cause."""
    yield summary_line(
        images=totals.images,
        credits_used=totals.credits,
        exact=totals.exact,
        failed=totals.failed,
        seconds=seconds,
    )
    causes = list(totals.causes)
    for cause in causes[:_CAUSES_SHOWN]:
        yield f"  {cause.prompts:,} x {cause.name} ({cause.where})"
        yield f"      {cause.example}"
    if (more := len(causes) - _CAUSES_SHOWN) > 0:
        yield f"  and {count(more, 'more cause')}"
    if totals.unknown:
        yield (
            f"{count(totals.unknown, 'prompt')} may have been paid for: check "
            "`pictory history`, or run again with --on-unknown reconcile"
        )
