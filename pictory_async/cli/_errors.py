"""Exit codes, and errors in the words of the command line."""

from __future__ import annotations

import signal
from datetime import datetime
from typing import Any, Final

from pictory_async import (
    BudgetExceededError,
    ConfigurationError,
    DownloadError,
    JobExpiredError,
    JobTimeoutError,
    SessionClosedError,
    SubmissionUnknownError,
)
from pictory_async.cli._text import one_line

DONE: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 128 + signal.SIGINT

NO_KEY: Final = (
    "There is no API key: set PICTORY_API_KEY "
    "(https://app.pictory.ai/api-access shows yours).\n"
    "To try the command without one: pictory generate --sandbox PROMPT"
)

# Attributes of errors that JSON includes where they are set.
_DETAILS: Final = (
    "job_id",
    "code",
    "status",
    "field",
    "reason",
    "retry_after",
    "started_at",
    "ended_at",
)


class Misuse(Exception):  # noqa: N818 - like a usage error: nothing was attempted yet
    """The command cannot start; the message says why."""


def explain(error: BaseException) -> str:
    """Return one line that says what happened and what to do about it."""
    return one_line(_explain(error))


def _explain(error: BaseException) -> str:  # noqa: C901 - a table of cases
    match error:
        case SubmissionUnknownError():
            return (
                "a job may have been created and paid for; the request was not sent "
                f"again: check `pictory history` before repeating it ({error.cause})"
            )
        case JobTimeoutError():
            return (
                f"job {error.job_id} did not end in time and may still be running: "
                f"pictory job {error.job_id} --wait"
            )
        case JobExpiredError():
            return (
                f"the data of job {error.job_id} was cleaned up; its image may still "
                "be in `pictory history`"
            )
        case BudgetExceededError():
            return (
                f"{error.price.normalize():f} credits do not fit under --max-credits "
                f"{error.limit.normalize():f}: {error.reserved.normalize():f} are used "
                "or reserved"
            )
        case SessionClosedError(job_id=None):
            return "stopped before it was sent; nothing was created"
        case SessionClosedError():
            return f"job {error.job_id} is still in progress at the service"
        case DownloadError():
            return f"the image is finished but was not saved: {error}"
        case FileExistsError():
            path = error.filename2 or error.filename
            return f"{path} already exists and was not replaced"
        case ConfigurationError():
            return f"{error} (see PICTORY_API_KEY and PICTORY_API_BASE_URL)"
        case OSError(strerror=str(reason)):
            return f"{reason}: {error.filename}" if error.filename else reason
        case _:
            return str(error) or type(error).__name__


def error_data(error: BaseException) -> dict[str, Any]:
    """Return an error for JSON: its type, its message and the details that are set."""
    known = {name: getattr(error, name, None) for name in _DETAILS}
    details = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in known.items()
        if value not in {None, ""}
    }
    return {"type": type(error).__name__, "message": explain(error), **details}
