"""Text for people: on one line, harmless to a terminal, numbers with their nouns."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

from pictory_async import GeneratedImage, HistoryImage

# They reorder what follows, so that one text can be displayed as another.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: object, *, limit: int | None = None) -> str:
    """Return *text* on one line without control characters, cut to *limit*."""
    source = str(text)
    head = source if limit is None else source[: 4 * limit]
    # Most text is printable, and a batch has a lot of it: skip the slow way there.
    kept = head if head.isprintable() else "".join(map(_harmless, head))
    line = " ".join(kept.split())
    if limit is None or (len(line) <= limit and len(head) == len(source)):
        return line
    return line[: limit - 1].rstrip() + "…"


def _harmless(character: str) -> str:
    if character.isspace():
        return " "
    if character in _BIDI:
        return ""
    match unicodedata.category(character):
        case "Cc":
            return ""
        case "Cs":
            return "\ufffd"
        case _:
            return character


def count(number: int | Decimal, noun: str) -> str:
    """Return a number with its noun, such as "1 image" and "0.6 credits"."""
    number = number.normalize() if isinstance(number, Decimal) else number
    shown = f"{number:,f}" if isinstance(number, Decimal) else f"{number:,}"
    return f"{shown} {noun}" if number == 1 else f"{shown} {noun}s"


def cost(total: Decimal, *, exact: bool) -> str:
    """Return credits, as a lower bound if some amounts are unknown."""
    credits_ = count(total, "credit")
    return credits_ if exact else f"at least {credits_}"


def short_time(seconds: float) -> str:
    """Return a time without false precision, such as "12 s" and "3 min"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def summary_line(
    *, images: int, credits_used: Decimal, exact: bool, failed: int, seconds: float
) -> str:
    """Return the totals of a command on one line."""
    parts = [
        count(images, "image"),
        cost(credits_used, exact=exact),
        f"{failed:,} failed" if failed else "",
        f"{seconds:.1f} s",
    ]
    return ", ".join(part for part in parts if part)


def size(image: GeneratedImage | HistoryImage) -> str:
    """Return width and height in pixels; empty if the service did not say."""
    if image.width is None or image.height is None:
        return ""
    return f"{image.width}x{image.height}"


def credits_of(image: GeneratedImage) -> str:
    """Return the credits charged; empty if the service did not say."""
    used = image.credits_used
    return "" if used is None else format(used.normalize(), "f")
