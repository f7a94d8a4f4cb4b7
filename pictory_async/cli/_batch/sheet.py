"""The contact sheet of a batch: a page that works from disk, without a network.

It has no script and asks for nothing but the images beside it. A policy in its head
holds a browser to that, should a prompt ever get past the escaping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from html import escape
from typing import Any, Final
from urllib.parse import quote

import attrs

from pictory_async.cli._batch.causes import Cause
from pictory_async.cli._batch.ledger import Entry, Tally
from pictory_async.cli._batch.sheet_style import STYLE
from pictory_async.cli._text import count, plain

_POLICY: Final = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
# Longer prompts are folded to three lines until they are clicked on.
_FOLDED: Final = 100
# A wide or tall picture is shown whole, in a frame that is never a mere strip.
_WIDEST: Final = 16 / 9


@attrs.frozen(kw_only=True)
class Heading:
    """What stands above the pictures.

    Attributes:
        source: Where the prompts came from.
        made: When the sheet was made; aware.
        total: How many prompts there are; more than ended if it was interrupted.
        tally: What they came to.
    """

    source: str
    made: datetime
    total: int
    tally: Tally


def contact_sheet(heading: Heading, entries: Iterable[Entry]) -> Iterator[str]:
    """Give the pieces of the page; *entries* are read as the pieces are asked for."""
    yield from _head(heading)
    for entry in entries:
        yield _figure(entry)
    yield "</main>\n<footer>Made by pictory_async. All details, a line for each "
    yield 'prompt: <a href="manifest.jsonl">manifest.jsonl</a></footer>\n'
    yield "</body>\n</html>\n"


def _text(value: object) -> str:
    """Return a value as text for a page: escaped, without control characters."""
    return escape(plain(value))


# --- above the pictures -----------------------------------------------------------


def _head(heading: Heading) -> Iterator[str]:
    title = f"{_text(heading.source)}: {_number(heading.tally.images, 'image')}"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="referrer" content="no-referrer">\n'
    yield f"<title>{title}</title>\n<style>{STYLE}"
    yield f":root {{ --ratio: {_ratio(heading.tally):.4f}; }}\n</style>\n</head>\n"
    yield f"<body>\n<header>\n<h1>{title}</h1>\n<p>{_facts(heading)}</p>\n"
    yield from _causes(heading.tally)
    yield "</header>\n"
    yield from _bar(heading.tally)
    yield "<main>\n"


def _facts(heading: Heading) -> str:
    tally = heading.tally
    cost = count(tally.credits, "credit")
    facts = [
        cost if tally.exact else f"at least {cost}",
        f"{_number(tally.failed, 'failure')}" if tally.failed else "",
        f"{heading.made:%Y-%m-%d %H:%M %Z}",
    ]
    if tally.ended < heading.total:
        facts.insert(0, f"interrupted after {tally.ended:,} of {heading.total:,}")
    return " · ".join(_text(fact) for fact in facts if fact)


def _ratio(tally: Tally) -> float:
    width, height = tally.size or (1, 1)
    return min(_WIDEST, max(1 / _WIDEST, width / height))


def _causes(tally: Tally) -> Iterator[str]:
    if tally.failed:
        yield '<details class="causes"><summary>'
        yield f"{_number(tally.failed, 'failure')} by cause</summary>\n<ul>\n"
        yield from map(_cause, tally.causes)
        yield "</ul></details>\n"


def _cause(cause: Cause) -> str:
    links = ", ".join(f'<a href="#line-{line}">{line}</a>' for line in cause.lines)
    more = cause.prompts - len(cause.lines)
    rest = f" and {more:,} more" if more else ""
    return (
        f"<li>{cause.prompts:,} &times; <b>{_text(cause.name)}</b> "
        f"<span>(line {links}{rest})</span><br>{_text(cause.example)}</li>\n"
    )


def _bar(tally: Tally) -> Iterator[str]:
    """Give the choice of what is shown; style sheets are enough for it."""
    if not tally.failed:
        return
    yield '<form class="bar">\n'
    choices = {
        "everything": f"All {tally.ended:,}",
        "only-images": f"Without failures {tally.ended - tally.failed:,}",
        "only-failed": f"Failures {tally.failed:,}",
    }
    for name, text in choices.items():
        checked = " checked" if name == "everything" else ""
        radio = f'<input type="radio" name="show" id="{name}"{checked}>'
        yield f"<label>{radio}{text}</label>\n"
    yield "</form>\n"


# --- the pictures -----------------------------------------------------------------


def _figure(entry: Entry) -> str:
    kind = "failed" if entry["error"] else "image"
    return (
        f'<figure class="{kind}" id="line-{entry["line"]:d}">'
        f"{_picture(entry)}<figcaption>{_prompt(entry)}"
        f'<p class="about">{_about(entry)}</p></figcaption></figure>\n'
    )


def _picture(entry: Entry) -> str:
    if not entry["file"]:
        error: dict[str, Any] = entry["error"] or {"message": ""}
        state = "not saved" if entry["state"] == "completed" else entry["state"]
        return (
            f'<div class="mat why"><b>{_text(state)}</b>'
            f"<small>{escape(plain(error['message'], limit=300))}</small></div>"
        )
    address = escape(quote(entry["file"]))
    about = escape(plain(entry["prompt"], limit=120))
    return (
        f'<a class="mat" href="{address}">'
        f'<img src="{address}" alt="{about}" loading="lazy" decoding="async"></a>'
    )


def _prompt(entry: Entry) -> str:
    text = _text(entry["prompt"])
    if len(entry["prompt"]) <= _FOLDED:
        return f'<p class="prompt" dir="auto">{text}</p>'
    return f'<details class="prompt"><summary dir="auto">{text}</summary></details>'


def _about(entry: Entry) -> str:
    size = f"{entry['width']}x{entry['height']}" if entry["width"] else ""
    used = entry["credits_used"]
    facts = (
        f"line {entry['line']}",
        entry["model"],
        entry["style"],
        size or entry["aspect_ratio"],
        "" if used is None else "1 credit" if used == 1 else f"{used} credits",
        entry["job_id"] if entry["error"] else "",
    )
    # Lines break between facts, not inside.
    return " · ".join(_text(each).replace(" ", "&nbsp;") for each in facts if each)


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
