"""What is written of a prompt, read again as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pictory_async import (
    GeneratedImage,
    ImageRequest,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobNotFoundError,
    JobTimeoutError,
)
from pictory_async._batch.records import (
    Record,
    UnreadableRecord,
    amount,
    error_text,
    fingerprint,
    image_text,
    prompt_mark,
    read_outcome,
    record,
)

REQUEST = ImageRequest("A lighthouse at dawn", model="flux-schnell")
NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
FULL = Record(
    index=7,
    fingerprint=fingerprint(REQUEST),
    started_at=NOW,
    ended_at=NOW,
    job_id="j1",
    outcome="{}",
    credits=Decimal("0.60"),
    path="/tmp/a.png",  # noqa: S108 - never opened
)


def test_a_record_comes_back_as_it_was() -> None:
    """Times to the microsecond, credits to the last digit."""
    bare = Record(index=0, fingerprint=b"x", started_at=NOW)
    for written in (FULL, bare):
        read = record(written.row())
        assert read.row() == written.row()
        assert read.started_at == NOW
        assert str(read.credits) == str(written.credits)


@pytest.mark.parametrize(
    ("place", "value"), [(1, None), (2, "x"), (3, 10**30), (6, "x"), (6, None)]
)
def test_a_row_that_makes_no_sense_is_told(place: int, value: object) -> None:
    """A damaged value is no crash."""
    row = list(FULL.row())
    row[place] = value
    with pytest.raises(UnreadableRecord):
        record(tuple(row))


@pytest.mark.parametrize("text", ["", "NaN", "Infinity", None, []])
def test_no_credits_are_told(text: Any) -> None:
    """A ceiling is not kept by guessing."""
    with pytest.raises(UnreadableRecord):
        amount(text)


@pytest.mark.parametrize(
    "other",
    [
        ImageRequest("A lighthouse at dusk", model="flux-schnell"),
        ImageRequest("A lighthouse at dawn"),
        ImageRequest("A lighthouse at dawn", model="flux-schnell", style="artistic"),
        ImageRequest("A lighthouse at dawn", style="flux-schnell"),
        ImageRequest("A lighthouse at dawn", model="flux-schnell", extra={"seed": 1}),
    ],
)
def test_each_difference_changes_the_fingerprint(other: ImageRequest) -> None:
    """Prompt, options and fields of tomorrow."""
    assert fingerprint(other) != fingerprint(REQUEST)


def test_what_draws_nothing_is_not_in_the_fingerprint() -> None:
    """A webhook's port, and the order of the fields."""
    assert fingerprint(
        REQUEST.override(webhook="http://127.0.0.1:8080/hook")
    ) == fingerprint(REQUEST)
    one, other = ({"a": 1, "b": {1: 2}}, {"b": {"1": 2}, "a": 1})
    assert fingerprint(REQUEST.override(extra=one)) == fingerprint(
        REQUEST.override(extra=other)
    )
    assert fingerprint(REQUEST).startswith(prompt_mark(REQUEST))


@pytest.mark.parametrize("credits_used", [None, Decimal("0.6")])
@pytest.mark.parametrize("extra", [{}, {"newer": [1, "two"]}])
def test_an_image_comes_back_as_it_was(
    credits_used: Decimal | None, extra: dict[str, Any]
) -> None:
    """With exact credits, and fields newer than this release."""
    image = GeneratedImage(
        job_id="j1",
        url="https://images.example/a.png?signature=1",
        width=1024,
        credits_used=credits_used,
        request=REQUEST,
        extra=extra,
    )
    read = read_outcome(image_text(image), job_id="j1", request=REQUEST)
    assert read == image
    assert isinstance(read, GeneratedImage)
    assert read.extra == extra
    assert str(read.credits_used) == str(credits_used)


@pytest.mark.parametrize(
    "error",
    [
        JobFailedError("The image could not be generated", job_id="j1", code="X"),
        JobFailedError(None, job_id="j1"),
        JobExpiredError(job_id="j1"),
    ],
)
def test_a_final_error_comes_back(error: JobError) -> None:
    """With its class and attributes."""
    text = error_text(error)
    assert text is not None
    read = read_outcome(text, job_id="j1", request=REQUEST)
    assert isinstance(read, JobError)
    assert type(read) is type(error)
    assert vars(read) == vars(error)


def test_a_long_message_is_cut() -> None:
    """What a service says may be long, or more than it should be."""
    text = error_text(JobFailedError("x" * 5000, code="y" * 5000))
    assert text is not None
    assert len(text) < 250


def test_what_may_still_change_is_not_final() -> None:
    """The job may still give its image."""
    assert error_text(JobTimeoutError(job_id="j1")) is None
    assert error_text(JobNotFoundError(job_id="j1")) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "7", '{"url": "no"}', '{"url": "http://a/b"}', "{"]
)
def test_a_damaged_outcome_is_told(text: str) -> None:
    """It is neither an image nor an error."""
    with pytest.raises(UnreadableRecord):
        read_outcome(text, job_id=None, request=REQUEST)
