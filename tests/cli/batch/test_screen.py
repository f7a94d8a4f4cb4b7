"""What people see of a batch on a terminal."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from pictory_async import BatchProgress
from pictory_async.cli._batch import screen as _batch_screen
from pictory_async.cli._batch.screen import BatchScreen, Watched
from pictory_async.cli._log import listening
from pictory_async.cli._output import remarks
from tests.cli.batch.test_sheet import entry, failed

FAST = ("--poll-every", "0.05")


class Clock:
    """A time that is set."""

    now = 100.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch):
    """Return a function that shows a screen of some size after some entries."""
    clock = Clock()

    def show(
        *entries, columns: int = 100, rows: int = 24, encoding: str = "utf-8", **watched
    ) -> list[str]:
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        console = Console(file=out, width=columns, height=rows, force_terminal=True)
        monkeypatch.setattr(_batch_screen, "make_console", lambda: console)
        progress = BatchProgress(
            completed=40, failed=3, unknown=1, credits_used=Decimal("1234.6")
        )
        with listening(remarks(), verbose=False) as listener:
            screen = BatchScreen(
                Watched(
                    total=1000,
                    folder=Path("out"),
                    listener=listener,
                    progress=lambda: progress,
                    in_flight=lambda: 50,
                    **watched,
                ),
                clock,
            )
            for each in entries:
                clock.now += 0.5
                screen.over(each)
            lines = console.render_lines(screen.render(), pad=False)
        return ["".join(part.text for part in line).rstrip() for line in lines]

    return show


def test_shows_how_far_it_is(look) -> None:
    """Rate, what is left, and credits; what ended last stands below."""
    shown = look(*(entry(n) for n in range(1, 8)), failed(8), ceiling=Decimal(2000))

    text = "\n".join(shown)
    assert "4%  44 of 1,000" in text
    for figure in (
        "rate      2.0/s",
        "time      0:04",
        "left      7:58",
        "credits   1,234.6",
        "ceiling   2,000",
        "in flight 50",
        "failed    3",
        "unknown   1",
    ):
        assert figure in text
    assert [line.split()[:2] for line in shown[-5:]] == [
        *(["✓", str(n)] for n in range(4, 8)),
        ["✗", "8"],
    ]


@pytest.mark.parametrize("columns", [40, 58, 76, 200])
def test_fits_its_terminal(look, columns) -> None:
    """No line is wrapped."""
    many = [entry(n, prompt="A long prompt " * 30) for n in range(1, 8)]

    shown = look(*many, columns=columns)

    assert max(map(len, shown)) <= columns
    assert "in flight" in "\n".join(shown)


@pytest.mark.parametrize("rows", [7, 10, 12])
def test_a_low_terminal_gets_fewer_lines(look, rows) -> None:
    """The bar and the figures go first."""
    shown = look(*(entry(n) for n in range(1, 8)), rows=rows)

    assert len(shown) <= max(rows, 5)
    assert "of 1,000" in shown[0]


def test_a_terminal_without_unicode_gets_ascii(look) -> None:
    """Marks and bar."""
    assert "\n".join(look(entry(1), failed(2), encoding="ascii")).isascii()


def test_a_prompt_is_no_markup(look) -> None:
    """And it cannot move the cursor."""
    shown = "\n".join(look(entry(1, prompt="A [red]cat[/red] \x1b[2J\r here")))

    assert "A [red]cat[/red] [2J here" in shown


def test_a_batch_on_a_terminal(service, terminal) -> None:
    """A live region, then the summary; the cursor comes back."""
    service.sandbox.fail_next(code="CONTENT_POLICY", message="Too [odd]")
    Path("p.txt").write_text("A lighthouse\nA red bicycle\n", encoding="utf-8")
    service.do(service.sandbox.hold)
    screen = terminal("batch", "p.txt", *FAST)
    screen.read_until("0 of 2")
    screen.read_until("in flight 2")

    service.do(service.sandbox.release)

    assert screen.wait() == 1
    assert "1 image, 2 credits, 1 failed" in screen.text
    assert "1 x JobFailedError CONTENT_POLICY (line " in screen.text
    assert "contact sheet: pictures/index.html" in screen.text
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")


def test_ctrl_c_on_a_terminal(service, terminal) -> None:
    """What is told stands below the region, and the cursor comes back."""
    Path("p.txt").write_text("A lighthouse\nA red bicycle\n", encoding="utf-8")
    service.do(service.sandbox.hold)
    screen = terminal("batch", "p.txt", *FAST)
    screen.read_until("in flight 2")

    screen.press_ctrl_c()

    assert screen.wait() == 130
    assert "2 jobs in progress go on at the service.\n" in screen.text
    assert "Go on with: pictory batch p.txt --poll-every 0.05\n" in screen.text
    assert "Traceback" not in screen.text
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")


def test_failures_go_to_standard_error_if_that_is_elsewhere(
    service, pictory, monkeypatch
) -> None:
    """A file gets each of them, the screen their causes."""

    class FakeTerminal(io.StringIO):
        """A stream that says it is a terminal."""

        def isatty(self) -> bool:
            """Say so."""
            return True

    monkeypatch.setenv("TERM", "xterm")
    service.sandbox.fail_next(code="CONTENT_POLICY")
    Path("p.txt").write_text("A lighthouse\n", encoding="utf-8")
    out = FakeTerminal()

    done = pictory("batch", "p.txt", *FAST, stdout=out)

    assert done.code == 1
    assert done.err.startswith("failed: line 1: A lighthouse: ")
    assert "CONTENT_POLICY (line 1)" in out.getvalue()
