"""Completion in a shell, as the docstring of the command explains it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess

import pytest

from pictory_async import MODELS, cli
from tests.cli.conftest import COMMAND

BASH = shutil.which("bash")


@pytest.fixture
def complete(tmp_path):
    """Complete a command line in bash; return what it offers."""
    script = tmp_path / "pictory"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    found = re.search(r"^ +(eval .*bash_source.*)$", cli.__doc__ or "", re.MULTILINE)
    assert found

    def run(*words: str) -> list[str]:
        code = (
            f"{found[1]}\n"
            f"COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}\n"
            "_pictory_completion pictory\n"
            "printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(  # noqa: S603 - our own
            [BASH or "", "--norc", "-c", code],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return run


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash_completes_commands_options_and_values(complete) -> None:
    """The documented line makes it work."""
    assert complete("pictory", "ge") == ["generate"]
    assert complete("pictory", "history", "--out") == ["--output"]
    assert complete("pictory", "generate", "--model", "") == list(MODELS)
    assert complete("pictory", "batch", "--style", "v") == ["vintage"]
    assert complete("pictory", "generate", "--aspect-ratio", "9") == ["9:16"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_script(monkeypatch, capsys, shell) -> None:
    """Click writes it."""
    monkeypatch.setenv("_PICTORY_COMPLETE", f"{shell}_source")

    with pytest.raises(SystemExit) as end:
        cli.main([])

    assert not end.value.code
    assert "_PICTORY_COMPLETE" in capsys.readouterr().out
