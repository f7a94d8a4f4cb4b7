"""The figures of a session: counters, and snapshots of them."""

from decimal import Decimal
from typing import Any

import attrs

from pictory_async._core.endpoints import Kind
from pictory_async._core.errors import APIError, PictoryError, SessionClosedError
from pictory_async._core.models import GeneratedImage
from pictory_async._policy.retry import is_throttling


@attrs.frozen(kw_only=True)
class RequestStats:
    """The number of attempts of one kind of request, by their outcome.

    Attributes:
        ok: Answered as expected; also a poll that found its job failed.
        refused: Answered with a 3xx, a 4xx or ``success: false``.
        failed: Not answered, answered unreadably, or answered with a 5xx.
        throttled: Answered with 429 or 503.
    """

    ok: int = 0
    refused: int = 0
    failed: int = 0
    throttled: int = 0

    @property
    def total(self) -> int:
        """The number of all attempts."""
        return self.ok + self.refused + self.failed + self.throttled


@attrs.frozen(kw_only=True)
class SessionStats:
    """What a session has done since it was made: a snapshot.

    Attributes:
        submits: Requests for a new image.
        polls: Requests for the state of a job.
        pages: Requests for a page of the history.
        downloads: Requests for the file of an image.
        retries: Attempts that failed and are followed by another, polls included.
        throttled_seconds: Seconds that requests had to wait because of 429 and 503,
            summed over all requests: more than has passed if several wait at the same
            time.
        jobs_in_flight: Jobs in progress.
        jobs_completed: Jobs that ended with their image.
        jobs_failed: Jobs that ended without: failed, expired, not found, timed out.
        polls_per_job: The mean over all jobs that ended; None before the first.
        credits_used: The exact AI credits of all images: as reported by the service,
            else by the price list.

    Requests that were cancelled are not counted.
    """

    submits: RequestStats = RequestStats()
    polls: RequestStats = RequestStats()
    pages: RequestStats = RequestStats()
    downloads: RequestStats = RequestStats()
    retries: int = 0
    throttled_seconds: float = 0.0
    jobs_in_flight: int = 0
    jobs_completed: int = 0
    jobs_failed: int = 0
    polls_per_job: float | None = None
    credits_used: Decimal = Decimal(0)


class Counters:
    """The counters behind `SessionStats`.

    Attributes:
        ok: Successful attempts by kind. The sender increments them directly, as they
            are counted for every request.
        not_ok: Other attempts by kind and by their outcome in `RequestStats`.
    """

    __slots__ = (
        "completed",
        "credits_used",
        "job_failures",
        "job_polls",
        "not_ok",
        "ok",
        "retries",
        "throttled_seconds",
    )

    def __init__(self) -> None:
        self.ok: dict[Kind, int] = dict.fromkeys(Kind, 0)
        self.not_ok: dict[tuple[Kind, str], int] = {}
        self.retries: int = 0
        self.throttled_seconds: float = 0.0
        self.completed: int = 0
        self.job_failures: int = 0
        self.job_polls: int = 0
        self.credits_used: Decimal = Decimal(0)

    def attempt_failed(self, kind: Kind, error: PictoryError) -> None:
        """Count an attempt that ended in *error*."""
        if isinstance(error, SessionClosedError):
            return  # no attempt was made
        key = kind, _outcome(error)
        self.not_ok[key] = self.not_ok.get(key, 0) + 1

    def retry(self, error: PictoryError, *, after: float) -> None:
        """Count an attempt that is repeated *after* so many seconds."""
        self.retries += 1
        if is_throttling(error):
            self.throttled_seconds += after

    def job_ended(self, *, polls: int, result: Any) -> None:
        """Count a job that has ended; *result* is None if it ended without one."""
        self.job_polls += polls
        if result is None:
            self.job_failures += 1
            return
        self.completed += 1
        self.credits_used += _credits(result)

    def snapshot(self, *, jobs_in_flight: int) -> SessionStats:
        """Return the present figures."""
        ended = self.completed + self.job_failures
        return SessionStats(
            submits=self._requests(Kind.SUBMIT),
            polls=self._requests(Kind.POLL),
            pages=self._requests(Kind.PAGE),
            downloads=self._requests(Kind.DOWNLOAD),
            retries=self.retries,
            throttled_seconds=self.throttled_seconds,
            jobs_in_flight=jobs_in_flight,
            jobs_completed=self.completed,
            jobs_failed=self.job_failures,
            polls_per_job=self.job_polls / ended if ended else None,
            credits_used=self.credits_used,
        )

    def _requests(self, kind: Kind) -> RequestStats:
        not_ok = {
            name: self.not_ok.get((kind, name), 0)
            for name in ("refused", "failed", "throttled")
        }
        return RequestStats(ok=self.ok[kind], **not_ok)


def _outcome(error: PictoryError) -> str:
    if is_throttling(error):
        return "throttled"
    if isinstance(error, APIError) and 200 <= error.status < 500:
        return "refused"
    return "failed"


def _credits(image: GeneratedImage) -> Decimal:
    charged = image.credits_used
    if charged is None and image.request is not None:
        charged = image.request.estimated_credits
    return Decimal(0) if charged is None else charged
