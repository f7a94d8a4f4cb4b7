"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from pictory_async import MODELS, STYLES

Command = Callable[..., Any]

_DAY = 86400


def _seconds(
    _: click.Context, __: click.Parameter, value: float | None
) -> float | None:
    """Refuse what is not an interval, such as "nan"."""
    if value is None or 0 < value <= _DAY:
        return value
    raise click.BadParameter(f"{value} is not between 0 and {_DAY} seconds")


def aware(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """Return a date or time as an aware one, in local time unless it names a zone."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError):
        message = f"{value!r} is not like 2026-11-21 or 2026-11-21T09:30"
        raise click.BadParameter(message) from None


def seconds_or_range(
    _: click.Context, __: click.Parameter, value: str
) -> tuple[float, float]:
    """Return a number of seconds or a range of them, such as "10-30", as a range."""
    low, _dash, high = value.partition("-")
    try:
        ends = float(low), float(high or low)
    except ValueError:
        ends = math.nan, math.nan
    if 0 <= ends[0] <= ends[1] <= _DAY:
        return ends
    message = f"{value!r} is not a number of seconds such as 2, or a range such as 2-8"
    raise click.BadParameter(message)


def credits_or_none(
    _: click.Context, __: click.Parameter, value: str | None
) -> Decimal | None:
    """Return an amount of credits as an exact number."""
    if value is None:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if number.is_finite() and number > 0:
        return number
    raise click.BadParameter(f"{value!r} is not a number above 0")


def _without_password(
    _: click.Context, __: click.Parameter, value: str | None
) -> str | None:
    """Refuse a password, which every user of the machine could read."""
    if value is not None and "@" in value:
        message = "set $HTTPS_PROXY instead for a proxy with a user and a password"
        raise click.BadParameter(message)
    return value


def examples(*lines: str) -> str:
    """Return the end of a help text; the backspace keeps click from wrapping it."""
    return "\n  ".join(("\b\nExamples:", *lines))


def _models() -> str:
    prices = (f"{m.name} ({m.credits_per_image:f})" for m in MODELS.values())
    return f"Model, with its credits per image: {', '.join(prices)}."


def _ratios() -> Sequence[str]:
    """Return all documented ratios, each once, in their order."""
    return list(dict.fromkeys(r for m in MODELS.values() for r in m.aspect_ratios))


def _alternatives(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _any_of(
    values: Sequence[str],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return the completion of an option that has documented values, and others."""
    return lambda _, __, typed: [each for each in values if each.startswith(typed)]


def folder_option(*, default: Path | None, text: str) -> Callable[[Command], Command]:
    kind = click.Path(file_okay=False, writable=True, path_type=Path)
    return click.option(
        "-o",
        "--output",
        "folder",
        type=kind,
        default=default,
        show_default=True,
        metavar="DIR",
        help=text,
    )


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object per line."
)
verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Report on standard error what is retried, and why.",
)
proxy_option = click.option(
    "--proxy",
    callback=_without_password,
    metavar="URL",
    help="The http(s) URL of a proxy for the service; by default $HTTPS_PROXY and "
    "$NO_PROXY decide.",
)
poll_every_option = click.option(
    "--poll-every",
    type=float,
    callback=_seconds,
    metavar="SECONDS",
    help="Poll each job this often; by default about every 10 to 30 seconds, adapted "
    "to how long jobs take.",
)


def request_options(command: Command) -> Command:
    """Add the options of all requests, under their names in `ImageRequest`."""
    options = (
        click.option("--model", shell_complete=_any_of(list(MODELS)), help=_models()),
        click.option(
            "--aspect-ratio",
            metavar="RATIO",
            shell_complete=_any_of(_ratios()),
            help=f"{_alternatives(_ratios())}.",
        ),
        click.option(
            "--style",
            shell_complete=_any_of(STYLES),
            help=f"{_alternatives(STYLES)}.",
        ),
        click.option(
            "--reference-image-url",
            metavar="URL",
            help="A public image to work from.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


sandbox_option = click.option(
    "--sandbox",
    is_flag=True,
    help="Draw test pictures on this machine: no key, no network, no credits.",
)
