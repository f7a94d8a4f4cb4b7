"""The errors of a batch: attributes, texts, pickles."""

from __future__ import annotations

import pickle
from decimal import Decimal

from pictory_async import (
    BudgetExceededError,
    JournalError,
    JournalMismatchError,
    PictoryError,
)

BUDGET = BudgetExceededError(limit=Decimal(5), reserved=Decimal(4), price=Decimal(2))
JOURNAL = JournalError(path="run.sqlite", reason="the disk is full")
MISMATCH = JournalMismatchError(path="run.sqlite", index=7)


def test_texts_say_what_to_know() -> None:
    """The numbers, the file and the place are in the text."""
    assert str(BUDGET) == (
        "2 credits do not fit under max_credits=5, of which 4 are used or reserved; "
        "nothing was sent"
    )
    assert str(JOURNAL) == "journal run.sqlite: the disk is full"
    assert str(MISMATCH) == (
        "journal run.sqlite was made for other prompts: number 7 (from 0) is not the "
        "recorded one"
    )
    for kind in (BudgetExceededError, JournalError, JournalMismatchError):
        assert str(kind("in other words")) == "in other words"


def test_they_survive_a_pickle() -> None:
    """With all attributes."""
    for error in (BUDGET, JOURNAL, MISMATCH):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert type(copy) is type(error)
        assert vars(copy) == vars(error)
        assert str(copy) == str(error)


def test_a_mismatch_is_an_error_of_the_journal() -> None:
    """Whoever catches the one catches the other."""
    assert isinstance(MISMATCH, JournalError)
    assert isinstance(JOURNAL, PictoryError)
