"""Every exception that leaves the package.

Attributes, not text, are the contract; the text says what to do next::

    PictoryError
    ├─ ConfigurationError(ValueError)
    ├─ InvalidRequestError(ValueError)
    ├─ APIError
    │  ├─ BadRequestError · AuthenticationError · PermissionDeniedError · NotFoundError
    │  └─ RateLimitedError · ServerError
    ├─ TransportError
    │  └─ RequestTimeoutError(TimeoutError)
    ├─ InvalidResponseError
    ├─ SubmissionUnknownError (in `_core.unknown`, as it holds the request)
    ├─ JobError
    │  ├─ JobFailedError · JobNotFoundError · JobExpiredError
    │  └─ JobTimeoutError(TimeoutError)
    ├─ PaginationError · DownloadError
    ├─ BudgetExceededError
    ├─ JournalError
    │  └─ JournalMismatchError
    └─ SessionClosedError · WrongLoopError(RuntimeError)

Every argument has a default, because an exception with a required keyword cannot be
unpickled. None of them shows an API key, a whole prompt or the query of a URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pictory_async._core.text import shorten, without_query

# Enough to recognise an answer, too little to flood a log.
BODY_CHARACTERS = 512


class PictoryError(Exception):
    """The root of all errors of this package.

    Attributes:
        status: The HTTP status of the answer; None if there was no answer.
        retry_after: Seconds the service asked to wait; None if it did not say.
        job_id: The job concerned; None if there is none, or if it is not known.
    """

    # Subclasses that always have a value narrow the type to it.
    status: int | None = None
    retry_after: float | None = None
    job_id: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class ConfigurationError(PictoryError, ValueError):
    """The session cannot be used as it was set up: no key, or an unusable base URL."""


class InvalidRequestError(PictoryError, ValueError):
    """A value is not allowed. It was found before anything was sent.

    Attributes:
        field: The name of the argument.
        reason: What is allowed.
    """

    def __init__(self, message: str = "", *, field: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return self.args[0] or f"{self.field}: {self.reason} (nothing was sent)"


class APIError(PictoryError):
    """The service, or something between it and you, refused the request.

    Attributes:
        status: The HTTP status.
        code: The service's code for the error, if it gave one.
        message: The service's message, if it gave one, cut to 512 characters.
        fields: For each refused field, by wire name, what was wrong with it.
        body: The beginning of the answer's body, at most 512 characters.
        method: The request's method.
        path: The request's path below the base URL.
        retry_after: Seconds the service asked to wait; None if it did not say.
        from_api: Whether the body has the form of the API's own errors. If not, a
            proxy or firewall may have answered in its place.
    """

    _advice = ""

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int = 0,
        code: str | None = None,
        fields: Mapping[str, tuple[str, ...]] | None = None,
        body: str = "",
        method: str = "",
        path: str = "",
        retry_after: float | None = None,
        from_api: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status: int = status  # pyright: ignore[reportIncompatibleVariableOverride]
        self.code = code
        self.fields: dict[str, tuple[str, ...]] = dict(fields or {})
        self.body = body
        self.method = method
        self.path = path
        self.retry_after = retry_after
        self.from_api = from_api

    def __str__(self) -> str:
        parts = [part for part in (self.code, self.message) if part]
        parts += [f"{name}: {'; '.join(why)}" for name, why in self.fields.items()]
        text = f"{self.method} {self.path} answered {self.status}"
        text += f" ({shorten(' | '.join(parts), limit=300)})" if parts else ""
        advice = self._advice_now()
        return f"{text}. {advice}" if advice else text

    def _advice_now(self) -> str:
        return self._advice


class BadRequestError(APIError):
    """400: the request is not valid; see *fields*. Nothing was created."""

    _advice = "Correct the request; sending it again as it is will not help."


class AuthenticationError(APIError):
    """401: the API key is missing or invalid. Nothing was created."""

    _advice = "Check the API key: https://app.pictory.ai/api-access shows yours."


class PermissionDeniedError(APIError):
    """403: refused. Says nothing about the key if *from_api* is false."""

    # Cloudflare stands in front of the API and answers 403 with a page of its own to
    # clients that it takes for bots [O, official skill script, 2026-07-07].
    def _advice_now(self) -> str:
        if self.from_api:
            return "Check what the account behind the API key may do, and the base URL."
        return (
            "This is not an answer of the API but of a proxy or firewall in front of "
            "it; it says nothing about the API key."
        )


class NotFoundError(APIError):
    """404: there is nothing at this path."""

    _advice = "Check the id and the base URL."


class RateLimitedError(APIError):
    """429: too many requests. Nothing was created; see *retry_after*."""

    _advice = "Send fewer requests at a time, or wait and try again."


class ServerError(APIError):
    """5xx: the service, or a gateway in front of it, could not answer."""

    _advice = "The service asks to retry after a brief delay."


class TransportError(PictoryError):
    """No answer arrived.

    Attributes:
        sent: Whether the request may have reached the service.
        method: The request's method.
        path: The request's path below the base URL.
    """

    def __init__(
        self, message: str = "", *, sent: bool = True, method: str = "", path: str = ""
    ) -> None:
        super().__init__(message)
        self.sent = sent
        self.method = method
        self.path = path

    def __str__(self) -> str:
        known = "may have arrived" if self.sent else "was not sent"
        request = f"{self.method} {self.path}".strip() or "the request"
        return f"{self.args[0] or 'no answer'}; {request} {known}"


class RequestTimeoutError(TransportError, TimeoutError):
    """No answer arrived in time."""


class InvalidResponseError(PictoryError):
    """An answer arrived that cannot be read.

    Attributes:
        where: The place in the answer, as a JSON path from ``$``.
        why: What was expected there.
        status: The HTTP status.
        body: The beginning of the answer's body, at most 512 characters.
        method: The request's method.
        path: The request's path below the base URL.
    """

    def __init__(
        self,
        why: str = "",
        *,
        where: str = "$",
        status: int = 0,
        body: str = "",
        method: str = "",
        path: str = "",
    ) -> None:
        super().__init__(why)
        self.why = why
        self.where = where
        self.status: int = status  # pyright: ignore[reportIncompatibleVariableOverride]
        self.body = body
        self.method = method
        self.path = path

    def __str__(self) -> str:
        return (
            f"cannot read the answer to {self.method} {self.path} "
            f"({self.status}): {self.why} @ {self.where}"
        )


class JobError(PictoryError):
    """A job gave no image, or has not given it yet.

    Attributes:
        job_id: The id of the job.
    """

    def __init__(self, message: str = "", *, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id: str = job_id  # pyright: ignore[reportIncompatibleVariableOverride]

    def __str__(self) -> str:
        return f"job {shorten(self.job_id)}: {self.args[0] or self._what()}"

    def _what(self) -> str:
        return "no image"


class JobFailedError(JobError):
    """The service says that the job failed.

    Attributes:
        code: The service's code for the cause, if it gave one.
        message: The service's message, if it gave one.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        job_id: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message or "", job_id=job_id)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        text = ": ".join(part for part in (self.code, self.message) if part)
        cause = shorten(text, limit=300) if text else "no cause given"
        return f"job {shorten(self.job_id)} failed ({cause})"


