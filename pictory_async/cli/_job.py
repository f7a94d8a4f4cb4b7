"""``pictory job``: how jobs stand, and what became of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import attrs
from rich.console import RenderableType
from rich.text import Text

from pictory_async import PictoryError, PictorySession
from pictory_async.cli._connect import connect
from pictory_async.cli._generate import make_folder
from pictory_async.cli._log import Listener, listening
from pictory_async.cli._output import Lines, is_screen, remarks, results
from pictory_async.cli._run import DONE, FAILED
from pictory_async.cli._screen import Screen, make_console
from pictory_async.cli._text import credits_of, plain, size
from pictory_async.cli._views import Farewell, LineView
from pictory_async.cli._work import Item, View, fetch, follow_all, item_data, start


@attrs.frozen(kw_only=True)
class Jobs:
    """What was asked for on the command line.

    Attributes:
        job_ids: At least one.
        wait: Whether to follow the jobs to their end.
        folder: Where finished images go, if anywhere.
        json: Whether to write JSON.
        poll_every: Seconds between two questions about a job.
        verbose: Whether to tell what is tried again.
    """

    job_ids: Sequence[str]
    wait: bool = False
    folder: Path | None = None
    json: bool = False
    poll_every: float | None = None
    verbose: bool = False


class NotFinishedError(PictoryError):
    """A job has no image to save yet."""


async def show_jobs(asked: Jobs) -> int:
    """Show how the jobs stand, or wait for their end; return the exit code."""
    err = remarks()
    items = [Item(job_id) for job_id in asked.job_ids]
    with listening(err, verbose=asked.verbose) as listener:
        async with connect(poll_every=asked.poll_every) as session:
            if asked.folder:
                make_folder(asked.folder)
            view = _view(asked, items, err, listener)

            async def step(item: Item) -> None:
                await start(session, item, view)
                if not asked.wait:
                    await _look(item)
                await _fetch_if_any(session, item, asked)

            farewell = Farewell(err, folder=asked.folder)
            await follow_all(session, items, step, view=view, interrupted=farewell)
    return FAILED if any(item.error for item in items) else DONE


async def _look(item: Item) -> None:
    """Wait for the first answer about a job.

    Raises:
        PictoryError: There was none.
    """
    assert item.handle is not None  # noqa: S101 - it was started
    async for status in item.handle.updates():
        if status.polls or status.final:
            break
    problem = item.handle.status.problem
    if problem is not None and not item.handle.done():
        raise problem


async def _fetch_if_any(session: PictorySession, item: Item, asked: Jobs) -> None:
    assert item.handle is not None  # noqa: S101 - it was started
    if asked.wait or item.handle.done():
        await fetch(session, item, asked.folder)
    elif asked.folder:
        raise NotFinishedError(
            "not finished yet, nothing to save; --wait waits for the end"
        )


# --- how it is shown --------------------------------------------------------------


def _view(asked: Jobs, items: Sequence[Item], err: Lines, listener: Listener) -> View:
    out = results()
    if asked.json:
        return LineView(lambda item: out.write_json(item_data(item)), err)
    if not is_screen(sys.stdout):
        return LineView(partial(_write_row, out), err)
    card = partial(_card, blank_after=len(items) > 1)
    if asked.wait and not asked.verbose:
        return Screen(
            items, err, folder=None, listener=listener, finished=card, total=False
        )
    return LineView(partial(_print_card, card), err)


def _facts(item: Item) -> dict[str, str]:
    """Return what is known of a job, in the order in which it is shown."""
    image = item.image
    return {
        "job": plain(item.title),
        "state": plain(item.state or ""),
        "size": size(image) if image else "",
        "credits": credits_of(image) if image else "",
        "url": plain(image.url) if image else "",
        "path": str(item.path or ""),
    }


def _write_row(out: Lines, item: Item) -> None:
    if item.state is not None:
        out.write("\t".join(_facts(item).values()))


def _card(item: Item, *, blank_after: bool = False) -> RenderableType:
    """Return what is known of a job, a line for each fact."""
    lines = [
        Text.assemble((f"{name:<9}", "dim"), value)
        for name, value in _facts(item).items()
        if value
    ]
    return Text("\n").join([*lines, Text()] if blank_after else lines)


def _print_card(card: Callable[[Item], RenderableType], item: Item) -> None:
    if item.state is not None:
        make_console().print(card(item), soft_wrap=True)
