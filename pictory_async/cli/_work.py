"""What the command follows: prompts and jobs, from their start to a file."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, Self

import attrs

from pictory_async import (
    DownloadError,
    GeneratedImage,
    ImageRequest,
    JobHandle,
    PictoryError,
    PictorySession,
    SessionClosedError,
)
from pictory_async.cli._words import error_data


@attrs.define(eq=False)
class Item:
    """One prompt or job, and what has become of it.

    Attributes:
        title: What a person knows it by: the prompt, or the id of a job.
        prompt: What was asked for; None for a job that was started before.
        request: The same as a request; None if it cannot be one.
        handle: Its job, once there is one.
        image: Its image, once that is finished.
        path: Where that was saved.
        error: Why there is no image, or no file.
        began: When it was taken up, in monotonic seconds.
        ended: When it was over, in monotonic seconds.
    """

    title: str
    prompt: str | None = None
    request: ImageRequest | None = None
    handle: JobHandle[GeneratedImage] | None = None
    image: GeneratedImage | None = None
    path: Path | None = None
    error: Exception | None = None
    began: float = attrs.field(factory=time.monotonic)
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has taken so far, or took."""
        return (self.ended or time.monotonic()) - self.began

    @property
    def job_id(self) -> str | None:
        """The id of its job, if it has one."""
        return self.handle.job_id if self.handle else None

    @property
    def state(self) -> str | None:
        """The service's word for how its job stands; None if that is not known."""
        if self.handle is None:
            return None
        state = self.handle.status.state
        return None if self.error and not state.final else state.value

    @property
    def resumable(self) -> bool:
        """Whether its job can be taken up again: it was left before its end."""
        left = isinstance(self.error, SessionClosedError | DownloadError)
        return self.handle is not None and (self.ended is None or left)


class View(Protocol):
    """Whoever is told how things go."""

    def accepted(self, item: Item) -> None:
        """Learn that an item has its job."""
        ...

    def over(self, item: Item) -> None:
        """Learn that an item has ended, well or not."""
        ...

    def closing(self, items: Sequence[Item]) -> None:
        """Learn that all items have ended."""
        ...

    async def __aenter__(self) -> Self:
        """Begin to show."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Leave the screen to others."""
        ...


Step = Callable[[Item], Awaitable[None]]


async def start(session: PictorySession, item: Item, view: View) -> None:
    """Give the item its job: a new one for a request, else the one it names."""
    if item.request is None:
        item.handle = session.job(item.title)
        return
    item.handle = await session.submit(item.request)
    view.accepted(item)


async def fetch(session: PictorySession, item: Item, folder: Path | None) -> None:
    """Wait for the item's image and, with a folder, save it there."""
    assert item.handle is not None  # noqa: S101 - it was started
    item.image = await item.handle
    if folder is not None:
        item.path = await session.download(item.image, os.path.join(folder, ""))  # noqa: PTH118 - the separator at the end says that it is a folder


async def follow(item: Item, step: Step, view: View) -> None:
    """Take an item through *step*; keep what goes wrong with it."""
    try:
        if item.error is None:
            await step(item)
    except (PictoryError, OSError) as error:
        item.error = error
    finally:
        item.ended = time.monotonic()
    view.over(item)


async def follow_all(
    session: PictorySession,
    items: Sequence[Item],
    step: Step,
    *,
    view: View,
    interrupted: Callable[[Sequence[Item]], None],
) -> None:
    """Take all items through *step* at the same time.

    Cancelling this closes the session, which lets requests on the wire be answered
    and ends all waiting, so that every item ends in one way or another.

    Args:
        session: What the items are done with.
        items: At least one.
        step: What to do with each.
        view: Told of everything.
        interrupted: Told of all items when this is cancelled, and again when the
            last ids are known.
    """
    tasks = [asyncio.create_task(follow(item, step, view)) for item in items]
    try:
        async with view:
            await asyncio.wait(tasks)
    except asyncio.CancelledError:
        interrupted(items)
        await session.aclose()
        await asyncio.wait(tasks)
        interrupted(items)
        raise
    await asyncio.gather(*tasks)  # a defect of ours is not to be hidden
    view.closing(items)


def item_data(item: Item) -> dict[str, Any]:
    """Return an item as JSON can have it."""
    image = item.image
    return {
        "job_id": item.job_id,
        "state": item.state,
        "prompt": item.prompt,
        "path": str(item.path) if item.path else None,
        "url": image.url if image else None,
        "width": image.width if image else None,
        "height": image.height if image else None,
        "credits_used": image.credits_used if image else None,
        "error": error_data(item.error) if item.error else None,
    }


def credits_used(items: Sequence[Item]) -> tuple[Decimal, bool]:
    """Return the credits charged as far as is known, and whether that is all."""
    used = [item.image.credits_used for item in items if item.image]
    return sum(
        (each for each in used if each is not None), Decimal(0)
    ), None not in used
