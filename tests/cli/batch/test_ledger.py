"""Entries of the manifest, their totals, and failures by cause."""

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
from pictory_async.cli._batch.ledger import (
    Causes,
    Ledger,
    Totals,
    entry_of,
    read_entries,
)
from pictory_async.cli._batch.prompts import Row

REQUEST = ImageRequest("A lighthouse", model="flux-schnell", webhook="https://a.b/c")
IMAGE = GeneratedImage(
    job_id="j1",
    url="https://a.example/x.png?signature=secret",
    width=1280,
    height=720,
    credits_used=Decimal("0.6"),
)


def entry(index: int = 0, **outcome: object) -> dict[str, object]:
    """Return the entry of an outcome, the first one on line 7 of its file."""
    ended = BatchOutcome(index=index, request=REQUEST, **outcome)
    row = Row(7 + index, REQUEST, columns={"id": "x7"})
    return entry_of(ended, row=row, folder=Path("out"))


def test_an_entry_has_all_but_secrets() -> None:
    """The path is relative to the folder; signed URLs are left out."""
    made = entry(3, job_id="j1", image=IMAGE, path=Path("out/000003-j1.png"))

    assert made == {
        "line": 10,
        "prompt": "A lighthouse",
        "model": "flux-schnell",
        "aspect_ratio": None,
        "style": None,
        "reference_image_url": None,
        "columns": {"id": "x7"},
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
    """Each way to end without an image has its word."""
    made = entry(error=error)

    assert made["state"] == state
    assert made["error"]["type"] == type(error).__name__
    assert made["file"] is None


def test_counts_what_a_batch_came_to() -> None:
    """An image that was not saved counts as an image and as a failure."""
    totals = Totals()
    totals.add(entry(job_id="j1", image=IMAGE, path=Path("out/a.png")))
    totals.add(entry(job_id="j1", image=IMAGE, error=DownloadError(status=404)))
    totals.add(entry(error=SubmissionUnknownError(request=REQUEST)))
    totals.add(entry(error=JobFailedError(job_id="j2", code="X")))
    assert totals.exact
    totals.add(entry(image=GeneratedImage(job_id="j3", url="https://a.example/y")))

    totals.add(entry(error=BudgetExceededError()))

    assert (totals.ended, totals.images, totals.failed) == (6, 3, 3)
    assert (totals.unsent, totals.without) == (1, 4)
    assert (totals.unknown, totals.retryable) == (1, 2)
    assert totals.credits == Decimal("1.2")
    assert not totals.exact
    assert totals.size == (1280, 720)
    assert len(list(totals.causes)) == 4


def test_entries_are_read_in_the_order_of_the_prompts() -> None:
    """They may arrive in any order."""
    ledger = Ledger()
    for index in (2, 0, 5):
        ledger.add(entry(index, image=IMAGE))

    lines = ledger.lines()
    entries = list(read_entries(lines))
    assert [each["line"] for each in entries] == [7, 9, 12]
    assert [each["credits_used"] for each in entries] == [Decimal("0.6")] * 3
    assert all(line.endswith(b"\n") for line in lines)


def test_entries_of_an_earlier_run_stay_until_there_are_new_ones() -> None:
    """The last line for a prompt counts; what is cut or of other prompts does not."""
    rows = [Row(7, REQUEST), Row(8, ImageRequest("A cat on a roof"))]
    earlier, other = Ledger(), Ledger()
    first = earlier.add(entry(error=JobTimeoutError(job_id="j1")))
    last = earlier.add(entry(job_id="j1", image=IMAGE))
    manifest = [first, last, other.add(entry(1)), b"[]\n", b"{}\n", b"odd\n", last[:-1]]
    ledger = Ledger()

    ledger.recall(manifest, rows)

    assert ledger.lines() == [last]
    new = ledger.add(entry(error=JobFailedError(job_id="j1", code="X")))
    assert ledger.lines() == [new]


def test_an_entry_is_readable_and_harmless() -> None:
    """All of Unicode is written as it is, except for what could steer a terminal."""
    row = Row(1, ImageRequest("猫 \u200d\U0001f431 \x9b \u202e é"))
    made = entry_of(BatchOutcome(index=0), row=row, folder=Path())

    line = Ledger().add(made).decode()

    assert '"猫 \u200d\U0001f431 \\u009b \\u202e é"' in line
    assert json.loads(line)["prompt"] == row.request.prompt


def failure(kind: str = "JobFailedError", **details: object) -> dict[str, object]:
    """Return an error as an entry has it."""
    return {"type": kind, "message": f"about {kind}", **details}


def test_groups_by_kind_and_code() -> None:
    """The most frequent cause comes first, with the lines of its first failures."""
    causes = Causes()
    for line in range(1, 8):
        causes.add(line, failure(code="CONTENT_POLICY"))
    causes.add(9, failure(code="TOO_ODD"))
    causes.add(10, failure("ServerError", status=500, code="5000"))
    causes.add(11, failure("ServerError", status=500, code="5000"))

    assert [(each.name, each.where) for each in causes] == [
        ("JobFailedError CONTENT_POLICY", "lines 1, 2, 3, 4, 5 and 2 more"),
        ("ServerError 500 5000", "lines 10 and 11"),
        ("JobFailedError TOO_ODD", "line 9"),
    ]


def test_the_number_of_causes_is_bounded() -> None:
    """Causes beyond it are counted as one, and codes are harmless to a terminal."""
    causes = Causes()
    for line in range(1000):
        causes.add(line, failure(code=f"\x1b[31m{line}"))

    assert len(list(causes)) == 21
    assert next(iter(causes)).name == "other causes"
    assert sum(each.prompts for each in causes) == 1000
    assert not any("\x1b" in each.name for each in causes)
