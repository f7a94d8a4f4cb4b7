"""What notebooks show of images, jobs and batches: HTML, and nothing but text is made.

Notebooks have themes of their own, which need not be the system's: all colours are
mixed from ``currentColor``, so they fit a dark page and a light one. Where a notebook
is not trusted, its front end takes the style away; attributes keep pictures small.

A signed URL is in the source of its picture and nowhere in the text. A prompt is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, TypeVar

import attrs

from pictory_async._errors import SubmissionUnknownError
from pictory_async._text import is_web_url, shorten

if TYPE_CHECKING:
    from pictory_async._errors import PictoryError
    from pictory_async._models import (
        GeneratedImage,
        HistoryImage,
        HistoryPage,
        ImageRequest,
        JobStatus,
    )
    from pictory_async._outcomes import BatchOutcome, BatchProgress

ItemT = TypeVar("ItemT")

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


@attrs.frozen(kw_only=True)
class Tile:
    """One picture, or why there is none, with what is known of it."""

    url: str | None = None
    width: int | None = None
    height: int | None = None
    prompt: str | None = None
    facts: Sequence[str | None] = ()
    error: PictoryError | None = None


# --- what the classes show ------------------------------------------------------------


def generated_image(image: GeneratedImage) -> str:
    """Show one finished picture."""
    tile = _of_image(image)
    facts = (*tile.facts, f"job {image.job_id}" if image.job_id else None)
    return _page(_figure(attrs.evolve(tile, facts=facts), PICTURE_PIXELS))


def history_image(image: HistoryImage) -> str:
    """Show one picture of the history."""
    return _page(_figure(_of_history(image), PICTURE_PIXELS))


def history_page(page: HistoryPage) -> str:
    """Show a page of the history as a gallery."""
    more = "" if page.next_page_key is None else "more pages follow"
    heading = _line(_count(len(page.images), "image"), more)
    return _page(_paragraph(heading), _gallery(page.images, _of_history))


def job_handle(
    status: JobStatus,
    *,
    request: ImageRequest | None,
    image: GeneratedImage | None,
    error: PictoryError | None,
) -> str:
    """Show how a job stood at this moment, and its picture if there is one."""
    final = status.final or error is not None
    how = "ended" if status.error is not None else status.state.value
    time = f"{'after' if final else 'for'} {_seconds(status.elapsed)}"
    said = f"<strong>{_text(how)}</strong> {_text(time)}"
    polls = _count(status.polls, "poll")
    heading = f"<p>{said} · {polls} · job {_text(status.job_id)}</p>"
    problem = f"The last poll failed. {_why(status.problem)}" if status.problem else ""
    if image is not None:
        return _page(heading, _figure(_of_image(image), PICTURE_PIXELS))
    prompt = _prompt(request.prompt if request else None)
    reason = "" if error is None else _why(error)
    return _page(heading, *(_paragraph(text) for text in (prompt, reason or problem)))


def batch_outcome(outcome: BatchOutcome) -> str:
    """Show what became of one prompt."""
    return _page(_figure(_of_outcome(outcome), PICTURE_PIXELS))


def batch_results(outcomes: Sequence[BatchOutcome]) -> str:
    """Show all outcomes as a gallery, those without a picture too."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    unknown = sum(isinstance(error, SubmissionUnknownError) for error in errors)
    used = [outcome.image.credits_used for outcome in outcomes if outcome.image]
    heading = _line(
        _count(len(outcomes), "prompt"),
        f"{len(outcomes) - len(errors):,} completed",
        _if_any(len(errors) - unknown, "failed"),
        _if_any(unknown, "unknown"),
        _credits(sum((amount for amount in used if amount), Decimal(0))),
    )
    return _page(_paragraph(heading), _gallery(outcomes, _of_outcome, slices=True))


def batch_progress(progress: BatchProgress) -> str:
    """Show how far a batch was at this moment."""
    ended = progress.completed + progress.failed + progress.unknown
    total = "?" if progress.total is None else f"{progress.total:,}"
    reserved = progress.credits_reserved
    words = _line(
        f"{ended:,} of {total}",
        f"{progress.completed:,} completed",
        _if_any(progress.failed, "failed"),
        _if_any(progress.unknown, "unknown"),
        f"{_credits(progress.credits_used)} used",
        f"{_amount(reserved)} reserved" if reserved else "",
    )
    bar = "" if not progress.total else _bar(ended, progress.total)
    return _page(bar, _paragraph(words))


# --- tiles ----------------------------------------------------------------------------


def _of_image(image: GeneratedImage) -> Tile:
    request = image.request
    return Tile(
        url=image.url,
        width=image.width,
        height=image.height,
        prompt=request.prompt if request else None,
        facts=(
            _size(image.width, image.height),
            request.model if request else None,
            None if image.credits_used is None else _credits(image.credits_used),
        ),
    )


