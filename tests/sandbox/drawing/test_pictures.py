"""The drawn pictures."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageFont

from pictory_async.sandbox import ImageView
from pictory_async.sandbox._catalogue import STYLES
from pictory_async.sandbox._drawing.pictures import paint, readable, wrap


def view(prompt: str = "A red bicycle", **changes: Any) -> ImageView:
    """Return a finished image."""
    plain: dict[str, Any] = {
        "id": "1",
        "job_id": "2",
        "prompt": prompt,
        "model": "seedream3.0",
        "aspect_ratio": "16:9",
        "style": None,
        "reference_image_url": None,
        "created_at": 0.0,
        "width": 1280,
        "height": 720,
    }
    return ImageView(**{**plain, **changes})


@pytest.mark.parametrize("style", [None, *STYLES])
@pytest.mark.parametrize("size", [(1024, 1024), (1280, 720), (720, 1280)])
def test_every_style_in_every_size(style: str | None, size: tuple[int, int]) -> None:
    """A picture is a PNG of the requested size, with many colors."""
    data = paint(view(style=style, width=size[0], height=size[1]))
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", size)
        assert len(picture.getcolors(1 << 24) or ()) > 50


def test_equal_requests_get_equal_files() -> None:
    """The picture depends on prompt, style and model."""
    same = paint(view())
    assert paint(view(id="another", created_at=9.0)) == same
    others = [view("A blue door"), view(style="vintage"), view(model="nanobanana-pro")]
    assert len({same, *map(paint, others)}) == 4


@pytest.mark.parametrize(
    "prompt",
    [
        "word " * 1000,
        "x" * 5000,
        "i" * 5000,
        "日本語のプロンプト",
        "🚲 \u202emirrored\u202c مرحبا \x00\x07 line\nbreak\ttab",
        "lone \ud800 surrogate",
        " \n \u200b \t ",
    ],
)
def test_odd_prompts_are_drawn(prompt: str) -> None:
    """Every prompt that the service accepts can be drawn."""
    assert paint(view(prompt)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("A  red\n\tbicycle ", "A red bicycle"),
        ("Café naïve \u2014 \u201cso\u201d", 'Cafe naive - "so"'),
        ("日本 bicycle 🚲🚲", "[...] bicycle [...]"),
        ("日本語", "(3 characters this font does not have)"),
        ("a\x00b\u200bc\ud800d", "abcd"),
    ],
)
def test_readable(prompt: str, shown: str) -> None:
    """Characters that the font does not have are decomposed, replaced or left out."""
    assert readable(prompt) == shown


def test_wrap() -> None:
    """Lines are no wider than the room, and a long word is broken."""
    font, text = ImageFont.load_default(25), "one two three " + "long" * 40
    lines = wrap(text, font, 200, 50)
    assert all(font.getlength(line) <= 200 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_wrap_stops() -> None:
    """Wrapping stops once a text cannot fit."""
    font = ImageFont.load_default(25)
    assert len(wrap("word " * 500, font, 200, 3)) == 4
    assert len(wrap("x" * 500, font, 200, 3)) == 4
