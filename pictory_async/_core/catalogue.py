"""The models, aspect ratios and styles that the service documents."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from types import MappingProxyType

import attrs

from pictory_async._core.log import log_undocumented


@attrs.frozen
class ModelInfo:
    """The documented facts about one model.

    Attributes:
        name: The name to request it by.
        aspect_ratios: The ratios it can draw; the first is its default.
        credits_per_image: The price of one image, in AI credits.
    """

    name: str
    aspect_ratios: tuple[str, ...]
    credits_per_image: Decimal


# [D] https://docs.pictory.ai/api-reference/ai-studio/generate-image, read 2026-11.
_RATIOS = ("1:1", "16:9", "9:16")
_CREDITS = {
    "seedream3.0": "2",
    "flux-schnell": "0.6",
    "nanobanana": "4",
    "nanobanana-pro": "14",
}
MODELS: Mapping[str, ModelInfo] = MappingProxyType({
    name: ModelInfo(name, _RATIOS, Decimal(cost)) for name, cost in _CREDITS.items()
})
"""The documented models by name."""

# [D] same page: "default seedream3.0".
DEFAULT_MODEL = "seedream3.0"

# [D] same page; no default.
STYLES: tuple[str, ...] = (
    "photorealistic",
    "artistic",
    "cartoon",
    "minimalist",
    "vintage",
    "futuristic",
)
"""The documented styles."""


def warn_if_undocumented(
    for_model: str | None,
    *,
    model: str | None,
    aspect_ratio: str | None,
    style: str | None,
) -> None:
    """Log each value that is not in the catalogue; the service decides about it.

    Args:
        for_model: The model whose ratios are allowed.
        model: The model to check; None to skip the check.
        aspect_ratio: As for *model*.
        style: As for *model*.
    """
    known = MODELS.get(for_model or DEFAULT_MODEL)
    _warn("model", model, MODELS)
    _warn("aspect_ratio", aspect_ratio, known.aspect_ratios if known else _RATIOS)
    _warn("style", style, STYLES)


# Words less alike than this, as difflib measures it, are no misspellings.
_ALIKE = 0.7
_RATIO = re.compile(r"(\d+)\W*[:x/\u00d7]\W*(\d+)", re.IGNORECASE)


def _warn(field: str, value: str | None, documented: Collection[str]) -> None:
    if value is None or value in documented:
        return
    near = _near(value, documented)
    log_undocumented(
        "%s %.60r is not documented and is sent as given; %s",
        field,
        value,
        f"is {near!r} meant?" if near else f"documented are {', '.join(documented)}",
        field=field,
        value=value,
    )


def _near(value: str, documented: Collection[str]) -> str | None:
    """Return the documented value that is probably meant; None if none is near."""
    if ratio := _RATIO.fullmatch(value):  # alike to the eye is not near: 1:2 and 1:1
        spelt = ":".join(ratio.groups())
        return spelt if spelt in documented else None
    import difflib  # noqa: PLC0415 - few need it, and it takes a while to import

    near = difflib.get_close_matches(value.lower(), documented, n=1, cutoff=_ALIKE)
    return near[0] if near else None
