"""``pictory batch``: from a file of prompts to a folder of images."""

from __future__ import annotations

import asyncio
import io
import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Literal

import attrs

from pictory_async import (
    AuthenticationError,
    Batch,
    BatchOutcome,
    JournalError,
    JournalMismatchError,
    PictoryError,
    PictorySession,
)
from pictory_async.cli._batch.estimate import Plan, make_plan, plan_data, plan_lines
from pictory_async.cli._batch.ledger import Ledger, Tally, entry_of
from pictory_async.cli._batch.prompts import BadRow, Defaults, Row, read_rows
from pictory_async.cli._batch.screen import Watched, make_view
from pictory_async.cli._batch.sheet import Heading, contact_sheet
from pictory_async.cli._batch.views import BatchView, summary_lines
from pictory_async.cli._connect import connect
from pictory_async.cli._generate import SANDBOX_NOTE, make_folder
from pictory_async.cli._log import Listener, listening
from pictory_async.cli._output import Lines, remarks, results
from pictory_async.cli._replace import replacing
from pictory_async.cli._run import DONE, FAILED, MISUSED, Misuse, execute
from pictory_async.cli._text import count, plain
from pictory_async.cli._views import PATIENCE
from pictory_async.cli._words import explain

OnUnknown = Literal["report", "reconcile", "resubmit"]

STANDARD_INPUT = "standard input"
MANIFEST, SHEET = "manifest.jsonl", "index.html"
# A batch of test pictures must never be taken for one that was paid for.
_JOURNAL, _SANDBOX_JOURNAL = "batch.sqlite", "sandbox.sqlite"
# So many prompts one after another for which the key was refused end a batch: the
# others would fare no better. One alone may be a hiccup of the service.
_REFUSALS = 20


@attrs.frozen(kw_only=True)
class Asked:
    """What was asked for on the command line.

    Attributes:
        file: The prompts; None for standard input.
        kind: The format of the prompts.
        defaults: What a prompt that leaves a field open asks for.
        folder: Where the images go.
        journal: The journal; None for the usual one in *folder*.
        again: The command line that goes on with this batch, without the prompts.
        max_in_flight: Prompts that are worked on at once.
        max_credits: The ceiling, if there is one.
        on_unknown: As for `PictorySession.generate_many`.
        dry_run: Whether only to look at the prompts.
        sandbox: Whether to use a sandbox of one's own.
        json: Whether to write JSON.
        poll_every: Seconds between two questions about a job.
        verbose: Whether to tell what is tried again.
    """

    file: Path | None
    kind: str
    defaults: Defaults
    folder: Path
    journal: Path | None = None
    again: Sequence[str] = ()
    max_in_flight: int = 50
    max_credits: Decimal | None = None
    on_unknown: OnUnknown = "report"
    dry_run: bool = False
    sandbox: bool = False
    json: bool = False
    poll_every: float | None = None
    verbose: bool = False

    @property
    def name(self) -> str:
        """What the prompts are known by."""
        return STANDARD_INPUT if self.file is None else self.file.name

    @property
    def journal_path(self) -> Path:
        """Where the journal is."""
        usual = _SANDBOX_JOURNAL if self.sandbox else _JOURNAL
        return self.journal or self.folder / usual

    @property
    def copy_path(self) -> Path:
        """Where the prompts of standard input are kept: with their journal."""
        return self.journal_path.with_suffix(f".prompts.{self.kind}")


def make_batch(asked: Asked) -> int:
    """Check all prompts, then make an image of each; return the exit code."""
    # Before there is a loop: reading may take as long as it wants, and be interrupted.
    if asked.dry_run:
        return dry_run(asked)
    data = sys.stdin.buffer.read() if asked.file is None else None
    rows = _checked_rows(asked, data)
    return execute(BatchCommand(asked, rows, data).run())


# --- before anything is sent ------------------------------------------------------


def dry_run(asked: Asked) -> int:
    """Tell what a batch comes to; keep none of it, however long it is."""
    out = results()
    plan = _look_at(asked, None, keep=lambda _: None)
    if asked.json:
        out.write_json(plan_data(plan))
    else:
        for line in plan_lines(plan):
            out.write(line)
    return MISUSED if plan.bad else DONE


