"""The run of ``pictory batch``: from a file of prompts to a folder of images."""

from __future__ import annotations

import asyncio
import io
import shlex
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import attrs

from pictory_async import (
    AuthenticationError,
    Batch,
    BatchOutcome,
    BatchProgress,
    JournalError,
    JournalMismatchError,
    JournalSummary,
    PictoryError,
    PictorySession,
    read_journal,
)
from pictory_async.cli._batch.estimate import (
    Estimate,
    estimate_data,
    estimate_lines,
    make_estimate,
)
from pictory_async.cli._batch.ledger import Entry, Totals, entry_of, is_unsent
from pictory_async.cli._batch.prompts import BadRow, Defaults, Row, read_rows
from pictory_async.cli._batch.reports import Reports
from pictory_async.cli._batch.screen import RunStatus, make_view
from pictory_async.cli._batch.views import summary_lines
from pictory_async.cli._connect import SANDBOX_NOTE, connect
from pictory_async.cli._errors import DONE, FAILED, MISUSED, Misuse, explain
from pictory_async.cli._items import View
from pictory_async.cli._log import LogHandler, capture_log
from pictory_async.cli._output import (
    make_folder,
    replace_file,
    stderr,
    stdout,
)
from pictory_async.cli._prompts import standard_input
from pictory_async.cli._run import run_async
from pictory_async.cli._text import count, one_line
from pictory_async.cli._views import PATIENCE

OnUnknown = Literal["report", "reconcile", "resubmit"]

# A batch of test pictures must never be mistaken for one that was paid for.
_JOURNAL, _SANDBOX_JOURNAL = "batch.sqlite", "sandbox.sqlite"
# This many prompts in a row whose key was refused end a batch: the others would fare
# no better. A single one may be a hiccup of the service.
_REFUSALS: Final = 20
_CEILING: Final = "--max-credits"
# Names of columns that a note has; each line of a JSON Lines file may have others.
_COLUMNS_NAMED: Final = 20


@attrs.frozen(kw_only=True)
class BatchArguments:
    """The command line of ``pictory batch``.

    Attributes:
        file: The file of prompts; None for standard input.
        kind: The format of the prompts.
        defaults: The options of prompts that do not name their own.
        folder: Where to save the images.
        journal: The journal; None for the usual one in *folder*.
        resume_options: The options with which another run continues this batch.
        max_in_flight: Prompts that are worked on at once.
        max_credits: The ceiling, if there is one.
        on_unknown: As for `PictorySession.generate_many`.
        dry_run: Whether only to check and estimate the prompts.
        sandbox: Whether to use a sandbox of its own.
        json: Whether to write JSON.
        poll_every: Seconds between two polls of a job; None leaves it to the library.
        verbose: Whether to write the library's log.
    """

    file: Path | None
    kind: str
    defaults: Defaults
    folder: Path
    journal: Path | None = None
    resume_options: Sequence[str] = ()
    max_in_flight: int = 50
    max_credits: Decimal | None = None
    on_unknown: OnUnknown = "report"
    dry_run: bool = False
    sandbox: bool = False
    json: bool = False
    poll_every: float | None = None
    verbose: bool = False

    @property
    def source(self) -> str:
        """The name of the prompts in messages."""
        return "standard input" if self.file is None else self.file.name

    @property
    def journal_path(self) -> Path:
        """The path of the journal."""
        usual = _SANDBOX_JOURNAL if self.sandbox else _JOURNAL
        return self.journal or self.folder / usual

    @property
    def state_path(self) -> Path | None:
        """Where the sandbox keeps its jobs, so that another run finds them."""
        return self.journal_path.with_suffix(".jobs.jsonl") if self.sandbox else None

    @property
    def copy_path(self) -> Path:
        """The path of the copy of standard input: beside its journal."""
        return self.journal_path.with_suffix(f".prompts.{self.kind}")


def run_batch(args: BatchArguments) -> int:
    """Check all prompts, then make an image of each; return the exit code."""
    # Before there is a loop: reading may take long, and be interrupted.
    if args.dry_run:
        return dry_run(args)
    data = standard_input().read() if args.file is None else None
    rows = _valid_rows(args, data)
    return run_async(BatchRun(args, rows, data).run())


