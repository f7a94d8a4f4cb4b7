"""Words for people."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest

from pictory_async import (
    DownloadError,
    GeneratedImage,
    JobTimeoutError,
    PictoryError,
    SessionClosedError,
)
from pictory_async.cli._output import Lines
from pictory_async.cli._text import count, credits_of, plain, size
from pictory_async.cli._views import summary
from pictory_async.cli._words import error_data, explain
from pictory_async.cli._work import Item


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\r\nd", "a b c d"),
        ("\x1b[31mred\x07\x9b", "[31mred"),
        ("a\u2028b\u202ec", "a bc"),
        ("\udcff", "\ufffd"),
        ("👩\u200d🚀 [b]", "👩\u200d🚀 [b]"),
    ],
)
def test_plain(text, shown) -> None:
    """One line, harmless, and otherwise as it was."""
    assert plain(text) == shown


@pytest.mark.parametrize("length", [11, 39, 40, 41, 1000])
def test_plain_cuts(length) -> None:
    """What is longer than its limit ends in an ellipsis."""
    assert plain("x" * length, limit=10) == "x" * 9 + "…"
    assert plain("x" * 10, limit=10) == "x" * 10


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1 image"),
        (0, "0 images"),
        (Decimal("0.60"), "0.6 images"),
        (Decimal(20), "20 images"),
    ],
)
def test_count(number, text) -> None:
    """Numbers agree with their noun and have no zeros to spare."""
    assert count(number, "image") == text


def test_what_the_service_did_not_say_is_empty() -> None:
    """None is never written."""
    image = GeneratedImage(job_id="a", url="https://example.com/a.png")

    assert (size(image), credits_of(image)) == ("", "")


def test_unknown_credits_are_at_least_those_known() -> None:
    """A summary does not claim more than it knows."""
    url = "https://example.com/a.png"
    items = [
        Item("a", image=GeneratedImage(job_id="a", url=url, credits_used=Decimal(2))),
        Item("b", image=GeneratedImage(job_id="b", url=url)),
    ]

    assert "2 images, at least 2 credits" in summary(items)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("2", "2"),
        ("0.6", "0.6"),
        ("0.1000000000000000000001", '"0.1000000000000000000001"'),
    ],
)
def test_json_loses_nothing(value, written) -> None:
    """A decimal is a number where that is exact."""
    stream = io.StringIO()
    Lines(stream).write_json({"a": Decimal(value)})

    assert stream.getvalue() == f'{{"a": {written}}}\n'


def test_json_refuses_what_it_cannot_write() -> None:
    """A defect is not hidden."""
    with pytest.raises(TypeError):
        Lines(io.StringIO()).write_json({"a": object()})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (JobTimeoutError(job_id="j1"), "pictory job j1 --wait"),
        (SessionClosedError(), "nothing was created"),
        (SessionClosedError(job_id="j1"), "job j1 is still in progress"),
        (DownloadError("gone", url="https://e.com/a"), "was not saved"),
        (FileExistsError(17, "x", "part", None, "a.png"), "a.png exists"),
        (PermissionError(13, "Permission denied", "here"), "Permission denied: here"),
        (OSError(28, "No space left"), "No space left"),
        (PictoryError(), "PictoryError"),
    ],
)
def test_errors_say_what_to_do(error, words) -> None:
    """In terms of this command, on one line."""
    assert words in explain(error)


def test_error_data_is_json() -> None:
    """Only what is known is there."""
    data = error_data(DownloadError("gone", url="https://e.com/a", status=404))

    assert json.loads(json.dumps(data))["status"] == 404
    assert set(data) == {"type", "message", "status"}
