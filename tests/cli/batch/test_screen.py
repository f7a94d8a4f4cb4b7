"""A batch on a terminal."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from pictory_async import BatchProgress
from pictory_async.cli._batch.screen import BatchScreen, RunStatus
from pictory_async.cli._log import capture_log
from pictory_async.cli._output import stderr
from tests.cli.batch.test_sheet import entry, failed
from tests.cli.terminal import FakeTerminal

FAST = ("--poll-every", "0.05")


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def show():
    """Return a function that renders a screen of some size after some entries."""
    clock = Clock()

    def render(
        *entries, columns: int = 100, rows: int = 24, encoding: str = "utf-8", **status
    ) -> list[str]:
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        console = Console(file=out, width=columns, height=rows, force_terminal=True)
        progress = BatchProgress(
            completed=40, failed=3, unknown=1, credits_used=Decimal("1234.6")
        )
        with capture_log(stderr(), verbose=False) as log:
            screen = BatchScreen(
                RunStatus(
                    total=1000,
                    folder=Path("out"),
                    log=log,
                    progress=lambda: progress,
                    in_flight=lambda: 50,
                    **status,
                ),
                clock,
                console,
            )
            for each in entries:
                clock.now += 0.5
                screen.ended(each)
            lines = console.render_lines(screen.render(), pad=False)
        return ["".join(part.text for part in line).rstrip() for line in lines]

    return render


def test_shows_how_far_it_is(show) -> None:
    """Rate, remaining time and credits are shown; what ended last stands below."""
    shown = show(*(entry(n) for n in range(1, 8)), failed(8), ceiling=Decimal(2000))

    text = "\n".join(shown)
    assert "4%  44 of 1,000" in text
    for figure in (
        "rate      2.0/s",
        "elapsed   0:04",
        "left      7:58",
        "credits   1,234.6",
        "ceiling   2,000",
        "in flight 50",
        "failed    3",
        "unknown   1",
    ):
        assert figure in text
    assert [line.split()[:3] for line in shown[-5:]] == [
        *(["✓", "line", str(n)] for n in range(4, 8)),
        ["✗", "line", "8"],
    ]


def test_what_was_not_sent_has_not_failed(show) -> None:
    """It has a figure of its own, and is taken from the library's."""
    why = {"type": "BudgetExceededError", "message": "too little"}

    shown = "\n".join(show(failed(1), failed(2, state="not-sent", error=why)))

    assert "failed    2" in shown
    assert "not sent  1" in shown
    assert "- line 2      not sent: too little" in shown


@pytest.mark.parametrize("columns", [40, 58, 76, 200])
def test_fits_its_terminal(show, columns) -> None:
    """No line is wider than the terminal."""
    many = [entry(n, prompt="A long prompt " * 30) for n in range(1, 8)]

    shown = show(*many, columns=columns)

    assert max(map(len, shown)) <= columns
    assert "in flight" in "\n".join(shown)


@pytest.mark.parametrize("rows", [7, 10, 12])
def test_a_low_terminal_gets_fewer_lines(show, rows) -> None:
    """The bar and the figures have priority."""
    shown = show(*(entry(n) for n in range(1, 8)), rows=rows)

    assert len(shown) <= max(rows, 5)
    assert "of 1,000" in shown[0]


def test_a_terminal_without_unicode_gets_ascii(show) -> None:
    """Marks and bar are ASCII."""
    assert "\n".join(show(entry(1), failed(2), encoding="ascii")).isascii()


def test_a_prompt_is_not_markup(show) -> None:
    """A prompt can neither set colors nor move the cursor."""
    shown = "\n".join(show(entry(1, prompt="A [red]cat[/red] \x1b[2J\r here")))

    assert "A [red]cat[/red] [2J here" in shown


def test_a_batch_on_a_terminal(service, terminal) -> None:
    """Live progress is followed by the summary; the cursor is restored."""
    service.sandbox.fail_next(code="CONTENT_POLICY", message="Too [odd]")
    Path("p.txt").write_text("A lighthouse\nA red bicycle\n", encoding="utf-8")
    service.sandbox.hold()
    screen = terminal("batch", "p.txt", *FAST)
    screen.read_until("0 of 2")
    screen.read_until("in flight 2")

    service.sandbox.release()

    assert screen.wait() == 1
    assert "1 image, 2 credits, 1 failed" in screen.text
    assert "1 x JobFailedError CONTENT_POLICY (line " in screen.text
    assert "contact sheet: pictures/index.html" in screen.text
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")


def test_ctrl_c_on_a_terminal(service, terminal) -> None:
    """The report replaces the live progress, and the cursor is restored."""
    Path("p.txt").write_text("A lighthouse\nA red bicycle\n", encoding="utf-8")
    service.sandbox.hold()
    screen = terminal("batch", "p.txt", *FAST)
    screen.read_until("in flight 2")

    screen.press_ctrl_c()

    assert screen.wait() == 130
    assert "2 jobs in progress continue at the service.\n" in screen.text
    assert "Continue with: pictory batch p.txt --poll-every 0.05\n" in screen.text
    assert "Traceback" not in screen.text
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")


def test_failures_go_to_standard_error_if_it_is_redirected(
    service, pictory, monkeypatch
) -> None:
    """The file gets each failure, the screen their causes."""
    monkeypatch.setenv("TERM", "xterm")
    service.sandbox.fail_next(code="CONTENT_POLICY")
    Path("p.txt").write_text("A lighthouse\n", encoding="utf-8")
    out = FakeTerminal()

    done = pictory("batch", "p.txt", *FAST, stdout=out)

    assert done.code == 1
    assert done.err.startswith("failed: line 1: A lighthouse: ")
    assert "CONTENT_POLICY (line 1)" in out.getvalue()
