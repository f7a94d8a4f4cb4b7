"""The check of all prompts of a batch, before anything is sent."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, Final

from pictory_async import JournalSummary, read_journal
from pictory_async.cli._batch.arguments import CEILING, BatchArguments
from pictory_async.cli._batch.estimate import (
    Estimate,
    estimate_data,
    estimate_lines,
    make_estimate,
)
from pictory_async.cli._batch.prompts import BadRow, Row, read_rows
from pictory_async.cli._errors import DONE, MISUSED, Misuse
from pictory_async.cli._log import capture_log
from pictory_async.cli._output import stderr, stdout
from pictory_async.cli._prompts import standard_input
from pictory_async.cli._text import count, one_line

# Names of columns that a note has; each line of a JSON Lines file may have others.
_COLUMNS_NAMED: Final = 20


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


def valid_rows(args: BatchArguments, data: bytes | None) -> list[Row]:
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
        stderr().write(f"note: columns that are kept, but not sent: {shown}")


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
            f"what does not fit under {CEILING} {args.max_credits:f} is not sent"
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
