"""The journal on the event loop: durable once it says so, and its errors reported."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pictory_async import ImageRequest, JournalError
from pictory_async._batch.journal import Journal
from pictory_async._batch.journal_file import JournalFile
from pictory_async._batch.records import Record, fingerprint

NOW = datetime(2026, 11, 22, tzinfo=UTC)
REQUEST = ImageRequest("A lighthouse at dawn")


def record(index: int) -> Record:
    """Return an intent."""
    return Record(index=index, fingerprint=fingerprint(REQUEST), started_at=NOW)


class Journals:
    """Opens journals and keeps the errors that they report."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[JournalError] = []

    async def open(self) -> Journal:
        """Open it."""
        journal = Journal(self.path)
        await journal.open(self.errors.append)
        return journal

    async def recorded(self) -> dict[int, str | None]:
        """Return the recorded jobs of the file, which is closed."""
        journal = await self.open()
        indices = range(journal.contents.end)
        found = [await journal.recall(index, REQUEST) for index in indices]
        await journal.aclose()
        return {read.index: read.job_id for read in found if read}


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    """Journals in one file."""
    return Journals(tmp_path / "run.sqlite")


@pytest.fixture
async def writes(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[list[int]]]:
    """The indices of each transaction, of which the first waits for the others."""
    write, groups = JournalFile.write, list[list[int]]()
    go_on = threading.Event()

    def slow_write(file: JournalFile, rows: list[Any], gone: list[int]) -> None:
        groups.append([row[0] for row in rows])
        if len(groups) == 1:
            go_on.wait(5)
        write(file, rows, gone)

    monkeypatch.setattr(JournalFile, "write", slow_write)
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    yield groups
    go_on.set()


async def test_commits_that_wait_together_share_a_transaction(
    journals: Journals, writes: list[list[int]]
) -> None:
    """One transaction for all that were put while the last one was under way."""
    journal = await journals.open()
    first = asyncio.create_task(journal.commit(record(0)))
    await asyncio.sleep(0.01)
    await asyncio.gather(*(journal.commit(record(n)) for n in range(1, 300)))
    assert first.done()
    await journal.aclose()
    assert writes == [[0], list(range(1, 300))]
    assert set(await journals.recorded()) == set(range(300))


async def test_a_commit_that_is_cancelled_can_be_taken_back(
    journals: Journals, writes: list[list[int]]
) -> None:
    """Also while it is being written."""
    journal = await journals.open()
    first, second = record(0), record(1)
    tasks = [asyncio.create_task(journal.commit(r)) for r in (first, second)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    journal.remove(first)
    journal.remove(second)
    await journal.aclose()
    assert await journals.recorded() == {}


async def test_a_record_is_written_as_it_is_by_then(
    journals: Journals, writes: list[list[int]]
) -> None:
    """A record that is put twice is written once."""
    journal = await journals.open()
    kept = record(7)
    journal.put(record(0))
    await asyncio.sleep(0.01)
    journal.put(kept)
    kept.job_id = "j7"
    journal.put(kept)
    await journal.aclose()
    assert writes == [[0], [7]]
    assert await journals.recorded() == {0: None, 7: "j7"}


async def test_after_a_failure_nothing_is_promised(
    journals: Journals, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Commits fail, then and later; what was not written is logged."""
    journal = await journals.open()

    def fail(*_: object) -> None:
        raise JournalError(path="x", reason="the disk is full")

    monkeypatch.setattr(JournalFile, "write", fail)
    for _ in range(2):
        with pytest.raises(JournalError, match="full"):
            await journal.commit(record(0))
    assert len(journals.errors) == 1
    paid = record(3)
    paid.job_id = "j3"
    journal.put(paid)
    with pytest.raises(JournalError, match="full"):
        await journal.aclose()
    assert "3 (j3)" in caplog.text


async def test_a_defect_is_an_error_of_the_journal(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No commit waits for ever."""
    journal = await journals.open()

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(JournalFile, "write", fail)
        with pytest.raises(JournalError, match="ZeroDivisionError"):
            await journal.commit(record(0))
    assert len(journals.errors) == 1
    await journal.aclose()


async def test_an_id_that_arrives_too_late_is_logged(
    journals: Journals, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in no file, but in the log."""
    journal = await journals.open()
    await journal.aclose()
    late = record(3)
    late.job_id = "j3"
    journal.put(late)
    assert "too late for the journal: job j3 of prompt 3" in caplog.text


async def test_a_record_put_while_it_closes_is_written_or_logged(
    journals: Journals,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An answer between the last transaction and the closing is not lost silently."""
    journal = await journals.open()
    write, late = JournalFile.write, record(1)
    late.job_id = "j1"

    def write_once(file: JournalFile, rows: list[Any], gone: list[int]) -> None:
        if rows[0][0]:
            raise JournalError(path="x", reason="the disk is full")
        write(file, rows, gone)

    monkeypatch.setattr(JournalFile, "write", write_once)
    journal.put(record(0))
    assert journal._writing is not None
    journal._writing.add_done_callback(lambda _: journal.put(late))
    with pytest.raises(JournalError, match="full"):
        await journal.aclose()
    assert "1 (j1)" in caplog.text


def test_a_journal_left_on_a_closed_loop_keeps_no_other_waiting(
    journals: Journals,
) -> None:
    """The task that was to close it never ends; the next loop does not wait for it."""

    async def leave() -> asyncio.Task[Any]:
        closing = asyncio.create_task(asyncio.Event().wait())
        Journal(journals.path).begin_closing(closing)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        return closing

    async def another() -> None:
        async with asyncio.timeout(5):
            await (await journals.open()).aclose()

    loop = asyncio.new_event_loop()
    left = loop.run_until_complete(leave())
    loop.close()
    asyncio.run(another())
    left.get_coro().close()  # type: ignore[union-attr]
    left._log_destroy_pending = False  # type: ignore[attr-defined]


async def test_the_next_one_waits_until_the_file_is_closed(journals: Journals) -> None:
    """It waits for the first task that closes the file, and for no later one."""
    first = await journals.open()
    closing = asyncio.create_task(first.aclose())
    first.begin_closing(closing)
    later = asyncio.create_task(asyncio.sleep(3600))
    Journal(journals.path).begin_closing(later)
    second = await journals.open()
    assert closing.done()
    assert not later.done()
    await second.aclose()
    later.cancel()


def test_a_task_that_has_ended_keeps_no_loop_alive(journals: Journals) -> None:
    """The registry of closing journals holds neither tasks nor loops."""

    async def leave() -> weakref.ref[asyncio.AbstractEventLoop]:
        journal = await journals.open()
        closing = asyncio.create_task(journal.aclose())
        journal.begin_closing(closing)
        await closing
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(leave())
    for thread in threading.enumerate():
        if thread.name.startswith("pictory-journal"):
            thread.join()  # it holds the loop until it has left its last work
    gc.collect()
    assert loop() is None