def _checked_rows(asked: Asked, data: bytes | None) -> list[Row]:
    """Return all prompts.

    They are kept, since all of them are to be compared with the journal before the
    first is sent.

    Raises:
        Misuse: A line is no prompt, or there is none; all bad lines were told.
    """
    rows = list[Row]()
    plan = _look_at(asked, data, keep=rows.append)
    if plan.bad:
        raise Misuse(f"{count(plan.bad, 'bad line')}; nothing was sent")
    _note_ceiling(asked, plan.credits, remarks())
    return rows


def _look_at(asked: Asked, data: bytes | None, *, keep: Callable[[Row], None]) -> Plan:
    """Read all prompts; tell the bad ones and what is not documented.

    Raises:
        Misuse: There are none.
    """
    err = remarks()

    def seen(row: Row | BadRow) -> Row | BadRow:
        if isinstance(row, Row):
            keep(row)
        return row

    with ExitStack() as stack:
        source = stack.enter_context(_opened(asked, data))
        listener = stack.enter_context(listening(err, verbose=False))
        stack.enter_context(listener.telling_warnings())
        rows = map(seen, read_rows(source, asked.kind, asked.defaults))
        plan = make_plan(rows, _BadRows(asked.name, err), max_credits=asked.max_credits)
    if not plan.prompts and not plan.bad:
        raise Misuse(f"there are no prompts in {plain(asked.name)}")
    return plan


def _note_ceiling(asked: Asked, estimated: Decimal, err: Lines) -> None:
    if asked.max_credits is not None and estimated > asked.max_credits:
        err.write(
            f"note: by the price list all prompts cost {count(estimated, 'credit')}; "
            f"what does not fit under --max-credits {asked.max_credits:f} is not sent"
        )


class _BadRows:
    """Tells each bad row with its line, as compilers do."""

    def __init__(self, name: str, err: Lines) -> None:
        self._name, self._err = plain(name), err

    def __call__(self, row: BadRow) -> None:
        self._err.write(f"{self._name}:{row.line}: {plain(row.problem)}")


@contextmanager
def _opened(asked: Asked, data: bytes | None) -> Iterator[BinaryIO]:
    """Open the prompts; *data* are those of standard input, if it was read already.

    Raises:
        Misuse: They cannot be read.
    """
    if asked.file is None:
        yield sys.stdin.buffer if data is None else io.BytesIO(data)
        return
    try:
        file = asked.file.open("rb")
    except OSError as error:
        raise Misuse(f"cannot read {plain(asked.file)}: {error.strerror}") from None
    with file:
        yield file


# --- the batch --------------------------------------------------------------------


