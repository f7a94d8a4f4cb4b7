"""The command line of ``pictory batch``."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pictory_async.cli._batch.prompts import FORMATS, format_of
from pictory_async.cli._batch.run import Asked, OnUnknown, make_batch
from pictory_async.cli._options import (
    examples,
    folder_option,
    json_option,
    look_options,
    poll_every_option,
    sandbox_option,
    verbose_option,
)
from pictory_async.cli._run import telling_errors

# What a look at the prompts is no part of.
_NOT_AGAIN = frozenset({"file", "dry_run"})


def _credits(
    _: click.Context, __: click.Parameter, value: str | None
) -> Decimal | None:
    """Return a ceiling; exact, so that 0.6 is 0.6."""
    if value is None:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if number.is_finite() and number > 0:
        return number
    raise click.BadParameter(f"{value!r} is no number above 0")


@click.command(
    "batch",
    epilog=examples(
        "pictory batch prompts.csv --dry-run",
        "pictory batch prompts.txt --output pictures --max-credits 500",
        "generate-prompts | pictory batch - --format jsonl --model flux-schnell",
        "pictory batch prompts.jsonl --on-unknown reconcile",
    ),
)
@click.argument("file", metavar="FILE")
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="By default what FILE's name ends with; txt for standard input.",
)
@folder_option(
    default=Path("pictures"),
    text="Where images, manifest.jsonl and index.html go; made if it is missing.",
)
@click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What has been done and paid for; by default batch.sqlite in the output "
    "folder (sandbox.sqlite with --sandbox).",
)
@click.option(
    "--max-in-flight",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="N",
    help="Prompts that are worked on at once.",
)
@click.option(
    "--max-credits",
    callback=_credits,
    metavar="CREDITS",
    help="Use no more than this, over all runs with the journal; what does not fit is "
    "not sent.",
)
@click.option(
    "--on-unknown",
    type=click.Choice(["report", "reconcile", "resubmit"]),
    default="report",
    show_default=True,
    help="A prompt whose earlier request was cut off may be paid for: report it as "
    "failed, look for its image in the history, or send it again and maybe pay twice.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Count prompts and credits and show bad lines; send nothing.",
)
@look_options
@sandbox_option
@json_option
@poll_every_option
@verbose_option
@click.pass_context
def batch_command(
    context: click.Context,
    /,
    *,
    file: str,
    kind: str | None,
    folder: Path,
    on_unknown: OnUnknown,
    model: str | None,
    aspect_ratio: str | None,
    style: str | None,
    reference_image_url: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Make an image of each prompt in FILE, and go on after an interruption.

    \b
    FILE is, in UTF-8:
      .txt          a prompt a line; no line is a comment
      .csv, .tsv    a first line that names the columns: prompt and any of model,
                    aspect_ratio, style, reference_image_url and webhook
      .jsonl        an object a line, with the same names
      -             standard input, in the format of --format

    Blank lines are skipped. What a line leaves open is taken from the options. All
    lines are checked first: a bad one is told by its number, and nothing is sent.

    The journal makes it safe to stop: the same command goes on where the last one
    ended, pays for nothing twice, and tries again what was not sent or not saved.
    Prompts may be appended meanwhile, not edited.

    The output folder gets the images, manifest.jsonl with an object for each prompt,
    and index.html, a contact sheet for any browser.
    """  # noqa: D301 - the backslash is click's: keep these lines

    def begin() -> int:
        return make_batch(
            Asked(
                file=None if file == "-" else Path(file),
                kind=kind or ("txt" if file == "-" else format_of(file)),
                defaults={
                    "model": model,
                    "aspect_ratio": aspect_ratio,
                    "style": style,
                    "reference_image_url": reference_image_url,
                },
                folder=folder,
                again=list(_again(context)),
                on_unknown=on_unknown,
                json=as_json,
                **options,
            )
        )

    return telling_errors(begin)


def _again(context: click.Context) -> Iterator[str]:
    """Give the options of this command line, so that they can be typed again."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in _NOT_AGAIN or source is not ParameterSource.COMMANDLINE:
            continue
        option = max(parameter.opts, key=len)
        value = context.params[name]
        yield option
        if value is not True:
            yield str(value)
