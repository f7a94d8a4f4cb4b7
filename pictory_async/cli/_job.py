"""``pictory job``: the state of jobs and their images."""

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
from pictory_async.cli._errors import DONE, FAILED
from pictory_async.cli._items import Item, View, fetch, follow_all, item_data, start
from pictory_async.cli._log import LogHandler, capture_log
from pictory_async.cli._output import (
    LineWriter,
    can_redraw,
    make_folder,
    stderr,
    stdout,
)
from pictory_async.cli._screen import Screen, make_console
from pictory_async.cli._text import credits_of, one_line, size
from pictory_async.cli._views import InterruptReport, LineView


@attrs.frozen(kw_only=True)
class JobArguments:
    """The command line of ``pictory job``.

    Attributes:
        job_ids: At least one.
        wait: Whether to follow the jobs to their end.
        folder: Where to save finished images, if anywhere.
        json: Whether to write JSON.
        poll_every: Seconds between two polls of a job; None leaves it to the library.
        proxy: The proxy for the service; None leaves it to the environment.
        verbose: Whether to write the library's log.
    """

    job_ids: Sequence[str]
    wait: bool = False
    folder: Path | None = None
    json: bool = False
    poll_every: float | None = None
    proxy: str | None = None
    verbose: bool = False


class NotFinishedError(PictoryError):
    """A job has no image to save yet."""


async def show_jobs(args: JobArguments) -> int:
    """Show the state of the jobs, or follow them to their end; return the exit code."""
    err = stderr()
    out = stdout(instead=err)
    items = [Item(job_id) for job_id in args.job_ids]
    with capture_log(err, verbose=args.verbose) as log:
        async with connect(poll_every=args.poll_every, proxy=args.proxy) as session:
            if args.folder:
                make_folder(args.folder)
            view = _view(args, items, out, err, log)

            async def step(item: Item) -> None:
                await start(session, item, view)
                if not args.wait:
                    await _first_status(item)
                await _fetch_if_ended(session, item, args)

            report = InterruptReport(err, folder=args.folder, proxy=args.proxy)
            await follow_all(session, items, step, view=view, on_interrupt=report)
    return FAILED if out.failed or any(item.error for item in items) else DONE


async def _first_status(item: Item) -> None:
    """Wait for the answer to the first poll of a job.

    Raises:
        PictoryError: The poll failed.
    """
    assert item.handle is not None  # noqa: S101 - it was started
    async for status in item.handle.updates():
        if status.polls or status.final:
            break
    problem = item.handle.status.problem
    if problem is not None and not item.handle.done():
        raise problem


async def _fetch_if_ended(
    session: PictorySession, item: Item, args: JobArguments
) -> None:
    assert item.handle is not None  # noqa: S101 - it was started
    if args.wait or item.handle.done():
        await fetch(session, item, args.folder)
    elif args.folder:
        raise NotFinishedError(
            f"job {item.job_id} is not finished, so there is nothing to save yet; "
            "add --wait to wait for it"
        )


# --- appearance -------------------------------------------------------------------


def _view(
    args: JobArguments,
    items: Sequence[Item],
    out: LineWriter,
    err: LineWriter,
    log: LogHandler,
) -> View[Item]:
    if args.json:
        return LineView(lambda item: out.write_json(item_data(item)), err)
    lines = LineView(partial(_write_row, out), err)
    if not can_redraw(sys.stdout):
        return lines
    card = partial(_card, blank_after=len(items) > 1)
    if not args.wait or args.verbose:
        return LineView(partial(_print_card, card, out), err)
    return Screen(
        items, out=out, err=err, plain=lines, folder=None, log=log, finished=card
    )


def _facts(item: Item) -> dict[str, str]:
    """Return what is known of a job, in the order in which it is shown."""
    image = item.image
    return {
        "job": one_line(item.title),
        "state": one_line(item.state or ""),
        "size": size(image) if image else "",
        "credits": credits_of(image) if image else "",
        "url": one_line(image.url) if image else "",
        "path": str(item.path or ""),
    }


def _write_row(out: LineWriter, item: Item) -> None:
    if item.state is not None:
        out.write("\t".join(_facts(item).values()))


def _card(item: Item, *, blank_after: bool = False) -> RenderableType:
    """Return what is known of a job, one line for each fact."""
    lines = [
        Text.assemble((f"{name:<9}", "dim"), value)
        for name, value in _facts(item).items()
        if value
    ]
    return Text("\n").join([*lines, Text()] if blank_after else lines)


def _print_card(
    card: Callable[[Item], RenderableType], out: LineWriter, item: Item
) -> None:
    if item.state is None:
        return
    make_console().print(card(item), soft_wrap=True)
    if out.failed:
        _write_row(out, item)
