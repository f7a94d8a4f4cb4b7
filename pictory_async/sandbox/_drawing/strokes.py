"""The elements of the scenes: fades, lights, ridges, waves, grain. Pure."""

from __future__ import annotations

import colorsys
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

Color = tuple[int, int, int]
Size = tuple[int, int]
Point = tuple[float, float]

WHITE: Final[Color] = (255, 255, 255)


def mix(one: Color, other: Color, share: float) -> Color:
    """Return *one* with a *share* (0 to 1) of *other*."""
    red, green, blue = (
        round(a + (b - a) * share) for a, b in zip(one, other, strict=True)
    )
    return red, green, blue


def hsv(hue: float, saturation: float, value: float) -> Color:
    """Return a color; all three are 0 to 1, and the hue goes round."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def box(centre: Point, radius: float) -> tuple[float, float, float, float]:
    """Return the square around a circle."""
    x, y = centre
    return x - radius, y - radius, x + radius, y + radius


def fade(size: Size, colors: Sequence[Color]) -> Image.Image:
    """Return a picture that goes through *colors* from top to bottom."""
    # Each color takes several rows, as resizing keeps the first and last ones flat.
    column = Image.new("RGB", (1, len(colors)))
    for row, color in enumerate(colors):
        column.putpixel((0, row), color)
    return column.resize(size, Image.Resampling.BICUBIC)


def glow(
    picture: Image.Image, centre: Point, radius: float, color: Color, strength: float
) -> None:
    """Lay a round light on *picture*; *strength* is 0 to 1."""
    # Pillow's gradient is 181 at the middle of an edge, and 255 in the corners.
    shares = [strength * max(0.0, 1 - n / 181) ** 1.6 for n in range(256)]
    light = Image.radial_gradient("L").point([round(255 * share) for share in shares])
    side = max(2, round(radius * 2))
    place = round(centre[0] - radius), round(centre[1] - radius)
    mask = light.resize((side, side), Image.Resampling.BILINEAR)
    picture.paste(Image.new("RGB", mask.size, color), place, mask)


def ridge(
    width: int, level: float, roughness: float, rand: random.Random
) -> list[Point]:
    """Return the skyline of mountains by midpoint displacement."""
    heights = [rand.uniform(-0.5, 0.5), rand.uniform(-0.5, 0.5)]
    sway = 1.0
    for _ in range(7):
        middles = [
            (a + b) / 2 + rand.uniform(-sway, sway) / 2 for a, b in pairwise(heights)
        ]
        joined = [each for pair in zip(heights, middles, strict=False) for each in pair]
        heights, sway = [*joined, heights[-1]], sway * 0.53
    step = width / (len(heights) - 1)
    return [(n * step, level - roughness * high) for n, high in enumerate(heights)]


def wave(width: float, level: float, height: float, rand: random.Random) -> list[Point]:
    """Return the crest of a gentle hill, a little wider than the picture."""
    turn, bend = rand.uniform(0, math.tau), rand.uniform(0.7, 1.3)
    return [
        (width * n / 40, level + height * math.sin(turn + bend * math.tau * n / 40))
        for n in range(-1, 42)
    ]


def fill_below(picture: Image.Image, skyline: Sequence[Point], color: Color) -> None:
    """Fill everything below *skyline*, which gets no jagged edge."""
    top = max(0, math.floor(min(y for _, y in skyline)))
    bottom = math.ceil(max(y for _, y in skyline)) + 1
    # Only the rows the skyline runs through are drawn at twice the size.
    mask = Image.new("L", (picture.width * 2, (bottom - top) * 2))
    edge = [(x * 2, (y - top) * 2) for x, y in skyline]
    corners = [(mask.width, mask.height), (0, mask.height)]
    ImageDraw.Draw(mask).polygon([*edge, *corners], fill=255)
    strip = Image.new("RGB", (picture.width, bottom - top), color)
    picture.paste(strip, (0, top), mask.reduce(2))
    picture.paste(color, (0, bottom, *picture.size))


def rays(
    draw: ImageDraw.ImageDraw, centre: Point, reach: float, count: int, color: Color
) -> None:
    """Draw *count* rays as broad as the gaps between them."""
    width = math.pi / count
    for ray in range(count):
        ends = [
            (centre[0] + reach * math.cos(angle), centre[1] + reach * math.sin(angle))
            for angle in (2 * ray * width, (2 * ray + 1) * width)
        ]
        draw.polygon([centre, *ends], fill=color)


def cloud(draw: ImageDraw.ImageDraw, centre: Point, radius: float, ink: Color) -> None:
    """Draw a cloud of circles with an outline around all of them."""
    puffs = [(-1.6, 0.35, 0.75), (-0.6, -0.1, 1.0), (0.6, -0.35, 1.2), (1.8, 0.3, 0.8)]
    for outline, color in ((radius * 0.2, ink), (0.0, WHITE)):
        for x, y, share in puffs:
            place = centre[0] + x * radius, centre[1] + y * radius
            draw.ellipse(box(place, radius * share + outline), fill=color)


def grain(picture: Image.Image, rand: random.Random) -> Image.Image:
    """Return *picture* as if printed on rough paper."""
    # Coarse, with few levels: fine noise compresses badly and is slow to save.
    small = (picture.width // 2, picture.height // 2)
    noise = Image.frombytes("L", small, rand.randbytes(small[0] * small[1]))
    noise = noise.point([(122, 128, 128, 134)[n // 64] for n in range(256)])
    paper = noise.resize(picture.size, Image.Resampling.NEAREST)
    return ImageChops.soft_light(picture, Image.merge("RGB", (paper,) * 3))


def rim(picture: Image.Image, ink: Color) -> Image.Image:
    """Return *picture* darker at its edges, with a thin frame."""
    shade = Image.radial_gradient("L").resize(picture.size)
    shade = shade.point([
        round(150 * max(0, n / 255 - 0.45) ** 1.3) for n in range(256)
    ])
    picture.paste(Image.new("RGB", picture.size, ink), mask=shade)
    inset = round(min(picture.size) * 0.022)
    frame = (inset, inset, picture.width - inset - 1, picture.height - inset - 1)
    ImageDraw.Draw(picture).rectangle(frame, outline=mix(ink, WHITE, 0.75), width=3)
    return picture


def striped_sun(
    picture: Image.Image, centre: Point, radius: float, colors: Sequence[Color]
) -> None:
    """Draw a sun that dissolves into stripes towards its lower edge."""
    side = round(radius * 2)
    mask = Image.new("L", (side * 2, side * 2))
    draw = ImageDraw.Draw(mask)
    draw.ellipse((0, 0, side * 2, side * 2), fill=255)
    for stripe in range(6):
        top = side * (0.72 + 0.12 * stripe)
        depth = side * (0.015 + 0.01 * stripe)
        draw.rectangle((0, top, side * 2, top + depth), fill=0)
    face = fade((side, side), colors)
    place = round(centre[0] - radius), round(centre[1] - radius)
    picture.paste(face, place, mask.reduce(2))


def grid(size: Size, color: Color) -> Image.Image:
    """Return lines that run to the middle of the upper edge, and across."""
    width, height = size
    lines = Image.new("RGB", (width * 2, height * 2))
    draw = ImageDraw.Draw(lines)
    for spoke in range(-24, 25):
        foot = width + spoke * width * 0.28
        draw.line((width + spoke * width * 0.035, 0, foot, height * 2), color, 3)
    for row in range(12):
        y = height * 2 * (row / 11) ** 2.2
        draw.line((0, y, width * 2, y), color, 4)
    return lines.reduce(2)


def blur(picture: Image.Image, radius: float) -> Image.Image:
    """Return *picture* blurred; done at a quarter of the size, which is faster."""
    small = picture.reduce(4).filter(ImageFilter.GaussianBlur(radius / 4))
    return small.resize(picture.size, Image.Resampling.BICUBIC)
