"""Outcomes: what they give, raise and show."""

from __future__ import annotations

import pytest

from pictory_async import (
    BatchOutcome,
    DownloadError,
    GeneratedImage,
    JobFailedError,
)

IMAGE = GeneratedImage(job_id="j1", url="https://images.example/a.png?secret=1")


def test_unwrap_gives_the_image_or_raises() -> None:
    """A failed download is raised as well: the file is part of the outcome."""
    assert BatchOutcome(index=0, image=IMAGE).unwrap() is IMAGE
    with pytest.raises(JobFailedError):
        BatchOutcome(index=0, error=JobFailedError("no")).unwrap()
    with pytest.raises(DownloadError):
        BatchOutcome(index=0, image=IMAGE, error=DownloadError("no")).unwrap()


def test_repr_shows_no_signature() -> None:
    """An outcome is safe to print."""
    assert "secret" not in repr(BatchOutcome(index=0, image=IMAGE))
