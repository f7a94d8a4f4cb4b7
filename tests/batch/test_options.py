"""The arguments of a batch: checked before anything is sent, by name."""

from __future__ import annotations

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pictory_async import BatchProgress, ImageRequest, InvalidRequestError
from pictory_async._batch.options import BatchOptions, batch_options
from pictory_async._core.arguments import checked_credits, checked_prompts

DEFAULTS: dict[str, Any] = {
    "options": {},
    "max_in_flight": 50,
    "ordered": False,
    "journal": None,
    "save_to": None,
    "max_credits": None,
    "on_unknown": "report",
    "progress": False,
}


async def show_later(now: BatchProgress) -> None:
    """Show nothing: a coroutine function is not allowed."""


def options_with(**arguments: Any) -> BatchOptions:
    """Return options that differ from the defaults by *arguments*."""
    return batch_options(**DEFAULTS | arguments)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_in_flight", 0),
        ("max_in_flight", 2.0),
        ("max_in_flight", True),
        ("journal", ""),
        ("journal", 7),
        ("save_to", b"bytes"),
        ("max_credits", 0),
        ("max_credits", -1),
        ("max_credits", True),
        ("max_credits", "many"),
        ("max_credits", float("inf")),
        ("max_credits", float("nan")),
        ("on_unknown", "retry"),
        ("progress", "bar"),
        ("progress", show_later),
    ],
)
def test_bad_argument_is_named(field: str, value: object) -> None:
    """The error says which argument, and what is allowed."""
    with pytest.raises(InvalidRequestError, match=field) as caught:
        options_with(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("value", ["one prompt", b"x", ImageRequest("A fox"), 7, None])
def test_a_single_prompt_is_no_batch(value: object) -> None:
    """A text is an iterable of letters, which is never meant."""
    with pytest.raises(InvalidRequestError, match="prompts"):
        checked_prompts(value)


@pytest.mark.parametrize(
    ("given", "exact"),
    [(None, None), (5, "5"), (0.6, "0.6"), ("0.6", "0.6"), (Decimal("1.10"), "1.10")],
)
def test_credits_are_exact(given: Any, exact: str | None) -> None:
    """A float stands for the decimal that it prints as."""
    assert checked_credits(given) == (None if exact is None else Decimal(exact))


def test_paths_do_not_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is resolved at the call."""
    monkeypatch.chdir(tmp_path)
    assert options_with(journal="run.sqlite").journal == tmp_path / "run.sqlite"


def test_options_fill_open_fields() -> None:
    """A request keeps its own fields; a text takes all options."""
    made = options_with(options={"model": "flux-schnell", "style": None})
    assert made.request("A red fox") == ImageRequest("A red fox", model="flux-schnell")
    named = ImageRequest("A red fox", model="nanobanana", style="artistic")
    assert made.request(named) is named
    open_ = ImageRequest("A red fox", style="artistic")
    assert made.request(open_).model == "flux-schnell"


@pytest.mark.parametrize("prompt", ["", "x", 7, None, "    "])
def test_bad_prompt_is_an_error_of_its_own(prompt: Any) -> None:
    """The error names the field *prompt*, whatever its value."""
    with pytest.raises(InvalidRequestError, match="prompt"):
        options_with().request(prompt)


def test_bad_option_is_refused_before_the_first_prompt() -> None:
    """By the call itself, not in the outcome of each prompt."""
    with pytest.raises(InvalidRequestError, match="webhook"):
        options_with(options={"webhook": "not a URL"})


def test_odd_option_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Ten thousand prompts do not make ten thousand lines."""
    with caplog.at_level(logging.WARNING):
        made = options_with(options={"model": "flux-shnell"})
        for number in range(3):
            made.request(f"Picture number {number}")
    assert caplog.text.count("flux-shnell") == 1
