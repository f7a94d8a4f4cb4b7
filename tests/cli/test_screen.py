"""What people see on a terminal."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from pictory_async.cli._screen import Layout
from pictory_async.sandbox import Fault

FAST = ("--poll-every", "0.05")


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """A terminal of 100 columns for a command in this process."""
    for name, value in {"COLUMNS": "100", "LINES": "30", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return FakeTerminal()


def test_shows_what_is_in_progress_and_what_is_over(service, terminal) -> None:
    """Each prompt has its line: first with its state, then with its file."""
    service.do(service.sandbox.hold)
    screen = terminal("generate", "A lighthouse [bold]", "A red bicycle", *FAST)
    screen.read_until("A lighthouse [bold]")
    screen.read_until("in progress")
    screen.read_until("0 of 2 done")

    service.do(service.sandbox.release)

    assert screen.wait() == 0
    for job_id in service.sandbox.jobs:
        assert f"s  pictures/{job_id}.png" in screen.text
    assert "✓ A red bicycle " in screen.text
    assert "2 images, 4 credits, " in screen.text


def test_a_narrow_terminal_keeps_paths_whole(service, terminal) -> None:
    """A path gets a line of its own there."""
    screen = terminal("generate", "A very long prompt " * 5, *FAST, size=(60, 20))

    assert screen.wait() == 0
    (job_id,) = service.sandbox.jobs
    assert f"\n  pictures/{job_id}.png\n" in screen.text
    assert "…" in screen.text


def test_a_dumb_terminal_gets_lines(service, terminal) -> None:
    """Without cursor movements there is no live view."""
    screen = terminal("generate", "A lighthouse", *FAST, TERM="dumb")

    assert screen.wait() == 0
    assert "submitted " in screen.text
    assert "\x1b" not in screen.raw


def test_no_color_is_respected(service, terminal) -> None:
    """The view moves, and has no colors."""
    screen = terminal("generate", "A lighthouse", *FAST, NO_COLOR="1")

    assert screen.wait() == 0
    assert "\x1b[32m" not in screen.raw
    assert "✓ A lighthouse" in screen.text


def test_a_failure_says_why(service, terminal) -> None:
    """The reason stands below its prompt, on one terminal with the rest."""
    service.sandbox.fail_next(message="Too [odd]")
    screen = terminal("generate", "A lighthouse", *FAST)

    assert screen.wait() == 1
    assert "✗ A lighthouse" in screen.text
    assert "Too [odd])" in screen.text
    assert "1 failed" in screen.text


def test_failures_go_to_standard_error_if_that_is_elsewhere(
    service, pictory, stdout
) -> None:
    """The screen shows images; a file gets the errors."""
    service.sandbox.fail_next()

    done = pictory("generate", "A lighthouse", "A red bicycle", *FAST, stdout=stdout)

    assert done.code == 1
    assert done.err.startswith("failed: ")
    assert "✓" in stdout.getvalue()
    assert "✗" not in stdout.getvalue()


def test_more_prompts_than_rows(service, pictory, stdout, monkeypatch) -> None:
    """What does not fit is counted."""
    monkeypatch.setenv("LINES", "8")
    service.sandbox.add_fault(Fault.slow(0.3, on="submit", times=None))

    done = pictory(
        "generate", *(f"Picture {i}" for i in range(9)), *FAST, stdout=stdout
    )

    assert done.code == 0
    assert "  and 6 more" in stdout.getvalue()
    assert stdout.getvalue().count("✓") == 9


def test_tells_what_is_asked_again(service, pictory, stdout) -> None:
    """A service that does not answer is no mystery."""
    service.sandbox.add_fault(Fault.answer(500, on="job", times=4))

    assert pictory("generate", "A lighthouse", *FAST, stdout=stdout).code == 0
    assert "asking again: GET /v1/jobs/" in stdout.getvalue()
    assert "downloading" in stdout.getvalue() or "in progress" in stdout.getvalue()


def test_a_job_is_shown_as_a_card(service, pictory, stdout) -> None:
    """A line for each fact; two jobs have a space between them."""
    pictory("generate", "A lighthouse", "A red bicycle", *FAST, stdout=stdout)
    one, two = service.sandbox.jobs
    stdout.truncate(0)

    assert pictory("job", one, stdout=stdout).code == 0
    assert (
        pictory("job", one, two, "--wait", "--output", "here", stdout=stdout).code == 0
    )

    shown = stdout.getvalue()
    for fact in (one, two, "completed", "1024x1024", f"here/{one}.png"):
        assert fact in shown
    assert Path(f"here/{two}.png").exists()


@pytest.mark.parametrize(("columns", "names"), [(100, 3), (56, 2), (40, 1), (20, 0)])
def test_history_is_a_table(service, pictory, stdout, columns, names) -> None:
    """Columns go as it gets narrow; a prompt is a link, never markup."""
    os.environ["COLUMNS"] = str(columns)  # the fixture puts it back
    service.do(lambda: service.sandbox.add_image("A [red]\x1b[1mlong" + "g" * 99))

    assert pictory("history", stdout=stdout).code == 0

    shown = stdout.getvalue()
    heads = ("CREATED", "MODEL", "SIZE")
    assert [name in shown for name in heads] == [i < names for i in range(3)]
    assert "A [red][1mlongg" in shown
    assert "\x1b]8;" in shown


@pytest.mark.parametrize("width", [10, 30, 60, 80, 200])
def test_lines_fit_their_terminal(width) -> None:
    """Titles take what is left, and never nothing."""
    layout = Layout.fit(width, 120, Path("pictures"))

    assert layout.title >= 4
    assert layout.wide == (width > 80)
    assert width < 40 or 2 + layout.title + 2 + 7 + 2 + 11 < width
