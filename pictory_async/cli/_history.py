"""``pictory history``: the account's images, newest first, and their files."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import attrs
from rich.style import Style
from rich.text import Text

from pictory_async import HistoryImage, PictoryError, PictorySession
from pictory_async.cli._connect import connect
from pictory_async.cli._errors import DONE, FAILED, error_data, explain
from pictory_async.cli._log import capture_log
from pictory_async.cli._output import (
    LineWriter,
    can_redraw,
    make_folder,
    stderr,
    stdout,
)
from pictory_async.cli._screen import make_console
from pictory_async.cli._text import count, one_line, size

# Columns of the date, the id, the model and the size, each with a gap.
_WIDTHS = {"CREATED": 18, "ID": 38, "MODEL": 16, "SIZE": 11}
_LEAST_PROMPT = 20
# Images that are saved at once.
_AT_ONCE: Final = 8


@attrs.frozen(kw_only=True)
class HistoryArguments:
    """The command line of ``pictory history``.

    Attributes:
        limit: The most images to list; None lists all.
        since: The earliest time of an image (aware); None lists all.
        folder: Where to save the images, if anywhere.
        proxy: The proxy for the service; None leaves it to the environment.
        json: Whether to write JSON.
        verbose: Whether to write the library's log.
    """

    limit: int | None = None
    since: datetime | None = None
    folder: Path | None = None
    proxy: str | None = None
    json: bool = False
    verbose: bool = False


@attrs.frozen
class Listed:
    """An image of the history, and its file if it was to be saved.

    Attributes:
        image: The image.
        path: Where it is saved.
        new: Whether it was saved now, not by an earlier run.
        error: Why it was not saved.
    """

    image: HistoryImage
    path: Path | None = None
    new: bool = False
    error: Exception | None = None


async def show_history(args: HistoryArguments) -> int:
    """List the images as their pages arrive, and save them; return the exit code."""
    out, err = stdout(), stderr()
    counts: Counter[str] = Counter()
    with capture_log(err, verbose=args.verbose):
        async with connect(proxy=args.proxy) as session:
            write = _writer(args, out)
            async with aclosing(_listed(session, args)) as images:
                async for listed in images:
                    write(listed)
                    counts[_fate(listed)] += 1
                    if listed.error is not None:
                        err.write(f"failed: {explain(listed.error)}")
                    # As by `head`: no page is fetched that nobody reads.
                    if out.closed and args.folder is None:
                        break
    if not counts:
        err.write("no images")
    elif args.folder is not None:
        err.write(_summary(counts, args.folder))
    return FAILED if counts["failed"] else DONE


# --- saving -----------------------------------------------------------------------


async def _listed(
    session: PictorySession, args: HistoryArguments
) -> AsyncGenerator[Listed]:
    """Yield the images in their order, once they are saved if that was asked for."""
    images = session.history(since=args.since, limit=args.limit)
    if args.folder is None:
        async for image in images:
            yield Listed(image)
        return
    make_folder(args.folder)
    there = await asyncio.to_thread(_files_by_id, args.folder)
    saving: deque[asyncio.Task[Listed]] = deque()
    try:
        async for image in images:
            save = _save(session, image, args.folder, there.get(image.id))
            saving.append(asyncio.create_task(save, name="pictory-save"))
            if len(saving) == _AT_ONCE:
                yield await saving.popleft()
        while saving:
            yield await saving.popleft()
    finally:
        for task in saving:
            task.cancel()
        await asyncio.gather(*saving, return_exceptions=True)


def _files_by_id(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.iterdir() if path.is_file()}


async def _save(
    session: PictorySession, image: HistoryImage, folder: Path, there: Path | None
) -> Listed:
    """Save an image, unless its file is *there* already."""
    if there is not None:
        return Listed(image, there)
    try:
        path = await session.download(image, os.path.join(folder, ""))  # noqa: PTH118 - the separator at the end says that it is a folder
    except FileExistsError as error:
        return Listed(image, Path(error.filename2 or error.filename))
    except (PictoryError, OSError) as error:
        return Listed(image, error=error)
    return Listed(image, path, new=True)


def _fate(listed: Listed) -> str:
    if listed.error is not None:
        return "failed"
    return "new" if listed.new else "there"


def _summary(counts: Counter[str], folder: Path) -> str:
    parts = [f"{count(counts['new'], 'image')} saved in {one_line(folder)}"]
    parts += [f"{counts['there']:,} already there"] if counts["there"] else []
    parts += [f"{counts['failed']:,} failed"] if counts["failed"] else []
    return ", ".join(parts)


# --- appearance -------------------------------------------------------------------


def _writer(args: HistoryArguments, out: LineWriter) -> Callable[[Listed], None]:
    if args.json:
        return lambda listed: out.write_json(_data(listed, args))
    if can_redraw(sys.stdout):
        table = _Table()
        return lambda listed: table.add(listed.image)
    return lambda listed: out.write("\t".join(_cells(listed, args)))


def _cells(listed: Listed, args: HistoryArguments) -> list[str]:
    image = listed.image
    cells = [
        image.created_at.isoformat() if image.created_at else "",
        image.id,
        image.model or "",
        size(image),
        image.url,
        image.prompt or "",
    ]
    if args.folder is not None:
        cells.append(str(listed.path or ""))
    return [one_line(cell) for cell in cells]


def _data(listed: Listed, args: HistoryArguments) -> dict[str, Any]:
    image = listed.image
    data: dict[str, Any] = {
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
    if args.folder is not None:
        data["path"] = str(listed.path) if listed.path else None
        data["error"] = error_data(listed.error) if listed.error else None
    return data


class _Table:
    """A table that is printed row by row, in columns of fixed width."""

    def __init__(self) -> None:
        self._console = make_console()
        self._names = list(_WIDTHS)
        width = shutil.get_terminal_size().columns
        while self._names and self._room(width) < _LEAST_PROMPT:
            self._names.pop()  # the size first, the date last
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
        "ID": one_line(image.id),
        "MODEL": one_line(image.model or ""),
        "SIZE": size(image),
    }
