"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import io
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pictory_async import cli
from pictory_async.sandbox import Fault

FAST = ("--poll-every", "0.05")
IN_PROGRESS = {"job_id": "j1", "success": True, "data": {"status": "in-progress"}}
COMPLETED = {"status": "completed", "url": "https://example.com/a.png"}


def test_ctrl_c_tells_the_jobs_and_how_to_go_on(service, terminal, pictory) -> None:
    """On a terminal the view is closed, and the command to go on with works."""
    service.do(service.sandbox.hold)
    screen = terminal("generate", "A lighthouse", "A red bicycle", *FAST)
    service.until(lambda: service.asked("job") >= 4)

    screen.press_ctrl_c()

    assert screen.wait() == 130
    ids = list(service.sandbox.jobs)
    assert all(f"still in progress: {job_id}" in screen.text for job_id in ids)
    assert "Traceback" not in screen.text
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")
    hint = screen.text.replace("\n", "").partition("Go on with: pictory ")[2]
    service.do(service.sandbox.release)
    done = pictory(*hint.split()[:4], "--output", "pictures")
    assert done.code == 0
    assert done.out.count("completed") == 2


def test_what_is_on_the_wire_gets_its_answer(service, pictory) -> None:
    """A job accepted after the interruption is told too."""
    service.do(service.sandbox.hold)
    service.sandbox.add_fault(Fault.slow(0.3, on="submit"))
    service.interrupt_when(lambda: service.asked("submit"))

    done = pictory("generate", "--json", "A lighthouse", *FAST)

    assert done.code == 130
    (job_id,) = service.sandbox.jobs
    assert "Ctrl-C again ends this at once" in done.err
    assert f"still in progress: {job_id}  A lighthouse" in done.err
    assert f"pictory job {job_id} --wait --output pictures" in done.err
    told = json.loads(done.out)
    assert told["job_id"] == job_id
    assert told["error"]["type"] == "SessionClosedError"


def test_an_open_submission_is_not_to_be_repeated_blindly(service, pictory) -> None:
    """What was sent and not answered may be paid for."""
    service.sandbox.add_fault(Fault.drop(on="submit", handled=True, delay=0.2))
    service.interrupt_when(lambda: service.asked("submit"))

    done = pictory("generate", "A lighthouse", *FAST)

    assert done.code == 130
    assert "failed: A lighthouse: its job may have been created" in done.err
    assert done.err.endswith("before you repeat a prompt.\n")


def test_a_second_ctrl_c_ends_it_at_once(service, spawn) -> None:
    """Nobody waits for a request that is never answered."""
    service.sandbox.add_fault(Fault.hang(on="submit"))
    command = spawn("generate", "A lighthouse", *FAST)
    service.until(lambda: service.asked("submit"))
    command.send_signal(signal.SIGINT)
    assert command.stderr.readline() == "Interrupted.\n"
    before = time.monotonic()

    command.send_signal(signal.SIGINT)

    assert command.wait(timeout=10) == 130
    assert time.monotonic() - before < 3


def test_a_second_ctrl_c_gives_the_cursor_back(service, terminal) -> None:
    """On a terminal as well."""
    service.sandbox.add_fault(Fault.hang(on="submit"))
    screen = terminal("generate", "A lighthouse", *FAST)
    service.until(lambda: service.asked("submit"))
    screen.press_ctrl_c()
    screen.read_until("again ends this")

    screen.press_ctrl_c()

    assert screen.wait() == 130
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")


def test_prompts_that_were_not_sent_are_counted(service, pictory) -> None:
    """Those that wait for their turn are withdrawn."""
    service.sandbox.add_fault(Fault.slow(0.3, on="submit", times=None))
    service.interrupt_when(lambda: service.asked("submit") >= 32)

    done = pictory("generate", *(f"Picture {index}" for index in range(40)), *FAST)

    assert done.code == 130
    assert done.err.count("still in progress") == len(service.sandbox.jobs) == 32
    assert "8 prompts not sent, nothing created." in done.err


def test_sigterm_is_143(service, pictory) -> None:
    """The shutdown of a container loses no id either."""
    service.do(service.sandbox.hold)
    service.interrupt_when(lambda: service.asked("job"), signal.SIGTERM)

    done = pictory("generate", "A lighthouse", *FAST)

    assert done.code == 143
    assert next(iter(service.sandbox.jobs)) in done.err


def test_waiting_for_a_job_can_be_interrupted(service, pictory) -> None:
    """The job is told as one that goes on."""
    service.do(lambda: service.sandbox.answer_job("j1", IN_PROGRESS))
    service.interrupt_when(lambda: service.sandbox.polls("j1") >= 3)

    done = pictory("job", "j1", "--wait", *FAST)

    assert done.code == 130
    assert "still in progress: j1\n" in done.err
    assert done.err.count("Go on with: pictory job j1 --wait\n") == 1


def test_only_what_was_left_is_told(service, pictory) -> None:
    """A job that has ended needs no going on with."""
    ended = {**IN_PROGRESS, "job_id": "j2", "data": COMPLETED}
    service.do(lambda: service.sandbox.answer_job("j1", IN_PROGRESS))
    service.do(lambda: service.sandbox.answer_job("j2", ended))
    service.interrupt_when(lambda: service.sandbox.polls("j1") >= 3)

    done = pictory("job", "j1", "j2", "--wait", *FAST)

    assert done.out.startswith("j2\tcompleted\t")
    assert "Go on with: pictory job j1 --wait\n" in done.err


def test_an_image_that_is_being_saved_is_told(service, pictory) -> None:
    """It is finished, and paid for."""
    service.sandbox.add_fault(Fault.hang(on="file"))
    service.interrupt_when(lambda: service.asked("file"))

    done = pictory("generate", "A lighthouse", *FAST)

    assert done.code == 130
    (job_id,) = service.sandbox.jobs
    assert f"not saved yet: {job_id}  A lighthouse" in done.err
    assert f"Go on with: pictory job {job_id} --wait --output pictures" in done.err
    assert "submitted" in done.out
    assert "saved " not in done.out


def test_the_jobs_of_its_own_sandbox_are_not_promised(service, pictory) -> None:
    """They end with the command."""
    err = io.StringIO()
    service.interrupt_when(lambda: "test pictures" in err.getvalue())

    done = pictory("generate", "--sandbox", "A lighthouse", stderr=err)

    assert done.code == 130
    assert "The jobs of its sandbox end with it." in err.getvalue()
    assert "Go on with" not in err.getvalue()


def test_history_can_be_interrupted(service, pictory) -> None:
    """It ends without a word."""
    service.sandbox.add_fault(Fault.hang(on="images"))
    service.interrupt_when(lambda: service.asked("images"))

    done = pictory("history")

    assert (done.code, done.out, done.err) == (130, "", "")


def test_handlers_are_put_back(service, pictory) -> None:
    """A program that calls the command keeps its own."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    pictory("history")

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_runs_in_any_thread(service, pictory) -> None:
    """Where signals cannot be heard, it goes without."""
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(pictory, "history").result().err == "no images\n"


@pytest.mark.parametrize("where", ["import_module", "_begin"])
def test_interrupted_while_it_loads_it_shows_no_traceback(monkeypatch, where) -> None:
    """Which takes a moment, in which nothing has begun."""

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, where, interrupt)
    assert cli.main(["--version"]) == 130
