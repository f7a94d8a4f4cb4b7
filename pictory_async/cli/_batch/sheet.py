"""The contact sheet of a batch: a page that works from disk, without a network.

It has no script and loads nothing but the images beside it. Its content security
policy holds a browser to that, should a prompt ever get past the escaping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any, Final
from urllib.parse import quote

import attrs

from pictory_async.cli._batch.ledger import Cause, Entry, Totals, is_unsent
from pictory_async.cli._text import cost, count, one_line

_POLICY: Final = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
# Prompts of more characters are folded to three lines until they are clicked.
_FOLDED: Final = 100
# The frame of wider and taller images: they are shown whole in it.
_WIDEST: Final = 16 / 9


@attrs.frozen(kw_only=True)
class Heading:
    """The heading of a contact sheet.

    Attributes:
        source: The name of the prompt file.
        made: When the sheet was made (aware).
        total: The number of prompts; more than have ended if it was interrupted.
        totals: What the entries come to.
        running: Whether the batch goes on, or was killed.
    """

    source: str
    made: datetime
    total: int
    totals: Totals
    running: bool = False


def contact_sheet(heading: Heading, entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the page in pieces; *entries* are read as the pieces are consumed."""
    yield from _head(heading)
    for entry in entries:
        yield _figure(entry)
    yield "</main>\n<footer>Made by pictory_async. Details of each prompt: "
    yield '<a href="manifest.jsonl">manifest.jsonl</a></footer>\n'
    yield "</body>\n</html>\n"


def _text(value: object) -> str:
    """Return a value as text of a page: escaped, without control characters."""
    return escape(one_line(value))


# --- heading ----------------------------------------------------------------------


def _head(heading: Heading) -> Iterator[str]:
    title = f"{_text(heading.source)}: {count(heading.totals.images, 'image')}"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="referrer" content="no-referrer">\n'
    yield f"<title>{title}</title>\n<style>{_STYLE}"
    yield f":root {{ --ratio: {_ratio(heading.totals):.4f}; }}\n</style>\n</head>\n"
    yield f"<body>\n<header>\n<h1>{title}</h1>\n<p>{_facts(heading)}</p>\n"
    yield from _causes(heading.totals)
    yield "</header>\n"
    yield from _bar(heading.totals)
    yield "<main>\n"


def _facts(heading: Heading) -> str:
    totals = heading.totals
    facts = [
        cost(totals.credits, exact=totals.exact),
        *_problems(totals),
        f"{heading.made:%Y-%m-%d %H:%M %Z}",
    ]
    if totals.ended < heading.total:
        ended = f"{totals.ended:,} of {heading.total:,}"
        so_far = f"{ended} so far" if heading.running else f"interrupted after {ended}"
        facts.insert(0, so_far)
    return " · ".join(_text(fact) for fact in facts)


def _problems(totals: Totals) -> list[str]:
    failures = count(totals.failed, "failure") if totals.failed else ""
    unsent = f"{totals.unsent:,} not sent" if totals.unsent else ""
    return [each for each in (failures, unsent) if each]


def _ratio(totals: Totals) -> float:
    width, height = totals.size or (1, 1)
    return min(_WIDEST, max(1 / _WIDEST, width / height))


def _causes(totals: Totals) -> Iterator[str]:
    if totals.without:
        kind = "causes" if totals.failed else "causes unsent"
        yield f'<details class="{kind}"><summary>'
        yield f"{' and '.join(_problems(totals))}, by cause</summary>\n<ul>\n"
        yield from map(_cause, totals.causes)
        yield "</ul></details>\n"


def _cause(cause: Cause) -> str:
    links = ", ".join(f'<a href="#line-{line}">{line}</a>' for line in cause.lines)
    more = cause.prompts - len(cause.lines)
    rest = f" and {more:,} more" if more else ""
    return (
        f"<li>{cause.prompts:,} &times; <b>{_text(cause.name)}</b> "
        f"<span>(line {links}{rest})</span><br>{_text(cause.example)}</li>\n"
    )


def _bar(totals: Totals) -> Iterator[str]:
    """Yield the filter; the style sheet is enough to make it work."""
    if not totals.without:
        return
    yield '<form class="bar">\n'
    choices = {
        "everything": ("All", totals.ended),
        "only-images": ("Images", totals.ended - totals.without),
        "only-failed": ("Failures", totals.failed),
        "only-unsent": ("Not sent", totals.unsent),
    }
    for name, (word, number) in choices.items():
        if not number:
            continue
        checked = " checked" if name == "everything" else ""
        radio = f'<input type="radio" name="show" id="{name}"{checked}>'
        yield f"<label>{radio}{word} {number:,}</label>\n"
    yield "</form>\n"


# --- images -----------------------------------------------------------------------


