"""The file of a journal: an SQLite database of one table. Blocks; runs in a thread.

It is opened for one batch alone (``locking_mode=EXCLUSIVE``); if the process is
killed, the operating system releases the lock. What is committed survives that and a
loss of power (write-ahead log, ``synchronous=FULL``).
https://www.sqlite.org/wal.html#use_of_wal_without_shared_memory
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from pictory_async._batch.records import HALF, Record, UnreadableRecord, amount, record
from pictory_async._core.errors import JournalError

# "PaJ1", so that no other program's database is taken for a journal.
APPLICATION: Final = 0x50614A31
SCHEMA: Final = 1

_COLUMNS: Final = 8
# Far below SQLite's limit of 32,766 values in a statement.
_ROWS_AT_ONCE: Final = 256

_CREATE: Final = (
    """CREATE TABLE prompts (
        position INTEGER PRIMARY KEY,
        fingerprint BLOB NOT NULL,
        started_at INTEGER NOT NULL,  -- microseconds since 1970, UTC
        ended_at INTEGER,
        job_id TEXT,
        outcome TEXT,
        credits TEXT NOT NULL,  -- exact decimals
        path TEXT
    )""",
    "CREATE TABLE openings (number INTEGER NOT NULL)",
    "INSERT INTO openings VALUES (0)",
    f"PRAGMA application_id={APPLICATION}",
    f"PRAGMA user_version={SCHEMA}",
)

_REASONS: Final = {
    "SQLITE_BUSY": "it is in use by another batch or process",
    "SQLITE_LOCKED": "it is in use by another batch or process",
    "SQLITE_NOTADB": "it is another kind of file",
    "SQLITE_CORRUPT": "it is damaged",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it cannot be written to",
    "SQLITE_PERM": "it cannot be written to",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_IOERR": "the disk failed",
}

OTHER_FILE: Final = "it is a database of another program"
NEWER: Final = (
    "it was made by a newer release (schema {found}; this one reads up to {known})"
)


@attrs.frozen(kw_only=True)
class Contents:
    """A summary of a journal as it was opened.

    Attributes:
        end: The first index after all recorded ones.
        used: AI credits of prompts whose outcome is recorded.
        kept: AI credits of all others.
    """

    end: int = 0
    used: Decimal = Decimal(0)
    kept: Decimal = Decimal(0)


class JournalFile:
    """The database. All methods must be called in one and the same thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None

    def open(self) -> Contents:
        """Open the file for one batch alone, create it if needed, and write to it.

        Raises:
            JournalError: It cannot be used.
        """
        with self._errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._check_access()
            # By SQLite alone: if a process opens a file twice and closes it once, it
            # loses the locks of the other opening (fcntl(2), "Record locks").
            self._database = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            try:
                return self._begin(self._database)
            except BaseException:
                self.close()
                raise

    def look(self) -> tuple[frozenset[int], Contents]:
        """Return the indices of what is recorded, and what it comes to.

        The file is neither made nor written to; it is closed again.

        Raises:
            JournalError: It cannot be read.
        """
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        with self._errors():
            self._database = sqlite3.connect(uri, uri=True, timeout=0)
            try:
                self._check_kind()
                found = self._all("SELECT position FROM prompts")
                return frozenset(index for (index,) in found), self._contents()
            finally:
                self.close()

    def write(self, rows: Sequence[tuple[Any, ...]], gone: Sequence[int]) -> None:
        """Insert or replace *rows* by index, and delete those of the indices *gone*.

        All changes are on disk when this returns; if it raises, none is.

        Raises:
            JournalError: It could not be written.
        """
        with self._errors(), self._transaction() as database:
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                some = rows[first : first + _ROWS_AT_ONCE]
                # One statement for all: each would wait for the interpreter's lock.
                database.execute(_insert(len(some)), [v for row in some for v in row])
            for index in gone:  # few: prompts that were refused
                database.execute("DELETE FROM prompts WHERE position = ?", (index,))

    def read(self, first: int, count: int) -> list[Record]:
        """Return the records of *count* indices from *first*.

        The path of a file that no longer exists is left out.

        Raises:
            JournalError: They cannot be read.
        """
        query = "SELECT * FROM prompts WHERE position >= ? AND position < ?"
        with self._errors():
            found = self._all(query, (first, first + count))
            records = [record(row) for row in found]
            for read in records:
                if read.path is not None and not Path(read.path).is_file():
                    read.path = None
            return records

    def with_prompt(self, mark: bytes) -> list[Record]:
        """Return the records with the same prompt, whatever its options.

        Raises:
            JournalError: They cannot be read.
        """
        query = f"SELECT * FROM prompts WHERE substr(fingerprint, 1, {HALF}) = ?"  # noqa: S608 - a number
        with self._errors():
            return [record(row) for row in self._all(query, (mark,))]

    def close(self) -> None:
        """Close the file; the write-ahead log is merged into it."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _check_access(self) -> None:
        """Refuse what cannot be written to; SQLite has many errors for that."""
        for needed in (self.path.parent, self.path):
            if needed.exists() and not os.access(needed, os.W_OK):
                raise self._error(f"{needed} cannot be written to")

    def _begin(self, database: sqlite3.Connection) -> Contents:
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")  # locked for us, or refused, first of all
        if self._is_empty():
            self.path.chmod(0o600)  # the URLs of images are signed
            for statement in _CREATE:
                database.execute(statement)
        else:
            self._check_kind()
        contents = self._contents()
        # A disk that cannot be written to is noticed before anything is sent.
        database.execute("UPDATE openings SET number = number + 1")
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        return contents

    def _is_empty(self) -> bool:
        """Return whether it is new: no program has written anything to it."""
        queries = (
            "SELECT count(*) FROM sqlite_master",
            "PRAGMA application_id",
            "PRAGMA user_version",
        )
        return not any(map(self._one, queries))

    def _check_kind(self) -> None:
        schema = self._one("PRAGMA user_version")
        if self._one("PRAGMA application_id") != APPLICATION:
            raise self._error(OTHER_FILE)
        if schema > SCHEMA:
            raise self._error(NEWER.format(found=schema, known=SCHEMA))
        if (found := self._one("PRAGMA quick_check(1)")) != "ok":
            raise self._error(f"it is damaged ({found:.60})")

    def _contents(self) -> Contents:
        end = self._one("SELECT coalesce(max(position) + 1, 0) FROM prompts")
        sums = {True: Decimal(0), False: Decimal(0)}
        query = (
            "SELECT outcome IS NOT NULL, credits, count(*) FROM prompts "
            "GROUP BY outcome IS NOT NULL, credits"
        )
        for known, credits_, count in self._all(query):
            sums[bool(known)] += amount(credits_) * count
        return Contents(end=end, used=sums[True], kept=sums[False])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._open_database()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:  # some errors have ended it already
                database.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise errors of the database and the disk as a `JournalError`."""
        try:
            yield
        except sqlite3.Error as exc:
            name = getattr(exc, "sqlite_errorname", "")
            kinds = (reason for kind, reason in _REASONS.items() if kind in name)
            reason = next(kinds, "it cannot be used")
            raise self._error(f"{reason} ({exc})") from exc
        except OSError as exc:
            why = exc.strerror or type(exc).__name__
            raise self._error(f"it cannot be written to ({why})") from exc
        except UnreadableRecord as exc:
            raise self._error(f"it is damaged ({exc})") from exc

    def _open_database(self) -> sqlite3.Connection:
        if self._database is None:
            raise self._error("it is closed")
        return self._database

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._open_database().execute(query, values).fetchall()

    def _one(self, query: str) -> Any:
        return self._open_database().execute(query).fetchone()[0]

    def _error(self, reason: str) -> JournalError:
        return JournalError(path=str(self.path), reason=reason)


def _insert(rows: int) -> str:
    places = f"({', '.join('?' * _COLUMNS)})"
    return f"INSERT OR REPLACE INTO prompts VALUES {', '.join([places] * rows)}"  # noqa: S608 - places only
