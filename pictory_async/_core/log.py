"""What the library tells the log, in one place.

Each record has ``pictory_event`` and further fields, all of them JSON's own types, so
that a formatter can write them out as they are. The docstring of the
package ("Logging") promises them.
None has a key, a whole prompt, a webhook's URL or the query of any URL.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from pictory_async._core.errors import PictoryError
from pictory_async._core.text import shorten

logger: Final = logging.getLogger("pictory_async")


def logs_jobs() -> bool:
    """Say whether somebody wants to know of each job."""
    return logger.isEnabledFor(logging.INFO)


def logs_polls() -> bool:
    """Say whether somebody wants to know of each poll."""
    return logger.isEnabledFor(logging.DEBUG)


def log_submitted(job_id: str, *, model: str | None, elapsed: float) -> None:
    """Tell of a job that was accepted after *elapsed* seconds."""
    fields = {
        "job_id": job_id,
        "model": None if model is None else shorten(model),
        "elapsed": elapsed,
    }
    text = "submitted: job %s, accepted after %.2f s"
    _tell(logging.INFO, "submitted", fields, text, job_id, elapsed)


def log_polled(
    job_id: str, *, state: str, polls: int, elapsed: float, delay: float | None
) -> None:
    """Tell of a poll that was answered; *delay* is None if there is no further one."""
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
    _tell(logging.DEBUG, "polled", fields, text, *arguments)


def log_retried(
    error: PictoryError,
    *,
    kind: str,
    delay: float,
    attempt: int,
    job_id: str | None = None,
) -> None:
    """Tell of a request that failed and is sent again in *delay* seconds.

    Args:
        error: How it failed.
        kind: What it asks for.
        delay: Seconds.
        attempt: How many times it was sent so far; for a poll, polls of its job.
        job_id: The job that a poll asks for.
    """
    fields = {
        "kind": kind,
        "job_id": job_id,
        "delay": delay,
        "attempt": attempt,
        **_of(error),
    }
    what = kind if job_id is None else f"{kind} of job {job_id}"
    text = "retried: %s, again in %.2f s: %s"
    _tell(logging.INFO, "retried", fields, text, what, delay, error)


def log_throttled(
    error: PictoryError, *, kind: str, delay: float | None, rate: float | None
) -> None:
    """Tell of an answer that slows the whole session down.

    Args:
        error: The answer.
        kind: What the request asked for.
        delay: Seconds that nothing is sent; None if the service did not ask for any.
        rate: Requests a second from now on.
    """
    fields = {"kind": kind, "delay": delay, "rate": rate, **_of(error)}
    _tell(logging.INFO, "throttled", fields, "throttled: %s", error)


def log_completed(
    job_id: str, *, polls: int, elapsed: float, credits_used: Decimal | None
) -> None:
    """Tell of a job that gave its image."""
    fields = {
        "job_id": job_id,
        "polls": polls,
        "elapsed": elapsed,
        # As text: 0.6 is no float, and formatters do not know Decimal.
        "credits_used": None if credits_used is None else str(credits_used),
    }
    text = "completed: job %s after %.1f s and %d polls"
    _tell(logging.INFO, "completed", fields, text, job_id, elapsed, polls)


def log_failed(job_id: str, error: PictoryError, *, polls: int, elapsed: float) -> None:
    """Tell of a job that ended without an image."""
    fields = {"job_id": job_id, "polls": polls, "elapsed": elapsed, **_of(error)}
    _tell(logging.WARNING, "failed", fields, "failed: job %s: %s", job_id, error)


def log_closed(job_ids: Sequence[str]) -> None:
    """Tell of the end of a session, and of the jobs that it leaves to the service."""
    fields = {"job_ids": list(job_ids)}
    if job_ids:
        text = "closed with jobs in progress, which go on at the service: %s"
        _tell(logging.WARNING, "closed", fields, text, ", ".join(job_ids))
    else:
        _tell(logging.INFO, "closed", fields, "closed")


def log_abandoned(
    what: str, *, job_id: str | None = None, error: BaseException | None = None
) -> None:
    """Tell what became of a submission that was cancelled on the wire.

    Args:
        what: The request and when it began.
        job_id: The job that was accepted.
        error: How it failed; None if it was accepted, or given up unanswered.
    """
    fields = {"job_id": job_id, **_of(error)}
    if job_id is not None:
        text = "job %s was accepted after its submit was cancelled: %s"
        _tell(logging.WARNING, "abandoned", fields, text, job_id, what)
    elif error is not None:
        text = "a cancelled submit ended with: %s (%s)"
        _tell(logging.ERROR, "abandoned", fields, text, error, what)
    else:
        text = "a cancelled submit was given up on the wire and may have created a job"
        _tell(logging.ERROR, "abandoned", fields, f"{text}: %s", what)


def log_planned(
    *, delay: float, model: str, elapsed: float, polls: int, reason: str
) -> None:
    """Tell why the next poll of a job is when it is."""
    fields = {
        "delay": delay,
        "model": shorten(model),
        "elapsed": elapsed,
        "polls": polls,
        "reason": reason,
    }
    text = "next poll in %.1f s for a job of %.40r after %.1f s and %d polls: %s"
    arguments = (delay, model, elapsed, polls, reason)
    _tell(logging.DEBUG, "planned", fields, text, *arguments)


def log_undocumented(
    text: str, *args: object, field: str, value: str, job_id: str | None = None
) -> None:
    """Warn of a *value* that this release does not know."""
    fields = {"field": field, "value": shorten(value), "job_id": job_id}
    _tell(logging.WARNING, "undocumented", fields, text, *args)


def log_lost(text: str, *args: object, job_id: str | None = None) -> None:
    """Tell of what a batch could not write to its journal."""
    _tell(logging.ERROR, "lost", {"job_id": job_id}, text, *args)


def log_broken(text: str, *args: object, job_id: str | None = None) -> None:
    """Tell of the exception that is being handled, and that is survived."""
    _tell(logging.ERROR, "broken", {"job_id": job_id}, text, *args, exc_info=True)


def _of(error: BaseException | None) -> dict[str, object]:
    """Return what a record has of an error."""
    return {
        "error": None if error is None else type(error).__name__,
        "reason": None if error is None else str(error),
        "status": getattr(error, "status", None),
    }


def _tell(
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
