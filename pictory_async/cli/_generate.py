"""``pictory generate``: from prompts to files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from pictory_async import ImageRequest, InvalidRequestError
from pictory_async.cli._connect import SANDBOX_NOTE, connect
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
from pictory_async.cli._screen import Screen
from pictory_async.cli._text import one_line
from pictory_async.cli._views import PROMPT_SHOWN, InterruptReport, LineView, summary


@attrs.frozen(kw_only=True)
class GenerateArguments:
    """The command line of ``pictory generate``.

    Attributes:
        prompts: At least one.
        count: Images of each prompt.
        options: Options of all requests, by their name in `ImageRequest`.
        folder: Where to save the images.
        sandbox: Whether to use a sandbox of its own.
        json: Whether to write JSON.
        poll_every: Seconds between two polls of a job; None leaves it to the library.
        proxy: The proxy for the service; None leaves it to the environment.
        verbose: Whether to write the library's log.
    """

    prompts: Sequence[str]
    options: Mapping[str, Any]
    folder: Path
    count: int = 1
    sandbox: bool = False
    json: bool = False
    poll_every: float | None = None
    proxy: str | None = None
    verbose: bool = False


async def generate(args: GenerateArguments) -> int:
    """Submit all prompts, save each image once it is finished; return the exit code."""
    err = stderr()
    out = stdout(instead=err)
    with capture_log(err, verbose=args.verbose) as log:
        with log.showing_warnings():
            items = list(_items(args))
        async with connect(
            poll_every=args.poll_every, proxy=args.proxy, sandbox=args.sandbox
        ) as session:
            make_folder(args.folder)
            if args.sandbox:
                err.write(SANDBOX_NOTE)
            view = _view(args, items, out, err, log)

            async def step(item: Item) -> None:
                await start(session, item, view)
                await fetch(session, item, args.folder)

            report = InterruptReport(
                err, folder=args.folder, proxy=args.proxy, jobs_end=args.sandbox
            )
            await follow_all(session, items, step, view=view, on_interrupt=report)
            if not args.json:
                view.summarize([summary(items)])
    return FAILED if out.failed or any(item.error for item in items) else DONE


def _items(args: GenerateArguments) -> Iterator[Item]:
    for prompt in args.prompts:
        for number in range(1, args.count + 1):
            title = f"{number}/{args.count} {prompt}" if args.count > 1 else prompt
            item = _item(title, prompt, args.options)
            yield item
            if item.error:  # once is enough
                break


def _item(title: str, prompt: str, options: Mapping[str, Any]) -> Item:
    """Return the item of a prompt; an invalid one has failed already.

    Raises:
        InvalidRequestError: An option is invalid, which concerns all prompts.
    """
    item = Item(title, prompt=prompt)
    try:
        item.request = ImageRequest(prompt, **options)
    except InvalidRequestError as error:
        if error.field != "prompt":
            raise
        item.error = error
    return item


def _view(
    args: GenerateArguments,
    items: Sequence[Item],
    out: LineWriter,
    err: LineWriter,
    log: LogHandler,
) -> View[Item]:
    if args.json:
        return LineView(lambda item: out.write_json(item_data(item)), err)
    lines = LineView(
        partial(_write_saved, out), err, accepted=partial(_write_submitted, out)
    )
    if args.verbose or not can_redraw(sys.stdout):
        return lines
    return Screen(items, out=out, err=err, plain=lines, folder=args.folder, log=log)


def _write_submitted(out: LineWriter, item: Item) -> None:
    prompt = one_line(item.title, limit=PROMPT_SHOWN)
    out.write(f"submitted {one_line(item.job_id)} {prompt}")


def _write_saved(out: LineWriter, item: Item) -> None:
    if item.path is not None:
        out.write(f"saved {item.path}")
