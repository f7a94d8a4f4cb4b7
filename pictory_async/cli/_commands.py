"""The command line: names, options and help."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click

from pictory_async import __version__
from pictory_async.cli._batch.command import batch_command
from pictory_async.cli._check import check
from pictory_async.cli._connect import DURATION
from pictory_async.cli._errors import DONE, FAILED, INTERRUPTED, MISUSED, Misuse
from pictory_async.cli._generate import GenerateArguments, generate
from pictory_async.cli._history import HistoryArguments, show_history
from pictory_async.cli._job import JobArguments, show_jobs
from pictory_async.cli._models import show_models
from pictory_async.cli._options import (
    aware,
    credits_or_none,
    examples,
    folder_option,
    json_option,
    poll_every_option,
    proxy_option,
    request_options,
    sandbox_option,
    seconds_or_range,
    verbose_option,
)
from pictory_async.cli._output import SafeStream, broken_output, stderr
from pictory_async.cli._prompts import read_prompts, standard_input
from pictory_async.cli._run import run_async
from pictory_async.cli._sandbox import SandboxArguments, serve_sandbox

_EPILOG = """\b
Examples:
  pictory generate "A lighthouse at dawn" "A red bicycle in the rain"
  pictory generate --sandbox "No account needed: test pictures, made here"
  pictory batch prompts.csv --output pictures --max-credits 500
  pictory history --since 2026-11-01
  pictory check

\b
Completion, for bash (zsh and fish likewise):
  eval "$(_PICTORY_COMPLETE=bash_source pictory)"

