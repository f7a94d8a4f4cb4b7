"""The journal of a batch, as the event loop sees it: nothing here blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from pictory_async._batch.journal_file import Contents, JournalFile
from pictory_async._batch.records import Record, fingerprint, prompt_mark
from pictory_async._core.errors import JournalError, JournalMismatchError
from pictory_async._core.log import log_lost
from pictory_async._core.models import ImageRequest
from pictory_async._tasks import TaskOwner, uncancelled

ValueT = TypeVar("ValueT")

# Records that are read at once when a batch is resumed.
CHUNK: Final = 256


class Journal:
    """Remembers what was sent, what became of it, and where it was saved.

    Records that are put while a transaction is under way share the next one: the
    slower the disk, the more prompts a commit has.
    """

    def __init__(self, path: Path) -> None:
        self._file = JournalFile(path)
        # One thread for all: an SQLite connection stays in the thread it came from.
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
        self._closed = False
        self.contents = Contents()

    async def open(self, on_error: Callable[[JournalError], None]) -> None:
        """Open the file.

        Args:
            on_error: Told of the first failure to write, later on.

        Raises:
            JournalError: It cannot be used.
        """
        self._on_error = on_error
        self.contents = await self._run(self._file.open)

    async def aclose(self) -> None:
        """Write what is left and close the file.

        Raises:
            JournalError: Something could not be written, not even now.
        """
        try:
            # Again, if an answer came between its end and this moment.
            while self._writing is not None and not self._writing.done():
                await asyncio.wait([self._writing])
            self._closed = True
            if self._pending:  # once more: there may be room on the disk by now
                await self._write_pending()
        except JournalError:
            lost = [f"{r.index} ({r.job_id})" for r, _ in self._pending.values()]
            log_lost("not in the journal: prompts (jobs) %s", ", ".join(lost))
            raise
        finally:
            await self._run(self._file.close)
            self._thread.shutdown(wait=False)

    # --- reading ------------------------------------------------------------------

    async def find(self, index: int, request: ImageRequest | None) -> Record | None:
        """Return what is recorded of a prompt; indices must come in order.

        Args:
            index: The place of the prompt.
            request: What it asks for; None if it cannot be asked for.

        Raises:
            JournalMismatchError: Something else is recorded.
            JournalError: The file cannot be read.
        """
        if index >= self.contents.end:
            return None
        if index >= self._chunk_end:
            await self._read_chunk(index)
        found = self._chunk.pop(index, None)
        if found and not _is_recorded(request, found):
            raise self.mismatch(index)
        return found

    def rewind(self) -> None:
        """Read from the first record again."""
        self._chunk, self._chunk_end = {}, 0

    async def with_prompt(self, request: ImageRequest) -> list[Record]:
        """Return the records with the same prompt, whatever its options.

        Raises:
            JournalError: The file cannot be read.
        """
        return await self._run(self._file.with_prompt, prompt_mark(request))

    def mismatch(self, index: int, reason: str = "") -> JournalMismatchError:
        """Return the error for a prompt that is not the recorded one."""
        path = str(self._file.path)
        return JournalMismatchError(path=path, reason=reason, index=index)

    def damaged(self, index: int, exc: Exception) -> JournalError:
        """Return the error for a record that makes no sense."""
        reason = f"it is damaged (prompt {index}: {exc})"
        return JournalError(path=str(self._file.path), reason=reason)

    async def _read_chunk(self, first: int) -> None:
        records = await self._run(self._file.read, first, CHUNK)
        self._chunk = {found.index: found for found in records}
        self._chunk_end = first + CHUNK

    # --- writing ------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Have *record* written as it is by then."""
        self._add(record, stays=True)

    def remove(self, record: Record) -> None:
        """Have the record of that index deleted."""
        self._add(record, stays=False)

    async def commit(self, record: Record) -> None:
        """Have *record* written, and wait until it is on disk.

        Cancelling this may leave it there, or not.

        Raises:
            JournalError: It could not be written.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.put(record)
        await done

    def _add(self, record: Record, *, stays: bool) -> None:
        if self._closed:  # an answer that came after its grace
            text = "too late for the journal: job %s of prompt %d"
            job_id = record.job_id
            log_lost(text, job_id, record.index, job_id=job_id)
            return
        self._pending[record.index] = (record, stays)
        if self._writing is None and self._error is None:
            self._writing = self._tasks.spawn(self._write(), name="pictory-journal")

    async def _write(self) -> None:
        """Write until nothing is left to be written."""
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
            self._pending = group | self._pending  # what was put since is newer
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
    """Stands for the journal of a batch that has none."""

    contents: Final = Contents()

    async def open(self, on_error: Callable[[JournalError], None]) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""

    async def find(self, index: int, request: ImageRequest | None) -> None:
        """Return None: nothing is recorded."""

    def rewind(self) -> None:
        """Do nothing."""

    async def with_prompt(self, request: ImageRequest) -> list[Record]:  # noqa: ARG002
        """Return nothing."""
        return []

    def mismatch(self, index: int, reason: str = "") -> JournalMismatchError:
        """Return an error that cannot come up: nothing is recorded."""
        return JournalMismatchError(index=index, reason=reason)

    def damaged(self, index: int, exc: Exception) -> JournalError:
        """Return an error that cannot come up: nothing is recorded."""
        return JournalError(reason=f"prompt {index}: {exc}")

    def put(self, record: Record) -> None:
        """Do nothing."""

    def remove(self, record: Record) -> None:
        """Do nothing."""

    async def commit(self, record: Record) -> None:
        """Do nothing."""


def _is_recorded(request: ImageRequest | None, found: Record) -> bool:
    try:
        return request is not None and fingerprint(request) == found.fingerprint
    except (TypeError, ValueError, RecursionError):  # its extra is not JSON
        return False


def _as_journal_error(error: Exception, path: Path) -> JournalError:
    if isinstance(error, JournalError):
        return error
    return JournalError(path=str(path), reason=f"it cannot be used ({error!r:.80})")
