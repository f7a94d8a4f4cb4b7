"""Errors in the words of the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pictory_async import (
    ConfigurationError,
    DownloadError,
    JobExpiredError,
    JobTimeoutError,
    SessionClosedError,
    SubmissionUnknownError,
)
from pictory_async.cli._text import plain

NO_KEY = (
    "There is no API key: set PICTORY_API_KEY "
    "(https://app.pictory.ai/api-access shows yours).\n"
    "To try the command without one: pictory generate --sandbox PROMPT"
)

_DETAILS = (
    "job_id",
    "code",
    "status",
    "field",
    "reason",
    "retry_after",
    "started_at",
    "ended_at",
)


def explain(error: BaseException) -> str:
    """Return one line that says what happened and what to do."""
    return plain(_explain(error))


def _explain(error: BaseException) -> str:
    match error:
        case SubmissionUnknownError():
            return (
                "its job may have been created, and paid for, and was not sent again: "
                f"look in `pictory history` before you repeat it ({error.cause})"
            )
        case JobTimeoutError():
            return (
                f"job {error.job_id} did not end in time; it may go on at the service: "
                f"pictory job {error.job_id} --wait"
            )
        case JobExpiredError():
            return (
                f"job {error.job_id}: its data was cleaned; the image may still be in "
                "`pictory history`"
            )
        case SessionClosedError(job_id=None):
            return "stopped before it was sent; nothing was created"
        case SessionClosedError():
            return f"job {error.job_id} is still in progress at the service"
        case DownloadError():
            return f"the image is finished, but was not saved: {error}"
        case FileExistsError():
            return f"{error.filename2 or error.filename} exists and was not replaced"
        case ConfigurationError():
            return f"{error} (see PICTORY_API_KEY and PICTORY_API_BASE_URL)"
        case OSError(strerror=str(why)):
            return f"{why}: {error.filename}" if error.filename else why
        case _:
            return str(error) or type(error).__name__


def error_data(error: BaseException) -> dict[str, Any]:
    """Return an error as JSON can have it: type, message and what it knows."""
    known = {name: getattr(error, name, None) for name in _DETAILS}
    details = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in known.items()
        if value not in {None, ""}
    }
    return {"type": type(error).__name__, "message": explain(error), **details}
