"""Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pictory_async import cli
from pictory_async.sandbox import Fault
from tests.cli.conftest import COMMAND
from tests.cli.terminal import Terminal

FAST = ("--poll-every", "0.05")
IN_PROGRESS = {"job_id": "j1", "success": True, "data": {"status": "in-progress"}}
COMPLETED = {"status": "completed", "url": "https://example.com/a.png"}


def test_ctrl_c_reports_the_jobs_and_how_to_continue(
    service, terminal, pictory
) -> None:
    """On a terminal the view is closed, and the command to continue with works."""
    service.sandbox.hold()
    screen = terminal("generate", "A lighthouse", "A red bicycle", *FAST)
    service.until(lambda: service.received("job") >= 4)

    screen.press_ctrl_c()

    assert screen.wait() == 130
    ids = list(service.sandbox.jobs)
    assert all(f"still in progress: {job_id}" in screen.text for job_id in ids)
    assert "Traceback" not in screen.text
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")
    command = screen.text.replace("\n", "").partition("Continue with: pictory ")[2]
    service.sandbox.release()
    done = pictory(*command.split()[:4], "--output", "pictures")
    assert done.code == 0
    assert done.out.count("completed") == 2


def test_what_is_on_the_wire_gets_its_answer(service, pictory) -> None:
    """A job accepted after the interruption is reported too."""
    service.sandbox.hold()
    service.sandbox.add_fault(Fault.slow(0.3, on="submit"))
    service.interrupt_when(lambda: service.received("submit"))

    done = pictory("generate", "--json", "A lighthouse", *FAST)

    assert done.code == 130
    (job_id,) = service.sandbox.jobs
    assert "press Ctrl-C again to stop at once" in done.err
    assert f"still in progress: {job_id}  A lighthouse" in done.err
    assert f"pictory job {job_id} --wait --output pictures" in done.err
    item = json.loads(done.out)
    assert item["job_id"] == job_id
    assert item["error"]["type"] == "SessionClosedError"


def test_an_unknown_submission_is_not_to_be_repeated_blindly(service, pictory) -> None:
    """A request that was sent and not answered may be paid for."""
    service.sandbox.add_fault(Fault.drop(on="submit", handled=True, delay=0.2))
    service.interrupt_when(lambda: service.received("submit"))

    done = pictory("generate", "A lighthouse", *FAST)

    assert done.code == 130
    assert "failed: A lighthouse: a job may have been created" in done.err
    assert done.err.endswith("before repeating a prompt.\n")


def test_a_second_ctrl_c_ends_it_at_once(service, spawn) -> None:
    """A request that is never answered does not hold it up."""
    service.sandbox.add_fault(Fault.hang(on="submit"))
    command = spawn("generate", "A lighthouse", *FAST)
    service.until(lambda: service.received("submit"))
    command.send_signal(signal.SIGINT)
    assert command.stderr.readline() == "Interrupted.\n"
    before = time.monotonic()

    command.send_signal(signal.SIGINT)

    assert command.wait(timeout=10) == 130
    assert time.monotonic() - before < 3


def test_a_second_ctrl_c_restores_the_cursor(service, terminal) -> None:
    """A terminal is usable after it."""
    service.sandbox.add_fault(Fault.hang(on="submit"))
    screen = terminal("generate", "A lighthouse", *FAST)
    service.until(lambda: service.received("submit"))
    screen.press_ctrl_c()
    screen.read_until("again to")

    screen.press_ctrl_c()

    assert screen.wait() == 130
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")


def test_prompts_that_were_not_sent_are_counted(service, pictory) -> None:
    """Prompts that wait for their turn are withdrawn."""
    service.sandbox.add_fault(Fault.slow(0.3, on="submit", times=None))
    service.interrupt_when(lambda: service.received("submit") >= 32)

    done = pictory("generate", *(f"Picture {index}" for index in range(40)), *FAST)

    assert done.code == 130
    assert done.err.count("still in progress") == len(service.sandbox.jobs) == 32
    assert "Not sent, nothing created: 8 prompts." in done.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_report_the_jobs_too(service, pictory, number) -> None:
    """A container that is shut down or a terminal that is closed loses no id either."""
    service.sandbox.hold()
    service.interrupt_when(lambda: service.received("job"), number)

    done = pictory("generate", "A lighthouse", *FAST)

    assert done.code == 128 + number
    assert next(iter(service.sandbox.jobs)) in done.err


def test_waiting_for_a_job_can_be_interrupted(service, pictory) -> None:
    """The job is reported as still in progress."""
    service.sandbox.answer_job("j1", IN_PROGRESS)
    service.interrupt_when(lambda: service.sandbox.polls("j1") >= 3)

    done = pictory("job", "j1", "--wait", *FAST)

    assert done.code == 130
    assert "still in progress: j1\n" in done.err
    assert done.err.count("Continue with: pictory job j1 --wait\n") == 1


def test_only_jobs_in_progress_are_reported(service, pictory) -> None:
    """A job that has ended needs no continuing."""
    ended = {**IN_PROGRESS, "job_id": "j2", "data": COMPLETED}
    service.sandbox.answer_job("j1", IN_PROGRESS)
    service.sandbox.answer_job("j2", ended)
    service.interrupt_when(lambda: service.sandbox.polls("j1") >= 3)

    done = pictory("job", "j1", "j2", "--wait", *FAST)

    assert done.out.startswith("j2\tcompleted\t")
    assert "Continue with: pictory job j1 --wait\n" in done.err


def test_an_image_that_is_being_saved_is_reported(service, pictory) -> None:
    """Such an image is finished and paid for."""
    service.sandbox.add_fault(Fault.hang(on="file"))
    service.interrupt_when(lambda: service.received("file"))

    done = pictory("generate", "A lighthouse", *FAST)

    assert done.code == 130
    (job_id,) = service.sandbox.jobs
    assert f"not saved yet: {job_id}  A lighthouse" in done.err
    assert f"Continue with: pictory job {job_id} --wait --output pictures" in done.err
    assert "submitted" in done.out
    assert "saved " not in done.out


def test_jobs_of_its_own_sandbox_cannot_be_continued(service, pictory) -> None:
    """These jobs end with the command."""
    err = io.StringIO()
    service.interrupt_when(lambda: "test pictures" in err.getvalue())

    done = pictory("generate", "--sandbox", "A lighthouse", stderr=err)

    assert done.code == 130
    assert "The jobs end with their sandbox." in err.getvalue()
    assert "Continue with" not in err.getvalue()


def test_history_can_be_interrupted(service, pictory) -> None:
    """It ends silently."""
    service.sandbox.add_fault(Fault.hang(on="images"))
    service.interrupt_when(lambda: service.received("images"))

    done = pictory("history")

    assert (done.code, done.out, done.err) == (130, "", "")


def test_goes_on_without_its_terminal_under_nohup(service, tmp_path) -> None:
    """SIGHUP stays ignored; the image is saved, though nobody can be told."""
    service.sandbox.hold()
    shell = [shutil.which("sh") or "sh", "-c", 'trap "" HUP; exec "$@"', "sh"]
    environment = {**os.environ, "TERM": "xterm"}
    command = [*shell, *COMMAND, "generate", "A cat", *FAST]
    screen = Terminal(command, environment, (80, 24))
    screen.read_until("A cat")
    service.until(lambda: service.received("job"))

    screen.hang_up()
    service.sandbox.release()

    assert screen.wait() == 1
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1


def test_signal_handlers_are_restored(service, pictory) -> None:
    """A program that calls the command keeps its own handlers."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    pictory("history")

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_runs_in_any_thread(service, pictory) -> None:
    """A thread that cannot receive signals runs it without."""
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(pictory, "history").result().err == "no images\n"


@pytest.mark.parametrize("where", ["import_module", "_load_and_run"])
def test_an_interruption_while_it_loads_shows_no_traceback(monkeypatch, where) -> None:
    """Loading takes a moment, in which nothing has started."""

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, where, interrupt)
    assert cli.main(["--version"]) == 130
