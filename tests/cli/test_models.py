"""``pictory models``."""

from __future__ import annotations

import json

from pictory_async import MODELS, STYLES


def test_lists_models_with_prices_ratios_and_styles(pictory) -> None:
    """It needs no key."""
    done = pictory("models")

    assert done.code == 0
    rows = {line.split()[0]: line for line in done.lines}
    assert set(rows) == {*MODELS, "styles:"}
    assert "0.6 credits per image  1:1, 16:9, 9:16" in rows["flux-schnell"]
    assert max(map(len, done.lines)) <= 80
    assert all(style in rows["styles:"] for style in STYLES)


def test_json_has_an_object_for_each_model(pictory) -> None:
    """Prices are numbers."""
    models = [json.loads(line) for line in pictory("models", "--json").lines]

    assert [model["model"] for model in models] == list(MODELS)
    assert models[1] == {
        "model": "flux-schnell",
        "credits_per_image": 0.6,
        "aspect_ratios": ["1:1", "16:9", "9:16"],
        "styles": list(STYLES),
    }
