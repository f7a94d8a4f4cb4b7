"""Live progress on a terminal."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from pictory_async.cli._items import Item
from pictory_async.cli._log import LogHandler
from pictory_async.cli._output import LineWriter
from pictory_async.cli._screen import Layout, LiveView, Screen
from pictory_async.cli._views import LineView
from pictory_async.sandbox import Fault
from tests.cli.terminal import FakeTerminal

FAST = ("--poll-every", "0.05")


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """A terminal of 100 columns for a command in this process."""
    for name, value in {"COLUMNS": "100", "LINES": "30", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return FakeTerminal()


def test_shows_what_is_in_progress_and_what_has_ended(service, terminal) -> None:
    """Each prompt has its line: first with its state, then with its file."""
    service.sandbox.hold()
    screen = terminal("generate", "A lighthouse [bold]", "A red bicycle", *FAST)
    screen.read_until("A lighthouse [bold]")
    screen.read_until("submitted")
    screen.read_until("0 of 2 done")

    service.sandbox.release()

    assert screen.wait() == 0
    for job_id in service.sandbox.jobs:
        assert f"s  pictures/{job_id}.png" in screen.text
    assert "✓ A red bicycle " in screen.text
    assert "2 images, 4 credits, " in screen.text


def test_a_narrow_terminal_keeps_paths_whole(service, terminal) -> None:
    """A path gets a line of its own."""
    screen = terminal("generate", "A very long prompt " * 5, *FAST, size=(60, 20))

    assert screen.wait() == 0
    (job_id,) = service.sandbox.jobs
    assert f"\n  pictures/{job_id}.png\n" in screen.text
    assert "…" in screen.text


def test_a_dumb_terminal_gets_lines(service, terminal) -> None:
    """A terminal that cannot move the cursor gets no live view."""
    screen = terminal("generate", "A lighthouse", *FAST, TERM="dumb")

    assert screen.wait() == 0
    assert "submitted " in screen.text
    assert "\x1b" not in screen.raw


def test_no_color_is_respected(service, terminal) -> None:
    """The live view has no colors then."""
    screen = terminal("generate", "A lighthouse", *FAST, NO_COLOR="1")

    assert screen.wait() == 0
    assert "\x1b[32m" not in screen.raw
    assert "✓ A lighthouse" in screen.text


def test_a_failure_says_why(service, terminal) -> None:
    """The reason stands below its prompt."""
    service.sandbox.fail_next(message="Too [odd]")
    screen = terminal("generate", "A lighthouse", *FAST)

    assert screen.wait() == 1
    assert "✗ A lighthouse" in screen.text
    assert "Too [odd])" in screen.text
    assert "1 failed" in screen.text


def test_what_was_not_sent_is_no_failure_of_the_service(service, terminal) -> None:
    """It is amber, and nothing was paid."""
    screen = terminal("generate", "no", *FAST)

    assert screen.wait() == 1
    assert "\x1b[33mnot sent" in screen.raw
    assert "\x1b[31m" not in screen.raw


def test_failures_go_to_standard_error_if_it_is_redirected(
    service, pictory, stdout
) -> None:
    """The screen shows the images, the file gets the errors."""
    service.sandbox.fail_next()

    done = pictory("generate", "A lighthouse", "A red bicycle", *FAST, stdout=stdout)

    assert done.code == 1
    assert done.err.startswith("failed: ")
    assert "✓" in stdout.getvalue()
    assert "✗" not in stdout.getvalue()


def test_more_prompts_than_rows(service, pictory, stdout, monkeypatch) -> None:
    """Prompts that do not fit are counted."""
    monkeypatch.setenv("LINES", "8")
    service.sandbox.add_fault(Fault.slow(0.3, on="submit", times=None))

    done = pictory(
        "generate", *(f"Picture {i}" for i in range(9)), *FAST, stdout=stdout
    )

    assert done.code == 0
    assert "  and 6 more" in stdout.getvalue()
    assert stdout.getvalue().count("✓") == 9


def test_shows_what_is_retried(service, pictory, stdout) -> None:
    """The reason why nothing moves is shown."""
    service.sandbox.add_fault(Fault.answer(500, on="job", times=4))

    assert pictory("generate", "A lighthouse", *FAST, stdout=stdout).code == 0
    assert "retrying: GET /v1/jobs/" in stdout.getvalue()
    assert "downloading" in stdout.getvalue() or "submitted" in stdout.getvalue()


def test_a_job_is_shown_as_a_card(service, pictory, stdout) -> None:
    """Each fact has a line; a blank line separates two jobs."""
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


@pytest.mark.parametrize(
    ("columns", "names"), [(120, 4), (100, 3), (80, 2), (40, 1), (20, 0)]
)
def test_history_is_a_table(service, pictory, stdout, columns, names) -> None:
    """A narrow table leaves out columns; a prompt is a link, never markup."""
    os.environ["COLUMNS"] = str(columns)  # the fixture puts it back
    service.sandbox.add_image("A [red]\x1b[1mlong" + "g" * 99)

    assert pictory("history", stdout=stdout).code == 0

    shown = stdout.getvalue()
    heads = ("CREATED", "ID", "MODEL", "SIZE")
    assert [f"{name} " in shown for name in heads] == [i < names for i in range(4)]
    assert (f"  {service.sandbox.images[0].id}  " in shown) == (names > 1)
    assert "A [red][1mlongg" in shown
    assert "\x1b]8;" in shown


@pytest.mark.parametrize("width", [10, 30, 60, 80, 200])
def test_lines_fit_their_terminal(width) -> None:
    """Titles take the columns that are left, and always some."""
    layout = Layout.fit(width, 120, Path("pictures"))

    assert layout.title >= 4
    assert layout.wide == (width > 80)
    assert width < 40 or 2 + layout.title + 2 + 7 + 2 + 11 < width


@pytest.mark.looptime
async def test_a_row_is_not_shown_as_saved_and_in_progress_at_once() -> None:
    """What is drawn below a new line is the state of that moment."""
    out = FakeTerminal()
    writer = LineWriter(out)
    items = [Item("A lighthouse"), Item("A red bicycle")]
    plain, log = LineView(print, writer), LogHandler(writer, verbose=False)
    screen = Screen(items, out=writer, err=writer, plain=plain, folder=None, log=log)
    screen.console = Console(file=out, force_terminal=True, width=80)

    async with screen:
        await asyncio.sleep(0.05)
        drawn = len(out.getvalue())
        items[0].path, items[0].ended = Path("a.png"), items[0].started
        screen.ended(items[0])
        text = out.getvalue()[drawn:]

    assert text.count("A lighthouse") == 1
    assert text.count("A red bicycle") == 1


@pytest.mark.looptime
async def test_a_live_view_is_redrawn_while_it_is_open() -> None:
    """It is drawn at once and at each interval; once closed, its task has ended."""
    drawn: list[float] = []
    loop = asyncio.get_running_loop()

    class Example(LiveView[object]):
        """A view of one line."""

        def ended(self, shown) -> None:
            """Do nothing."""

        def summarize(self, lines) -> None:
            """Do nothing."""

        def render(self) -> Text:
            """Record the time."""
            drawn.append(loop.time())
            return Text("so far")

    before = asyncio.all_tasks()
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=40)
    async with Example(0.5, console):
        await asyncio.sleep(1.2)
        names = {task.get_name() for task in asyncio.all_tasks() - before}
    assert names == {"pictory-screen"}
    assert asyncio.all_tasks() == before
    assert {0.0, 0.5, 1.0} <= {round(moment - drawn[0], 3) for moment in drawn}
    # The last line is empty: that is where a terminal echoes ^C.
    assert "so far" in out.getvalue().replace("\r", "").split("\n")[0]
    assert out.getvalue().count("\n") > 0


class Counter(LiveView[int]):
    """A view of a number."""

    number = 1

    def render(self) -> Text:
        """Return the number."""
        return Text(f"frame {self.number}")

    def ended(self, number: int) -> None:
        """Print a number."""
        self.print(Text(f"ended {number}"))

    def summarize(self, lines) -> None:
        """Show nothing."""


async def test_what_has_ended_is_not_shown_in_progress_as_well() -> None:
    """The frame below a line that is printed is that of this moment."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=40, height=10)
    async with Counter(60.0, console) as view:
        await asyncio.sleep(0)  # lets it draw the first frame
        assert "frame 1" in out.getvalue()
        view.number = 2

        view.ended(1)

    assert "ended 1" in out.getvalue()
    assert "frame 2" in out.getvalue()
    assert "frame 1" not in out.getvalue().partition("ended 1")[2]
