"""Requests are checked, results are plain values, and neither shows too much."""

from __future__ import annotations

import copy
import logging
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from pictory_async._core.errors import InvalidRequestError, SessionClosedError
from pictory_async._core.models import (
    GeneratedImage,
    HistoryImage,
    HistoryPage,
    ImageRequest,
    JobState,
    JobStatus,
)

PROMPT = "A fox in the snow"
URL = "https://cdn.example/a.png?Signature=s3cret"

LENGTH = "must be 5 to 5,000 characters"
WORD = "must be a non-empty string or None, not "
UNICODE = "must be valid Unicode, without lone surrogates"
WEB_URL = "must be an absolute http:// or https:// URL, or None"
EXTRA = "must be a dict whose keys are wire names (strings)"


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("", f"{LENGTH}, this one has 0"),
        ("abcd", f"{LENGTH}, this one has 4"),
        ("x" * 5001, f"{LENGTH}, this one has 5,001"),
        (" \t\n  ", f"{LENGTH} and not blank"),
        ("\u3000" * 5, f"{LENGTH} and not blank"),
        (None, "must be a string, not NoneType"),
        (b"A fox in the snow", "must be a string, not bytes"),
        (["A fox in the snow"], "must be a string, not list"),
        ("a fox \ud83e", UNICODE),
    ],
)
def test_a_bad_prompt_is_refused(prompt: Any, reason: str) -> None:
    """A prompt of the wrong length or kind is found before anything is sent."""
    with pytest.raises(InvalidRequestError) as caught:
        ImageRequest(prompt)

    assert (caught.value.field, caught.value.reason) == ("prompt", reason)


@pytest.mark.parametrize("prompt", ["a fox", "🦊🦊🦊🦊🦊", "x" * 5000, "    x"])
def test_a_prompt_of_allowed_length_is_kept_as_it_is(prompt: str) -> None:
    """Characters are counted, not bytes, and nothing is trimmed."""
    assert ImageRequest(prompt).prompt == prompt


@pytest.mark.parametrize("field", ["model", "aspect_ratio", "style"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", f"{WORD}''"),
        (" ", f"{WORD}' '"),
        (7, f"{WORD}7"),
        (True, f"{WORD}True"),
        (b"x", f"{WORD}b'x'"),
        ("x\ud800", UNICODE),
    ],
)
def test_a_bad_word_is_refused_by_its_name(field: str, value: Any, reason: str) -> None:
    """Model, ratio and style are non-empty strings or None."""
    with pytest.raises(InvalidRequestError) as caught:
        ImageRequest(PROMPT, **{field: value})

    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize("field", ["reference_image_url", "webhook"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        7,
        b"https://cdn.example",
        "cdn.example/a.png",
        "/a.png",
        "file:///a.png",
        "javascript:alert(1)",
        "https://",
        "https://cdn.example:port",
        "https://cdn.example/a b",
        "https://cdn.example/\n",
        "https://cdn.example/\ud800",
    ],
)
def test_a_bad_url_is_refused_by_its_name(field: str, value: Any) -> None:
    """A URL that the service could not fetch, or that cannot be sent, is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        ImageRequest(PROMPT, **{field: value})

    assert (caught.value.field, caught.value.reason) == (field, WEB_URL)


@pytest.mark.parametrize(
    "extra", [None, [], "seed", {7: "x"}, MappingProxyType({"seed": 1})]
)
def test_extra_must_be_a_dict_of_wire_names(extra: Any) -> None:
    """Anything else than a dict with text keys is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        ImageRequest(PROMPT, extra=extra)

    assert (caught.value.field, caught.value.reason) == ("extra", EXTRA)


def test_unknown_options_are_refused_by_python() -> None:
    """A misspelled option is an error: the service would drop it in silence."""
    with pytest.raises(TypeError):
        ImageRequest(PROMPT, aspectRatio="1:1")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ImageRequest(PROMPT, "nanobanana")  # type: ignore[misc]


def test_an_undocumented_word_is_kept_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The service is the judge; the log names the value that may be meant."""
    with caplog.at_level(logging.DEBUG):
        request = ImageRequest(PROMPT, model="seedream4.0", style="cartoon")

    assert request.model == "seedream4.0"
    assert caplog.record_tuples == [
        (
            "pictory_async",
            logging.WARNING,
            (
                "model 'seedream4.0' is not documented and is sent as given; is "
                "'seedream3.0' meant?"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("model", "price"),
    [
        (None, Decimal(2)),
        ("flux-schnell", Decimal("0.6")),
        ("nanobanana-pro", Decimal(14)),
        ("seedream4.0", None),
    ],
)
def test_the_price_is_the_catalogues(model: str | None, price: Decimal | None) -> None:
    """The default model's price counts where none is named; an unknown one has none."""
    assert ImageRequest(PROMPT, model=model).estimated_credits == price