\b
Environment:
  PICTORY_API_KEY       your key (https://app.pictory.ai/api-access)
  PICTORY_API_BASE_URL  another service, such as a sandbox
  HTTPS_PROXY, NO_PROXY a proxy for the service, and what is reached without one
  NO_COLOR              no colors

There is deliberately no option for the key: every user of the machine can read the
command lines of running programs, and shells keep them in their history.

\b
Exit codes:
  0    everything succeeded
  1    a job or a request failed, an image was not saved, or a check found a problem
  2    nothing was started: wrong usage, no key, or a folder that cannot be made
  130  interrupted by Ctrl-C (143: by SIGTERM); jobs continue at the service
"""


@click.group(
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
)
@click.version_option(__version__, prog_name="pictory", message="%(prog)s %(version)s")
@click.pass_context
def pictory(context: click.Context) -> int | None:
    """Make images with Pictory AI Studio."""
    if context.invoked_subcommand is not None:
        return None
    click.echo(context.get_help(), err=True)
    return MISUSED


@pictory.command(
    "generate",
    epilog=examples(
        'pictory generate "A lighthouse at dawn" --aspect-ratio 16:9',
        'pictory generate --model flux-schnell --style cartoon "A cat" "A dog"',
        "pictory generate - < prompts.txt",
        'pictory generate --json "A map of nowhere" | jq -r .path',
    ),
)
@click.argument("prompts", nargs=-1, required=True, metavar="PROMPT...")
@click.option(
    "-c",
    "--count",
    type=click.IntRange(1, 100),
    default=1,
    metavar="N",
    help="Make N images of each prompt, up to 100; each is paid for.",
)
@request_options
@folder_option(
    default=Path("pictures"), text="Where to save the images; created if missing."
)
@sandbox_option
@json_option
@proxy_option
@poll_every_option
@verbose_option
def generate_command(
    *,
    prompts: tuple[str, ...],
    count: int,
    folder: Path,
    sandbox: bool,
    as_json: bool,
    proxy: str | None,
    poll_every: float | None,
    verbose: bool,
    **options: str | None,
) -> int:
    """Make an image of each PROMPT and save it in a folder.

    All prompts are sent at once; each image is saved under its job's id as soon as it
    is finished. A prompt that fails does not affect the others. A PROMPT of "-"
    stands for the lines of standard input.

    A terminal shows live progress. In a pipe each event is a line: "submitted JOB_ID
    PROMPT", then "saved PATH". Failures are reported on standard error.

    Ctrl-C stops the waiting, not the jobs: it prints their ids, with which `pictory
    job` resumes them.
    """
    return run_async(
        generate(
            GenerateArguments(
                prompts=_prompts(prompts),
                options=options,
                folder=folder,
                count=count,
                sandbox=sandbox,
                json=as_json,
                proxy=proxy,
                poll_every=poll_every,
                verbose=verbose,
            )
        )
    )


@pictory.command(
    "history",
    epilog=examples(
        "pictory history -n 20",
        "pictory history --since 2026-11-21T09:30",
        "pictory history --since 2026-11-01T00:00Z --json | jq -r .url",
        "pictory history -n 100 --output pictures",
    ),
)
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), metavar="N", help="At most N images."
)
@click.option(
    "--since",
    callback=aware,
    metavar="WHEN",
    help="Only images created since then: an ISO 8601 date or time, in local time "
    "unless it names a zone.",
)
@folder_option(default=None, text="Where to save the images; created if missing.")
@proxy_option
@json_option
@verbose_option
def history_command(
    *,
    limit: int | None,
    since: datetime | None,
    folder: Path | None,
    proxy: str | None,
    as_json: bool,
    verbose: bool,
) -> int:
    """List the account's images, newest first.

    On a terminal this is a table with local times, in which each prompt links to its
    image. In a pipe each image is a line of fields separated by tabs: time (UTC), id,
    model, size, URL, prompt. Pages are fetched as they are read: `| head` fetches only
    the first.

    With --output each image is saved under its id, if it is not there already; a line
    in a pipe then ends with the path.
    """
    return run_async(
        show_history(
            HistoryArguments(
                limit=limit,
                since=since,
                folder=folder,
                proxy=proxy,
                json=as_json,
                verbose=verbose,
            )
        )
    )


@pictory.command(
    "job",
    epilog=examples(
        "pictory job 6f1b8a52-0c1e-4a43-9d6a-0b7f5f1b2c3d",
        "pictory job 6f1b8a52-0c1e-4a43-9d6a-0b7f5f1b2c3d --wait --output pictures",
    ),
)
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID...")
@click.option("-w", "--wait", is_flag=True, help="Wait until each job ends.")
@folder_option(default=None, text="Where to save finished images; created if missing.")
@json_option
@proxy_option
@poll_every_option
@verbose_option
def job_command(
    *,
    job_ids: tuple[str, ...],
    wait: bool,
    folder: Path | None,
    as_json: bool,
    proxy: str | None,
    poll_every: float | None,
    verbose: bool,
) -> int:
    """Show the state of jobs; with --wait, wait for them to end.

    The jobs may have been started anywhere with the same account. In a pipe each is a
    line of fields separated by tabs: id, state, size, credits, URL, path.
    """
    args = JobArguments(
        job_ids=tuple(dict.fromkeys(job_ids)),
        wait=wait,
        folder=folder,
        json=as_json,
        proxy=proxy,
        poll_every=poll_every,
        verbose=verbose,
    )
    return run_async(show_jobs(args))


@pictory.command(
    "models",
    epilog=examples(
        "pictory models",
        "pictory models --json | jq -r .model",
    ),
)
@json_option
def models_command(*, as_json: bool) -> int:
    """List the documented models, with their prices, aspect ratios and styles.

    The first aspect ratio of a model is its default. Needs no key and sends nothing.
    """
    return show_models(json=as_json)


@pictory.command(
    "check",
    epilog=examples(
        "pictory check",
        "pictory check --json > check.jsonl",
    ),
)
@proxy_option
@json_option
def check_command(*, proxy: str | None, as_json: bool) -> int:
    """Check the installation, the network and the key; costs nothing.

    Reports versions, the base URL, the proxy, name resolution, the certificate, the
    difference of the clocks, and whether the key is accepted. The output has no key
    and no password: it can be pasted into a request for help. In a pipe each line is a
    name, "ok", "problem" or nothing, and a text, separated by tabs.
    """
    return run_async(check(json=as_json, proxy=proxy))


@pictory.command(
    "sandbox",
    epilog=examples(
        "pictory sandbox --port 8765 --verbose",
        "pictory sandbox --duration 10-30 --failure-rate 0.1",
        "pictory sandbox --credits 50 --throttle 2",
    ),
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="The port to listen on; by default any free one.",
)
@click.option(
    "--duration",
    callback=seconds_or_range,
    default=f"{DURATION[0]:g}-{DURATION[1]:g}",
    show_default=True,
    metavar="SECONDS",
    help="How long jobs take: a number of seconds, or a range such as 10-30.",
)
@click.option(
    "--credits",
    "credits_",
    callback=credits_or_none,
    metavar="CREDITS",
    help="The account's credits; once they are used up, jobs fail with "
    "INSUFFICIENT_CREDITS.",
)
@click.option(
    "--failure-rate",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="The share of jobs that fail, such as 0.1 for every tenth.",
)
@click.option(
    "--throttle",
    type=click.FloatRange(0, min_open=True),
    metavar="RATE",
    help="Requests per second that are admitted; others are answered with 429.",
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Write each request to standard error."
)
def sandbox_command(
    *,
    port: int,
    duration: tuple[float, float],
    credits_: Decimal | None,
    failure_rate: float,
    throttle: float | None,
    verbose: bool,
) -> int:
    """Run a local stand-in for the service until Ctrl-C.

    It accepts a key that is not a real one, draws test pictures, and costs nothing.
    Use it with this command or with your own program: the two lines on standard output
    set the environment for it.
    """
    return run_async(
        serve_sandbox(
            SandboxArguments(
                port=port,
                duration=duration,
                credits=credits_,
                failure_rate=failure_rate,
                throttle=throttle,
                verbose=verbose,
            )
        )
    )


pictory.add_command(batch_command)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.closed:
            stream.reconfigure(errors="replace")  # for a terminal without Unicode
    out, err = SafeStream(sys.stdout), SafeStream(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        code = _run(arguments)
        # A reader that has gone, such as `head`, has read what it wanted.
        if code == DONE and out.error and not isinstance(out.error, BrokenPipeError):
            stderr().write(f"Error: {broken_output(out.error)}")
            return FAILED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code: object = pictory.main(
            arguments, prog_name="pictory", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return MISUSED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return code if isinstance(code, int) else DONE


def _prompts(given: tuple[str, ...]) -> Sequence[str]:
    """Return the prompts, with the lines of standard input in place of "-"."""
    prompts: list[str] = []
    for prompt in given:
        prompts += _input_lines() if prompt == "-" else [prompt]
    if not prompts:
        raise click.UsageError("there are no prompts on standard input")
    return prompts


def _input_lines() -> list[str]:
    try:
        return list(read_prompts(standard_input(), "standard input"))
    except Misuse as error:
        raise click.UsageError(str(error)) from None
