"""A batch on a terminal: a bar, some figures, and what ended last."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Self

import attrs
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pictory_async import BatchProgress
from pictory_async.cli._batch.ledger import Entry
from pictory_async.cli._batch.rate import Rate, duration
from pictory_async.cli._batch.views import BatchLines, BatchView, failure_line
from pictory_async.cli._log import Listener
from pictory_async.cli._output import is_screen, remarks
from pictory_async.cli._region import Region
from pictory_async.cli._screen import make_console
from pictory_async.cli._text import plain

# Four times a second is enough for figures.
_FRAME = 0.25
# What ended last, below the figures.
_RECENT = 5
# Columns of a figure with its label, and of the bar at most.
_INDENT, _LABEL, _FIGURE, _BAR = 2, 9, 12, 60
_PAIR = _LABEL + 1 + _FIGURE + 1
# Figures, and lines that are no figures: bar, trouble, the empty one, one of the shell.
_FIGURES, _AROUND = 9, 4


@attrs.frozen(kw_only=True)
class Watched:
    """What a screen looks at.

    Attributes:
        total: How many prompts there are.
        folder: Where the images go.
        listener: Knows what is being tried again.
        progress: Tells how far the batch is.
        in_flight: Tells how many jobs are in progress.
        ceiling: The most credits it may use, if there is a limit.
        resumed: Whether an earlier run has done a part of it.
    """

    total: int
    folder: Path
    listener: Listener
    progress: Callable[[], BatchProgress]
    in_flight: Callable[[], int]
    ceiling: Decimal | None = None
    resumed: bool = False


def make_view(watched: Watched, *, json: bool, verbose: bool) -> BatchView:
    """Return what suits standard output: a screen for people, else lines."""
    if json or verbose or not is_screen(sys.stdout):
        return BatchLines(watched.folder, json)
    return BatchScreen(watched)


class BatchScreen:
    """Shows how a batch goes in a region of a few lines, whatever its length."""

    def __init__(
        self, watched: Watched, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watched, self._clock = watched, clock
        self._began = clock()
        self._rate = Rate(self._began, resumed=watched.resumed)
        self._recent: deque[Entry] = deque(maxlen=_RECENT)
        self._remarks = remarks()
        self._console = make_console()
        self._ascii = self._console.options.ascii_only
        self._region = Region(self._console, self.render, interval=_FRAME)

    # --- what happens -------------------------------------------------------------

    def over(self, entry: Entry) -> None:
        """Show that a prompt has ended."""
        self._rate.add(self._clock())
        self._recent.append(entry)
        if entry["error"] and not sys.stderr.isatty():
            self._remarks.write(failure_line(entry))

    def closing(self, lines: Iterable[str]) -> None:
        """Tell what it all came to."""
        first, *rest = lines
        self._print(Text(first, "bold"))
        for line in rest:
            self._print(Text(line))

    async def __aenter__(self) -> Self:
        """Open the region."""
        await self._region.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the region; what stands above it stays."""
        await self._region.__aexit__()

    # --- what it looks like -------------------------------------------------------

    def render(self) -> RenderableType:
        """Return the region as it is now."""
        now = self._watched.progress()
        ended = now.completed + now.failed + now.unknown
        rows: list[RenderableType] = [self._bar(ended), self._figures(now, ended)]
        rows += [self._line(entry) for entry in self._last()]
        if trouble := self._watched.listener.trouble():
            text = f"  asking again: {trouble}"
            rows.append(Text(text, "yellow", no_wrap=True, overflow="ellipsis"))
        return Group(*rows)

    @property
    def _in_row(self) -> int:
        """How many figures stand side by side."""
        return max(1, min(3, (self._console.width - _INDENT) // _PAIR))

    def _last(self) -> list[Entry]:
        """Return what ended last, as far as there is room below the figures."""
        figures = -(-_FIGURES // self._in_row)
        room = self._console.height - figures - _AROUND
        return list(self._recent)[-room:] if room > 0 else []

    def _bar(self, ended: int) -> RenderableType:
        total = self._watched.total
        row = Table.grid(padding=(0, 2, 0, 0))
        width = max(4, min(_BAR, self._console.width - 30))
        bar = ProgressBar(
            total=total, completed=ended, width=width, complete_style="cyan"
        )
        share = f"{100 * ended // total}%"
        row.add_row("", bar, Text(f"{share:>4}  {ended:,} of {total:,}", "bold"))
        return row

    def _figures(self, now: BatchProgress, ended: int) -> RenderableType:
        figures = list(self._figure_pairs(now, ended))
        in_row = self._in_row
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
        left = duration((self._watched.total - ended) / rate) if rate else "?"
        yield _figure("rate", _speed(rate))
        yield _figure("time", duration(clock - self._began))
        yield _figure("left", left)
        yield _figure("credits", f"{now.credits_used:,f}")
        yield _figure("reserved", f"{now.credits_reserved:,f}")
        ceiling = self._watched.ceiling
        yield _figure("ceiling", "none" if ceiling is None else f"{ceiling:,f}")
        yield _figure("in flight", f"{self._watched.in_flight():,}")
        yield _figure("failed", f"{now.failed:,}", "red" if now.failed else "")
        yield _figure("unknown", f"{now.unknown:,}", "red" if now.unknown else "")

    def _line(self, entry: Entry) -> Text:
        if error := entry["error"]:
            mark, text = ("x" if self._ascii else "✗", "red"), error["message"]
        else:
            mark, text = ("+" if self._ascii else "✓", "green"), entry["prompt"]
        line = Text.assemble("  ", mark, (f" {entry['line']:>6} ", "dim"))
        line.append(plain(text, limit=200))
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def _print(self, renderable: RenderableType) -> None:
        # Soft: a path that is too long is wrapped by the terminal, and stays whole.
        self._console.print(renderable, soft_wrap=True)


def _figure(label: str, value: str, style: str = "") -> tuple[Text, Text]:
    return Text(label, "dim"), Text(value, style)


def _speed(rate: float | None) -> str:
    """Return a rate in the unit in which it is a number to remember."""
    if rate is None:
        return "?"
    return f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"
