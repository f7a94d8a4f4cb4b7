"""Arguments that are checked before anything is sent."""

from __future__ import annotations

import math
from datetime import datetime

from pictory_async._errors import InvalidRequestError


def checked_job_id(job_id: object) -> str:
    """Return *job_id* if it can be one.

    Raises:
        InvalidRequestError: It is no text, blank, or would leave its place in a path.
    """
    if is_job_id(job_id):
        return str(job_id)
    reason = f"must be the id of a job, not {job_id!r:.60}"
    raise InvalidRequestError(field="job_id", reason=reason)


def is_job_id(job_id: object) -> bool:
    """Say whether *job_id* is text that stays in its place in a path."""
    return isinstance(job_id, str) and bool(job_id.strip(" .")) and job_id.isprintable()


def checked_timeout(timeout: object, *, field: str = "timeout") -> float | None:
    """Return *timeout* if it is None or seconds from 0.

    Raises:
        InvalidRequestError: It is not.
    """
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is None or (number and 0 <= timeout < math.inf):  # type: ignore[operator]
        return timeout  # type: ignore[return-value]
    reason = f"must be seconds from 0, or None for no limit, not {timeout!r:.60}"
    raise InvalidRequestError(field=field, reason=reason)


def checked_since(since: object) -> datetime | None:
    """Return *since* if it is None or an aware datetime.

    Raises:
        InvalidRequestError: It is not; a time without a zone could mean any day.
    """
    if since is None or (isinstance(since, datetime) and since.tzinfo is not None):
        return since
    reason = "must be a datetime with a time zone, such as datetime.now(UTC), or None"
    raise InvalidRequestError(field="since", reason=reason)


def checked_limit(limit: object) -> int | None:
    """Return *limit* if it is None or a whole number from 0.

    Raises:
        InvalidRequestError: It is not.
    """
    if limit is None or (type(limit) is int and limit >= 0):
        return limit
    reason = f"must be a whole number of images from 0, or None, not {limit!r:.60}"
    raise InvalidRequestError(field="limit", reason=reason)


def checked_start(start: object) -> str | None:
    """Return *start* if it is None or can be a page key.

    Raises:
        InvalidRequestError: It cannot.
    """
    if start is None or (isinstance(start, str) and start):
        return start
    reason = "must be the next_page_key of an earlier page, or None for the newest"
    raise InvalidRequestError(field="start", reason=reason)
