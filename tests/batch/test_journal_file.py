"""The file of a journal: whole, ours alone, or a clear error."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pictory_async import JournalError
from pictory_async._batch.journal_file import Contents, JournalFile
from pictory_async._batch.records import Record

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a journal may be; its folder is not there yet."""
    return tmp_path / "runs" / "batch.sqlite"


@pytest.fixture
def file(path: Path) -> Iterator[JournalFile]:
    """A journal that is open."""
    opened = JournalFile(path)
    opened.open()
    yield opened
    opened.close()


def record(index: int, **known: object) -> Record:
    """Return a record of prompt *index*."""
    mark = b"%08d%08d" % (index % 3, index)
    return Record(index=index, fingerprint=mark, started_at=NOW, **known)  # type: ignore[arg-type]


def opening(path: Path) -> str:
    """Return why *path* cannot be opened as a journal."""
    file = JournalFile(path)
    with pytest.raises(JournalError) as caught:
        file.open()
    file.close()
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)
    return caught.value.reason


def test_what_is_written_is_there_again(path: Path, file: JournalFile) -> None:
    """Over a close, with exact sums of credits, and for its owner alone."""
    rows = [record(i, credits=Decimal("0.6")) for i in range(600)]
    rows[1].outcome = rows[2].outcome = "{}"
    file.write([r.row() for r in rows], [])
    file.write([record(599, credits=Decimal(2), job_id="j9").row()], [598])
    file.close()
    again = JournalFile(path)
    kept = Decimal("0.6") * 596 + 2
    assert again.open() == Contents(end=600, used=Decimal("1.2"), kept=kept)
    assert [r.index for r in again.read(0, 256)] == list(range(256))
    assert [r.job_id for r in again.read(597, 100)] == [None, "j9"]
    assert [r.index for r in again.with_prompt(b"00000001")][:2] == [1, 4]
    again.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["batch.sqlite"]


def test_a_file_that_is_gone_is_not_named(file: JournalFile, tmp_path: Path) -> None:
    """The image is downloaded again."""
    (tmp_path / "here.png").touch()
    paths = [str(tmp_path / "here.png"), str(tmp_path / "gone.png")]
    file.write([record(i, path=p).row() for i, p in enumerate(paths)], [])
    assert [r.path for r in file.read(0, 9)] == [paths[0], None]


def test_a_second_one_is_refused(path: Path, file: JournalFile) -> None:
    """In this process and in any other, until the first one is closed."""
    assert "in use" in opening(path)
    code = (
        "import sys; from pathlib import Path\n"
        "from pictory_async import JournalError\n"
        "from pictory_async._batch.journal_file import JournalFile\n"
        "try: JournalFile(Path(sys.argv[1])).open()\n"
        "except JournalError as error: print(error.reason)\n"
        "else: print('opened')\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert "in use" in run.stdout
    file.close()
    again = JournalFile(path)
    again.open()
    again.close()


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    """And left as it was."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 200)
    assert "another kind of file" in opening(path)
    assert path.read_text() == "Dear reader, " * 200
    assert "cannot be opened" in opening(tmp_path)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """And left as it was."""
    path = tmp_path / "browser.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE cookies (name TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    assert "another program" in opening(path)
    assert path.read_bytes() == before


def change(path: Path, *statements: str) -> None:
    """Change the database behind the journal's back."""
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def test_a_newer_schema_is_refused(path: Path, file: JournalFile) -> None:
    """It says which one it is."""
    file.close()
    change(path, "PRAGMA user_version = 2")
    assert "newer release (schema 2" in opening(path)


def test_damage_is_told_before_anything_else(path: Path, file: JournalFile) -> None:
    """A page that was overwritten is found when the file is opened."""
    file.write([record(i, outcome="x" * 500).row() for i in range(200)], [])
    file.close()
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 5 * 4096] = os.urandom(2 * 4096)
    path.write_bytes(content)
    assert "damaged" in opening(path)


def test_credits_that_are_none_are_damage(path: Path, file: JournalFile) -> None:
    """A ceiling cannot be kept with them."""
    file.write([record(0).row()], [])
    file.close()
    change(path, "UPDATE prompts SET credits = 'much'")
    assert "damaged" in opening(path)


@pytest.mark.parametrize("read_only", ["file", "folder"])
def test_what_cannot_be_written_is_refused(
    path: Path, file: JournalFile, monkeypatch: pytest.MonkeyPatch, read_only: str
) -> None:
    """A file, or the folder in which its log would be."""
    file.close()
    refused = path if read_only == "file" else path.parent
    access = os.access
    # Rights do not bind the superuser, as whom the tests may run.
    monkeypatch.setattr(os, "access", lambda p, mode: p != refused and access(p, mode))
    assert opening(path) == f"{refused} cannot be written to"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the system's reason."""
    (tmp_path / "file").touch()
    assert "it cannot be written to" in opening(tmp_path / "file" / "run.sqlite")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_full_disk_is_told_and_halves_nothing(path: Path, file: JournalFile) -> None:
    """What did not fit is not there; what was there before is."""
    file.write([record(0, job_id="j0").row()], [])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (128 * 1024, limits[1]))
    try:
        with pytest.raises(JournalError, match=r"disk (is full|failed)"):
            file.write([record(i, outcome="x" * 999).row() for i in range(500)], [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [r.job_id for r in file.read(0, 1000)] == ["j0"]
    file.write([record(1).row()], [])
    assert len(file.read(0, 1000)) == 2


def test_a_disk_that_takes_nothing_is_told_at_once(path: Path) -> None:
    """Before anything is sent."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        reason = opening(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "disk" in reason


def test_closed_is_closed(file: JournalFile) -> None:
    """Writing then is an error of ours, and closing again is none."""
    file.close()
    file.close()
    with pytest.raises(JournalError, match="closed"):
        file.write([record(0).row()], [])
