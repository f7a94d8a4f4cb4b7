"""What is documented of models, ratios and styles, and what is said of the rest."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from pictory_async._core.catalogue import (
    DEFAULT_MODEL,
    MODELS,
    STYLES,
    ModelInfo,
    warn_if_undocumented,
)


def warnings_for(caplog: pytest.LogCaptureFixture, **values: Any) -> list[str]:
    """Return the warnings that *values* give."""
    options = {"model": None, "aspect_ratio": None, "style": None} | values
    with caplog.at_level(logging.DEBUG):
        warn_if_undocumented(options["model"], **options)
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert all(record.name == "pictory_async" for record in caplog.records)
    return caplog.messages


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("seedream3.0", "2"),
        ("flux-schnell", "0.6"),
        ("nanobanana", "4"),
        ("nanobanana-pro", "14"),
    ],
)
def test_each_model_has_its_documented_price(name: str, price: str) -> None:
    """The catalogue holds ratios and credits as the documents give them."""
    assert MODELS[name] == ModelInfo(name, ("1:1", "16:9", "9:16"), Decimal(price))


def test_the_catalogue_is_complete_and_cannot_be_changed() -> None:
    """Four models and six styles are documented."""
    assert list(MODELS) == [
        "seedream3.0",
        "flux-schnell",
        "nanobanana",
        "nanobanana-pro",
    ]
    assert STYLES == (
        "photorealistic",
        "artistic",
        "cartoon",
        "minimalist",
        "vintage",
        "futuristic",
    )
    assert DEFAULT_MODEL == "seedream3.0"
    with pytest.raises(TypeError):
        MODELS["new"] = MODELS[DEFAULT_MODEL]  # type: ignore[index]


@pytest.mark.parametrize("model", [None, *MODELS])
@pytest.mark.parametrize("style", [None, *STYLES])
def test_documented_values_pass_in_silence(
    caplog: pytest.LogCaptureFixture, model: str | None, style: str | None
) -> None:
    """Nothing is logged for what is documented or left open."""
    assert warnings_for(caplog, model=model, style=style, aspect_ratio="9:16") == []


SENT_AS_GIVEN = "is not documented and is sent as given;"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model": "seedream4.0"},
            f"model 'seedream4.0' {SENT_AS_GIVEN} is 'seedream3.0' meant?",
        ),
        (
            {"model": "nano-banana-pro"},
            f"model 'nano-banana-pro' {SENT_AS_GIVEN} is 'nanobanana-pro' meant?",
        ),
        (
            {"aspect_ratio": "16x9"},
            f"aspect_ratio '16x9' {SENT_AS_GIVEN} is '16:9' meant?",
        ),
        (
            {"aspect_ratio": "16 \u00d7 9"},
            f"aspect_ratio '16 \u00d7 9' {SENT_AS_GIVEN} is '16:9' meant?",
        ),
        ({"style": "Cartonn"}, f"style 'Cartonn' {SENT_AS_GIVEN} is 'cartoon' meant?"),
        (
            {"model": "flux-schnell", "aspect_ratio": "9/16"},
            f"aspect_ratio '9/16' {SENT_AS_GIVEN} is '9:16' meant?",
        ),
    ],
)
def test_an_undocumented_value_gives_one_warning(
    caplog: pytest.LogCaptureFixture, values: dict[str, str], message: str
) -> None:
    """One record at WARNING names the value and the documented one that is near."""
    assert warnings_for(caplog, **values) == [message]


@pytest.mark.parametrize(
    ("values", "documented"),
    [
        ({"style": "anime"}, STYLES),
        ({"style": "???"}, STYLES),
        ({"model": "dall-e-3"}, MODELS),
        ({"aspect_ratio": "1:2"}, ("1:1", "16:9", "9:16")),
        ({"aspect_ratio": "4:3"}, ("1:1", "16:9", "9:16")),
        ({"aspect_ratio": "16:10"}, ("1:1", "16:9", "9:16")),
    ],
)
def test_a_value_like_no_other_gets_all_that_are_documented(
    caplog: pytest.LogCaptureFixture, values: dict[str, str], documented: Iterable[str]
) -> None:
    """Nothing is suggested that is not near."""
    (message,) = warnings_for(caplog, **values)

    assert message.endswith(f"; documented are {', '.join(documented)}")


def test_each_undocumented_value_gives_its_own_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A model of another release is measured by the ratios that all models share."""
    messages = warnings_for(caplog, model="new", aspect_ratio="4:3", style="noir")

    assert [message.split()[0] for message in messages] == [
        "model",
        "aspect_ratio",
        "style",
    ]


def test_a_long_value_is_cut_in_the_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Of the value 60 characters are shown, with the opening quote."""
    (message,) = warnings_for(caplog, style="x" * 500)

    assert message.startswith("style '" + "x" * 59 + " is not documented")
