"""The command line of ``pictory batch``, as its run sees it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import attrs

from pictory_async.cli._batch.prompts import Defaults

OnUnknown = Literal["report", "reconcile", "resubmit"]

# The option whose value the command to go on with raises where it does not suffice.
CEILING: Final = "--max-credits"

# A batch of test pictures must never be mistaken for one that was paid for.
_JOURNAL, _SANDBOX_JOURNAL = "batch.sqlite", "sandbox.sqlite"


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
        proxy: The proxy for the service; None leaves it to the environment.
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
    proxy: str | None = None
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
