"""The validation of requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pictory_async.sandbox import Behavior
from pictory_async.sandbox._validation import Rejected, image_request

PROMPT = "A red bicycle"
JSON = "application/json"


def accept(body: Any, behavior: Behavior | None = None) -> dict[str, Any]:
    """Return what is accepted of *body*."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return image_request(raw, JSON, behavior or Behavior())


def bad_fields(body: Any, behavior: Behavior | None = None) -> list[str]:
    """Return the names of the fields for which *body* is refused."""
    with pytest.raises(Rejected) as caught:
        accept(body, behavior)
    assert all(caught.value.fields.values())
    return sorted(caught.value.fields)


@pytest.mark.parametrize("model", ["seedream3.0", "flux-schnell", "nanobanana-pro"])
@pytest.mark.parametrize("ratio", ["1:1", "16:9", "9:16"])
def test_documented_values_pass(model: str, ratio: str) -> None:
    """Every documented model takes every documented ratio, style and URL."""
    body = {
        "prompt": PROMPT,
        "model": model,
        "aspectRatio": ratio,
        "style": "vintage",
        "referenceImageUrl": "https://example.com/a.png?size=1",
        "webhook": "http://127.0.0.1:8080/hook",
    }
    assert accept(body) == body


def test_unknown_field_is_ignored() -> None:
    """An unknown field changes nothing."""
    assert accept({"prompt": PROMPT, "promt": 1})["prompt"] == PROMPT


@pytest.mark.parametrize("length", [5, 5000])
def test_prompt_at_the_limits_passes(length: int) -> None:
    """Prompts of the minimum and the maximum length are accepted."""
    assert accept({"prompt": "x" * length})


@pytest.mark.parametrize("prompt", ["four", "x" * 5001, "", None, 7, ["a prompt"]])
def test_bad_prompt_is_refused(prompt: object) -> None:
    """A prompt that is not a string or has the wrong length is refused."""
    assert bad_fields({"prompt": prompt}) == ["prompt"]


@pytest.mark.parametrize(
    "url",
    [
        "example.com/a.png",
        "ftp://example.com/a.png",
        "https://",
        "https://exa mple.com",
        "https://example.com/\n",
        "https://[::1",
        "",
        None,
        7,
    ],
)
def test_bad_url_is_refused(url: object) -> None:
    """Only absolute http and https URLs are accepted."""
    body = {"prompt": PROMPT, "referenceImageUrl": url, "webhook": url}
    assert bad_fields(body) == ["referenceImageUrl", "webhook"]


def test_every_bad_field_is_named() -> None:
    """One answer names everything that is wrong."""
    body = {
        "model": "dall-e",
        "aspectRatio": "4:3",
        "style": None,
        "referenceImageUrl": "x",
        "webhook": "x",
    }
    assert bad_fields(body) == sorted([*body, "prompt"])


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"[1]", b'"text"', b"null", b"\xff", b"[" * 100_000]
)
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    """Any body but a JSON object is refused."""
    assert bad_fields(raw) == ["body"]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/jsonp"])
def test_content_type_is_required(content_type: str) -> None:
    """The documents require the header, so the sandbox does."""
    with pytest.raises(Rejected):
        image_request(b'{"prompt": "A red bicycle"}', content_type, Behavior())


def test_content_type_may_have_parameters() -> None:
    """A charset after the type is accepted."""
    kind = "Application/JSON; charset=utf-8"
    assert image_request(b'{"prompt": "A red bicycle"}', kind, Behavior())


def test_square_nanobanana() -> None:
    """An option allows only the ratio 1:1 for nanobanana, as one document says."""
    square = Behavior(nanobanana_ratios="square")
    body = {"prompt": PROMPT, "model": "nanobanana"}
    assert accept(body, square)
    assert accept({**body, "aspectRatio": "1:1"}, square)
    assert accept({**body, "aspectRatio": "16:9"})
    assert bad_fields({**body, "aspectRatio": "16:9"}, square) == ["aspectRatio"]


def test_flux_without_reference() -> None:
    """An option refuses a reference for flux-schnell, as one document says."""
    refuse = Behavior(flux_reference="refuse")
    body = {"prompt": PROMPT, "model": "flux-schnell"}
    reference = {"referenceImageUrl": "https://example.com/a.png"}
    assert accept(body, refuse)
    assert accept({**body, **reference})
    assert bad_fields({**body, **reference}, refuse) == ["referenceImageUrl"]
