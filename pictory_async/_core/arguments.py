"""Checks of arguments, made before anything is sent."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeAlias

from pictory_async._core.errors import InvalidRequestError
from pictory_async._core.models import GeneratedImage, HistoryImage, ImageRequest
from pictory_async._core.text import is_job_id

Prompt: TypeAlias = str | ImageRequest
Prompts: TypeAlias = Iterable[Prompt] | AsyncIterable[Prompt]


def checked_job_id(job_id: object) -> str:
    """Return *job_id* if it can be one.

    Raises:
        InvalidRequestError: It is not text, is blank, or would change the path that it
            is put into.
    """
    if is_job_id(job_id):
        return str(job_id)
    reason = f"must be the id of a job, not {job_id!r:.60}"
    raise InvalidRequestError(field="job_id", reason=reason)


def checked_timeout(timeout: object, *, field: str = "timeout") -> float | None:
    """Return *timeout* if it is None or a number of seconds, at least 0.

    Raises:
        InvalidRequestError: It is not.
    """
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is None or (number and 0 <= timeout < math.inf):  # type: ignore[operator]
        return timeout  # type: ignore[return-value]
    reason = f"must be seconds (0 or more), or None for no limit, not {timeout!r:.60}"
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
    """Return *limit* if it is None or a whole number, at least 0.

    Raises:
        InvalidRequestError: It is not.
    """
    if limit is None or (type(limit) is int and limit >= 0):
        return limit
    reason = f"must be a whole number (0 or more), or None, not {limit!r:.60}"
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


def checked_image(image: object) -> tuple[str, str]:
    """Return the URL of *image* and an id to name its file by.

    Raises:
        InvalidRequestError: It is not an image.
    """
    match image:
        case GeneratedImage():
            return image.url, image.job_id
        case HistoryImage():
            return image.url, image.id
    reason = f"must be an image, not {type(image).__name__}"
    raise InvalidRequestError(field="image", reason=reason)


def checked_prompts(prompts: Any) -> Prompts:
    """Return *prompts* if it is an iterable or async iterable.

    Raises:
        InvalidRequestError: It is not, or it is a single prompt.
    """
    alone = isinstance(prompts, str | bytes | ImageRequest)
    if alone or not isinstance(prompts, Iterable | AsyncIterable):
        reason = (
            "must be a list, or any other iterable or async iterable, of prompts or "
            f"ImageRequests, not a single {type(prompts).__name__}"
        )
        raise InvalidRequestError(field="prompts", reason=reason)
    return prompts


def checked_credits(credits: Any) -> Decimal | None:  # noqa: A002 - the API's name
    """Return *credits* as an exact number if it is None or an amount above 0.

    Raises:
        InvalidRequestError: It is not.
    """
    if credits is None:
        return None
    try:
        # From its text, so that the float 0.6 becomes exactly 0.6.
        amount = Decimal("NaN" if isinstance(credits, bool) else str(credits))
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount.is_finite() and amount > 0:
        return amount
    reason = f"must be AI credits above 0, or None for no limit, not {credits!r:.60}"
    raise InvalidRequestError(field="max_credits", reason=reason)


def checked_max_in_flight(number: Any) -> int:
    """Return *number* if it is a whole number, at least 1.

    Raises:
        InvalidRequestError: It is not.
    """
    if type(number) is int and number >= 1:
        return number
    reason = f"must be a whole number (1 or more), not {number!r:.60}"
    raise InvalidRequestError(field="max_in_flight", reason=reason)


def checked_path(path: Any, *, field: str) -> Path | None:
    """Return *path* as an absolute path, or None for None.

    Raises:
        InvalidRequestError: It is not a path.
    """
    if path is None:
        return None
    if isinstance(path, str | os.PathLike) and os.fspath(path):
        return Path(path).absolute()  # unaffected by a later chdir
    reason = f"must be a path or None, not {path!r:.60}"
    raise InvalidRequestError(field=field, reason=reason)