class JobNotFoundError(JobError):
    """The service does not know this job."""

    def _what(self) -> str:
        return "not found; is the id right, and of this account?"


class JobExpiredError(JobError):
    """The job's data was cleaned; a finished image may still be in the history."""

    def _what(self) -> str:
        return "its data was cleaned; look for the image in the history"


class JobTimeoutError(JobError, TimeoutError):
    """The job did not end in time.

    Attributes:
        still_running: True if only this wait ended and the job is still polled; False
            if *job_timeout* has passed and the job is no longer polled.
    """

    def __init__(
        self, message: str = "", *, job_id: str = "", still_running: bool = False
    ) -> None:
        super().__init__(message, job_id=job_id)
        self.still_running = still_running

    def _what(self) -> str:
        if self.still_running:
            return "not finished in time; it is still polled, wait for it again"
        return "not finished in time; session.job(job_id) polls it again"


class PaginationError(PictoryError):
    """The service named a page of the history that was already read.

    Attributes:
        next_page_key: The repeated key.
    """

    def __init__(self, message: str = "", *, next_page_key: str = "") -> None:
        super().__init__(message)
        self.next_page_key = next_page_key

    def __str__(self) -> str:
        return self.args[0] or (
            f"page key {shorten(self.next_page_key)!r} was given a second time; "
            "reading on would repeat images for ever"
        )


class DownloadError(PictoryError):
    """An image could not be saved. Nothing was left on disk.

    Attributes:
        url: The URL of the image, without its query.
        status: The HTTP status, or None if there was no answer.
    """

    def __init__(
        self, message: str = "", *, url: str = "", status: int | None = None
    ) -> None:
        super().__init__(message)
        self.url: str = without_query(url)
        self.status = status

    def __str__(self) -> str:
        return f"cannot download {self.url}: {self.args[0] or 'no reason given'}"


class BudgetExceededError(PictoryError):
    """A request did not fit under the ceiling of its batch. Nothing was sent.

    Attributes:
        limit: The ceiling, in AI credits.
        reserved: The credits counted against it at that moment: those used, and those
            reserved for jobs that may still be charged.
        price: The credits that the request would have reserved.
    """

    def __init__(
        self,
        message: str = "",
        *,
        limit: Decimal = Decimal(0),
        reserved: Decimal = Decimal(0),
        price: Decimal = Decimal(0),
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.reserved = reserved
        self.price = price

    def __str__(self) -> str:
        return self.args[0] or (
            f"{self.price} credits do not fit under max_credits={self.limit}, of which "
            f"{self.reserved} are used or reserved; nothing was sent"
        )


class JournalError(PictoryError):
    """The journal of a batch cannot be used.

    Raised before anything is sent or, if the file fails later, once nothing more is
    sent.

    Attributes:
        path: The journal file.
        reason: What is wrong with it.
    """

    def __init__(self, message: str = "", *, path: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return self.args[0] or f"journal {self.path}: {self.reason}"


class JournalMismatchError(JournalError):
    """The journal belongs to other prompts. Nothing was sent for this one.

    Attributes:
        index: The index (from 0) of the first prompt that differs from the journal.
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: str = "",
        reason: str = "",
        index: int = 0,
    ) -> None:
        super().__init__(message, path=path, reason=reason)
        self.index = index

    def __str__(self) -> str:
        return self.args[0] or (
            f"journal {self.path} was made for other prompts: number {self.index} "
            f"(from 0) {self.reason or 'is not the recorded one'}"
        )


class SessionClosedError(PictoryError):
    """The session is closed.

    Attributes:
        job_id: The job that was still in progress; None if there was none. It continues
            at the service: ``job(job_id)`` of another session finds it.
    """

    def __init__(self, message: str = "", *, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id

    def __str__(self) -> str:
        if self.job_id is None:
            return self.args[0] or "the session is closed; make a new one"
        return (
            f"the session was closed while job {self.job_id} was in progress; it "
            "continues at the service, and job(job_id) of another session finds it"
        )


class WrongLoopError(PictoryError, RuntimeError):
    """The session belongs to another process, or to another loop that is not closed."""
