"""What a journal has recorded, read without running its batch."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from pictory_async import JournalError, PictorySession, read_journal
from pictory_async.sandbox import Fault, Sandbox

PROMPTS = ["A lighthouse", "A red bicycle", "A cat on a roof", "A dog on a boat"]


@pytest.mark.looptime
async def test_tells_what_is_paid_and_changes_nothing(tmp_path: Path) -> None:
    """Prompts that were refused are not in it; unknown ones are, with their price."""
    path = tmp_path / "batch.sqlite"
    async with Sandbox(pictures=False, duration=1.0) as sandbox:
        sandbox.add_fault(Fault.drop(on="submit", after=1))
        sandbox.add_fault(Fault.answer(400, on="submit", after=1))
        async with PictorySession(
            sandbox.api_key, base_url=sandbox.base_url
        ) as session:
            batch = session.generate_many(PROMPTS, journal=path, max_in_flight=1)
            await batch.results()
    before = path.read_bytes()

    summary = await asyncio.to_thread(read_journal, path)

    assert summary.indices == {0, 1, 3}
    assert summary.credits_used == Decimal(4)
    assert summary.credits_reserved == Decimal(2)
    assert path.read_bytes() == before


def test_a_journal_whose_process_was_killed_is_read(tmp_path: Path) -> None:
    """What is in its log counts, and stays there."""
    journal = tmp_path / "batch.sqlite"
    writer = sqlite3.connect(tmp_path / "other.sqlite", isolation_level=None)
    with writer:
        writer.execute("PRAGMA locking_mode=EXCLUSIVE")
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA application_id=1348553265")
        writer.execute("PRAGMA user_version=1")
        writer.execute("CREATE TABLE prompts (position, outcome, credits)")
        writer.execute("INSERT INTO prompts VALUES (7, NULL, '0.6')")
        for end in ("", "-wal"):
            source = tmp_path / f"other.sqlite{end}"
            Path(f"{journal}{end}").write_bytes(source.read_bytes())
    writer.close()

    summary = read_journal(journal)

    assert (summary.indices, summary.credits_reserved) == ({7}, Decimal("0.6"))
    assert Path(f"{journal}-wal").stat().st_size > 0


@pytest.mark.parametrize("text", [None, "My notes, not a journal at all. " * 20, ""])
def test_what_is_no_journal_is_refused(tmp_path: Path, text: str | None) -> None:
    """A file that is not there is not made."""
    path = tmp_path / "notes.sqlite"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(JournalError, match=r"notes\.sqlite"):
        read_journal(path)

    assert path.exists() is (text is not None)
