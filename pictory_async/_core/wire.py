"""From bytes to models and back. With `decode` the only place that knows wire names.

The tags [D], [O], [C] and [I] are explained in `_core`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Generic, TypeAlias

import attrs

from pictory_async._core.decode import (
    UnreadableValue,
    history_image,
    history_images,
)
from pictory_async._core.errors import (
    BODY_CHARACTERS,
    APIError,
    AuthenticationError,
    BadRequestError,
    InvalidRequestError,
    InvalidResponseError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobNotFoundError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
)
from pictory_async._core.models import (
    HistoryImage,
    HistoryPage,
    ImageRequest,
    JobState,
    ResultT,
)
from pictory_async._core.text import is_job_id, is_web_url, shorten

JSONObject = Mapping[str, Any]
ReadResult: TypeAlias = Callable[[JSONObject], ResultT]


@cache
def _orjson_loads() -> Callable[[bytes], Any] | None:
    """Return `orjson.loads` if it is installed. Imported late: importing takes time."""
    try:
        import orjson  # noqa: PLC0415
    except ImportError:
        return None
    loads: Callable[[bytes], Any] = orjson.loads
    return loads


def loads(raw: bytes) -> Any:
    """Return the JSON value in *raw*.

    Raises:
        ValueError: It is not JSON, or not valid UTF-8.
        RecursionError: It is nested too deeply.
    """
    fast_loads = _orjson_loads() or json.loads
    try:
        return fast_loads(raw)
    except ValueError:
        return json.loads(raw)  # accepts a little more, such as NaN


@attrs.frozen
class Answer:
    """The service's answer to one attempt, independent of any HTTP library.

    Attributes:
        status: The HTTP status (any integer: proxies invent their own).
        body: The whole body, or its beginning if it was *cut*.
        method: The request's method.
        path: The request's path below the base URL.
        retry_after: Seconds, from the ``Retry-After`` header; None without one.
        cut: Whether the body exceeded the limit and was not read to its end.
    """

    status: int
    body: bytes = attrs.field(repr=False)
    method: str = "GET"
    path: str = ""
    retry_after: float | None = None
    cut: bool = False


@attrs.frozen
class JobReport(Generic[ResultT]):
    """What one readable answer says of a job.

    Attributes:
        state: The job's state, as the service names it.
        result: What the job made, once it has completed.
        error: The reason why the job will never have a result.
    """

    state: JobState
    result: ResultT | None = None
    error: JobError | None = None


# --- requests ---------------------------------------------------------------------

# [D] api-reference/ai-studio/generate-image
_REQUEST_NAMES: Final = {
    "prompt": "prompt",
    "model": "model",
    "aspect_ratio": "aspectRatio",
    "style": "style",
    "reference_image_url": "referenceImageUrl",
    "webhook": "webhook",
}


def encode_request(request: ImageRequest) -> bytes:
    """Return the JSON body for *request*; fields that are None are left out.

    Raises:
        InvalidRequestError: *extra* names a documented field or is not JSON.
    """
    taken = sorted(request.extra.keys() & set(_REQUEST_NAMES.values()))
    if taken:
        reason = f"{taken[0]!r} is a documented field: use the argument for it"
        raise InvalidRequestError(field="extra", reason=reason)
    values = {wire: getattr(request, here) for here, wire in _REQUEST_NAMES.items()}
    body = {name: value for name, value in values.items() if value is not None}
    try:
        text = json.dumps(
            body | dict(request.extra), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        reason = f"must be JSON ({shorten(str(exc))})"
        raise InvalidRequestError(field="extra", reason=reason) from None


# --- answers ----------------------------------------------------------------------


def read_submission(answer: Answer) -> str:
    """Return the id of the job that was created.

    Raises:
        APIError: The request was refused; no job was created.
        InvalidResponseError: A 2xx without a readable job id: a job may exist.
    """
    payload = _read_object(answer)
    # [D] api-reference/ai-studio/generate-image: {"success": true, "data": {"jobId":
    # "..."}}. Other pages call it job_id, and old ones have it at the top [O][C].
    for place in (payload.get("data"), payload):
        for name in ("jobId", "job_id"):
            job_id = place.get(name) if isinstance(place, dict) else None
            if type(job_id) is int or is_job_id(job_id):
                return str(job_id)
    _refuse_unsuccessful(answer, payload)
    raise _unreadable(answer, "expected a job id", where="$.data.jobId")


def read_job(
    answer: Answer, *, job_id: str, read_result: ReadResult[ResultT]
) -> JobReport[ResultT]:
    """Return what *answer* says of the job.

    Args:
        answer: The answer to a poll.
        job_id: The job that was polled.
        read_result: Returns the result, given the fields of a completed job.

    Raises:
        APIError: The status is outside 2xx, and is not 404.
        InvalidResponseError: The answer says nothing readable about the job.
    """
    # [D] api-reference/ai-studio/get-image-job: 404 "Job not found".
    if answer.status == 404:
        return _not_found(job_id)
    payload = _read_object(answer)
    if payload.get("success") is False and _mentions(payload, "JOB_NOT_FOUND"):
        return _not_found(job_id)
    data = payload.get("data")
    # [C] one old client saw the bare state where the object is now.
    bare = {} if payload.get("success") is False else {"status": data}
    fields = data if isinstance(data, dict) else bare
    status = fields.get("status")
    if not isinstance(status, str) or not status:
        return _job_without_state(answer, payload, fields, job_id, read_result)
    state = JobState(status)
    if state == JobState.COMPLETED:
        return JobReport(state, result=_read_result(answer, fields, read_result))
    if state == JobState.FAILED:
        return JobReport(state, error=_failure(payload, job_id))
    if state == JobState.CLEANED:  # [D] api-reference/jobs/get-job-by-id
        return JobReport(state, error=JobExpiredError(job_id=job_id))
    return JobReport(state)


def read_page(answer: Answer) -> HistoryPage:
    """Return one page of the history.

    Raises:
        APIError: The status is outside 2xx.
        InvalidResponseError: The answer is not a page; *where* is the first problem.
    """
    payload = _read_object(answer)
    items = payload.get("items")
    if not isinstance(items, list):
        _refuse_unsuccessful(answer, payload)
        raise _unreadable(answer, "expected an array", where="$.items")
    # [D] api-reference/ai-studio/get-images: absent on the last page. The list of jobs
    # has null there, and an empty key would request the first page again [I].
    key = payload.get("nextPageKey")
    if key is not None and not isinstance(key, str):
        raise _unreadable(answer, "expected a string", where="$.nextPageKey")
    images = history_images(items)
    if images is None:
        images = tuple(_read_item(answer, i, item) for i, item in enumerate(items))
    return HistoryPage(images=images, next_page_key=key or None)


_ERROR_FIELDS: Final = ("code", "error_code", "message", "error_message", "error")
_ERRORS: Final = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitedError,
}


def error_for(answer: Answer) -> APIError:
    """Return the error to raise for an answer that is a refusal or a failure."""
    try:
        parsed = loads(answer.body)
    except (ValueError, RecursionError):
        parsed = None
    payload = parsed if isinstance(parsed, dict) else {}
    code, message = _code_and_message(payload)
    fields = _fields(payload.get("fields"))
    known: dict[str, Any] = {
        "status": answer.status,
        "code": code,
        "fields": fields,
        "body": _cut(answer.body),
        "method": answer.method,
        "path": answer.path,
        "retry_after": answer.retry_after,
        "from_api": bool(code or message or fields),
    }
    if 500 <= answer.status <= 599:
        return ServerError(message, **known)
    return _ERRORS.get(answer.status, APIError)(message, **known)


# --- parts ------------------------------------------------------------------------


def _read_object(answer: Answer) -> JSONObject:
    """Return the JSON object in the body of a 2xx; raise for anything else."""
    if not 200 <= answer.status <= 299:
        raise error_for(answer)
    if answer.cut:
        raise _unreadable(answer, f"larger than {len(answer.body):,} bytes")
    try:
        payload = loads(answer.body)
    except (ValueError, RecursionError) as exc:  # not JSON, not UTF-8, too deep
        raise _unreadable(answer, f"expected JSON ({shorten(str(exc))})") from None
    if not isinstance(payload, dict):
        raise _unreadable(answer, "expected an object")
    return payload


def _refuse_unsuccessful(answer: Answer, payload: JSONObject) -> None:
    if payload.get("success") is False:
        raise error_for(answer)


def _unreadable(answer: Answer, why: str, *, where: str = "$") -> InvalidResponseError:
    return InvalidResponseError(
        why,
        where=where,
        status=answer.status,
        body=_cut(answer.body),
        method=answer.method,
        path=answer.path,
    )


def _cut(body: bytes) -> str:
    # A character of UTF-8 has at most four bytes.
    return body[: 4 * BODY_CHARACTERS].decode("utf-8", "replace")[:BODY_CHARACTERS]


def _code_and_message(payload: JSONObject) -> tuple[str | None, str | None]:
    """Return the code and message of an error, wherever they are in *payload*.

    Known forms: {"message"} from the gateway [O]; {"code", "message", "fields"} [O];
    {"data": {"error_code", "error_message"}} [O]; {"error": {...}}, with a number [D].
    """
    objects = _places(payload)
    code = _first(objects, ("code", "error_code"))
    message = _first(objects, ("message", "error_message", "error"))
    data = payload.get("data")
    return code, message or (data if isinstance(data, str) else None)


def _places(payload: JSONObject) -> list[dict[str, Any]]:
    places = (payload, payload.get("data"), payload.get("error"))
    return [place for place in places if isinstance(place, dict)]


def _mentions(payload: JSONObject, code: str) -> bool:
    """Return whether any field of an error equals *code*.

    All are compared: a general message may stand above the specific one.
    """
    objects = _places(payload)
    found = [_first([place], (name,)) for place in objects for name in _ERROR_FIELDS]
    return code in {*found, *_code_and_message(payload)}


def _first(objects: list[dict[str, Any]], names: tuple[str, ...]) -> str | None:
    for place in objects:
        for name in names:
            value = place.get(name)
            if isinstance(value, str) and value:
                return value[:BODY_CHARACTERS]
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
    return None


def _fields(raw: object) -> dict[str, tuple[str, ...]]:
    """Read [{"name": "prompt", "errors": "..."}]; "errors" may be an array [I]."""
    named: dict[str, tuple[str, ...]] = {}
    for item in raw if isinstance(raw, list) else []:
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            errors = item.get("errors")
            texts = errors if isinstance(errors, list) else [errors]
            cut = tuple(t[:BODY_CHARACTERS] for t in texts if isinstance(t, str))
            name = item["name"][:BODY_CHARACTERS]
            named[name] = named.get(name, ()) + cut
    return named


def _not_found(job_id: str) -> JobReport[Any]:
    return JobReport(JobState.IN_PROGRESS, error=JobNotFoundError(job_id=job_id))


def _failure(payload: JSONObject, job_id: str) -> JobFailedError:
    # [D] api-reference/ai-studio/get-image-job: "Inspect error_code and error_message";
    # [O] they are in data.
    code, message = _code_and_message(payload)
    return JobFailedError(message, job_id=job_id, code=code)


def _job_without_state(
    answer: Answer,
    payload: JSONObject,
    fields: JSONObject,
    job_id: str,
    read_result: ReadResult[ResultT],
) -> JobReport[ResultT]:
    """Read an answer without a state: an error, or an old form of success."""
    if payload.get("success") is False:
        # [O] official API notes: error_code "5000", error_message "JOB_NOT_FOUND".
        # [O] official script: success false without a status means that a job failed.
        if _mentions(payload, "5000"):
            return _not_found(job_id)
        return JobReport(JobState.FAILED, error=_failure(payload, job_id))
    # [D, old pages] finished jobs had no status; the URL of a result shows the success.
    if payload.get("success") is True and is_web_url(fields.get("url")):
        result = _read_result(answer, fields, read_result)
        return JobReport(JobState.COMPLETED, result=result)
    raise _unreadable(answer, "expected a status", where="$.data.status")


def _read_result(
    answer: Answer, fields: JSONObject, read_result: ReadResult[ResultT]
) -> ResultT:
    # A result without its numbers is still what was paid for. Without a usable URL it
    # is not there yet, and the caller polls again.
    if not is_web_url(fields.get("url")):
        raise _unreadable(answer, "expected an http(s) URL", where="$.data.url")
    return read_result(fields)


def _read_item(answer: Answer, index: int, item: object) -> HistoryImage:
    try:
        return history_image(item)
    except UnreadableValue as exc:
        where = f"$.items[{index}]{exc.where}"
        raise _unreadable(answer, exc.why, where=where) from None