def _of_history(image: HistoryImage) -> Tile:
    return Tile(
        url=image.url,
        width=image.width,
        height=image.height,
        prompt=image.prompt,
        facts=(
            f"{image.created_at:%Y-%m-%d %H:%M} UTC" if image.created_at else None,
            _size(image.width, image.height),
            image.model,
            image.style,
        ),
    )


def _of_outcome(outcome: BatchOutcome) -> Tile:
    place = f"#{outcome.index}"
    file = outcome.path.name if outcome.path else None
    if outcome.image is not None:
        tile = _of_image(outcome.image)
        facts = (place, *tile.facts, file)
        return attrs.evolve(tile, facts=facts, error=outcome.error)
    return Tile(
        prompt=outcome.request.prompt if outcome.request else None,
        facts=(place,),
        error=outcome.error,
    )


def _gallery(
    items: Sequence[ItemT], tile: Callable[[ItemT], Tile], *, slices: bool = False
) -> str:
    figures = [_figure(tile(item), TILE_PIXELS) for item in items[:MOST_PICTURES]]
    left = len(items) - len(figures)
    hint = f" [{MOST_PICTURES}:] of the list shows the next." if slices else ""
    more = f"{left:,} more are not shown here.{hint}" if left else ""
    return f'<div class="pictory-grid">{"".join(figures)}</div>{_paragraph(more)}'


def _figure(tile: Tile, pixels: int) -> str:
    shown = tile.url is not None and is_web_url(tile.url)
    frame = _picture(tile, pixels) if shown else _empty(tile)
    caption = "".join((
        f"<b>{_prompt(tile.prompt)}</b>" if tile.prompt else "",
        f"<span>{_why(tile.error, named=shown)}</span>" if tile.error else "",
        f"<span>{_line(*tile.facts)}</span>",
    ))
    return f"<figure>{frame}<figcaption>{caption}</figcaption></figure>"


def _empty(tile: Tile) -> str:
    name = type(tile.error).__name__ if tile.error else "no picture to show"
    why = _BETWEEN_WORDS.sub("<wbr>", _text(name))
    return f'<span class="pictory-frame">{why}</span>'


def _picture(tile: Tile, pixels: int) -> str:
    url = escape(tile.url or "")
    # Neither the picture's host nor a page behind the link learns of the notebook.
    return (
        f'<a class="pictory-frame" href="{url}" target="_blank"'
        f' rel="noopener noreferrer"><img src="{url}"{_pixels(tile, pixels)}'
        f' alt="{_prompt(tile.prompt) or "generated image"}" loading="lazy"'
        ' referrerpolicy="no-referrer"></a>'
    )


def _pixels(tile: Tile, pixels: int) -> str:
    """Return the attributes that keep a picture's place while it is not there yet."""
    width, height = tile.width or 0, tile.height or 0
    if width <= 0 or height <= 0:
        return f' width="{pixels}"'
    shown = max(1, min(round(pixels * height / width), 4 * pixels))
    return f' width="{pixels}" height="{shown}"'


# --- text -----------------------------------------------------------------------------


def _page(*parts: str) -> str:
    return f'{STYLE}<div class="pictory">{"".join(parts)}</div>'


def _paragraph(html: str) -> str:
    return f"<p>{html}</p>" if html else ""


def _line(*parts: str | None) -> str:
    # A line breaks between two facts, not within one.
    facts = [_text(part).replace(" ", "&nbsp;") for part in parts if part]
    return " · ".join(facts)


def _text(text: str) -> str:
    return escape(shorten(text, limit=PROMPT_CHARACTERS))


def _prompt(prompt: str | None) -> str:
    return _text(prompt) if prompt else ""


def _why(error: PictoryError, *, named: bool = True) -> str:
    text = f"{type(error).__name__}: {error}" if named else str(error)
    return escape(shorten(text, limit=ERROR_CHARACTERS))


def _bar(value: int, total: int) -> str:
    return f'<progress value="{value}" max="{total}"></progress>'


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _if_any(number: int, word: str) -> str:
    return f"{number:,} {word}" if number else ""


def _size(width: int | None, height: int | None) -> str | None:
    times = "\N{MULTIPLICATION SIGN}"
    return f"{width} {times} {height}" if width and height else None


def _credits(amount: Decimal) -> str:
    return f"{_amount(amount)} {'credit' if amount == 1 else 'credits'}"


def _amount(amount: Decimal) -> str:
    return f"{amount.normalize():,f}"


def _seconds(elapsed: float) -> str:
    if elapsed < 60:
        return f"{elapsed:.1f} s"
    return f"{int(elapsed) // 60:,} min {int(elapsed) % 60:02} s"
