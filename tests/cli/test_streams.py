"""Standard output and standard error that fail, or that are not there at all.

What a display costs is the display: images are saved, the ids of jobs are written
where they can be, and the exit code says that something was not shown.
"""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND
from tests.cli.terminal import FakeTerminal

FAST = ("--poll-every", "0.02")
ERRORS = [errno.ENOSPC, errno.EIO, errno.EINVAL, errno.EPIPE, errno.EBADF]


def _failing(base: type[io.StringIO], number: int, lines: int) -> io.StringIO:
    """Return a stream that takes so many writes of a line and then fails."""

    class Failing(base):
        def write(self, text: str) -> int:
            if self.getvalue().count("\n") >= lines:
                raise OSError(number, os.strerror(number))
            return super().write(text)

    return Failing()


def _saved() -> set[str]:
    return {path.name for path in Path("pictures").iterdir()}


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("lines", range(4))
def test_generate_saves_what_it_cannot_show(service, pictory, number, lines) -> None:
    """Each image is saved; standard error gets the lines from the first lost one on."""
    out = _failing(io.StringIO, number, lines)

    done = pictory("generate", "A lighthouse", "A red bicycle", *FAST, stdout=out)

    assert done.code == 1
    assert _saved() == {f"{job_id}.png" for job_id in service.sandbox.jobs}
    lost = [line for line in done.err.splitlines() if "pictures/" in line]
    shown = out.getvalue().splitlines()
    written = [line for line in shown + lost if line.startswith("saved")]
    assert sorted(written) == [f"saved pictures/{name}" for name in sorted(_saved())]
    assert "2 images, 4 credits" in done.err
    assert done.err.count("standard output cannot be written") == 1


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_json_that_cannot_be_shown_goes_to_standard_error(
    service, pictory, number
) -> None:
    """Whole objects go there."""
    out = _failing(io.StringIO, number, 1)

    done = pictory("generate", "--json", "A lighthouse", "A cat", *FAST, stdout=out)

    assert done.code == 1
    objects = [line for line in done.err.splitlines() if line.startswith("{")]
    ids = {json.loads(line)["job_id"] for line in [out.getvalue(), *objects]}
    assert ids == set(service.sandbox.jobs)


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("lines", [0, 1, 4])
def test_a_terminal_that_goes_costs_nothing(service, pictory, number, lines) -> None:
    """Lines on standard error take over from the live view."""
    done = pictory(
        "generate",
        "A lighthouse",
        "A red bicycle",
        *FAST,
        stdout=_failing(FakeTerminal, number, lines),
    )

    assert done.code == 1
    assert len(_saved()) == 2
    assert "saved pictures/" in done.err
    assert "2 images, 4 credits" in done.err


@pytest.mark.parametrize("terminal", [io.StringIO, FakeTerminal])
@pytest.mark.parametrize("options", [(), ("--wait",), ("--json",)])
def test_job_saves_what_it_cannot_show(service, pictory, terminal, options) -> None:
    """The rows of jobs go to standard error."""
    pictory("generate", "A lighthouse", *FAST)
    (job_id,) = service.sandbox.jobs

    done = pictory(
        "job",
        job_id,
        *options,
        "--output=here",
        stdout=_failing(terminal, errno.ENOSPC, 0),
    )

    assert done.code == 1
    assert Path(f"here/{job_id}.png").exists()
    assert f"here/{job_id}.png" in done.err


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_history_ends_where_it_cannot_show(service, pictory, number) -> None:
    """It is an error, unless the reader has read enough."""
    for index in range(9):
        service.sandbox.add_image(f"Picture {index}")

    done = pictory("history", stdout=_failing(io.StringIO, number, 1))

    enough = number == errno.EPIPE
    assert done.code == (0 if enough else 1)
    assert ("standard output cannot be written" in done.err) is not enough
    assert service.received("images") == 1


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("lines", range(2))
def test_standard_error_that_fails_is_not_missed(
    service, pictory, number, lines
) -> None:
    """Notes and summaries are dropped; the exit code is that of the jobs."""
    service.sandbox.fail_next()

    done = pictory(
        "generate",
        "A lighthouse",
        "A red bicycle",
        *FAST,
        stderr=_failing(io.StringIO, number, lines),
    )

    assert done.code == 1
    assert len(_saved()) == 1
    assert done.out.count("submitted") == 2


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("generate", "-h")])
def test_a_text_that_cannot_be_shown_is_one_line(pictory, arguments) -> None:
    """Even the help can meet a full disk."""
    done = pictory(*arguments, stdout=_failing(io.StringIO, errno.ENOSPC, 0))

    assert done.code == 1
    assert done.err.startswith("Error: standard output cannot be written (No space")
    assert done.err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_device(service, spawn) -> None:
    """The kernel's own error, and nothing left for Python to flush at the end."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = spawn("generate", "A lighthouse", *FAST, stdout=full)
        _, err = command.communicate(timeout=15)

    (job_id,) = service.sandbox.jobs
    assert command.returncode == 1
    assert f"submitted {job_id} A lighthouse" in err
    assert f"saved pictures/{job_id}.png" in err
    assert "Traceback" not in err
    assert "Exception" not in err


# --- without streams --------------------------------------------------------------

_WITHOUT = """
import sys
{how}
from pictory_async.cli import main
code = main(sys.argv[1:])
open("code", "w").write(str(code))
"""
COMMANDS = [
    ("generate", "A lighthouse", *FAST),
    ("generate", "--json", "A lighthouse", *FAST),
    ("history",),
    ("job", "unknown"),
    ("--version",),
    ("--help",),
    ("generate",),
]
CODES = [0, 0, 0, 1, 0, 0, 2]


@pytest.mark.parametrize(
    ("arguments", "code"),
    list(zip(COMMANDS, CODES, strict=True)),
)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_without_descriptors(service, arguments, code, closed, tmp_path) -> None:
    """A service or a cron job may have none: the command is silent, and works."""
    shell = ["sh", "-c", f'"$@" {closed}', "sh", *COMMAND, *arguments]

    done = subprocess.run(shell, capture_output=True, text=True, check=False)  # noqa: S603 - our own command

    assert done.returncode == code
    assert "Traceback" not in done.stderr
    if "A lighthouse" in arguments:
        assert len(_saved()) == 1


def test_completion_without_standard_output(service, tmp_path) -> None:
    """It is silent, too."""
    shell = ["sh", "-c", '"$@" >&-', "sh", *COMMAND]

    done = subprocess.run(  # noqa: S603 - our own command
        shell,
        env={**os.environ, "_PICTORY_COMPLETE": "zsh_source"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("value", ["None", "closed"])
def test_without_stream_objects(service, stream, value) -> None:
    """As under pythonw, where they are None; or closed by who embeds the command."""
    code = _WITHOUT.format(
        how=f"sys.{stream} = None" if value == "None" else f"sys.{stream}.close()"
    )

    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", code, "generate", "A lighthouse", *FAST],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in done.stderr
    assert len(_saved()) == 1
    expected = "0" if value == "None" or stream == "stderr" else "1"
    assert Path("code").read_text(encoding="utf-8") == expected
