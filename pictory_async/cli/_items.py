"""The prompts and jobs that a command follows, from their start to a saved file."""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

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
from pictory_async.cli._errors import error_data

ShownT = TypeVar("ShownT")


@attrs.define(eq=False)
class Item:
    """One prompt or job and its progress.

    Attributes:
        title: How it is shown: the prompt, or the id of the job.
        prompt: The prompt; None for a job that was started elsewhere.
        request: The prompt as a request; None if it is not a valid one.
        handle: Its job, once there is one.
        image: Its image, once that is finished.
        path: Where the image was saved.
        error: Why there is no image, or no file.
        started: When work on it began, in monotonic seconds.
        ended: When it ended, in monotonic seconds.
    """

    title: str
    prompt: str | None = None
    request: ImageRequest | None = None
    handle: JobHandle[GeneratedImage] | None = None
    image: GeneratedImage | None = None
    path: Path | None = None
    error: Exception | None = None
    started: float = attrs.field(factory=time.monotonic)
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """The time it has taken so far, or took in all."""
        return (self.ended or time.monotonic()) - self.started

    @property
    def job_id(self) -> str | None:
        """The id of its job, if it has one."""
        return self.handle.job_id if self.handle else None

    @property
    def state(self) -> str | None:
        """The service's word for the state of its job; None if that is not known."""
        if self.handle is None:
            return None
        state = self.handle.status.state
        return None if self.error and not state.final else state.value

    @property
    def resumable(self) -> bool:
        """Whether `pictory job` can resume it: its job was left before the end."""
        left = isinstance(self.error, SessionClosedError | DownloadError)
        return self.handle is not None and (self.ended is None or left)


class View(ABC, Generic[ShownT]):
    """The display of a command's progress; open for as long as work goes on."""

    def accepted(self, shown: ShownT, /) -> None:
        """Show that something has got its job; by default nothing."""

    @abstractmethod
    def ended(self, shown: ShownT, /) -> None:
        """Show that something has ended, successfully or not."""

    @abstractmethod
    def summarize(self, lines: Iterable[str], /) -> None:
        """Show the summary, once everything has ended and this is closed."""

    async def __aenter__(self) -> Self:
        """Open the view; by default there is nothing to open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the view; by default there is nothing to close."""


Step = Callable[[Item], Awaitable[None]]


async def start(session: PictorySession, item: Item, view: View[Item]) -> None:
    """Submit the item's request, or attach to the job that it names."""
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


async def _follow(item: Item, step: Step, view: View[Item]) -> None:
    """Take an item through *step*; record its error."""
    try:
        if item.error is None:
            await step(item)
    except (PictoryError, OSError) as error:
        item.error = error
    finally:
        item.ended = time.monotonic()
    view.ended(item)


async def follow_all(
    session: PictorySession,
    items: Sequence[Item],
    step: Step,
    *,
    view: View[Item],
    on_interrupt: Callable[[Sequence[Item]], None],
) -> None:
    """Take all items through *step* concurrently.

    Cancelling this closes the session, which lets requests on the wire be answered
    and ends all waiting, so that every item ends one way or another.

    Args:
        session: The session that *step* uses.
        items: At least one.
        step: What to do with each.
        view: Shows the progress.
        on_interrupt: Called with all items when this is cancelled, and once more when
            the last job ids are known.
    """
    tasks = [asyncio.create_task(_follow(item, step, view)) for item in items]
    try:
        async with view:
            await asyncio.wait(tasks)
    except asyncio.CancelledError:
        on_interrupt(items)
        await session.aclose()
        await asyncio.wait(tasks)
        on_interrupt(items)
        raise
    await asyncio.gather(*tasks)  # raises what only a bug can have raised


def item_data(item: Item) -> dict[str, Any]:
    """Return an item for JSON."""
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
    """Return the credits charged as far as known, and whether those are all."""
    used = [item.image.credits_used for item in items if item.image]
    known = sum((each for each in used if each is not None), Decimal(0))
    return known, None not in used
