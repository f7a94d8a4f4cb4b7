"""The ``pictory`` command: images from a terminal or a script.

It needs the extra ``cli`` (``pip install 'pictory-async[cli]'``). ``pictory --help``
is its manual.
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
