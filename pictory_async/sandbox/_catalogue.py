"""The documented models, ratios, styles, prices and sizes.

Deliberately written down a second time: the sandbox stands in for the service and
must not inherit a mistake of the client that it is used to test.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

RATIOS: Final = ("1:1", "16:9", "9:16")


@attrs.frozen
class Model:
    """An image model: its price per image and its ratios in documented order."""

    name: str
    credits: Decimal
    ratios: tuple[str, ...] = RATIOS


# [D] https://docs.pictory.ai/api-reference/ai-studio/generate-image, model table.
MODELS: Final[Mapping[str, Model]] = MappingProxyType({
    model.name: model
    for model in (
        Model("seedream3.0", Decimal(2)),
        Model("flux-schnell", Decimal("0.6")),
        Model("nanobanana", Decimal(4)),
        Model("nanobanana-pro", Decimal(14)),
    )
})
DEFAULT_MODEL: Final = "seedream3.0"  # [D] same page

# [D] same page, parameter table.
STYLES: Final = (
    "photorealistic",
    "artistic",
    "cartoon",
    "minimalist",
    "vintage",
    "futuristic",
)
PROMPT_MIN: Final = 5  # [D] "Must be between 5 and 5,000 characters."
PROMPT_MAX: Final = 5000

# [D] 1280x720 is the example of a 16:9 image; [I] the other two follow from it.
_SIZES: Final = {"1:1": (1024, 1024), "16:9": (1280, 720), "9:16": (720, 1280)}
# [D] The example of https://docs.pictory.ai/api-reference/ai-studio/get-images has
# "aspectRatio": "16:9" with 1024x1024 for nanobanana; [I] so for all its ratios.
_ALWAYS_SQUARE: Final = ("nanobanana",)


def size(model: str, ratio: str) -> tuple[int, int]:
    """Return the width and height in pixels of an image by *model* in *ratio*."""
    return _SIZES["1:1" if model in _ALWAYS_SQUARE else ratio]
