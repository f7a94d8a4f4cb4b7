"""``pictory models``: what the documentation says can be asked for, and its price."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pictory_async import MODELS, STYLES, ModelInfo
from pictory_async.cli._errors import DONE
from pictory_async.cli._output import stdout
from pictory_async.cli._text import count


def show_models(*, json: bool) -> int:
    """List the documented models; return the exit code. Nothing is sent."""
    out = stdout()
    if json:
        for model in MODELS.values():
            out.write_json(_data(model))
    else:
        for line in _lines():
            out.write(line)
    return DONE


def _lines() -> Iterator[str]:
    width = max(len(name) for name in MODELS)
    for model in MODELS.values():
        price = f"{count(model.credits_per_image, 'credit')} per image"
        yield f"{model.name:<{width}}  {price:<21}  {', '.join(model.aspect_ratios)}"
    yield f"styles: {', '.join(STYLES)}"


def _data(model: ModelInfo) -> dict[str, Any]:
    return {
        "model": model.name,
        "credits_per_image": model.credits_per_image,
        "aspect_ratios": list(model.aspect_ratios),
        "styles": list(STYLES),
    }
