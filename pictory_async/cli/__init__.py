"""The command ``pictory``: images from a terminal or a script.

It needs the extra ``cli`` (``pip install 'pictory-async[cli]'``). ``python -m
pictory_async`` is the same command; ``pictory --help`` and ``pictory COMMAND --help``
describe every option.

- ``pictory generate PROMPT...`` generates images and saves them. Options: ``--count
  N``, ``--model``, ``--aspect-ratio``, ``--style``, ``--reference-image-url``,
  ``--output DIR``, ``--sandbox``, ``--json``.
- ``pictory batch FILE`` generates an image of each prompt in a file, resumably.
  Options: ``--output DIR``, ``--journal FILE``, ``--max-in-flight N``, ``--max-credits
  CREDITS``, ``--on-unknown report|reconcile|resubmit``, ``--dry-run``, ``--sandbox``,
  ``--json``, and those of ``generate`` for what a line leaves open.
- ``pictory history`` lists images, newest first, and saves them if asked to. Options:
  ``--limit N``, ``--since WHEN``, ``--output DIR``, ``--json``.
- ``pictory job JOB_ID...`` shows the state of jobs. Options: ``--wait``, ``--output
  DIR``, ``--json``.
- ``pictory models`` lists models, prices, aspect ratios and styles. Option: ``--json``.
- ``pictory check`` reports on the installation, the network and the key, for a request
  for help; it costs nothing. Option: ``--json``.
- ``pictory sandbox`` runs the sandbox server. Options: ``--port PORT``, ``--duration
  SECONDS``, ``--credits CREDITS``, ``--failure-rate SHARE``, ``--throttle RATE``,
  ``--verbose``.

All but ``models`` and ``sandbox`` take ``--proxy URL``; else ``$HTTPS_PROXY`` and
``$NO_PROXY`` decide.

The key comes from ``$PICTORY_API_KEY`` alone, because an option would be visible in the
list of processes. Results go to standard output, one line each in a pipe; everything
else goes to standard error. Neither can end a command: if standard output cannot be
written, images are saved all the same, and the exit code is 1.

| exit code | |
|---|---|
| 0 | everything is done |
| 1 | a job or a request failed |
| 2 | wrong usage or configuration; nothing was sent |
| 130, 143 | interrupted by Ctrl-C, ended by SIGTERM |

What cannot be shown never costs an image: if standard output fails, such as on a full
disk, everything is saved all the same, the lines of ``generate`` and ``job`` go to
standard error, and the exit code is 1. Without standard output or standard error the
command works in silence.

Shells complete commands, options and documented values. For bash (4.4 or later):

    eval "$(_PICTORY_COMPLETE=bash_source pictory)"

For zsh it is ``zsh_source``; for fish, ``_PICTORY_COMPLETE=fish_source pictory |
source``.

Ctrl-C prints the ids of the jobs still in progress and how to continue with them; a
batch prints the command that resumes it. So does a batch that stops because the key was
refused for 20 prompts in a row.

## pictory batch

It reads, in UTF-8:

- ``.txt``: a prompt on each line; no line is a comment.
- ``.csv`` and ``.tsv``: columns named ``prompt``, ``model``, ``aspect_ratio``,
  ``style``, ``reference_image_url``, ``webhook`` and ``filename``. "Aspect Ratio" and
  "aspectRatio" are the same as ``aspect_ratio``. Commas, semicolons and tabs are
  recognized, as is a first line ``sep=;``; empty columns at the end are dropped.
- ``.jsonl``: objects with the same names.
- ``-``: standard input, in the format given with ``--format``.

``filename`` names the file of an image, without a folder; the extension is that of what
the service sends. Either all prompts have a name or none has, no two the same, and each
must be safe on Linux, macOS and Windows. Columns with other names are not sent but kept
for the manifest. One that looks like a misspelt field is refused.

Every line is checked before anything is sent, and bad ones are listed by number;
``--dry-run`` stops there and adds up the credits, with those that are in the journal of
earlier runs. Prompts are known by the line of the file on which they begin, the first
being 1; only the names of files begin with the place among the prompts, from 0.

The output folder gets the images, the journal ``batch.sqlite``, ``manifest.jsonl`` (an
object for each prompt: line, prompt, options, columns, job id, state, file, credits,
error) and ``index.html``, a contact sheet that needs neither network nor scripts. Both
grow while the batch runs. Until it ends, the manifest has its lines in the order in
which prompts ended, and the last line of a prompt counts.

With ``--sandbox`` the journal is ``sandbox.sqlite``, and the sandbox keeps its jobs in
``sandbox.jobs.jsonl``, so that a batch can be interrupted and resumed without a key.

| state in the manifest | |
|---|---|
| ``completed`` | the image is there |
| ``failed`` | the service reported a failure |
| ``unknown`` | perhaps paid for: see ``--on-unknown`` |
| ``in-progress`` | no longer awaited here; the job goes on at the service |
| ``not-sent`` | nothing was sent |

The same command again pays for nothing twice, tries the last two once more, and saves
the images that were not saved.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

_MISSING = "The pictory command needs: pip install 'pictory-async[cli]'\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: The command line after the command's name; None uses ``sys.argv``.
    """
    try:
        return _load_and_run(arguments)
    except KeyboardInterrupt:  # while modules load: later the command handles it
        return 130


def _load_and_run(arguments: Sequence[str] | None) -> int:
    try:
        commands = import_module("pictory_async.cli._commands")
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.stderr.write(_MISSING)
        return 2
    code: int = commands.run(arguments)
    return code