# --- before anything is sent ------------------------------------------------------


def dry_run(args: BatchArguments) -> int:
    """Write the estimate of a batch; keep no prompt, however many there are.

    Raises:
        Misuse: There are no prompts, or they cannot be read.
        JournalError: The journal of earlier runs cannot be read.
    """
    out = stdout()
    journal = None
    if args.journal_path.exists():
        journal = read_journal(args.journal_path)
    estimate = _check(args, None, keep=lambda _: None, journal=journal)
    if args.json:
        out.write_json(estimate_data(estimate, journal))
    else:
        for line in estimate_lines(estimate, journal):
            out.write(line)
    _note_ceiling(args, estimate, journal)
    return MISUSED if estimate.bad else DONE


def _valid_rows(args: BatchArguments, data: bytes | None) -> list[Row]:
    """Return all prompts: all are compared with the journal before the first is sent.

    Raises:
        Misuse: A line is not a valid prompt, or there is none. Bad lines are reported
            one by one.
    """
    rows = list[Row]()
    estimate = _check(args, data, keep=rows.append)
    if estimate.bad:
        raise Misuse(f"{count(estimate.bad, 'bad line')}; nothing was sent")
    _note_ceiling(args, estimate)
    return rows


def _check(
    args: BatchArguments,
    data: bytes | None,
    *,
    keep: Callable[[Row], None],
    journal: JournalSummary | None = None,
) -> Estimate:
    """Read all prompts; report the invalid ones and undocumented values.

    Raises:
        Misuse: There are none, or the file as a whole is unusable.
    """
    err, name = stderr(), one_line(args.source)
    columns: dict[str, None] = {}

    def kept(row: Row | BadRow) -> Row | BadRow:
        if isinstance(row, Row):
            if len(columns) < _COLUMNS_NAMED:
                columns.update(dict.fromkeys(row.columns))
            keep(row)
        return row

    def report(row: BadRow) -> None:
        err.write(f"{name}:{row.line}: {one_line(row.problem)}")  # as compilers do

    with ExitStack() as stack:
        source = stack.enter_context(_open_prompts(args, data))
        log = stack.enter_context(capture_log(err, verbose=False))
        stack.enter_context(log.showing_warnings())
        rows = map(kept, read_rows(source, args.kind, args.defaults))
        try:
            estimate = make_estimate(
                rows,
                report,
                max_credits=args.max_credits,
                recorded=journal.indices if journal else (),
            )
        except Misuse as error:
            raise Misuse(f"{name}: {error}") from None
    if not estimate.prompts and not estimate.bad:
        raise Misuse(f"there are no prompts in {name}")
    _note_columns(list(columns))
    return estimate


def _note_columns(names: Sequence[str]) -> None:
    if names:
        shown = ", ".join(one_line(name, limit=40) for name in names[:_COLUMNS_NAMED])
        stderr().write(f"note: kept for the manifest, and not sent: {shown}")


def _note_ceiling(
    args: BatchArguments, estimate: Estimate, journal: JournalSummary | None = None
) -> None:
    """Note that the ceiling is too low, with what a journal counts against it."""
    needed = estimate.left
    if journal is not None:
        needed += journal.credits_used + journal.credits_reserved
    if args.max_credits is not None and needed > args.max_credits:
        stderr().write(
            f"note: at list price all prompts cost {count(needed, 'credit')}; "
            f"what does not fit under {_CEILING} {args.max_credits:f} is not sent"
        )


@contextmanager
def _open_prompts(args: BatchArguments, data: bytes | None) -> Iterator[BinaryIO]:
    """Open the prompts; *data* are those of standard input, if it was read already.

    Raises:
        Misuse: They cannot be read.
    """
    if args.file is None:
        yield standard_input() if data is None else io.BytesIO(data)
        return
    try:
        file = args.file.open("rb")
    except OSError as error:
        path = one_line(args.file)
        raise Misuse(f"cannot read {path}: {error.strerror}") from None
    with file:
        yield file


# --- the run ----------------------------------------------------------------------


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
                poll_every=args.poll_every, sandbox=args.sandbox, state=args.state_path
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
            options[options.index(_CEILING) + 1] = f"{needed.normalize():f}"
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
