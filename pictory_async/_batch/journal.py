"""The journal of a batch, as the event loop sees it: nothing here blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from pictory_async._batch.journal_file import Contents, JournalFile
from pictory_async._batch.records import (
    MICROSECOND,
    Record,
    UnreadableRecord,
    error_text,
    fingerprint,
    image_text,
    prompt_mark,
    read_outcome,
)
from pictory_async._core.errors import (
    JournalError,
    JournalMismatchError,
    PictoryError,
)
from pictory_async._core.log import log_lost
from pictory_async._core.models import GeneratedImage, ImageRequest
from pictory_async._tasks import TaskOwner, uncancelled

ValueT = TypeVar("ValueT")
ClosingTasks: TypeAlias = WeakValueDictionary[Path, asyncio.Task[None]]

# Records that are read at once when a batch is resumed.
CHUNK: Final = 256

# Prompts that are compared with the journal before other tasks have their turn.
COMPARED_AT_ONCE: Final = 50

# By loop and file: the task of a batch that was left, at whose end the file is closed.
# The tasks are held by their owners; held here they would keep their loop alive.
_closing: WeakKeyDictionary[asyncio.AbstractEventLoop, ClosingTasks] = (
    WeakKeyDictionary()
)


class Journal:
    """The durable record of a batch: its intents, jobs, outcomes and files.

    Records that are put while a transaction is under way share the next one: the
    slower the disk, the more prompts a commit has.

    Attributes:
        durable: True: records outlive the process.
        contents: A summary of the file as it was opened.
    """

    durable: Final = True

    def __init__(self, path: Path) -> None:
        self._file = JournalFile(path)
        # A single thread: an SQLite connection must stay in the one that opened it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pictory-journal")
        self._tasks = TaskOwner()
        self._writing: asyncio.Task[None] | None = None
        # By index, with whether it stays: a record that is put twice is written once.
        self._pending: dict[int, tuple[Record, bool]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._error: JournalError | None = None
        self._on_error: Callable[[JournalError], None] | None = None
        self._chunk: dict[int, Record] = {}
        self._chunk_end = 0
        self._latest_start = datetime.min.replace(tzinfo=UTC)
        self._closed = False
        self.contents = Contents()

    # --- opening and closing ------------------------------------------------------

    async def open(self, on_error: Callable[[JournalError], None]) -> None:
        """Open the file, once a batch of this loop that was left has closed it.

        Args:
            on_error: Called with the first failure to write, later on.

        Raises:
            JournalError: The file cannot be used.
        """
        self._on_error = on_error
        earlier = _closing_tasks(asyncio.get_running_loop()).get(self._file.path)
        if earlier is not None:
            await asyncio.wait([earlier])
        self.contents = await self._run(self._file.open)

    def begin_closing(self, task: asyncio.Task[None]) -> None:
        """Make the next batch with this file wait for *task*, which closes the file.

        Does nothing while an earlier batch is closing the file, since this one has
        not opened it then.
        """
        tasks = _closing_tasks(task.get_loop())
        earlier = tasks.get(self._file.path)
        if earlier is None or earlier.done():
            tasks[self._file.path] = task

    async def aclose(self) -> None:
        """Write the remaining records and close the file.

        Raises:
            JournalError: Some records could not be written.
        """
        try:
            # Again, if an answer was put as the last transaction ended.
            while self._writing is not None and not self._writing.done():
                await asyncio.wait([self._writing])
            self._closed = True
            if self._pending:  # retried: the disk may have room by now
                await self._write_pending()
        except JournalError:
            lost = [f"{r.index} ({r.job_id})" for r, _ in self._pending.values()]
            log_lost("not in the journal: prompts (jobs) %s", ", ".join(lost))
            raise
        finally:
            await self._run(self._file.close)
            self._thread.shutdown(wait=False)

    # --- reading ------------------------------------------------------------------

    async def recall(self, index: int, request: ImageRequest | None) -> Record | None:
        """Return the record of a prompt, with its result; indices must be in order.

        Args:
            index: The place of the prompt.
            request: Its request; None if the prompt is not valid.

        Raises:
            JournalMismatchError: Another prompt is recorded.
            JournalError: The record cannot be read.
        """
        found = await self._find(index, request)
        if found is not None and request is not None:
            self._read_result(found, request)
        return found

    async def compare(self, requests: Iterable[ImageRequest | None]) -> None:
        """Compare all recorded prompts with *requests*, which are the whole batch.

        Raises:
            JournalMismatchError: One differs, or is missing.
            JournalError: The file cannot be read.
        """
        compared = 0
        for index, request in enumerate(islice(requests, self.contents.end)):
            await self._find(index, request)
            compared = index + 1
            if compared % COMPARED_AT_ONCE == 0:
                await asyncio.sleep(0)
        self.check_end(compared)
        self._chunk, self._chunk_end = {}, 0

    def check_end(self, total: int) -> None:
        """Check that a batch of *total* prompts has all that are recorded.

        Raises:
            JournalMismatchError: A recorded prompt is missing.
        """
        if total < self.contents.end:
            raise self._mismatch(total, "is missing")

    async def with_prompt(self, request: ImageRequest) -> list[Record]:
        """Return the records with the same prompt, whatever their options.

        Raises:
            JournalError: They cannot be read.
        """
        found = await self._run(self._file.with_prompt, prompt_mark(request))
        for record in found:
            self._read_result(record, request)
        return found

    async def _find(self, index: int, request: ImageRequest | None) -> Record | None:
        if index >= self.contents.end:
            return None
        if index >= self._chunk_end:
            await self._read_chunk(index)
        found = self._chunk.pop(index, None)
        if found is not None and not _is_recorded(request, found):
            raise self._mismatch(index)
        return found

    async def _read_chunk(self, first: int) -> None:
        records = await self._run(self._file.read, first, CHUNK)
        self._chunk = {found.index: found for found in records}
        self._chunk_end = first + CHUNK

    def _read_result(self, found: Record, request: ImageRequest) -> None:
        if found.outcome is None:
            return
        try:
            found.result = read_outcome(
                found.outcome, job_id=found.job_id, request=request
            )
        except UnreadableRecord as exc:
            reason = f"it is damaged (prompt {found.index}: {exc})"
            raise JournalError(path=str(self._file.path), reason=reason) from exc

    def _mismatch(self, index: int, reason: str = "") -> JournalMismatchError:
        path = str(self._file.path)
        return JournalMismatchError(path=path, reason=reason, index=index)

    # --- writing ------------------------------------------------------------------

    def intent(self, index: int, request: ImageRequest, *, price: Decimal) -> Record:
        """Return the record of a POST that is about to go out; nothing is written yet.

        No two of a batch begin at the same time, so that an unknown one and the image
        that was made for it can be told apart from the others.
        """
        now = max(datetime.now(UTC), self._latest_start + MICROSECOND)
        self._latest_start = now
        mark = fingerprint(request)
        return Record(index=index, fingerprint=mark, started_at=now, credits=price)

    async def commit(self, record: Record) -> None:
        """Write *record*, and wait until it is on disk.

        Cancelling this leaves open whether it is written.

        Raises:
            JournalError: It could not be written.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.put(record)
        await done

    def put(self, record: Record) -> None:
        """Write *record* with the next transaction, as it is then."""
        self._add(record, stays=True)

    def put_result(
        self, record: Record, result: GeneratedImage | PictoryError, *, charged: Decimal
    ) -> None:
        """Write how a prompt ended, and the credits for it, if that is final."""
        if isinstance(result, GeneratedImage):
            text: str | None = image_text(result)
        else:
            text = error_text(result)
        if text is not None:
            record.outcome, record.credits = text, charged
            self.put(record)

    def remove(self, record: Record) -> None:
        """Delete the record of that index with the next transaction."""
        self._add(record, stays=False)

    def _add(self, record: Record, *, stays: bool) -> None:
        if self._closed:  # the answer arrived after its 5 seconds
            text = "too late for the journal: job %s of prompt %d"
            job_id = record.job_id
            log_lost(text, job_id, record.index, job_id=job_id)
            return
        self._pending[record.index] = (record, stays)
        if self._writing is None and self._error is None:
            self._writing = self._tasks.spawn(self._write(), name="pictory-journal")

    async def _write(self) -> None:
        """Write until no record is pending."""
        try:
            while self._pending:
                await self._write_pending()
        except JournalError as error:
            self._error = error
            if self._on_error is not None:
                self._on_error(error)
        finally:
            self._writing = None

    async def _write_pending(self) -> None:
        group, self._pending = self._pending, {}
        waiting, self._waiting = self._waiting, []
        try:
            rows = [found.row() for found, stays in group.values() if stays]
            gone = [index for index, (_, stays) in group.items() if not stays]
            await self._run(self._file.write, rows, gone)
        except Exception as exc:
            self._pending = group | self._pending  # one put since is newer
            error = _as_journal_error(exc, self._file.path)
            for done in waiting:
                if not done.done():
                    done.set_exception(error)
                    done.exception()  # marks it as seen
            if error is exc:
                raise
            raise error from exc
        for done in waiting:
            if not done.done():
                done.set_result(None)

    async def _run(self, function: Callable[..., ValueT], *arguments: Any) -> ValueT:
        """Run *function* in the thread; cancelling this waits for it."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, function, *arguments)
        return await uncancelled(work)


class NoJournal:
    """The journal of a batch that has none: it records nothing and recalls nothing."""

    durable: Final = False
    contents: Final = Contents()

    async def open(self, on_error: Callable[[JournalError], None]) -> None:
        """Do nothing."""

    def begin_closing(self, task: asyncio.Task[None]) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""

    async def recall(self, index: int, request: ImageRequest | None) -> None:
        """Return None: nothing is recorded."""

    async def compare(self, requests: Iterable[ImageRequest | None]) -> None:
        """Do nothing."""

    def check_end(self, total: int) -> None:
        """Do nothing."""

    async def with_prompt(self, request: ImageRequest) -> list[Record]:  # noqa: ARG002
        """Return an empty list."""
        return []

    def intent(self, index: int, request: ImageRequest, *, price: Decimal) -> Record:  # noqa: ARG002
        """Return a record that is never written."""
        return Record(
            index=index, fingerprint=b"", started_at=datetime.now(UTC), credits=price
        )

    async def commit(self, record: Record) -> None:
        """Do nothing."""

    def put(self, record: Record) -> None:
        """Do nothing."""

    def put_result(
        self, record: Record, result: GeneratedImage | PictoryError, *, charged: Decimal
    ) -> None:
        """Do nothing."""

    def remove(self, record: Record) -> None:
        """Do nothing."""


AnyJournal: TypeAlias = Journal | NoJournal


def journal_at(path: Path | None) -> AnyJournal:
    """Return the journal of the file *path*, or the one that records nothing."""
    return NoJournal() if path is None else Journal(path)


def _closing_tasks(loop: asyncio.AbstractEventLoop) -> ClosingTasks:
    return _closing.setdefault(loop, WeakValueDictionary())


def _is_recorded(request: ImageRequest | None, found: Record) -> bool:
    try:
        return request is not None and fingerprint(request) == found.fingerprint
    except (TypeError, ValueError, RecursionError):  # its extra is not JSON
        return False


def _as_journal_error(error: Exception, path: Path) -> JournalError:
    if isinstance(error, JournalError):
        return error
    return JournalError(path=str(path), reason=f"it cannot be used ({error!r:.80})")
