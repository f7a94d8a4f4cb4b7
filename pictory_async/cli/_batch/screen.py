"""The progress of a batch live on a terminal: a bar, figures, and what ended last."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pictory_async import BatchProgress
from pictory_async.cli._batch.ledger import Entry, is_unsent
from pictory_async.cli._batch.rate import Rate, duration
from pictory_async.cli._batch.views import BatchLines, FailureLines
from pictory_async.cli._items import View
from pictory_async.cli._log import LogHandler
from pictory_async.cli._output import can_redraw, stderr
from pictory_async.cli._screen import LiveView, retry_line
from pictory_async.cli._text import one_line

# Seconds between two frames: figures need no more.
_FRAME: Final = 0.25
# Prompts that ended last, listed below the figures.
_RECENT: Final = 5
# Columns of the indentation, of a figure with its label, and of the bar at most.
_INDENT, _LABEL, _FIGURE, _BAR = 2, 9, 12, 60
_PAIR: Final = _LABEL + 1 + _FIGURE + 1
# The number of figures, and of other lines: the bar, what is being retried, the empty
# last one, and one of the shell.
_FIGURES, _OTHER_LINES = 9, 4


@attrs.frozen(kw_only=True)
class RunStatus:
    """The state of a run that its screen shows.

    Attributes:
        total: The number of prompts.
        folder: Where the images are saved.
        log: Knows what is being retried.
        progress: Returns the progress of the batch.
        in_flight: Returns the number of jobs in progress.
        ceiling: The most credits it may use, if there is a limit.
        resumed: Whether it continues an earlier run.
        there: Files of earlier runs.
    """

    total: int
    folder: Path
    log: LogHandler
    progress: Callable[[], BatchProgress]
    in_flight: Callable[[], int]
    ceiling: Decimal | None = None
    resumed: bool = False
    there: Container[str] = ()


def make_view(status: RunStatus, *, json: bool, verbose: bool) -> View[Entry]:
    """Return a view that suits standard output: a screen for people, else lines."""
    if json or verbose or not can_redraw(sys.stdout):
        return BatchLines(status.folder, json=json, there=status.there)
    return BatchScreen(status)


class BatchScreen(LiveView[Entry]):
    """The live view of a batch in a few lines, whatever its length.

    Args:
        status: The state of the run.
        clock: The time in monotonic seconds.
        console: Where it is drawn; None is standard output.
    """

    def __init__(
        self,
        status: RunStatus,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        super().__init__(_FRAME, console)
        self._status, self._clock = status, clock
        self._started = clock()
        self._rate = Rate(self._started, resumed=status.resumed)
        self._recent: deque[Entry] = deque(maxlen=_RECENT)
        self._failures = FailureLines(stderr())
        self._unsent = 0

    # --- events -------------------------------------------------------------------

    def ended(self, entry: Entry) -> None:
        """Show that a prompt has ended."""
        self._rate.add(self._clock())
        self._recent.append(entry)
        self._unsent += is_unsent(entry)
        if entry["error"] and not sys.stderr.isatty():
            self._failures.write(entry)

    def summarize(self, lines: Iterable[str]) -> None:
        """Print the summary, its first line in bold."""
        first, *rest = lines
        self.print(Text(first, "bold"))
        for line in rest:
            self.print(Text(line))

    # --- appearance ---------------------------------------------------------------

    def render(self) -> RenderableType:
        """Return the bar, the figures, and what ended last."""
        now = self._status.progress()
        ended = now.completed + now.failed + now.unknown
        rows: list[RenderableType] = [self._bar(ended), self._figures(now, ended)]
        rows += [self._line(entry) for entry in self._last()]
        return Group(*rows, *retry_line(self._status.log))

    @property
    def _pairs_per_row(self) -> int:
        """How many figures stand side by side."""
        return max(1, min(3, (self.console.width - _INDENT) // _PAIR))

    def _last(self) -> list[Entry]:
        """Return what ended last, as far as there is room below the figures."""
        figures = -(-(_FIGURES + bool(self._unsent)) // self._pairs_per_row)
        room = self.console.height - figures - _OTHER_LINES
        return list(self._recent)[-room:] if room > 0 else []

    def _bar(self, ended: int) -> RenderableType:
        total = self._status.total
        row = Table.grid(padding=(0, 2, 0, 0))
        width = max(4, min(_BAR, self.console.width - 30))
        bar = ProgressBar(
            total=total, completed=ended, width=width, complete_style="cyan"
        )
        share = f"{100 * ended // total}%"
        row.add_row("", bar, Text(f"{share:>4}  {ended:,} of {total:,}", "bold"))
        return row

    def _figures(self, now: BatchProgress, ended: int) -> RenderableType:
        figures = list(self._figure_pairs(now, ended))
        in_row = self._pairs_per_row
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=_INDENT - 1)
        for _ in range(in_row):
            table.add_column(width=_LABEL, no_wrap=True)
            table.add_column(width=_FIGURE, no_wrap=True)
        for start in range(0, len(figures), in_row):
            cells = [cell for pair in figures[start : start + in_row] for cell in pair]
            table.add_row("", *cells)
        return table

    def _figure_pairs(
        self, now: BatchProgress, ended: int
    ) -> Iterator[tuple[Text, Text]]:
        clock = self._clock()
        rate = self._rate.per_second(clock)
        left = duration((self._status.total - ended) / rate) if rate else "?"
        yield _figure("rate", _speed(rate))
        yield _figure("elapsed", duration(clock - self._started))
        yield _figure("left", left)
        yield _figure("credits", f"{now.credits_used:,f}")
        yield _figure("reserved", f"{now.credits_reserved:,f}")
        ceiling = self._status.ceiling
        yield _figure("ceiling", "none" if ceiling is None else f"{ceiling:,f}")
        yield _figure("in flight", f"{self._status.in_flight():,}")
        failed = now.failed - self._unsent  # to the library, both are errors
        yield _figure("failed", f"{failed:,}", "red" if failed else "")
        yield _figure("unknown", f"{now.unknown:,}", "red" if now.unknown else "")
        if self._unsent:
            yield _figure("not sent", f"{self._unsent:,}", "yellow")

    def _line(self, entry: Entry) -> Text:
        if is_unsent(entry):
            mark, text = ("-", "yellow"), "not sent: "
            text += entry["error"]["message"]
        elif error := entry["error"]:
            mark, text = ("x" if self.ascii_only else "✗", "red"), error["message"]
        else:
            mark, text = ("+" if self.ascii_only else "✓", "green"), entry["prompt"]
        line = Text.assemble("  ", mark, (f" line {entry['line']:<6} ", "dim"))
        line.append(one_line(text, limit=200))
        line.no_wrap, line.overflow = True, "ellipsis"
        return line


def _figure(label: str, value: str, style: str = "") -> tuple[Text, Text]:
    return Text(label, "dim"), Text(value, style)


def _speed(rate: float | None) -> str:
    """Return a rate per second or, if it is slow, per minute."""
    if rate is None:
        return "?"
    return f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"
