"""The validation of image requests, as strict as the documents. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pictory_async.sandbox import _catalogue as catalogue
from pictory_async.sandbox._recording import parse_json

if TYPE_CHECKING:
    from pictory_async.sandbox._options import Behavior

Problems = Mapping[str, str]


class Rejected(Exception):  # noqa: N818 - a result, not an error of the sandbox
    """The request is refused; *fields* says what is wrong with each bad field."""

    def __init__(self, message: str, fields: Problems) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


def image_request(raw: bytes, content_type: str, behavior: Behavior) -> dict[str, Any]:
    """Return the request in *raw*, or raise with everything that is wrong with it.

    Unknown fields are ignored, as the service does [O].

    Raises:
        Rejected: The service would answer 400 [D].
    """
    # [D] "Content-Type: application/json" is required; [I] the answer without it.
    if content_type.partition(";")[0].strip().lower() != "application/json":
        problem = {"Content-Type": "must be application/json"}
        raise Rejected("Content-Type must be application/json", problem)
    body = parse_json(raw)
    if not isinstance(body, dict):
        raise Rejected("The request body must be a JSON object", {"body": "not JSON"})
    if found := problems(body, behavior):
        msg = f"Invalid request body: {', '.join(found)}"
        raise Rejected(msg, found)
    return body


def problems(body: Mapping[str, Any], behavior: Behavior) -> Problems:
    """Return what is wrong with each bad field of *body*."""
    found = {
        name: problem
        for name, check in _CHECKS.items()
        if name in body and (problem := check(body[name]))
    }
    if "prompt" not in body:
        found["prompt"] = "is required"
    return _combinations(body, behavior) | found


def _combinations(body: Mapping[str, Any], behavior: Behavior) -> dict[str, str]:
    """Return what is wrong with fields that are valid by themselves."""
    model, ratio = body.get("model", catalogue.DEFAULT_MODEL), body.get("aspectRatio")
    found: dict[str, str] = {}
    # That nanobanana makes only square images is said by a document on renders [O].
    square = model == "nanobanana" and behavior.nanobanana_ratios == "square"
    if square and ratio not in {None, "1:1"}:
        found["aspectRatio"] = "must be 1:1 for nanobanana"
    # As is that flux-schnell accepts no reference [O].
    unable = model == "flux-schnell" and behavior.flux_reference == "refuse"
    if unable and "referenceImageUrl" in body:
        found["referenceImageUrl"] = "is not supported by flux-schnell"
    return found


def _prompt(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if not catalogue.PROMPT_MIN <= len(value) <= catalogue.PROMPT_MAX:
        return "must be between 5 and 5,000 characters"
    return None


def _one_of(*allowed: str) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        if isinstance(value, str) and value in allowed:
            return None
        return f"must be one of {', '.join(allowed)}"

    return check


def _uri(value: object) -> str | None:
    if isinstance(value, str) and _is_http_url(value):
        return None
    return "must be a valid URI"


def _is_http_url(text: str) -> bool:
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # such as an unclosed bracket of an IPv6 address
        return False


_CHECKS: Final[Mapping[str, Callable[[object], str | None]]] = {
    "prompt": _prompt,
    "model": _one_of(*catalogue.MODELS),
    # All documented models have the same three ratios.
    "aspectRatio": _one_of(*catalogue.RATIOS),
    "style": _one_of(*catalogue.STYLES),
    "referenceImageUrl": _uri,
    "webhook": _uri,
}
