"""HTML for notebooks: tiles, galleries and lines of text, independent of the models.

Notebooks have themes of their own, which need not be the system's: all colours are
mixed from ``currentColor``, so they fit a dark page and a light one. The front end
removes the style from a notebook that is not trusted; attributes keep pictures small.

A signed URL is in the link and the source of its picture, and never in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from itertools import islice
from typing import NamedTuple

from pictory_async._core.errors import PictoryError
from pictory_async._core.text import is_web_url, shorten

MOST_PICTURES = 100  # in one gallery: each is a request of the browser
PROMPT_CHARACTERS, ERROR_CHARACTERS = 140, 240
TILE_PIXELS, PICTURE_PIXELS = 240, 480

_BETWEEN_WORDS = re.compile("(?<=[a-z])(?=[A-Z])")  # of an error's name

STYLE = """<style>
.pictory{max-width:100%;font-size:13px;line-height:1.45;overflow-wrap:anywhere}
.pictory p{margin:0 0 .6em}
.pictory figcaption>span{display:block;font-size:12px;opacity:.72}
.pictory figure{margin:0;min-width:0;max-width:480px}
.pictory figcaption{margin-top:.4em;font-size:inherit;text-align:left}
.pictory figcaption>b{display:block;font-weight:500}
.pictory .pictory-frame{display:flex;align-items:center;justify-content:center;
overflow:hidden;border-radius:6px;color:inherit;text-align:center;
background:color-mix(in srgb,currentColor 7%,transparent)}
.pictory .pictory-frame img{display:block;width:100%;max-width:100%;height:auto;
margin:0;object-fit:contain}
.pictory span.pictory-frame{box-sizing:border-box;min-height:6em;padding:.5em;
font-size:12px;border:1px dashed color-mix(in srgb,currentColor 45%,transparent)}
.pictory-grid{display:grid;gap:16px;
grid-template-columns:repeat(auto-fill,minmax(min(100%,150px),1fr))}
.pictory-grid .pictory-frame{aspect-ratio:1}
.pictory .pictory-grid figcaption>*{display:-webkit-box;-webkit-box-orient:vertical;
-webkit-line-clamp:6;overflow:hidden}
.pictory .pictory-grid figcaption>b{-webkit-line-clamp:3}
.pictory .pictory-grid img{height:100%}
.pictory progress{width:min(100%,320px);accent-color:currentColor}
</style>"""


class Tile(NamedTuple):
    """One picture, or the reason why there is none, with its caption."""

    url: str | None = None
    width: int | None = None
    height: int | None = None
    prompt: str | None = None
    facts: Sequence[str | None] = ()
    error: PictoryError | None = None


def gallery(tiles: Iterable[Tile], *, total: int, hint: str = "") -> str:
    """Return the first pictures as a grid.

    Args:
        tiles: One for each item; at most `MOST_PICTURES` of them are taken.
        total: How many items there are.
        hint: How to see those that are not shown.
    """
    figures = [figure(tile, TILE_PIXELS) for tile in islice(tiles, MOST_PICTURES)]
    left = total - len(figures)
    more = f"{left:,} more are not shown here.{hint}" if left else ""
    return f'<div class="pictory-grid">{"".join(figures)}</div>{paragraph(more)}'


def figure(tile: Tile, pixels: int = PICTURE_PIXELS) -> str:
    """Return one picture with its caption, or the reason why there is none."""
    shown = tile.url is not None and is_web_url(tile.url)
    frame = _picture(tile, pixels) if shown else _empty(tile)
    caption = "".join((
        f"<b>{text(tile.prompt)}</b>" if tile.prompt else "",
        f"<span>{why(tile.error, named=shown)}</span>" if tile.error else "",
        f"<span>{line(*tile.facts)}</span>",
    ))
    return f"<figure>{frame}<figcaption>{caption}</figcaption></figure>"


def _empty(tile: Tile) -> str:
    name = type(tile.error).__name__ if tile.error else "no picture to show"
    breakable = _BETWEEN_WORDS.sub("<wbr>", text(name))
    return f'<span class="pictory-frame">{breakable}</span>'


def _picture(tile: Tile, pixels: int) -> str:
    url = escape(tile.url or "")
    # Neither the picture's host nor a page behind the link learns the notebook's URL.
    return (
        f'<a class="pictory-frame" href="{url}" target="_blank"'
        f' rel="noopener noreferrer"><img src="{url}"{_pixels(tile, pixels)}'
        f' alt="{text(tile.prompt or "") or "generated image"}" loading="lazy"'
        ' referrerpolicy="no-referrer"></a>'
    )


def _pixels(tile: Tile, pixels: int) -> str:
    """Return the attributes that reserve a picture's place until it has loaded."""
    width, height = tile.width or 0, tile.height or 0
    if width <= 0 or height <= 0:
        return f' width="{pixels}"'
    shown = max(1, min(round(pixels * height / width), 4 * pixels))
    return f' width="{pixels}" height="{shown}"'


def page(*parts: str) -> str:
    """Return the whole HTML for a notebook, made of *parts*."""
    return f'{STYLE}<div class="pictory">{"".join(parts)}</div>'


def paragraph(html: str) -> str:
    """Return *html* as a paragraph; an empty string stays empty."""
    return f"<p>{html}</p>" if html else ""


def line(*parts: str | None) -> str:
    """Return *parts* on one line; those that are missing are left out."""
    # A line breaks between two facts, not within one.
    facts = [text(part).replace(" ", "&nbsp;") for part in parts if part]
    return " · ".join(facts)


def text(value: str) -> str:
    """Return *value* on one line, cut and escaped."""
    return escape(shorten(value, limit=PROMPT_CHARACTERS))


def why(error: PictoryError, *, named: bool = True) -> str:
    """Return the text of an error, with its name if *named*."""
    shown = f"{type(error).__name__}: {error}" if named else str(error)
    return escape(shorten(shown, limit=ERROR_CHARACTERS))


def bar(value: int, total: int) -> str:
    """Return a progress bar."""
    return f'<progress value="{value}" max="{total}"></progress>'


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 poll"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def if_any(number: int, word: str) -> str:
    """Return a number with its word; an empty string for 0."""
    return f"{number:,} {word}" if number else ""


def size(width: int | None, height: int | None) -> str | None:
    """Return the size of a picture; None if it is not known."""
    times = "\N{MULTIPLICATION SIGN}"
    return f"{width} {times} {height}" if width and height else None


def credit_amount(credits_: Decimal) -> str:
    """Return an amount of credits, such as "0.6 credits"."""
    return f"{plain(credits_)} {'credit' if credits_ == 1 else 'credits'}"


def plain(number: Decimal) -> str:
    """Return a number without trailing zeros."""
    return f"{number.normalize():,f}"


def seconds(elapsed: float) -> str:
    """Return a duration as people write it."""
    if elapsed < 60:
        return f"{elapsed:.1f} s"
    return f"{int(elapsed) // 60:,} min {int(elapsed) % 60:02} s"
