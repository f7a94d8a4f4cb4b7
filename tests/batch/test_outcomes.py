"""Outcomes and progress: what they show, and what they count."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pictory_async import (
    BatchOutcome,
    DownloadError,
    GeneratedImage,
    JobFailedError,
    SubmissionUnknownError,
)
from pictory_async._batch.budget import Budget
from pictory_async._batch.outcomes import Tally

IMAGE = GeneratedImage(job_id="j1", url="https://images.example/a.png?secret=1")


def test_unwrap_gives_the_image_or_raises() -> None:
    """A failed download is raised too: whoever unwraps wants all of it."""
    assert BatchOutcome(index=0, image=IMAGE).unwrap() is IMAGE
    with pytest.raises(JobFailedError):
        BatchOutcome(index=0, error=JobFailedError("no")).unwrap()
    with pytest.raises(DownloadError):
        BatchOutcome(index=0, image=IMAGE, error=DownloadError("no")).unwrap()


def test_repr_shows_no_signature() -> None:
    """An outcome is safe to print."""
    assert "secret" not in repr(BatchOutcome(index=0, image=IMAGE))


def test_tally_counts_each_outcome_once() -> None:
    """Completed, failed and unknown add up to the outcomes."""
    tally = Tally(Budget(used=Decimal("0.6"), kept=Decimal(2)), total=3)
    tally.count(BatchOutcome(index=0, image=IMAGE))
    tally.count(BatchOutcome(index=1, error=JobFailedError()))
    tally.count(BatchOutcome(index=2, error=SubmissionUnknownError()))
    now = tally.progress
    assert (now.completed, now.failed, now.unknown, now.total) == (1, 1, 1, 3)
    assert (now.credits_used, now.credits_reserved) == (Decimal("0.6"), 2)
