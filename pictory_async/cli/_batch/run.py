"""The run of ``pictory batch``: from a file of prompts to a folder of images."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from pictory_async import (
    AuthenticationError,
    Batch,
    BatchOutcome,
    BatchProgress,
    JournalError,
    JournalMismatchError,
    PictoryError,
    PictorySession,
)
from pictory_async.cli._batch.arguments import CEILING, BatchArguments
from pictory_async.cli._batch.check import dry_run, valid_rows
from pictory_async.cli._batch.ledger import Entry, Totals, entry_of, is_unsent
from pictory_async.cli._batch.prompts import Row
from pictory_async.cli._batch.reports import Reports
from pictory_async.cli._batch.screen import RunStatus, make_view
from pictory_async.cli._batch.views import summary_lines
from pictory_async.cli._connect import SANDBOX_NOTE, connect
from pictory_async.cli._errors import DONE, FAILED, Misuse, explain
from pictory_async.cli._items import View
from pictory_async.cli._log import LogHandler, capture_log
from pictory_async.cli._output import make_folder, replace_file, stderr
from pictory_async.cli._prompts import standard_input
from pictory_async.cli._run import run_async
from pictory_async.cli._text import count, one_line
from pictory_async.cli._views import PATIENCE

# This many prompts in a row whose key was refused end a batch: the others would fare
# no better. A single one may be a hiccup of the service.
_REFUSALS: Final = 20


def run_batch(args: BatchArguments) -> int:
    """Check all prompts, then make an image of each; return the exit code."""
    # Before there is a loop: reading may take long, and be interrupted.
    if args.dry_run:
        return dry_run(args)
    data = standard_input().read() if args.file is None else None
    rows = valid_rows(args, data)
    return run_async(BatchRun(args, rows, data).run())


class BatchRun:
    """One run of a batch, with its totals and its reports.

    Args:
        args: The command line.
        rows: All prompts; at least one.
        data: The prompts as they were read, if that was from standard input.
    """

    def __init__(
        self, args: BatchArguments, rows: Sequence[Row], data: bytes | None = None
    ) -> None:
        self._args, self._rows, self._data = args, rows, data
        self._totals = Totals()
        self._reports = Reports(args.folder, args.source, rows)
        self._resumed = False
        self._there: frozenset[str] = frozenset()  # files of earlier runs
        self._recalled = 0  # outcomes whose file was there
        # What the prompts cost that have not been sent, or not ended.
        self._open_credits = sum(map(_price, rows), Decimal(0))
        self._started = time.monotonic()
        self._err = stderr()

    async def run(self) -> int:
        """Make the images; return the exit code."""
        args = self._args
        with capture_log(self._err, verbose=args.verbose) as log:
            async with connect(
                poll_every=args.poll_every,
                proxy=args.proxy,
                sandbox=args.sandbox,
                state=args.state_path,
            ) as session:
                await asyncio.to_thread(self._prepare)
                if args.sandbox:
                    self._err.write(SANDBOX_NOTE)
                await self._run(session, log)
        return FAILED if self._totals.without or self._reports.error else DONE

    def _prepare(self) -> None:
        """Make the folders, and keep a copy of what cannot be read a second time.

        Raises:
            Misuse: A folder cannot be made.
        """
        self._resumed = self._args.journal_path.exists()
        for folder in (self._args.folder, self._args.journal_path.parent):
            make_folder(folder)
        if self._resumed:
            self._there = frozenset(path.name for path in self._args.folder.iterdir())
            self._reports.recall()
        if self._data is not None and self._may_replace_copy(self._data):
            with replace_file(self._args.copy_path) as file:
                file.write(self._data)

    def _may_replace_copy(self, data: bytes) -> bool:
        """Return whether *data* may replace the copy: they only add to its prompts."""
        if not self._resumed:
            return True
        copy = self._args.copy_path
        return not copy.exists() or data.startswith(copy.read_bytes())

    def _start(self, session: PictorySession) -> Batch:
        args = self._args
        return session.generate_many(
            [row.request for row in self._rows],
            max_in_flight=args.max_in_flight,
            journal=args.journal_path,
            save_to=args.folder,
            max_credits=args.max_credits,
            on_unknown=args.on_unknown,
            **self._naming(),
        )

    def _naming(self) -> dict[str, Any]:
        """Return the option that names the files, if the prompts do."""
        if self._rows[0].filename is None:
            return {}
        return {"filename": lambda index, _: self._rows[index].filename}

    async def _run(self, session: PictorySession, log: LogHandler) -> None:
        """Make the images; write the reports, however it ends."""
        batch = self._start(session)
        view = self._view(session, batch, log)
        outcomes = aiter(batch)
        self._reports.open()
        try:
            async with batch:
                await self._follow(outcomes, view)
        except asyncio.CancelledError:
            async for outcome in outcomes:  # what had ended by then
                self._record(outcome, view)
            await self._reports.aclose()
            self._write_rest(batch.progress, len(session.jobs))
            raise
        except (PictoryError, OSError) as error:  # such as a full disk
            await self._reports.aclose()
            if isinstance(error, JournalError) and not batch.progress.submitted:
                raise Misuse(self._explain_journal(error)) from None
            self._write_rest(batch.progress, len(session.jobs))
            raise
        await self._reports.aclose()
        view.summarize(self._summary(batch.progress))

    def _view(
        self, session: PictorySession, batch: Batch, log: LogHandler
    ) -> View[Entry]:
        status = RunStatus(
            total=len(self._rows),
            folder=self._args.folder,
            log=log,
            progress=lambda: batch.progress,
            in_flight=lambda: len(session.jobs),
            ceiling=self._args.max_credits,
            resumed=self._resumed,
            there=self._there,
        )
        return make_view(status, json=self._args.json, verbose=self._args.verbose)

    async def _follow(
        self, outcomes: AsyncIterator[BatchOutcome], view: View[Entry]
    ) -> None:
        """Record the outcomes.

        Raises:
            AuthenticationError: The key was refused for many prompts in a row.
        """
        refusals = 0
        try:
            async with view:
                async for outcome in outcomes:
                    self._record(outcome, view)
                    refused = isinstance(outcome.error, AuthenticationError)
                    refusals = refusals + 1 if refused else 0
                    if outcome.error is not None and refusals == _REFUSALS:
                        raise outcome.error
        except asyncio.CancelledError:
            self._err.write("Interrupted.")
            self._err.write(PATIENCE)
            raise

    def _record(self, outcome: BatchOutcome, view: View[Entry]) -> None:
        row = self._rows[outcome.index]
        entry = entry_of(outcome, row=row, folder=self._args.folder)
        self._totals.add(entry)
        self._recalled += entry["file"] in self._there
        if not is_unsent(entry):
            self._open_credits -= _price(row)
        self._reports.add(entry)
        view.ended(entry)

    # --- what it came to, and how to go on ----------------------------------------

    def _summary(self, progress: BatchProgress) -> Iterator[str]:
        seconds = time.monotonic() - self._started
        recalled = self._recalled if self._resumed else None
        yield from summary_lines(self._totals, seconds, recalled=recalled)
        yield from self._ceiling_lines(progress)
        if self._totals.retryable:
            yield f"to try again: {self._resume_command(progress)}"
        if self._reports.error is None:
            yield f"manifest: {self._reports.manifest}"
            yield f"contact sheet: {self._reports.sheet}"
        yield from self._report_errors()

    def _report_errors(self) -> Iterator[str]:
        if error := self._reports.error:
            reports = "the manifest and the contact sheet"
            yield f"Error: cannot write {reports}: {explain(error)}"

    def _write_rest(self, progress: BatchProgress, in_progress: int) -> None:
        """Write what is left to do, and how to continue."""
        prompts = count(len(self._rows), "prompt")
        self._err.write(f"{self._totals.ended:,} of {prompts} ended.")
        if in_progress:
            fate = "continue at the service"
            if self._args.sandbox:
                fate = "continue when the batch does"
            self._err.write(f"{count(in_progress, 'job')} in progress {fate}.")
        for line in (*self._ceiling_lines(progress), *self._report_errors()):
            self._err.write(line)
        self._err.write(f"Continue with: {self._resume_command(progress)}")

    def _needed_credits(self, progress: BatchProgress) -> Decimal | None:
        """Return a ceiling that suffices, if the present one does not."""
        if self._args.max_credits is None or not self._totals.unsent:
            return None
        needed = progress.credits_used + progress.credits_reserved + self._open_credits
        return needed if needed > self._args.max_credits else None

    def _ceiling_lines(self, progress: BatchProgress) -> Iterator[str]:
        needed, ceiling = self._needed_credits(progress), self._args.max_credits
        if needed is not None and ceiling is not None:
            short = count(needed - ceiling, "credit")
            yield f"--max-credits {ceiling:f} is {short} short of what is left to do"

    def _resume_command(self, progress: BatchProgress) -> str:
        source = str(self._args.file or self._args.copy_path)
        if source.startswith("-"):
            source = f"./{source}"  # or it would be taken for an option
        options = list(self._args.resume_options)
        if (needed := self._needed_credits(progress)) is not None:
            options[options.index(CEILING) + 1] = f"{needed.normalize():f}"
        return one_line(shlex.join(["pictory", "batch", source, *options]))

    def _explain_journal(self, error: JournalError) -> str:
        if not isinstance(error, JournalMismatchError):
            return explain(error)
        source = one_line(self._args.source)
        journal = one_line(self._args.journal_path)
        if error.index < len(self._rows):
            line = self._rows[error.index].line
            text = f"{source}:{line}: is not the prompt that {journal} has for it"
        else:
            prompts = count(len(self._rows), "prompt")
            text = f"{source} has only {prompts}, but {journal} was made for more"
        return f"{text}; a new list needs another --output or --journal"


def _price(row: Row) -> Decimal:
    """Return what a prompt costs at list price; 0 if that is not known."""
    return row.request.estimated_credits or Decimal(0)
