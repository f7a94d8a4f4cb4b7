"""All log records of the library, in one place.

The docstring of the package ("Logging") documents the events and their fields, and
promises what no record contains.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from pictory_async._core.errors import PictoryError
from pictory_async._core.text import shorten

logger: Final = logging.getLogger("pictory_async")


def log_submitted(job_id: str, *, model: str | None, elapsed: float) -> None:
    """Log that a job was accepted after *elapsed* seconds."""
    fields = {
        "job_id": job_id,
        "model": None if model is None else shorten(model),
        "elapsed": elapsed,
    }
    text = "submitted: job %s, accepted after %.2f s"
    _log(logging.INFO, "submitted", fields, text, job_id, elapsed)


def log_polled(
    job_id: str, *, state: str, polls: int, elapsed: float, delay: float | None
) -> None:
    """Log an answered poll; *delay* is None if it was the last one."""
    fields = {
        "job_id": job_id,
        "state": shorten(state),
        "polls": polls,
        "elapsed": elapsed,
        "delay": delay,
    }
    then = "the last poll" if delay is None else f"next poll in {delay:.1f} s"
    text = "polled: job %s is %s after %.1f s and %d polls; %s"
    arguments = (job_id, fields["state"], elapsed, polls, then)
    _log(logging.DEBUG, "polled", fields, text, *arguments)


def log_retried(
    error: PictoryError,
    *,
    kind: str,
    delay: float,
    attempt: int,
    job_id: str | None = None,
) -> None:
    """Log that a request failed and is sent again in *delay* seconds.

    Args:
        error: Why it failed.
        kind: The kind of request.
        delay: Seconds.
        attempt: The number of attempts so far; for a poll, of polls of its job.
        job_id: The job, if the request is a poll.
    """
    fields = {
        "kind": kind,
        "job_id": job_id,
        "delay": delay,
        "attempt": attempt,
        **_error_fields(error),
    }
    what = kind if job_id is None else f"{kind} of job {job_id}"
    text = "retried: %s, again in %.2f s: %s"
    _log(logging.INFO, "retried", fields, text, what, delay, error)


def log_throttled(
    error: PictoryError, *, kind: str, delay: float | None, rate: float | None
) -> None:
    """Log an answer that slows the whole session down.

    Args:
        error: The answer, as an error.
        kind: The kind of request that it answers.
        delay: Seconds for which nothing is sent; None if the service named none.
        rate: Requests a second from now on.
    """
    fields = {"kind": kind, "delay": delay, "rate": rate, **_error_fields(error)}
    _log(logging.INFO, "throttled", fields, "throttled: %s", error)


def log_completed(
    job_id: str, *, polls: int, elapsed: float, credits_used: Decimal | None
) -> None:
    """Log that a job ended with its image."""
    fields = {
        "job_id": job_id,
        "polls": polls,
        "elapsed": elapsed,
        # As text: no float is 0.6, and formatters do not know Decimal.
        "credits_used": None if credits_used is None else str(credits_used),
    }
    text = "completed: job %s after %.1f s and %d polls"
    _log(logging.INFO, "completed", fields, text, job_id, elapsed, polls)


def log_failed(job_id: str, error: PictoryError, *, polls: int, elapsed: float) -> None:
    """Log that a job ended without an image."""
    figures = {"polls": polls, "elapsed": elapsed}
    fields = {"job_id": job_id, **figures, **_error_fields(error)}
    _log(logging.WARNING, "failed", fields, "failed: job %s: %s", job_id, error)


def log_closed(job_ids: Sequence[str]) -> None:
    """Log that a session was closed, and which jobs were still in progress."""
    fields = {"job_ids": list(job_ids)}
    if job_ids:
        text = "closed with jobs in progress, which continue at the service: %s"
        _log(logging.WARNING, "closed", fields, text, ", ".join(job_ids))
    else:
        _log(logging.INFO, "closed", fields, "closed")


def log_abandoned(
    what: str, *, job_id: str | None = None, error: BaseException | None = None
) -> None:
    """Log the outcome of a submission that was cancelled on the wire.

    Args:
        what: The request, and when it began.
        job_id: The job, if it was accepted.
        error: Why it failed; None if it was accepted, or given up without an answer.
    """
    fields = {"job_id": job_id, **_error_fields(error)}
    if job_id is not None:
        text = "job %s was accepted after its submit was cancelled: %s"
        _log(logging.WARNING, "abandoned", fields, text, job_id, what)
    elif error is not None:
        text = "a cancelled submit ended with: %s (%s)"
        _log(logging.ERROR, "abandoned", fields, text, error, what)
    else:
        text = "a cancelled submit was given up on the wire and may have created a job"
        _log(logging.ERROR, "abandoned", fields, f"{text}: %s", what)


def log_planned(
    *, delay: float, model: str, elapsed: float, polls: int, reason: str
) -> None:
    """Log why the next poll of a job is when it is."""
    fields = {
        "delay": delay,
        "model": shorten(model),
        "elapsed": elapsed,
        "polls": polls,
        "reason": reason,
    }
    text = "next poll in %.1f s for a job of %.40r after %.1f s and %d polls: %s"
    arguments = (delay, model, elapsed, polls, reason)
    _log(logging.DEBUG, "planned", fields, text, *arguments)


def log_undocumented(
    text: str, *args: object, field: str, value: str, job_id: str | None = None
) -> None:
    """Warn of a *value* that this release does not know."""
    fields = {"field": field, "value": shorten(value), "job_id": job_id}
    _log(logging.WARNING, "undocumented", fields, text, *args)


def log_lost(text: str, *args: object, job_id: str | None = None) -> None:
    """Log what a batch could not write to its journal."""
    _log(logging.ERROR, "lost", {"job_id": job_id}, text, *args)


def log_broken(text: str, *args: object, job_id: str | None = None) -> None:
    """Log the exception being handled, after which the library carries on."""
    _log(logging.ERROR, "broken", {"job_id": job_id}, text, *args, exc_info=True)


def _error_fields(error: BaseException | None) -> dict[str, object]:
    """Return the fields that describe *error*."""
    return {
        "error": None if error is None else type(error).__name__,
        "reason": None if error is None else str(error),
        "status": getattr(error, "status", None),
    }


def _log(
    level: int,
    event: str,
    fields: Mapping[str, Any],
    text: str,
    *args: object,
    exc_info: bool = False,
) -> None:
    if not logger.isEnabledFor(level):
        return
    extra = {f"pictory_{name}": value for name, value in fields.items()}
    extra["pictory_event"] = event
    logger.log(level, text, *args, exc_info=exc_info, extra=extra, stacklevel=3)