def test_a_request_does_not_show_what_is_private() -> None:
    """A representation cuts the prompt and leaves out query, webhook and extra."""
    request = ImageRequest(
        "fox " * 100,
        model="nanobanana",
        reference_image_url=URL,
        webhook="https://hooks.example/s3cret",
        extra={"token": "s3cret"},
    )

    assert repr(request) == (
        f"ImageRequest(prompt='{('fox ' * 15)[:59]}…', model='nanobanana', "
        "aspect_ratio=None, style=None, "
        "reference_image_url='https://cdn.example/a.png')"
    )


def test_a_request_is_a_value() -> None:
    """Requests compare by content, can be hashed and pickled, and do not change."""
    request = ImageRequest(PROMPT, style="cartoon", extra={"seed": [1]})

    assert request == ImageRequest(PROMPT, style="cartoon", extra={"seed": [1]})
    assert request != ImageRequest(PROMPT, style="cartoon")
    assert len({request, attrs.evolve(request)}) == 1
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - our own
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.prompt = "another"  # type: ignore[misc]


def test_results_do_not_show_queries_or_prompts() -> None:
    """The representations of images are fit for a log."""
    request = ImageRequest("fox " * 100)
    image = GeneratedImage(
        job_id="j1", url=URL, request=request, extra={"token": "s3cret"}
    )
    item = HistoryImage(
        id="i1", url=URL, prompt="fox " * 100, reference_image_url=URL, extra={"a": 1}
    )

    assert repr(image) == (
        "GeneratedImage(job_id='j1', url='https://cdn.example/a.png', width=None, "
        "height=None, credits_used=None)"
    )
    assert repr(item) == (
        "HistoryImage(id='i1', url='https://cdn.example/a.png', "
        f"prompt='{('fox ' * 15)[:59]}…', model=None, aspect_ratio=None, "
        "created_at=None, width=None, height=None, style=None, "
        "reference_image_url='https://cdn.example/a.png')"
    )


def test_extra_does_not_count_when_results_are_compared() -> None:
    """Unknown fields do not make two images unequal."""
    image = GeneratedImage(job_id="j1", url=URL, width=1)
    item = HistoryImage(id="i1", url=URL, created_at=datetime(2026, 4, 4, tzinfo=UTC))

    assert attrs.evolve(image, extra={"seed": 7}) == image
    assert attrs.evolve(item, extra={"seed": 7}) == item
    assert hash(attrs.evolve(item, extra={"seed": 7})) == hash(item)
    page = HistoryPage(images=(item,))
    assert pickle.loads(pickle.dumps((image, page))) == (image, page)  # noqa: S301


def test_only_the_last_states_are_final() -> None:
    """A job in progress, or in an unknown state, may still change."""
    assert [state for state in JobState if state.final] == [
        "completed",
        "failed",
        "cleaned",
    ]
    assert JobState.IN_PROGRESS.final is False
    assert JobState("paused").final is False
    assert all(state.documented for state in JobState)
    assert JobState("paused").documented is False


def test_a_newer_word_is_kept() -> None:
    """A state that this release does not know equals its text."""
    state = JobState("paused")

    assert state == "paused"
    assert str(state) == f"{state}" == state.value == "paused"
    assert state.name == "UNKNOWN"
    assert hash(state) == hash("paused")
    assert state == JobState("paused")
    assert state not in list(JobState)
    assert pickle.loads(pickle.dumps(state)) == state  # noqa: S301 - our own
    assert copy.deepcopy(state) == state


def test_documented_states_are_the_members() -> None:
    """The documented states are the members of the enum."""
    assert JobState("in-progress") is JobState.IN_PROGRESS
    assert [state.value for state in JobState] == [
        "in-progress",
        "completed",
        "failed",
        "cleaned",
    ]


@pytest.mark.parametrize("value", [None, 7, b"failed", ["failed"]])
def test_what_is_no_word_is_no_state(value: Any) -> None:
    """Only text can be a state."""
    with pytest.raises(ValueError, match="is not a valid JobState"):
        JobState(value)


@pytest.mark.parametrize(
    ("state", "error", "final"),
    [
        (JobState.IN_PROGRESS, None, False),
        (JobState("paused"), None, False),
        (JobState.COMPLETED, None, True),
        (JobState.FAILED, None, True),
        (JobState.CLEANED, None, True),
        (JobState.IN_PROGRESS, SessionClosedError(job_id="j1"), True),
    ],
)
def test_a_status_is_final_by_its_state_or_its_error(
    state: JobState, error: SessionClosedError | None, *, final: bool
) -> None:
    """Nothing changes any more once the service or the handle has ended the job."""
    assert JobStatus(job_id="j1", state=state, error=error).final is final
