"""How things go, live on a terminal: what is in progress, below what is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import attrs
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from pictory_async.cli._log import Listener
from pictory_async.cli._output import Lines
from pictory_async.cli._region import Region
from pictory_async.cli._text import plain
from pictory_async.cli._views import failure, reason, summary, worth_telling
from pictory_async.cli._work import Item

# Ten times a second looks alive and costs next to nothing.
_FRAME = 0.1
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER = "|/-\\"

# Of a line: the mark and its space, the seconds, the widest state, two gaps.
_MARK, _SECONDS, _STATE, _GAP = 2, 7, 11, 2
# Of a file name: the 36 characters of an id, and an extension.
_FILE = 41
# A title narrower than this says nothing; the path then gets a line of its own.
_LEAST_TITLE = 20


def make_console() -> Console:
    """Return a console that takes all text as it is."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


@attrs.frozen
class Layout:
    """Where things stand in a line of a given terminal.

    Attributes:
        title: Columns for prompts or job ids.
        wide: Whether a path fits behind them.
    """

    title: int
    wide: bool

    @classmethod
    def fit(cls, width: int, longest: int, folder: Path | None) -> Layout:
        """Return the layout for *width* columns and titles of up to *longest*."""
        rest = _MARK + _SECONDS + 2 * _GAP
        path = cell_len(str(folder)) + _FILE if folder else 0
        beside = width - rest - max(path, _STATE) - 1
        wide = beside >= min(longest, _LEAST_TITLE)
        room = beside if wide else width - rest - _STATE - 1
        return cls(title=max(4, min(longest, room)), wide=wide)


class Screen:
    """Shows items in progress in a region that moves down as others end.

    What is over stands above it for good, so that any number of items works in a
    terminal of any height.

    Args:
        items: All of them.
        remarks: Where failures go if standard error is not this terminal.
        folder: Where images go, if anywhere.
        listener: Knows what is being tried again.
        finished: Renders an item that is over well; None takes a line with its path.
        total: Whether to end with a line about all items.
    """

    def __init__(
        self,
        items: Sequence[Item],
        remarks: Lines,
        *,
        folder: Path | None,
        listener: Listener,
        finished: Callable[[Item], RenderableType] | None = None,
        total: bool = True,
    ) -> None:
        self._items = items
        self._remarks = remarks
        self._folder = folder
        self._listener = listener
        self._finished = finished or self._saved
        self._total = total
        self._console = make_console()
        self._longest = max(cell_len(plain(item.title, limit=200)) for item in items)
        self._ascii = self._console.options.ascii_only
        self._region = Region(self._console, self.render, interval=_FRAME)

    # --- what happens -------------------------------------------------------------

    def accepted(self, item: Item) -> None:
        """Nothing to do: the region shows it."""

    def over(self, item: Item) -> None:
        """Let an item stand above the region for good."""
        if item.error is None:
            self._print(self._finished(item))
        elif worth_telling(item.error):
            self._tell_failure(item)

    def closing(self, items: Sequence[Item]) -> None:
        """Sum up."""
        if self._total:
            self._print(Text(f"\n{summary(items)}", "bold"))

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
        active = [item for item in self._items if item.ended is None]
        room = max(1, self._console.height - 5)
        lines: list[RenderableType] = [self._in_progress(i) for i in active[:room]]
        if len(active) > room:
            lines.append(_dim(f"  and {len(active) - room} more"))
        return Group(*lines, *self._footer(len(active)))

    def _footer(self, active: int) -> Iterator[Text]:
        if len(self._items) > 1:
            failed = sum(item.error is not None for item in self._items)
            text = f"  {len(self._items) - active} of {len(self._items)} done"
            yield _dim(f"{text}, {failed} failed" if failed else text)
        if trouble := self._listener.trouble():
            text = f"  asking again: {trouble}"
            yield Text(text, "yellow", no_wrap=True, overflow="ellipsis")

    def _in_progress(self, item: Item) -> Text:
        frames = _ASCII_SPINNER if self._ascii else _SPINNER
        mark = frames[int(time.monotonic() / _FRAME) % len(frames)]
        line = self._line(item, Text(mark, "cyan"))
        line.append(plain(_doing(item)), "cyan")
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def _saved(self, item: Item) -> RenderableType:
        mark = "+" if self._ascii else "✓"
        line = self._line(item, Text(mark, "green"))
        if self._layout.wide:
            return line.append(f"{item.path}")
        return line.append("saved", "green").append(f"\n  {item.path}")

    def _tell_failure(self, item: Item) -> None:
        if not sys.stderr.isatty():
            self._remarks.write(failure(item))
            return
        line = self._line(item, Text("x" if self._ascii else "✗", "red"))
        self._print(line.append("failed", "red"))
        self._console.print(Padding(Text(reason(item)), (0, 0, 0, _MARK)))

    def _line(self, item: Item, mark: Text) -> Text:
        """Begin a line: mark, title and seconds."""
        title = Text(plain(item.title, limit=200))
        title.truncate(self._layout.title, overflow="ellipsis", pad=True)
        seconds = f"{item.seconds:.1f} s".rjust(_SECONDS)
        gap = " " * _GAP
        return Text.assemble(mark, " ", title, gap, (seconds, "dim"), gap)

    @property
    def _layout(self) -> Layout:
        # Each time anew: a terminal may be resized.
        return Layout.fit(self._console.width, self._longest, self._folder)

    def _print(self, renderable: RenderableType) -> None:
        # Soft: a path that is too long is wrapped by the terminal, and stays whole.
        self._console.print(renderable, soft_wrap=True)


def _doing(item: Item) -> str:
    if item.handle is None:
        return "submitting"
    if item.image is not None:
        return "downloading"
    return (item.state or "").replace("-", " ")


def _dim(text: str) -> Text:
    return Text(text, "dim", no_wrap=True, overflow="ellipsis")
