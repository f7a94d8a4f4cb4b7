"""The picture of a request: a scene with the prompt and its options on it. Pure.

Imported only to draw pictures, as it needs Pillow.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import unicodedata
from typing import TYPE_CHECKING, Final

import attrs
from PIL import Image, ImageChops, ImageDraw, ImageFont

from pictory_async.sandbox._drawing.png import truecolor
from pictory_async.sandbox._drawing.scenes import paint_scene
from pictory_async.sandbox._drawing.strokes import WHITE, blur

if TYPE_CHECKING:
    from pictory_async.sandbox._drawing.strokes import Size
    from pictory_async.sandbox._history import ImageView

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Letter heights in pixels and the most lines of each; the first that fits is used.
_LETTERS: Final = ((46, 2), (38, 3), (31, 5), (25, 8))
_SMALL: Final = 20
_READ: Final = 1200  # characters of a prompt that are read: more than ever fit
# Punctuation that normalization keeps, and its ASCII equivalent.
_PLAIN: Final = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014", "''\"\"--")
_PANEL: Final = (10, 12, 20)


@attrs.frozen
class _Setting:
    """A prompt set in lines; *whole* if nothing had to be left out."""

    lines: list[str]
    font: Font
    letters: int
    whole: bool


def paint(image: ImageView) -> bytes:
    """Return the PNG file of *image*; the same for equal requests."""
    picture = _compose(image)
    above = Image.new("RGB", picture.size)
    above.paste(picture, (0, 1))
    differences = ImageChops.subtract_modulo(picture, above).tobytes()
    return truecolor(picture.width, picture.height, differences)


def _compose(image: ImageView) -> Image.Image:
    size = (image.width, image.height)
    named = f"{image.prompt}\0{image.style}\0{image.model}"
    seed = hashlib.sha256(named.encode(errors="surrogatepass")).digest()
    picture = paint_scene(image.style, size, random.Random(seed))
    _write(picture, image)
    _mark(picture)
    return picture


def _write(picture: Image.Image, image: ImageView) -> None:
    """Put the prompt and its caption on a dark pane at the bottom."""
    margin, inner = round(picture.width * 0.04), 28
    room = picture.width - 2 * (margin + inner)
    setting = _fit(readable(image.prompt), room)
    step = round(setting.letters * 1.3)
    height = 2 * inner + step * len(setting.lines) + _SMALL + 14
    top = picture.height - margin - height
    _pane(picture, (margin, top, picture.width - margin, top + height), 22)
    draw, left, y = ImageDraw.Draw(picture), margin + inner, top + inner
    for line in setting.lines:
        draw.text((left, y), line, WHITE, setting.font)
        y += step
    caption = "   /   ".join(
        part for part in (image.model, image.style, image.aspect_ratio) if part
    )
    draw.text((left, y + 14), caption, (196, 202, 216), ImageFont.load_default(_SMALL))


def _mark(picture: Image.Image) -> None:
    """Mark the picture as not made by the real service."""
    text, margin = "S A N D B O X", round(picture.width * 0.04)
    font = ImageFont.load_default(17)
    width = round(font.getlength(text)) + 40
    right = picture.width - margin
    _pane(picture, (right - width, margin, right, margin + 38), 19)
    centre = (right - width / 2, margin + 19)
    ImageDraw.Draw(picture).text(centre, text, WHITE, font, anchor="mm")


def _pane(picture: Image.Image, box: tuple[int, int, int, int], corner: int) -> None:
    """Lay dark frosted glass on *picture*, on which white letters are legible."""
    part = picture.crop(box)
    glass = Image.blend(blur(part, 16), Image.new("RGB", part.size, _PANEL), 0.62)
    picture.paste(glass, box[:2], _rounded(part.size, corner))


def _rounded(size: Size, corner: int) -> Image.Image:
    mask = Image.new("L", (size[0] * 2, size[1] * 2))
    edge = (0, 0, size[0] * 2 - 1, size[1] * 2 - 1)
    ImageDraw.Draw(mask).rounded_rectangle(edge, corner * 2, fill=255)
    return mask.reduce(2)


def readable(prompt: str) -> str:
    """Return *prompt* as one line of ASCII, which is all that Pillow's font has."""
    seen = prompt[:_READ].translate(_PLAIN)
    # Decomposed, an accented letter is a letter and a mark.
    decomposed = unicodedata.normalize("NFKD", " ".join(seen.split()))
    signs = (char for char in decomposed if unicodedata.category(char)[0] not in "CM")
    runs = itertools.groupby(signs, str.isascii)
    text = "".join("".join(run) if known else "[...]" for known, run in runs)
    if not any(map(str.isalnum, text)):
        return f"({len(prompt)} characters this font does not have)"
    return text


def _fit(text: str, room: int) -> _Setting:
    """Return *text* in the largest letters in which it fits, or cut in the smallest."""
    *bigger, smallest = _LETTERS
    for letters, most in bigger:
        setting = _set(text, room, letters, most)
        if setting.whole:
            return setting
    return _set(text, room, *smallest)


def _set(text: str, room: int, letters: int, most: int) -> _Setting:
    font = ImageFont.load_default(letters)
    # Letters are about half as wide as high, so a longer text cannot fit.
    tried = text[: 3 * most * room // letters]
    lines = wrap(tried, font, room, most)
    whole = len(lines) <= most and tried == text
    if not whole:
        lines = [*lines[: most - 1], _cut(lines[:most][-1], font, room)]
    return _Setting(lines, font, letters, whole)


def wrap(text: str, font: Font, room: int, most: int) -> list[str]:
    """Return *text* in lines no wider than *room*; stops at *most* + 1 of them."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
            continue
        pieces = _pieces(word, font, room)
        lines[-1:] = pieces if not lines[-1] else [lines[-1], *pieces]
        if len(lines) > most:
            break
    return lines[: most + 1]


def _pieces(word: str, font: Font, room: int) -> list[str]:
    """Break a word that is wider than a line."""
    pieces, filled = [""], 0.0
    for char in word:
        breadth = font.getlength(char)
        if pieces[-1] and filled + breadth > room:
            pieces.append("")
            filled = 0.0
        pieces[-1] += char
        filled += breadth
    return pieces


def _cut(line: str, font: Font, room: int) -> str:
    while line and font.getlength(f"{line}...") > room:
        line = line[:-1]
    return f"{line.rstrip()}..."
