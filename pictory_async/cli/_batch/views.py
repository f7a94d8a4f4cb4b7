"""The progress of a batch as plain lines: for pipes, scripts and JSON."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Final

from pictory_async.cli._batch.ledger import Entry, Totals, is_unsent
from pictory_async.cli._items import View
from pictory_async.cli._output import LineWriter, stderr, stdout
from pictory_async.cli._text import cost, count, one_line
from pictory_async.cli._views import PROMPT_SHOWN

# Causes listed in the summary; the manifest has every error.
_CAUSES_SHOWN: Final = 10
# A service that puts an id into each reason must not fill the memory.
_REASONS_KEPT: Final = 1000


class BatchLines(View[Entry]):
    """A view of lines without control codes, one for each prompt that ended.

    Args:
        folder: Where the images are saved.
        json: Whether to write the entry of the manifest for each prompt.
        there: Files of earlier runs.
    """

    def __init__(
        self, folder: Path, *, json: bool = False, there: Container[str] = ()
    ) -> None:
        self._folder = folder
        self._json = json
        self._there = there
        self._out, self._err = stdout(), stderr()
        self._failures = FailureLines(self._err)

    def ended(self, entry: Entry) -> None:
        """Write how a prompt ended."""
        if self._json:
            self._out.write_json(dict(entry))
        elif entry["file"]:
            word = "unchanged" if entry["file"] in self._there else "saved"
            self._out.write(f"{word} {self._folder / entry['file']}")
        if entry["error"]:
            self._failures.write(entry)

    def summarize(self, lines: Iterable[str]) -> None:
        """Write the summary."""
        for line in lines:
            self._err.write(line)


class FailureLines:
    """Lines that say which prompts have no image, and why.

    A reason that many prompts share, such as a ratio that the service refuses, is
    written once; later lines refer to it.
    """

    def __init__(self, err: LineWriter) -> None:
        self._err = err
        self._lines: dict[str, int] = {}  # by reason: where it came first

    def write(self, entry: Entry) -> None:
        """Write the line of an entry with an error."""
        word = "not sent" if is_unsent(entry) else "failed"
        prompt = one_line(entry["prompt"], limit=PROMPT_SHOWN)
        self._err.write(f"{word}: line {entry['line']}: {prompt}: {self._why(entry)}")

    def _why(self, entry: Entry) -> str:
        reason, line = str(entry["error"]["message"]), int(entry["line"])
        if len(self._lines) < _REASONS_KEPT:
            first = self._lines.setdefault(reason, line)
        else:
            first = self._lines.get(reason, line)
        return reason if first == line else f"as line {first}"


def summary_lines(
    totals: Totals, seconds: float, *, recalled: int | None = None
) -> Iterator[str]:
    """Yield what a batch came to, and its failures by cause.

    Args:
        totals: What it came to.
        seconds: How long it took.
        recalled: For a batch that was resumed, the images that were there before.
    """
    yield _first_line(totals, seconds, recalled)
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


def _first_line(totals: Totals, seconds: float, recalled: int | None) -> str:
    images = count(totals.images, "image")
    if recalled is not None:
        new = totals.images - recalled
        images += f" ({recalled:,} already there, {new:,} new)"
    parts = [
        images,
        cost(totals.credits, exact=totals.exact),
        f"{totals.failed:,} failed" if totals.failed else "",
        f"{totals.unsent:,} not sent" if totals.unsent else "",
        f"{seconds:.1f} s",
    ]
    return ", ".join(part for part in parts if part)