class BatchCommand:
    """One run of a batch: what it needs on the way, and what it leaves behind.

    Args:
        asked: What was asked for.
        rows: All prompts; at least one.
        data: The prompts as they came, if that was by standard input.
    """

    def __init__(
        self, asked: Asked, rows: Sequence[Row], data: bytes | None = None
    ) -> None:
        self._asked, self._rows, self._data = asked, rows, data
        self._tally, self._ledger = Tally(), Ledger()
        self._resumed = False
        self._began = time.monotonic()
        self._err = remarks()

    async def run(self) -> int:
        """Make the images; return the exit code."""
        asked = self._asked
        with listening(self._err, verbose=asked.verbose) as listener:
            async with connect(
                poll_every=asked.poll_every, sandbox=asked.sandbox
            ) as session:
                await asyncio.to_thread(self._prepare)
                if asked.sandbox:
                    self._err.write(SANDBOX_NOTE)
                await self._run(session, listener)
        return FAILED if self._tally.failed else DONE

    def _prepare(self) -> None:
        """Make the folders, and keep what cannot be read a second time.

        Raises:
            Misuse: The prompts cannot be written.
        """
        self._resumed = self._asked.journal_path.exists()
        for folder in (self._asked.folder, self._asked.journal_path.parent):
            make_folder(folder)
        if self._data is not None and self._copy_is_old(self._data):
            with replacing(self._asked.copy_path) as file:
                file.write(self._data)

    def _copy_is_old(self, data: bytes) -> bool:
        """Say whether the kept prompts can go: nobody has them, or only these."""
        if not self._resumed:
            return True
        copy = self._asked.copy_path
        return not copy.exists() or data.startswith(copy.read_bytes())

    def _start(self, session: PictorySession) -> Batch:
        asked = self._asked
        return session.generate_many(
            [row.request for row in self._rows],
            max_in_flight=asked.max_in_flight,
            journal=asked.journal_path,
            save_to=asked.folder,
            max_credits=asked.max_credits,
            on_unknown=asked.on_unknown,
        )

    async def _run(self, session: PictorySession, listener: Listener) -> None:
        """Make the images; write the reports, however it ends."""
        batch = self._start(session)
        watched = Watched(
            total=len(self._rows),
            folder=self._asked.folder,
            listener=listener,
            progress=lambda: batch.progress,
            in_flight=lambda: len(session.jobs),
            ceiling=self._asked.max_credits,
            resumed=self._resumed,
        )
        view = make_view(watched, json=self._asked.json, verbose=self._asked.verbose)
        outcomes = aiter(batch)
        try:
            async with batch:
                await self._follow(outcomes, view)
        except asyncio.CancelledError:
            await self._take_all(outcomes, view)  # what had ended by then
            self._tell_rest(len(session.jobs))
            await self._report()
            raise
        except (PictoryError, OSError) as error:  # such as an output that is full
            if isinstance(error, JournalError) and not batch.progress.submitted:
                raise Misuse(self._journal_trouble(error)) from None
            self._tell_rest(len(session.jobs))
            await self._report()
            raise
        await self._report()
        self._close(view)

    async def _follow(
        self, outcomes: AsyncIterator[BatchOutcome], view: BatchView
    ) -> None:
        refusals = 0
        try:
            async with view:
                async for outcome in outcomes:
                    self._take(outcome, view)
                    refused = isinstance(outcome.error, AuthenticationError)
                    refusals = refusals + 1 if refused else 0
                    if outcome.error is not None and refusals == _REFUSALS:
                        raise outcome.error
        except asyncio.CancelledError:
            self._err.write("Interrupted.")
            self._err.write(PATIENCE)
            raise

    async def _take_all(
        self, outcomes: AsyncIterator[BatchOutcome], view: BatchView
    ) -> None:
        async for outcome in outcomes:
            self._take(outcome, view)

    def _take(self, outcome: BatchOutcome, view: BatchView) -> None:
        line = self._rows[outcome.index].line
        entry = entry_of(outcome, line=line, folder=self._asked.folder)
        self._tally.add(entry)
        self._ledger.add(entry)
        view.over(entry)

    # --- what is left behind ------------------------------------------------------

    async def _report(self) -> None:
        """Write the manifest and the contact sheet, if there is anything to write."""
        if self._tally.ended:
            await asyncio.to_thread(self._write_reports)

    def _write_reports(self) -> None:
        with replacing(self._asked.folder / MANIFEST) as file:
            file.writelines(self._ledger.lines())
        heading = Heading(
            source=self._asked.name,
            made=datetime.now(UTC).astimezone(),
            total=len(self._rows),
            tally=self._tally,
        )
        with replacing(self._asked.folder / SHEET) as file:
            for piece in contact_sheet(heading, self._ledger.entries()):
                file.write(piece.encode())

    def _close(self, view: BatchView) -> None:
        seconds = time.monotonic() - self._began
        lines = [*summary_lines(self._tally, seconds)]
        lines.append(f"all details: {self._asked.folder / MANIFEST}")
        lines.append(f"contact sheet: {self._asked.folder / SHEET}")
        if self._tally.open:
            lines.append(f"to try again what can be: {self._again}")
        view.closing(lines)

    def _tell_rest(self, going: int) -> None:
        self._err.write(
            f"{self._tally.ended:,} of {count(len(self._rows), 'prompt')} ended."
        )
        if going:
            where = (
                "ended with its sandbox"
                if self._asked.sandbox
                else "go on at the service"
            )
            self._err.write(f"{count(going, 'job')} in progress {where}.")
        self._err.write(f"Go on with: {self._again}")

    @property
    def _again(self) -> str:
        source = str(self._asked.file or self._asked.copy_path)
        if source.startswith("-"):
            source = f"./{source}"  # or it would be taken for an option
        return plain(shlex.join(["pictory", "batch", source, *self._asked.again]))

    def _journal_trouble(self, error: JournalError) -> str:
        text = explain(error)
        if not isinstance(error, JournalMismatchError):
            return text
        if error.index < len(self._rows):
            place = f"{plain(self._asked.name)}:{self._rows[error.index].line}: "
            text = f"{place}{text}"
        return f"{text}; a new list needs another --output or --journal"
