"""Saving the images of a batch, a few at a time."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Final

import attrs
from anyio import to_thread

from pictory_async._batch.journal import AnyJournal
from pictory_async._batch.outcomes import BatchOutcome
from pictory_async._batch.records import Record, image_text
from pictory_async._core.endpoints import IMAGES
from pictory_async._core.errors import (
    DownloadError,
    InvalidRequestError,
    PictoryError,
    SessionClosedError,
)
from pictory_async._core.models import GeneratedImage
from pictory_async._runtime import Runtime

# Files at once: enough to use a line fully, and each takes a thread and a socket.
DOWNLOADS: Final = 8

# [I] A host's answers for a signed URL that has expired, or a file that was moved.
GONE: Final = frozenset({403, 404})


class Saver:
    """Downloads images to one folder; a file is named by the prompt's place and job."""

    def __init__(self, *, folder: Path, runtime: Runtime, journal: AnyJournal) -> None:
        self._folder = folder
        self._runtime = runtime
        self._journal = journal
        self._turn = asyncio.Semaphore(DOWNLOADS)

    async def open(self) -> None:
        """Make the folder, and a file in it to check that it can be written to.

        Raises:
            InvalidRequestError: It cannot; better known before an image is paid for.
        """
        try:
            await to_thread.run_sync(_try_folder, self._folder)
        except OSError as exc:
            why = exc.strerror or type(exc).__name__
            place = self._folder
            reason = f"must be a folder that can be written to, not {place} ({why})"
            raise InvalidRequestError(field="save_to", reason=reason) from exc

    async def save(self, image: GeneratedImage, record: Record) -> BatchOutcome:
        """Save *image*; return the outcome, with a `DownloadError` if that failed.

        Cancelling this leaves no part of a file behind.
        """
        async with self._turn:
            try:
                image, path = await self._save(image, record)
            except (DownloadError, SessionClosedError) as error:
                return attrs.evolve(outcome_of(image, record), error=error)
        record.path = str(path)
        self._journal.put(record)
        return outcome_of(image, record)

    async def _save(
        self, image: GeneratedImage, record: Record
    ) -> tuple[GeneratedImage, Path]:
        """Save *image*, if need be from a fresh URL; return it as it was saved."""
        try:
            return image, await self._download(image, record)
        except DownloadError as error:
            if error.status not in GONE or record.job_id is None:
                raise
            fresh = await self._fresh(image, record.job_id)
            if fresh is None:
                raise
        record.outcome = image_text(fresh)
        return fresh, await self._download(fresh, record)

    async def _download(self, image: GeneratedImage, record: Record) -> Path:
        # An image found in the history has no job: its own id keeps the file apart
        # from that of another batch's prompt at the same place.
        mark = record.job_id or image.extra.get("id")
        try:
            return await self._runtime.save(
                url=image.url,
                image_id=f"{record.index:06}-{mark}",
                to=f"{self._folder}{os.sep}",
                # A file of this name is this image, from a run that was killed.
                overwrite=True,
            )
        except OSError as exc:
            why = exc.strerror or type(exc).__name__
            raise DownloadError(
                f"cannot write the file ({why})", url=image.url
            ) from exc

    async def _fresh(self, image: GeneratedImage, job_id: str) -> GeneratedImage | None:
        """Poll the job once more; return its image with the present URL."""
        call = IMAGES.job(job_id, image.request)
        try:
            return (await self._runtime.fetch(call)).result
        except PictoryError:
            return None  # the error of the download says more


def outcome_of(image: GeneratedImage, record: Record) -> BatchOutcome:
    """Return the outcome of a prompt that has its image."""
    return BatchOutcome(
        index=record.index,
        request=image.request,
        job_id=record.job_id,
        image=image,
        path=None if record.path is None else Path(record.path),
    )


def _try_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
