"""Progress live on a terminal: what is in progress, below what has ended."""

from __future__ import annotations

import asyncio
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import attrs
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from pictory_async import InvalidRequestError
from pictory_async.cli._items import Item, ShownT, View
from pictory_async.cli._log import LogHandler
from pictory_async.cli._output import LineWriter
from pictory_async.cli._text import one_line
from pictory_async.cli._views import (
    activity,
    failure,
    is_news,
    reason,
    usual_seconds,
)

# Seconds between two frames: fast enough to look alive, at next to no cost.
_FRAME: Final = 0.1
_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER: Final = "|/-\\"

# Columns of a line: the mark and its space, the seconds, the widest state, a gap.
_MARK, _SECONDS, _STATE, _GAP = 2, 7, 23, 2
# Columns of a file name: the 36 characters of an id, and an extension.
_FILE: Final = 41
# A title narrower than this is useless; the path then gets a line of its own.
_LEAST_TITLE: Final = 20


def make_console() -> Console:
    """Return a console of standard output that interprets no markup."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


class LiveView(View[ShownT]):
    """A view whose lowest lines are redrawn regularly while it is open.

    What is printed meanwhile stays above them; when it is closed they disappear.

    Args:
        interval: Seconds between two frames.
        console: Where it is drawn; None is standard output.
    """

    def __init__(self, interval: float, console: Console | None = None) -> None:
        self.console = console or make_console()
        self.ascii_only = self.console.options.ascii_only
        self._interval = interval
        self._redrawing: asyncio.Task[None] | None = None

    @abstractmethod
    def render(self) -> RenderableType:
        """Return the lines that are redrawn, as they are now."""

    def print(self, renderable: RenderableType) -> None:
        """Print something that stays."""
        # Soft wrapping leaves a long path in one piece for the terminal to wrap.
        self.console.print(renderable, soft_wrap=True)

    async def __aenter__(self) -> Self:
        """Start drawing."""
        self._redrawing = asyncio.create_task(self._redraw(), name="pictory-screen")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop drawing; what was printed stays."""
        if self._redrawing is not None:
            self._redrawing.cancel()
            with suppress(asyncio.CancelledError):
                await self._redrawing

    async def _redraw(self) -> None:
        with Live(
            self,
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live:
            while True:
                live.refresh()
                await asyncio.sleep(self._interval)

    def __rich__(self) -> RenderableType:
        """Return the frame as it is now, also below what is printed between two."""
        # An empty last line, as that is where the terminal echoes ^C.
        return Group(self.render(), Text())


def retry_line(log: LogHandler) -> Iterator[Text]:
    """Yield the line that says what is being retried, if anything is."""
    if retried := log.recent_retry():
        text = f"  retrying: {retried}"
        yield Text(text, "yellow", no_wrap=True, overflow="ellipsis")


@attrs.frozen
class Layout:
    """The columns of a line on a terminal of some width.

    Attributes:
        title: Columns for prompts or job ids.
        wide: Whether a path fits behind them.
    """

    title: int
    wide: bool

    @classmethod
    def fit(cls, width: int, longest: int, folder: Path | None) -> Layout:
        """Return the layout for *width* columns and titles of up to *longest*."""
        fixed = _MARK + _SECONDS + 2 * _GAP
        path = cell_len(str(folder)) + _FILE if folder else 0
        beside = width - fixed - max(path, _STATE) - 1
        wide = beside >= min(longest, _LEAST_TITLE)
        room = beside if wide else width - fixed - _STATE - 1
        return cls(title=max(4, min(longest, room)), wide=wide)


class Screen(LiveView[Item]):
    """The live view of a few prompts or jobs, each with a line.

    What has ended is printed above the rest, so that any number of items works in a
    terminal of any height.

    Args:
        items: All of them.
        out: Standard output, which is this terminal.
        err: Where failures go if standard error is not this terminal.
        plain: Takes over once the terminal has gone.
        folder: Where images are saved, if anywhere.
        log: Knows what is being retried.
        finished: Renders an item that succeeded; None renders a line with its path.
    """

    def __init__(
        self,
        items: Sequence[Item],
        *,
        out: LineWriter,
        err: LineWriter,
        plain: View[Item],
        folder: Path | None,
        log: LogHandler,
        finished: Callable[[Item], RenderableType] | None = None,
    ) -> None:
        super().__init__(_FRAME)
        self._items = items
        self._out, self._err, self._plain = out, err, plain
        self._folder = folder
        self._log = log
        self._finished = finished or self._saved
        self._longest = max(cell_len(one_line(item.title, limit=200)) for item in items)

    # --- events -------------------------------------------------------------------

    def accepted(self, item: Item) -> None:
        """Show nothing: the line of the item changes by itself."""
        if self._out.failed:
            self._plain.accepted(item)

    def ended(self, item: Item) -> None:
        """Print an item above those in progress."""
        if item.error is None:
            self.print(self._finished(item))
        elif is_news(item.error) and not self._out.failed:
            self._print_failure(item)
        if self._out.failed:
            self._plain.ended(item)

    def summarize(self, lines: Iterable[str]) -> None:
        """Print the summary below a blank line."""
        if self._out.failed:
            self._plain.summarize(lines)
            return
        for line in ("", *lines):
            self.print(Text(line, "bold"))

    # --- appearance ---------------------------------------------------------------

    def render(self) -> RenderableType:
        """Return the lines of the items in progress, and how many have ended."""
        active = [item for item in self._items if item.ended is None]
        room = max(1, self.console.height - 5)
        usual = usual_seconds(self._items)
        lines: list[RenderableType] = [
            self._in_progress(item, activity(item, usual)) for item in active[:room]
        ]
        if len(active) > room:
            lines.append(_dim(f"  and {len(active) - room} more"))
        return Group(*lines, *self._footer(len(active)))

    def _footer(self, active: int) -> Iterator[Text]:
        if len(self._items) > 1:
            failed = sum(item.error is not None for item in self._items)
            text = f"  {len(self._items) - active} of {len(self._items)} done"
            yield _dim(f"{text}, {failed} failed" if failed else text)
        yield from retry_line(self._log)

    def _in_progress(self, item: Item, doing: str) -> Text:
        frames = _ASCII_SPINNER if self.ascii_only else _SPINNER
        mark = frames[int(time.monotonic() / _FRAME) % len(frames)]
        line = self._line(item, Text(mark, "cyan"))
        line.append(one_line(doing), "cyan")
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def _saved(self, item: Item) -> RenderableType:
        mark = "+" if self.ascii_only else "✓"
        line = self._line(item, Text(mark, "green"))
        if self._layout.wide:
            return line.append(f"{item.path}")
        return line.append("saved", "green").append(f"\n  {item.path}")

    def _print_failure(self, item: Item) -> None:
        if not sys.stderr.isatty():
            self._err.write(failure(item))
            return
        unsent = isinstance(item.error, InvalidRequestError)
        word, style = ("not sent", "yellow") if unsent else ("failed", "red")
        line = self._line(item, Text("x" if self.ascii_only else "✗", style))
        self.print(line.append(word, style))
        self.console.print(Padding(Text(reason(item)), (0, 0, 0, _MARK)))

    def _line(self, item: Item, mark: Text) -> Text:
        """Return the beginning of a line: mark, title and seconds."""
        title = Text(one_line(item.title, limit=200))
        title.truncate(self._layout.title, overflow="ellipsis", pad=True)
        seconds = f"{item.seconds:.1f} s".rjust(_SECONDS)
        gap = " " * _GAP
        return Text.assemble(mark, " ", title, gap, (seconds, "dim"), gap)

    @property
    def _layout(self) -> Layout:
        # Computed for each line: a terminal may be resized.
        return Layout.fit(self.console.width, self._longest, self._folder)


def _dim(text: str) -> Text:
    return Text(text, "dim", no_wrap=True, overflow="ellipsis")
