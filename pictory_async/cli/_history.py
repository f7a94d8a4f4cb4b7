"""``pictory history``: the account's images, newest first."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs
from rich.style import Style
from rich.text import Text

from pictory_async import HistoryImage
from pictory_async.cli._connect import connect
from pictory_async.cli._errors import DONE
from pictory_async.cli._log import capture_log
from pictory_async.cli._output import LineWriter, can_redraw, stderr, stdout
from pictory_async.cli._screen import make_console
from pictory_async.cli._text import one_line, size

# Columns of the date, the model and the size, each with a gap.
_WIDTHS = {"CREATED": 18, "MODEL": 16, "SIZE": 11}
_LEAST_PROMPT = 20


@attrs.frozen(kw_only=True)
class HistoryArguments:
    """The command line of ``pictory history``.

    Attributes:
        limit: The most images to list; None lists all.
        since: The earliest time of an image (aware); None lists all.
        json: Whether to write JSON.
        verbose: Whether to write the library's log.
    """

    limit: int | None = None
    since: datetime | None = None
    json: bool = False
    verbose: bool = False


async def show_history(args: HistoryArguments) -> int:
    """List the images as their pages arrive; return the exit code."""
    out, err = stdout(), stderr()
    with capture_log(err, verbose=args.verbose):
        async with connect() as session:
            write, shown = _writer(args, out), 0
            async for image in session.history(since=args.since, limit=args.limit):
                write(image)
                shown += 1
                if out.closed:  # as by `head`: no page is fetched that nobody reads
                    break
    if not shown:
        err.write("no images")
    return DONE


def _writer(args: HistoryArguments, out: LineWriter) -> Callable[[HistoryImage], None]:
    if args.json:
        return lambda image: out.write_json(_data(image))
    if can_redraw(sys.stdout):
        return _Table().add
    return lambda image: out.write("\t".join(_cells(image)))


def _cells(image: HistoryImage) -> list[str]:
    cells = [
        image.created_at.isoformat() if image.created_at else "",
        image.id,
        image.model or "",
        size(image),
        image.url,
        image.prompt or "",
    ]
    return [one_line(cell) for cell in cells]


def _data(image: HistoryImage) -> dict[str, Any]:
    return {
        "id": image.id,
        "created_at": image.created_at.isoformat() if image.created_at else None,
        "model": image.model,
        "aspect_ratio": image.aspect_ratio,
        "style": image.style,
        "width": image.width,
        "height": image.height,
        "url": image.url,
        "reference_image_url": image.reference_image_url,
        "prompt": image.prompt,
    }


class _Table:
    """A table that is printed row by row, in columns of fixed width."""

    def __init__(self) -> None:
        self._console = make_console()
        self._names = list(_WIDTHS)
        width = shutil.get_terminal_size().columns
        while self._names and self._room(width) < _LEAST_PROMPT:
            self._names.pop()  # first the size, last the date
        self._prompt_width = max(1, self._room(width))
        self._has_header = False

    def _room(self, width: int) -> int:
        return width - sum(_WIDTHS[name] for name in self._names) - 1

    def add(self, image: HistoryImage) -> None:
        """Print a row, and the names of the columns before the first."""
        if not self._has_header:
            self._has_header = True
            self._print({name: name for name in _WIDTHS}, Text("PROMPT"), "dim")
        prompt = Text(one_line(image.prompt or "", limit=300))
        prompt.truncate(self._prompt_width, overflow="ellipsis")
        prompt.stylize(Style(link=one_line(image.url)))
        self._print(_columns(image), prompt, "")

    def _print(self, cells: dict[str, str], prompt: Text, style: str) -> None:
        line = Text(style=style)
        for name in self._names:
            cell = Text(cells[name])
            cell.truncate(_WIDTHS[name] - 2, overflow="ellipsis", pad=True)
            line.append_text(cell).append("  ")
        self._console.print(line.append_text(prompt), soft_wrap=True)


def _columns(image: HistoryImage) -> dict[str, str]:
    made = image.created_at
    return {
        "CREATED": f"{made.astimezone():%Y-%m-%d %H:%M}" if made else "",
        "MODEL": one_line(image.model or ""),
        "SIZE": size(image),
    }
