"""Entries of a manifest, and what they come to."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from pictory_async import (
    BatchOutcome,
    BudgetExceededError,
    DownloadError,
    GeneratedImage,
    ImageRequest,
    JobFailedError,
    JobTimeoutError,
    SessionClosedError,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async.cli._batch.ledger import Ledger, Tally, entry_of

REQUEST = ImageRequest("A lighthouse", model="flux-schnell", webhook="https://a.b/c")
IMAGE = GeneratedImage(
    job_id="j1",
    url="https://a.example/x.png?signature=secret",
    width=1280,
    height=720,
    credits_used=Decimal("0.6"),
)


def entry(index: int = 0, **outcome: object) -> dict[str, object]:
    """The entry of an outcome, on line 7 of its file."""
    made = BatchOutcome(index=index, request=REQUEST, **outcome)
    return entry_of(made, line=7, folder=Path("out"))


def test_an_entry_has_all_but_secrets() -> None:
    """The path is relative to the folder; no URL that opens something is told."""
    told = entry(3, job_id="j1", image=IMAGE, path=Path("out/000003-j1.png"))

    assert told == {
        "index": 3,
        "line": 7,
        "prompt": "A lighthouse",
        "model": "flux-schnell",
        "aspect_ratio": None,
        "style": None,
        "reference_image_url": None,
        "job_id": "j1",
        "state": "completed",
        "file": "000003-j1.png",
        "width": 1280,
        "height": 720,
        "credits_used": Decimal("0.6"),
        "error": None,
    }


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (JobFailedError(job_id="j1", code="X"), "failed"),
        (JobTimeoutError(job_id="j1"), "in-progress"),
        (SessionClosedError(job_id="j1"), "in-progress"),
        (SessionClosedError(), "not-sent"),
        (BudgetExceededError(), "not-sent"),
        (TransportError("refused", sent=False), "not-sent"),
        (SubmissionUnknownError(request=REQUEST), "unknown"),
    ],
)
def test_the_state_says_what_may_have_been_paid_for(error, state) -> None:
    """A word for each way to end without an image."""
    told = entry(error=error)

    assert told["state"] == state
    assert told["error"]["type"] == type(error).__name__
    assert told["file"] is None


def test_counts_what_a_batch_came_to() -> None:
    """An image that was not saved is an image and a failure."""
    tally = Tally()
    tally.add(entry(job_id="j1", image=IMAGE, path=Path("out/a.png")))
    tally.add(entry(job_id="j1", image=IMAGE, error=DownloadError(status=404)))
    tally.add(entry(error=SubmissionUnknownError(request=REQUEST)))
    tally.add(entry(error=JobFailedError(job_id="j2", code="X")))
    assert tally.exact
    tally.add(entry(image=GeneratedImage(job_id="j3", url="https://a.example/y")))

    assert (tally.ended, tally.images, tally.failed) == (5, 3, 3)
    assert (tally.unknown, tally.open) == (1, 1)
    assert tally.credits == Decimal("1.2")
    assert not tally.exact
    assert tally.size == (1280, 720)
    assert len(list(tally.causes)) == 3


def test_entries_are_read_in_the_order_of_the_prompts() -> None:
    """In whatever order they came."""
    ledger = Ledger()
    for index in (2, 0, 5):
        ledger.add(entry(index, image=IMAGE))

    assert [each["index"] for each in ledger.entries()] == [0, 2, 5]
    lines = list(ledger.lines())
    assert [json.loads(line)["credits_used"] for line in lines] == [0.6] * 3
    assert all(line.endswith(b"\n") for line in lines)