def _figure(entry: Entry) -> str:
    kind = "unsent" if is_unsent(entry) else "failed" if entry["error"] else "image"
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
            f'<div class="mat why"><b>{_text(state).replace("-", " ")}</b>'
            f"<small>{escape(one_line(error['message'], limit=300))}</small></div>"
        )
    address = escape(quote(entry["file"]))
    about = escape(one_line(entry["prompt"], limit=120))
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
    size = f"{entry['width']} \u00d7 {entry['height']}" if entry["width"] else ""
    used = entry["credits_used"]
    facts = (
        f"line {entry['line']}",
        entry["model"],
        entry["style"],
        size or entry["aspect_ratio"],
        "" if used is None else count(Decimal(str(used)), "credit"),
        entry["job_id"] if entry["error"] else "",
    )
    # Lines break after the dot behind a fact: neither inside a fact nor before a dot.
    texts = [_text(each).replace(" ", "&nbsp;") for each in facts if each]
    return "&nbsp;· ".join(texts)


# --- style ------------------------------------------------------------------------

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f6f4; --card: #fff; --edge: #dededa; --text: #1d1d1b; --soft: #63635e;
  --mat: #ecece8; --link: #0b5cad; --bad: #a3261b; --bad-mat: #fbeceb;
  --unsent: #7a4d00; --unsent-mat: #fbf1dc;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #161615; --card: #20201f; --edge: #353532; --text: #ececea;
    --soft: #a3a39d; --mat: #2a2a28; --link: #7cb8f5; --bad: #ff9c92;
    --bad-mat: #34211f; --unsent: #f0b95b; --unsent-mat: #322817;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 4.5rem; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
a { color: var(--link); }
header, .bar, main, footer {
  max-width: 1800px; margin: 0 auto; padding: 0 1.25rem;
}
header { padding-top: 1.5rem; padding-bottom: 1rem; }
header:has(+ .bar) { padding-bottom: 0; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.2; overflow-wrap: anywhere; }
header p, footer { color: var(--soft); }
header p { margin: .3rem 0 0; overflow-wrap: anywhere; }
.causes {
  margin: 1rem 0 0; padding: .6rem .9rem; border: 1px solid var(--edge);
  border-radius: 10px; background: var(--card);
}
.causes summary { cursor: pointer; color: var(--bad); font-weight: 600; }
.causes.unsent summary { color: var(--unsent); }
.causes ul { margin: .5rem 0 .2rem; padding-left: 1.2rem; }
.causes li { margin: .35rem 0; overflow-wrap: anywhere; }
.causes span { color: var(--soft); }
.bar {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .4rem;
  padding-top: .8rem; padding-bottom: .8rem; background: var(--page);
}
.bar label {
  padding: .25rem .8rem; border: 1px solid var(--edge); border-radius: 99px;
  background: var(--card); color: var(--soft); cursor: pointer;
}
.bar input { position: absolute; opacity: 0; }
.bar label:has(:checked) {
  background: var(--text); border-color: var(--text); color: var(--page);
}
.bar label:has(:focus-visible) { outline: 2px solid var(--link); outline-offset: 2px; }
body:has(#only-images:checked) figure:not(.image),
body:has(#only-failed:checked) figure:not(.failed),
body:has(#only-unsent:checked) figure:not(.unsent) { display: none; }
main {
  display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr));
  padding-bottom: 2rem;
}
figure {
  margin: 0; overflow: hidden; border: 1px solid var(--edge); border-radius: 10px;
  background: var(--card);
  content-visibility: auto; contain-intrinsic-size: auto 15rem auto 22rem;
}
figure:target { outline: 3px solid var(--link); }
.mat { display: block; aspect-ratio: var(--ratio, 1); background: var(--mat); }
.mat img { display: block; width: 100%; height: 100%; object-fit: contain; }
.mat:focus-visible { outline: 3px solid var(--link); outline-offset: -3px; }
.why {
  display: flex; flex-direction: column; justify-content: center; gap: .4rem;
  padding: 1rem; background: var(--bad-mat); overflow-wrap: anywhere;
}
.why b { color: var(--bad); }
.unsent .why { background: var(--unsent-mat); }
.unsent .why b { color: var(--unsent); }
.why small { color: var(--text); font-size: .85rem; }
figcaption { padding: .6rem .8rem .7rem; }
.prompt { margin: 0; overflow-wrap: anywhere; }
.prompt summary { list-style: none; cursor: pointer; }
.prompt summary::-webkit-details-marker { display: none; }
.prompt:not([open]) summary {
  display: -webkit-box; overflow: hidden; -webkit-box-orient: vertical;
  -webkit-line-clamp: 3; line-clamp: 3;
}
.about { margin: .35rem 0 0; color: var(--soft); font-size: .8rem; }
.about { overflow-wrap: anywhere; }
footer { padding-bottom: 2rem; font-size: .85rem; }
@media (max-width: 560px) {
  header, .bar, main, footer { padding-left: .75rem; padding-right: .75rem; }
  main { gap: .6rem; grid-template-columns: repeat(2, minmax(0, 1fr)); }
  figure { contain-intrinsic-size: auto 10rem auto 17rem; }
  figcaption { padding: .5rem .6rem .6rem; }
  .prompt { font-size: .88rem; }
  .why { padding: .7rem; }
}
@media print { .bar { display: none; } figure { break-inside: avoid; } }
"""
