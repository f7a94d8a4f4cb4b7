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
from pictory_async.cli._log import listening
from pictory_async.cli._output import Lines, is_screen, remarks, results
from pictory_async.cli._run import DONE
from pictory_async.cli._screen import make_console
from pictory_async.cli._text import plain, size

# Columns for the date, the model and the size, each with a gap.
_WIDTHS = {"CREATED": 18, "MODEL": 16, "SIZE": 11}
_LEAST_PROMPT = 20


@attrs.frozen(kw_only=True)
class History:
    """What was asked for on the command line.

    Attributes:
        limit: How many images at most; None is all.
        since: Aware; no images before it.
        json: Whether to write JSON.
        verbose: Whether to tell what is tried again.
    """

    limit: int | None = None
    since: datetime | None = None
    json: bool = False
    verbose: bool = False


async def show_history(asked: History) -> int:
    """Write the images as they come; return the exit code."""
    out, err = results(), remarks()
    with listening(err, verbose=asked.verbose):
        async with connect() as session:
            write, shown = _writer(asked, out), 0
            async for image in session.history(since=asked.since, limit=asked.limit):
                write(image)
                shown += 1
                if out.closed:  # whoever read it has seen enough
                    break
    if not shown:
        err.write("no images")
    return DONE


def _writer(asked: History, out: Lines) -> Callable[[HistoryImage], None]:
    if asked.json:
        return lambda image: out.write_json(_data(image))
    if is_screen(sys.stdout):
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
    return [plain(cell) for cell in cells]


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
    """A table that grows: its columns are fixed, so that rows need not be known."""

    def __init__(self) -> None:
        self._console = make_console()
        self._names = list(_WIDTHS)
        width = shutil.get_terminal_size().columns
        while self._names and self._room(width) < _LEAST_PROMPT:
            self._names.pop()  # the size first, the date last
        self._prompt = max(1, self._room(width))
        self._begun = False

    def _room(self, width: int) -> int:
        return width - sum(_WIDTHS[name] for name in self._names) - 1

    def add(self, image: HistoryImage) -> None:
        """Write a row; the first one below the names of the columns."""
        if not self._begun:
            self._begun = True
            self._write({name: name for name in _WIDTHS}, Text("PROMPT"), "dim")
        prompt = Text(plain(image.prompt or "", limit=300))
        prompt.truncate(self._prompt, overflow="ellipsis")
        prompt.stylize(Style(link=plain(image.url)))
        self._write(_columns(image), prompt, "")

    def _write(self, cells: dict[str, str], prompt: Text, style: str) -> None:
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
        "MODEL": plain(image.model or ""),
        "SIZE": size(image),
    }
