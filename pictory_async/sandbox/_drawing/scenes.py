"""A background in the mood of each style, drawn with Pillow. Pure.

Each scene is a function of a size and a source of randomness. It is drawn at twice
the size, or softened, where hard edges would show.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops, ImageDraw

from pictory_async.sandbox._drawing import strokes
from pictory_async.sandbox._drawing.strokes import WHITE, Point, Size

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping


def paint_scene(style: str | None, size: Size, rand: random.Random) -> Image.Image:
    """Return a picture of *size* in the mood of *style*, which may be None."""
    return _SCENES.get(style or "", _aurora)(size, rand)


def _aurora(size: Size, rand: random.Random) -> Image.Image:
    """Soft colored lights: the picture of a request without a style."""
    hue = rand.choice((0.5, 0.58, 0.66, 0.76, 0.88, 0.97))
    # There is nothing sharp in it, so it is drawn small.
    small = (size[0] // 8, size[1] // 8)
    colors = [strokes.hsv(hue, 0.75, 0.30), strokes.hsv(hue + 0.12, 0.65, 0.55)]
    picture = strokes.fade(small, colors)
    for step in (-0.1, 0.06, 0.12, 0.18):
        centre = (rand.uniform(0, small[0]), rand.uniform(0, small[1]))
        radius = max(small) * rand.uniform(0.4, 0.65)
        strokes.glow(picture, centre, radius, strokes.hsv(hue + step, 0.55, 0.95), 0.75)
    return picture.resize(size, Image.Resampling.BICUBIC)


def _photorealistic(size: Size, rand: random.Random) -> Image.Image:
    """Ridges in the haze over a lake."""
    width, height = size
    sky, haze, near = rand.choice((
        ((58, 96, 150), (250, 205, 170), (24, 38, 48)),
        ((92, 142, 184), (236, 226, 206), (30, 52, 50)),
        ((62, 60, 112), (246, 164, 128), (32, 26, 46)),
    ))
    shore = int(height * 0.66)
    land = strokes.fade((width, shore), [sky, strokes.mix(sky, haze, 0.55), haze])
    sun = (width * rand.uniform(0.25, 0.75), shore * 0.62)
    strokes.glow(land, sun, height * 0.55, (255, 236, 200), 0.9)
    strokes.glow(land, sun, height * 0.07, (255, 252, 240), 1.0)
    for layer in range(4):
        nearness = (layer + 1) / 4
        level = shore * (0.55 + 0.13 * layer)
        ridge = strokes.ridge(width, level, shore * (0.24 - 0.04 * layer), rand)
        color = strokes.mix(haze, near, 0.18 + 0.72 * nearness**1.4)
        strokes.fill_below(land, ridge, color)
    water = land.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    water = strokes.blur(water.resize((width, height - shore)), 5)
    tint = Image.new("RGB", water.size, strokes.mix(sky, near, 0.5))
    picture = Image.new("RGB", size)
    picture.paste(land, (0, 0))
    picture.paste(Image.blend(water, tint, 0.35), (0, shore))
    return picture


def _artistic(size: Size, rand: random.Random) -> Image.Image:
    """Brush strokes that follow a swirl."""
    palette = rand.choice((
        ((20, 42, 96), (36, 92, 160), (92, 160, 196), (240, 196, 84), (226, 122, 58)),
        ((68, 24, 84), (160, 44, 98), (232, 98, 88), (250, 176, 92), (52, 120, 140)),
        ((16, 72, 70), (40, 132, 106), (148, 184, 88), (244, 214, 120), (204, 88, 64)),
    ))
    width, height = size
    picture = strokes.fade(size, palette[:3])
    draw = ImageDraw.Draw(picture)
    turn, bend = rand.uniform(0, math.tau), rand.uniform(3.0, 5.2)
    for stroke in range(900):
        x, y = rand.uniform(-40, width), rand.uniform(-40, height)
        shade = min(4, max(0, round(y / height * 3 + rand.gauss(0.4, 0.9))))
        color = strokes.mix(palette[shade], WHITE, rand.uniform(0, 0.22))
        breadth = rand.randint(5, 10) if stroke > 300 else rand.randint(14, 24)
        points: list[Point] = [(x, y)]
        for _ in range(5):
            way = math.sin(x / width * bend + turn) + math.cos(y / height * 4)
            x, y = x + 15 * math.cos(way), y + 15 * math.sin(way)
            points.append((x, y))
        draw.line(points, fill=color, width=breadth)
    return picture


def _cartoon(size: Size, rand: random.Random) -> Image.Image:
    """Flat hills, a sun with rays, clouds with outlines."""
    width, height = size[0] * 2, size[1] * 2
    unit, ink = min(width, height) / 100, (38, 34, 60)
    sky, hills = rand.choice((
        ((116, 208, 246), ((140, 214, 92), (84, 182, 84), (44, 142, 88))),
        ((255, 190, 160), ((250, 150, 110), (226, 96, 110), (150, 62, 120))),
        ((170, 226, 232), ((255, 214, 102), (246, 166, 78), (226, 110, 76))),
    ))
    picture = Image.new("RGB", (width, height), sky)
    draw = ImageDraw.Draw(picture)
    sun = (width * rand.uniform(0.2, 0.8), height * 0.3)
    strokes.rays(draw, sun, width + height, 12, strokes.mix(sky, WHITE, 0.25))
    draw.ellipse(strokes.box(sun, unit * 14), (255, 218, 82), ink, round(unit * 0.9))
    for _ in range(3):
        strokes.cloud(
            draw,
            (rand.uniform(0.1, 0.9) * width, rand.uniform(0.1, 0.4) * height),
            unit * rand.uniform(3.5, 6),
            ink,
        )
    for layer, color in enumerate(hills):
        crest = strokes.wave(width, height * (0.55 + 0.15 * layer), unit * 7, rand)
        draw.polygon([*crest, (width, height), (0, height)], fill=color)
        draw.line(crest, fill=ink, width=round(unit * 0.9), joint="curve")
    return picture.reduce(2)


def _minimalist(size: Size, rand: random.Random) -> Image.Image:
    """Paper, two discs, one line."""
    width, height = size[0] * 2, size[1] * 2
    unit = min(width, height) / 100
    accent, ink, paper = rand.choice((
        ((217, 119, 87), (62, 50, 48), (247, 243, 236)),
        ((72, 128, 126), (34, 52, 60), (244, 243, 237)),
        ((222, 170, 76), (58, 54, 78), (248, 245, 238)),
        ((92, 108, 168), (40, 40, 60), (243, 243, 246)),
    ))
    picture = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(picture)
    ground = height * 0.52
    centre = (width * rand.uniform(0.36, 0.64), ground - unit * rand.uniform(10, 26))
    draw.ellipse(strokes.box(centre, unit * 21), fill=accent)
    draw.rectangle((0, ground, width, height), strokes.mix(paper, accent, 0.16))
    draw.line((0, ground, width, ground), ink, round(unit * 0.5))
    small = (centre[0] + unit * rand.choice((-32, 32)), ground - unit * 5)
    draw.ellipse(strokes.box(small, unit * 5), fill=ink)
    return picture.reduce(2)


def _vintage(size: Size, rand: random.Random) -> Image.Image:
    """A faded print: rays, ridges, grain and a dark rim."""
    width, height = size
    light, dark, ink = rand.choice((
        ((238, 218, 176), (222, 176, 122), (122, 78, 54)),
        ((232, 220, 190), (180, 186, 152), (76, 84, 74)),
        ((240, 214, 190), (214, 150, 128), (112, 62, 66)),
    ))
    print_ = Image.new("RGB", (width * 2, height * 2), light)
    draw = ImageDraw.Draw(print_)
    sun = (width * rand.uniform(0.7, 1.3), height * 0.92)
    strokes.rays(draw, sun, 2 * (width + height), 18, dark)
    draw.ellipse(strokes.box(sun, min(size) * 0.42), fill=strokes.mix(dark, ink, 0.35))
    draw.ellipse(strokes.box(sun, min(size) * 0.36), fill=light)
    picture = print_.reduce(2)
    for layer in range(3):
        ridge = strokes.ridge(width, height * (0.5 + 0.12 * layer), height * 0.12, rand)
        color = strokes.mix(dark, ink, 0.45 + 0.27 * layer)
        strokes.fill_below(picture, ridge, color)
    return strokes.rim(strokes.grain(picture, rand), ink)


def _futuristic(size: Size, rand: random.Random) -> Image.Image:
    """Neon over a grid that runs to the horizon."""
    width, height = size
    neon, top, wire, deep = rand.choice((
        ((255, 64, 190), (255, 226, 128), (92, 240, 255), (12, 8, 44)),
        ((64, 160, 255), (198, 255, 248), (255, 84, 200), (6, 10, 46)),
        ((160, 104, 255), (255, 196, 226), (92, 240, 255), (14, 6, 38)),
    ))
    horizon = int(height * 0.56)
    night = strokes.mix(deep, (0, 0, 0), 0.35)
    picture = Image.new("RGB", size, night)
    sky = strokes.fade((width, horizon), [deep, strokes.mix(deep, neon, 0.5)])
    picture.paste(sky, (0, 0))
    draw = ImageDraw.Draw(picture)
    for _ in range(90):
        star = (rand.uniform(0, width), rand.uniform(0, horizon * 0.7))
        draw.ellipse(strokes.box(star, rand.uniform(0.6, 1.8)), fill=(226, 232, 255))
    sun, radius = (width / 2, horizon * 0.86), min(size) * 0.26
    strokes.glow(picture, sun, radius * 2.6, neon, 0.9)
    strokes.striped_sun(picture, sun, radius, (top, strokes.mix(top, neon, 0.7), neon))
    lines = strokes.grid((width, height - horizon), wire)
    floor = ImageChops.screen(Image.new("RGB", lines.size, night), lines)
    picture.paste(ImageChops.screen(floor, strokes.blur(lines, 6)), (0, horizon))
    return picture


_SCENES: Final[Mapping[str, Callable[[Size, random.Random], Image.Image]]] = {
    "photorealistic": _photorealistic,
    "artistic": _artistic,
    "cartoon": _cartoon,
    "minimalist": _minimalist,
    "vintage": _vintage,
    "futuristic": _futuristic,
}
