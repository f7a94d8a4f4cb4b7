"""The command line of ``pictory batch``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pictory_async.cli._batch.arguments import BatchArguments, OnUnknown
from pictory_async.cli._batch.prompts import FORMATS, format_of
from pictory_async.cli._batch.run import run_batch
from pictory_async.cli._options import (
    credits_or_none,
    examples,
    folder_option,
    json_option,
    poll_every_option,
    proxy_option,
    request_options,
    sandbox_option,
    verbose_option,
)
from pictory_async.cli._run import report_errors

# Parameters that the command to resume a batch does not repeat.
_NOT_RESUMED = frozenset({"file", "dry_run"})


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
    help="The format of FILE; by default the end of its name, txt for standard input.",
)
@folder_option(
    default=Path("pictures"),
    text="Where to write images, manifest.jsonl and index.html; created if missing.",
)
@click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The record of what was done and paid for; by default batch.sqlite in the "
    "output folder (sandbox.sqlite with --sandbox).",
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
    callback=credits_or_none,
    metavar="CREDITS",
    help="Spend no more than this in all runs with the journal; what does not fit is "
    "not sent.",
)
@click.option(
    "--on-unknown",
    type=click.Choice(["report", "reconcile", "resubmit"]),
    default="report",
    show_default=True,
    help="What to do with a prompt whose request was cut off and that may be paid for: "
    "report it as failed, look for its image in the history, or send it again and "
    "perhaps pay twice.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Count prompts and credits, also those paid for in earlier runs, and report "
    "bad lines; send nothing.",
)
@request_options
@sandbox_option
@json_option
@proxy_option
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
    """Make an image of each prompt in FILE; can be resumed.

    \b
    FILE is UTF-8 text:
      .txt          one prompt per line; there are no comments
      .csv, .tsv    the first line names the columns: prompt and any of model,
                    aspect_ratio, style, reference_image_url, webhook and
                    filename; commas, semicolons or tabs separate them
      .jsonl        one object per line, with the same names
      -             standard input, in the format of --format

    Blank lines are skipped. Options fill in what a line does not give. All lines are
    checked first: if one is bad, its number is reported and nothing is sent. Other
    columns are kept for the manifest. Prompts are known by the line of FILE on which
    they begin.

    The journal makes it safe to stop: the same command continues where the last one
    stopped, pays for nothing twice, and retries what was not sent or not saved.
    Prompts may be appended in between, but not edited. A sandbox keeps its jobs beside
    the journal, so that all of this can be tried without a key.

    The output folder receives the images, manifest.jsonl with one object per prompt,
    and index.html, a contact sheet for any browser. Both grow while the batch runs.
    """  # noqa: D301 - the backslash is click's: keep these lines

    def run() -> int:
        return run_batch(
            BatchArguments(
                file=None if file == "-" else Path(file),
                kind=kind or ("txt" if file == "-" else format_of(file)),
                defaults={
                    "model": model,
                    "aspect_ratio": aspect_ratio,
                    "style": style,
                    "reference_image_url": reference_image_url,
                },
                folder=folder,
                resume_options=list(_resume_options(context)),
                on_unknown=on_unknown,
                json=as_json,
                **options,
            )
        )

    return report_errors(run)


def _resume_options(context: click.Context) -> Iterator[str]:
    """Yield the options of this command line as they can be typed again."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in _NOT_RESUMED or source is not ParameterSource.COMMANDLINE:
            continue
        option = max(parameter.opts, key=len)
        value = context.params[name]
        yield option
        if value is not True:
            yield str(value)
