"""The records of a journal, and how they are written. No I/O.

A record holds no prompt, no key and no body of an answer: a prompt is recognised by its
fingerprint.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import attrs

from pictory_async._core.errors import (
    JobError,
    JobExpiredError,
    JobFailedError,
    PictoryError,
)
from pictory_async._core.models import GeneratedImage, ImageRequest
from pictory_async._core.text import is_web_url, shorten

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

# Bytes of each half of a fingerprint: 1 edit in 10^19 is not noticed.
HALF: Final = 8


class UnreadableRecord(Exception):  # noqa: N818 - becomes a JournalError
    """A row of the journal cannot be read: the file was damaged or edited."""


@attrs.define(eq=False, kw_only=True)
class Record:
    """One prompt in the journal.

    A record without a *job_id* and without an *outcome* is an intent: its POST may or
    may not have gone out.

    Attributes:
        index: The place of the prompt.
        fingerprint: The mark of the request; see `fingerprint`.
        started_at: When the POST began.
        ended_at: When the POST was given up; None if that was not recorded.
        job_id: The id of the job, once it is known.
        outcome: The final image or error as text; None before that.
        credits: The AI credits that count against the ceiling.
        path: The file of the image, if it was saved.
        result: The image or the error that *outcome* holds, once it was read.
    """

    index: int
    fingerprint: bytes
    started_at: datetime
    ended_at: datetime | None = None
    job_id: str | None = None
    outcome: str | None = None
    credits: Decimal = Decimal(0)
    path: str | None = None
    result: GeneratedImage | JobError | None = None

    def row(self) -> tuple[Any, ...]:
        """Return the values in the order of the columns."""
        return (
            self.index,
            self.fingerprint,
            _number(self.started_at),
            None if self.ended_at is None else _number(self.ended_at),
            self.job_id,
            self.outcome,
            str(self.credits),
            self.path,
        )


def record(row: tuple[Any, ...]) -> Record:
    """Return the record of *row*.

    Raises:
        UnreadableRecord: A value is not valid.
    """
    index, mark, started, ended, job_id, outcome, credits_, path = row
    try:
        return Record(
            index=index,
            fingerprint=bytes(mark),
            started_at=EPOCH + started * MICROSECOND,
            ended_at=None if ended is None else EPOCH + ended * MICROSECOND,
            job_id=job_id,
            outcome=outcome,
            credits=amount(credits_),
            path=path,
        )
    except (TypeError, OverflowError) as exc:
        raise UnreadableRecord(f"row {index} cannot be read") from exc


def amount(text: Any) -> Decimal:
    """Return the credits in *text*.

    Raises:
        UnreadableRecord: It is not a finite number.
    """
    try:
        credits_ = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        credits_ = Decimal("NaN")
    if not credits_.is_finite():
        raise UnreadableRecord(f"{text!r:.40} are no credits")
    return credits_


def fingerprint(request: ImageRequest) -> bytes:
    """Return the mark that *request* is recognised by: its prompt, then its options.

    The webhook is left out: it may differ in each run and does not change the image.
    """
    named = (
        request.model,
        request.aspect_ratio,
        request.style,
        request.reference_image_url,
    )
    extra = json.dumps(request.extra) if request.extra else ""
    return prompt_mark(request) + _mark_of_options(named, extra)


def prompt_mark(request: ImageRequest) -> bytes:
    """Return the mark of the prompt alone."""
    return blake2b(request.prompt.encode(), digest_size=HALF).digest()


@lru_cache(maxsize=128)
def _mark_of_options(named: tuple[str | None, ...], extra: str) -> bytes:
    # Read back, so that neither the order of keys matters nor their Python type.
    values = [*named, json.loads(extra) if extra else {}]
    text = json.dumps(values, sort_keys=True)
    return blake2b(text.encode(), digest_size=HALF).digest()


# --- outcomes ---------------------------------------------------------------------


def image_text(image: GeneratedImage) -> str:
    """Return the text that records *image*."""
    credits_ = image.credits_used
    values: dict[str, Any] = {
        "url": image.url,
        "width": image.width,
        "height": image.height,
        "credits": None if credits_ is None else str(credits_),
    }
    if image.extra:
        values["extra"] = dict(image.extra)
    return json.dumps(values)


def error_text(error: PictoryError) -> str | None:
    """Return the text that records a final error; None if it is not final.

    Final errors are those that the service reports of a job: it failed, or its data
    is gone. After any other error the job may still complete.
    """
    match error:
        case JobFailedError():
            message = None if error.message is None else shorten(error.message)
            code = None if error.code is None else shorten(error.code)
            return json.dumps({"error": "failed", "code": code, "message": message})
        case JobExpiredError():
            return json.dumps({"error": "expired"})
        case _:
            return None


def read_outcome(
    text: str, *, job_id: str | None, request: ImageRequest
) -> GeneratedImage | JobError:
    """Return the image or error that `image_text` or `error_text` recorded.

    Raises:
        UnreadableRecord: *text* comes from neither.
    """
    try:
        values = json.loads(text)
        if "error" in values:
            return _error(values, job_id or "")
        if not is_web_url(values["url"]):
            raise UnreadableRecord("an image without a URL")
        credits_ = values["credits"]
        return GeneratedImage(
            job_id=job_id or "",
            url=values["url"],
            width=values["width"],
            height=values["height"],
            credits_used=None if credits_ is None else amount(credits_),
            request=request,
            extra=values.get("extra", {}),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise UnreadableRecord("an outcome that cannot be read") from exc


def _error(values: dict[str, Any], job_id: str) -> JobError:
    if values["error"] == "expired":
        return JobExpiredError(job_id=job_id)
    return JobFailedError(values["message"], job_id=job_id, code=values["code"])


def _number(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND
