"""The manifest and the contact sheet of a run, which grow while it goes on.

Both are there when the process is killed: the manifest gets new lines several times a
second, the sheet is replaced every few seconds. At the end the manifest is replaced as
well, by one with a line for each prompt in the order of the prompts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pictory_async.cli._batch.ledger import Entry, Ledger, Totals, read_entries
from pictory_async.cli._batch.prompts import Row
from pictory_async.cli._batch.sheet import Heading, contact_sheet
from pictory_async.cli._output import replace_file

MANIFEST, SHEET = "manifest.jsonl", "index.html"

# Seconds between two looks at what is to be written, and between two sheets.
_TICK, _SHEET_INTERVAL = 0.25, 5.0
# Of a sheet so long that it takes a while, the part of the time that it may take.
_SHEET_SHARE: Final = 0.05


class Reports:
    """The reports of a run; open for as long as it goes on.

    A report that cannot be written does not disturb the run: the last attempt is made
    at the end.

    Args:
        folder: Where they are.
        source: The name of the prompts.
        rows: All prompts.

    Attributes:
        error: Why they could not be written at the end; None if they were.
    """

    def __init__(self, folder: Path, source: str, rows: Sequence[Row]) -> None:
        self.manifest, self.sheet = folder / MANIFEST, folder / SHEET
        self.error: OSError | None = None
        self._source, self._rows = source, rows
        self._ledger = Ledger()
        self._added = False  # anything, by this run
        self._new: list[bytes] = []  # not in the manifest yet
        self._begun = False  # the manifest, by this run
        self._sheet_is_old = False
        self._sheet_due = 0.0  # in monotonic seconds
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def recall(self) -> None:
        """Read the entries of an earlier run, for prompts that this one may not reach.

        It may take a while for a long manifest: call it in a thread.

        Raises:
            OSError: The manifest cannot be read.
        """
        with suppress(FileNotFoundError), self.manifest.open("rb") as file:
            self._ledger.recall(file, self._rows)

    def open(self) -> None:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write(), name="pictory-reports")

    def add(self, entry: Entry) -> None:
        """Add the entry of a prompt that has ended."""
        self._new.append(self._ledger.add(entry))
        self._added = self._sheet_is_old = True

    async def aclose(self) -> None:
        """Write what is left, unless nothing was added at all."""
        self._closing.set()
        if self._writer is not None:
            await self._writer
        if not self._added:
            return
        lines = self._ledger.lines()
        try:
            await asyncio.to_thread(self._replace_manifest, lines)
            await asyncio.to_thread(self._replace_sheet, lines, running=False)
        except OSError as error:
            self.error = error

    async def _write(self) -> None:
        while not self._closing.is_set():
            with suppress(OSError):  # tried again, for the last time at the end
                await self._write_manifest()
                await self._write_sheet()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _TICK)

    async def _write_manifest(self) -> None:
        if not self._new:
            return
        if not self._begun:
            self._new.clear()
            await asyncio.to_thread(self._replace_manifest, self._ledger.lines())
            self._begun = True
            return
        new, self._new = self._new, []
        # Should it fail half-way, the whole manifest is written next.
        self._begun = False
        await asyncio.to_thread(self._append, b"".join(new))
        self._begun = True

    async def _write_sheet(self) -> None:
        started = time.monotonic()
        if not self._sheet_is_old or started < self._sheet_due:
            return
        self._sheet_is_old = False
        lines = self._ledger.lines()
        try:
            await asyncio.to_thread(self._replace_sheet, lines, running=True)
        finally:
            now = time.monotonic()
            pause = max(_SHEET_INTERVAL, (now - started) / _SHEET_SHARE)
            self._sheet_due = now + pause

    # --- in a thread --------------------------------------------------------------

    def _append(self, data: bytes) -> None:
        with self.manifest.open("ab") as file:
            file.write(data)

    def _replace_manifest(self, lines: Sequence[bytes]) -> None:
        with replace_file(self.manifest) as file:
            file.writelines(lines)

    def _replace_sheet(self, lines: Sequence[bytes], *, running: bool) -> None:
        totals = Totals()
        for entry in read_entries(lines):
            totals.add(entry)
        heading = Heading(
            source=self._source,
            made=datetime.now(UTC).astimezone(),
            total=len(self._rows),
            totals=totals,
            running=running,
        )
        with replace_file(self.sheet) as file:
            for piece in contact_sheet(heading, read_entries(lines)):
                file.write(piece.encode())
