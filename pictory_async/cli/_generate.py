"""``pictory generate``: from prompts to files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from pictory_async import ImageRequest, InvalidRequestError
from pictory_async.cli._connect import connect
from pictory_async.cli._log import Listener, listening
from pictory_async.cli._output import Lines, is_screen, remarks, results
from pictory_async.cli._run import DONE, FAILED, Misuse
from pictory_async.cli._screen import Screen
from pictory_async.cli._text import plain
from pictory_async.cli._views import PROMPT_SHOWN, Farewell, LineView
from pictory_async.cli._work import Item, View, fetch, follow_all, item_data, start

SANDBOX_NOTE = "note: test pictures, drawn on this machine; nothing is paid"


@attrs.frozen(kw_only=True)
class Generate:
    """What was asked for on the command line.

    Attributes:
        prompts: At least one.
        options: Of all requests, by their name in `ImageRequest`.
        folder: Where the images go.
        sandbox: Whether to use a sandbox of one's own.
        json: Whether to write JSON.
        poll_every: Seconds between two questions about a job.
        verbose: Whether to tell what is tried again.
    """

    prompts: Sequence[str]
    options: Mapping[str, Any]
    folder: Path
    sandbox: bool = False
    json: bool = False
    poll_every: float | None = None
    verbose: bool = False


async def generate(asked: Generate) -> int:
    """Submit all prompts, save each image when it is finished; return the exit code."""
    err = remarks()
    with listening(err, verbose=asked.verbose) as listener:
        with listener.telling_warnings():
            items = [_item(prompt, asked.options) for prompt in asked.prompts]
        async with connect(
            poll_every=asked.poll_every, sandbox=asked.sandbox
        ) as session:
            make_folder(asked.folder)
            if asked.sandbox:
                err.write(SANDBOX_NOTE)
            view = _view(asked, items, err, listener)

            async def step(item: Item) -> None:
                await start(session, item, view)
                await fetch(session, item, asked.folder)

            farewell = Farewell(err, folder=asked.folder, lost=asked.sandbox)
            await follow_all(session, items, step, view=view, interrupted=farewell)
    return FAILED if any(item.error for item in items) else DONE


def make_folder(folder: Path) -> None:
    """Make the folder for images now: later they would be paid for and homeless.

    Raises:
        Misuse: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misuse(f"cannot write to {plain(folder)}: {error.strerror}") from None


def _item(prompt: str, options: Mapping[str, Any]) -> Item:
    """Return the item of a prompt; one that is not allowed has failed already.

    Raises:
        InvalidRequestError: An option is not allowed, which concerns all prompts.
    """
    item = Item(prompt, prompt=prompt)
    try:
        item.request = ImageRequest(prompt, **options)
    except InvalidRequestError as error:
        if error.field != "prompt":
            raise
        item.error = error
    return item


def _view(
    asked: Generate, items: Sequence[Item], err: Lines, listener: Listener
) -> View:
    out = results()
    if asked.json:
        return LineView(lambda item: out.write_json(item_data(item)), err)
    if is_screen(sys.stdout) and not asked.verbose:
        return Screen(items, err, folder=asked.folder, listener=listener)
    return LineView(
        partial(_write_saved, out),
        err,
        accepted=partial(_write_submitted, out),
        summary=True,
    )


def _write_submitted(out: Lines, item: Item) -> None:
    prompt = plain(item.title, limit=PROMPT_SHOWN)
    out.write(f"submitted {plain(item.job_id)} {prompt}")


def _write_saved(out: Lines, item: Item) -> None:
    if item.path is not None:
        out.write(f"saved {item.path}")
