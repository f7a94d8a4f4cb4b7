"""Records of the requests that arrived and the webhooks that were sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import attrs

EndpointKind = Literal["submit", "job", "images", "file", "other"]


@attrs.frozen(kw_only=True)
class SeenRequest:
    """A request as it arrived, whatever was done with it.

    Attributes:
        kind: The endpoint; "other" is a path or method that the API does not have.
        target: The job id of a "job" request, the image id of a "file" request.
        method: In upper case.
        path: Decoded, with the ``/pictoryapis`` of the base URL, without the query.
        query: Decoded.
        headers: Case-insensitive.
        raw: The body as received; empty if it was too big to be accepted.
        at: Loop time of its arrival, in seconds.
    """

    kind: EndpointKind
    target: str | None = None
    method: str
    path: str
    query: Mapping[str, str] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    raw: bytes = attrs.field(default=b"", repr=False)
    at: float = 0.0

    @property
    def body(self) -> Any:
        """The body as parsed JSON; None if there is none or it is not JSON."""
        return parse_json(self.raw)


@attrs.frozen(kw_only=True)
class WebhookDelivery:
    """A webhook POST and its result.

    Attributes:
        job_id: The job that it reports.
        url: Where it was sent.
        payload: The JSON object that was sent.
        status: Of the receiver's answer; None if there was none.
        error: Why there was no answer; None if there was one.
        at: Loop time at which it was sent, in seconds.
    """

    job_id: str
    url: str
    payload: Mapping[str, Any] = attrs.field(repr=False)
    status: int | None = None
    error: str | None = None
    at: float = 0.0


def parse_json(raw: bytes) -> Any:
    """Return *raw* parsed as JSON; None if it is not JSON."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):  # RecursionError: nested too deeply
        return None
