"""What a journal has recorded, for those who do not run its batch now."""

import os
from decimal import Decimal
from pathlib import Path

import attrs

from pictory_async._batch.journal_file import JournalFile


@attrs.frozen(kw_only=True)
class JournalSummary:
    """What a journal has recorded of a batch.

    Attributes:
        indices: The places of the prompts, from 0, that have been sent or may have
            been. Running the batch again sends none of them, unless it is told to send
            unknown ones again.
        credits_used: AI credits of the prompts whose outcome is known.
        credits_reserved: AI credits of the others, which may be charged.
    """

    indices: frozenset[int]
    credits_used: Decimal
    credits_reserved: Decimal


def read_journal(path: str | os.PathLike[str]) -> JournalSummary:
    """Read what the journal of a batch has recorded; change nothing.

    It blocks while it reads: call it in a thread if an event loop runs.

    Args:
        path: The file that was given to `PictorySession.generate_many` as *journal*.

    Raises:
        JournalError: There is no such file, a batch has it open, or it is no journal.
    """
    indices, contents = JournalFile(Path(path)).look()
    return JournalSummary(
        indices=indices,
        credits_used=contents.used,
        credits_reserved=contents.kept,
    )
