"""PNG files of our own encoder, read by Pillow."""

from __future__ import annotations

import io

from PIL import Image

from pictory_async.sandbox._drawing.png import solid, truecolor


def opened(data: bytes) -> Image.Image:
    """Return the picture in a PNG file."""
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG"
        return picture.convert("RGB")


def test_solid() -> None:
    """A file of one color has its size and is small."""
    data = solid(1280, 720, (12, 34, 56))
    picture = opened(data)
    assert picture.size == (1280, 720)
    assert picture.getcolors() == [(1280 * 720, (12, 34, 56))]
    assert len(data) < 400


def test_truecolor() -> None:
    """Differences between rows add up to the picture."""
    first, second = bytes([1, 2, 3, 250, 251, 252]), bytes([1, 1, 1, 10, 10, 10])
    picture = opened(truecolor(2, 2, first + second))
    assert picture.size == (2, 2)
    assert picture.tobytes() == first + bytes([2, 3, 4, 4, 5, 6])
