"""Errors in the words of the command line."""

from __future__ import annotations

import json

import pytest

from pictory_async import (
    DownloadError,
    JobTimeoutError,
    PictoryError,
    SessionClosedError,
)
from pictory_async.cli._errors import error_data, explain


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (JobTimeoutError(job_id="j1"), "pictory job j1 --wait"),
        (SessionClosedError(), "nothing was created"),
        (SessionClosedError(job_id="j1"), "job j1 is still in progress"),
        (DownloadError("gone", url="https://e.com/a"), "was not saved"),
        (FileExistsError(17, "x", "part", None, "a.png"), "a.png already exists"),
        (PermissionError(13, "Permission denied", "here"), "Permission denied: here"),
        (OSError(28, "No space left"), "No space left"),
        (PictoryError(), "PictoryError"),
    ],
)
def test_errors_say_what_to_do(error, words) -> None:
    """The line names the command that helps."""
    assert words in explain(error)


def test_error_data_is_json() -> None:
    """Only details that are set are included."""
    data = error_data(DownloadError("gone", url="https://e.com/a", status=404))

    assert json.loads(json.dumps(data))["status"] == 404
    assert set(data) == {"type", "message", "status"}
