"""The answers that the service is known or assumed to send. Pure.

[D] is documented by Pictory, [O] is in its official client code, [I] is inferred.
"""

from __future__ import annotations

import http
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs

from pictory_async.sandbox import _catalogue as catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from pictory_async.sandbox._history import ImageView
    from pictory_async.sandbox._state import Job

JSON: Final = "application/json"


@attrs.frozen(kw_only=True)
class Reply:
    """An HTTP answer, before it is sent."""

    status: int
    body: bytes = attrs.field(default=b"", repr=False)
    content_type: str = JSON
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Site:
    """The address of the images, and the date of a loop time."""

    image_root: str
    started_at: datetime  # aware UTC, at the loop time *origin*
    origin: float

    def url(self, image_id: str) -> str:
        """Return the URL of an image file."""
        # [D] The documented path is /images/user/<user uuid>/<image uuid>.png.
        return f"{self.image_root}/{image_id}.png"

    def date(self, at: float) -> str:
        """Return loop time *at* as ``YYYY-MM-DDTHH:MM:SS.mmmZ``, the form of [D]."""
        moment = self.started_at + timedelta(seconds=at - self.origin)
        text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
        return f"{text}Z"

    def timestamp(self, at: float) -> float:
        """Return loop time *at* in seconds since 1970; it may be infinite."""
        return self.started_at.timestamp() + (at - self.origin)

    def loop_time(self, timestamp: float) -> float:
        """Return the loop time of a `timestamp`, negative if it was before the loop."""
        return self.origin + (timestamp - self.started_at.timestamp())


def json_reply(body: object, status: int = 200) -> Reply:
    """Return *body* as a JSON answer."""
    return Reply(status=status, body=json.dumps(body).encode())


def any_reply(status: int, body: object, content_type: str | None = None) -> Reply:
    """Return *body*: text and bytes as they are (as HTML), anything else as JSON."""
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, bytes):
        return Reply(status=status, body=body, content_type=content_type or "text/html")
    raw = json.dumps(body).encode()
    return Reply(status=status, body=raw, content_type=content_type or JSON)


def retry_after(value: float | str | None) -> dict[str, str]:
    """Return the ``Retry-After`` header for seconds or an HTTP date; {} for None."""
    if value is None:
        return {}
    # [I] Nothing is documented; standard HTTP knows whole seconds and dates.
    whole = isinstance(value, float) and value.is_integer()
    return {"Retry-After": str(int(value) if whole else value)}


# The messages of AWS API Gateway [I], behind which the service runs. Only the body
# of the 401 is certain [O].
_GATEWAY: Final = {
    401: "Unauthorized",
    403: "Forbidden",
    413: "Request Too Long",
    429: "Too Many Requests",
    500: "Internal server error",
    502: "Internal server error",
    504: "Endpoint request timed out",
}


def gateway_reply(status: int) -> Reply:
    """Return what an API gateway sends with *status*, any status."""
    return json_reply({"message": _GATEWAY.get(status) or _phrase(status)}, status)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:  # such as 529: proxies invent their own
        return "Error"


def no_such_route() -> Reply:
    """Return the gateway's answer to a path or method it does not know [I]."""
    return json_reply({"message": "Missing Authentication Token"}, 403)


def blocked(form: str) -> Reply:
    """Return the answer of the bot protection: 403 [O], body [I]."""
    text, content_type = "error code: 1010", "text/plain"
    if form == "html":
        text = "<html><title>Access denied</title><h1>Error 1010</h1></html>"
        content_type = "text/html"
    headers = {"Server": "cloudflare"}
    return Reply(
        status=403, body=text.encode(), content_type=content_type, headers=headers
    )


def invalid_request(message: str, fields: Mapping[str, str]) -> Reply:
    """Return the 400 [D] in the form of [O]; the texts are ours."""
    body = {
        "code": "INVALID_REQUEST_BODY",
        "message": message,
        "fields": [{"name": name, "errors": text} for name, text in fields.items()],
    }
    return json_reply(body, 400)


def insufficient_credits(status: int) -> Reply:
    """Return the refusal of a request that cannot be paid for [I]."""
    message = "There are not enough AI credits for this request"
    return json_reply({"code": "INSUFFICIENT_CREDITS", "message": message}, status)


def accepted(job_id: str) -> Reply:
    """Return the answer to a good request: HTTP 200, exact in [D]."""
    return json_reply({"success": True, "data": {"jobId": job_id}})


def unknown_job(job_id: str, form: str) -> Reply:
    """Return one of the documented answers for an unknown job."""
    if form == "404-empty":
        return Reply(status=404)  # [D] status, [I] that it has no body
    body = {
        "job_id": job_id,
        "success": False,
        "data": {"error_code": "5000", "error_message": "JOB_NOT_FOUND"},
    }
    return json_reply(body, 404 if form == "404" else 200)


def bad_page_key(status: int) -> Reply:
    """Return the answer to a page key that was not issued [I]."""
    if status == 500:
        return gateway_reply(500)
    body = {"code": "INVALID_REQUEST", "message": "nextPageKey is invalid"}
    return json_reply(body, status)


def no_such_file() -> Reply:
    """Return the answer of a bucket behind a CDN for a missing file [I]."""
    body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    return Reply(status=403, body=body, content_type="application/xml")


def job_body(job: Job, site: Site) -> dict[str, Any]:
    """Return the body about *job* that polls and webhooks have."""
    # [D] success is false when the job failed; HTTP is still 200.
    success = job.state != "failed"
    return {"job_id": job.job_id, "success": success, "data": _job_data(job, site)}


def _job_data(job: Job, site: Site) -> dict[str, Any]:
    data: dict[str, Any] = {"status": job.state}
    if job.state == "completed":
        width, height = catalogue.size(job.model.name, job.ratio)
        data |= {"url": site.url(job.image_id), "width": width, "height": height}
        data["aiCreditsUsed"] = number(job.model.credits)
    if job.state == "failed" and job.failure:
        # [O] These two are beside the status.
        data["error_code"] = job.failure.code
        data["error_message"] = job.failure.message
    return data


def page(images: list[ImageView], next_key: str | None, site: Site) -> Reply:
    """Return a page without envelope; the key is absent on the last one (11-13 [D])."""
    body: dict[str, Any] = {"items": [_item(image, site) for image in images]}
    if next_key is not None:
        body["nextPageKey"] = next_key
    return json_reply(body)


def _item(image: ImageView, site: Site) -> dict[str, Any]:
    item = {
        "url": site.url(image.id),
        "id": image.id,
        "prompt": image.prompt,
        "aspectRatio": image.aspect_ratio,
        "createdDate": site.date(image.created_at),
        "model": image.model,
        "width": image.width,
        "height": image.height,
    }
    # [D] "present only if specified in the original request"
    optional = {"style": image.style, "referenceImageUrl": image.reference_image_url}
    return item | {name: value for name, value in optional.items() if value is not None}


def number(value: Decimal) -> int | float:
    """Return *value* as a JSON number, such as 2 and 0.6."""
    return int(value) if value == value.to_integral_value() else float(value)
