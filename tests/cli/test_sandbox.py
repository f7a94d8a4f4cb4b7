"""``pictory sandbox``."""

from __future__ import annotations

import io
import json
import re
import signal

import pytest

FAST = ("--poll-every", "0.05")


@pytest.fixture
def running(spawn, monkeypatch):
    """Start a sandbox with options, and direct the environment to it."""

    def start(*options: str):
        process = spawn("sandbox", *options)
        for _ in range(2):
            name, _, value = process.stdout.readline().strip().partition("=")
            monkeypatch.setenv(name.removeprefix("export "), value)
        return process

    return start


def test_serves_until_ctrl_c(running, pictory) -> None:
    """Its standard output sets the environment of another command."""
    running()

    assert pictory("history").err == "no images\n"


def test_ctrl_c_is_the_normal_end(service, pictory) -> None:
    """The exit code is 0."""
    out = io.StringIO()
    service.interrupt_when(lambda: out.getvalue().count("export ") == 2)

    done = pictory("sandbox", stdout=out)

    assert done.code == 0
    assert "Ctrl-C stops it" in done.err


def test_a_taken_port_is_one_line(service, pictory) -> None:
    """The line says what is wrong, without a traceback."""
    port = service.sandbox.base_url.split(":")[2].partition("/")[0]

    done = pictory("sandbox", "--port", port)

    assert done.code == 1
    assert "in use" in done.err


def test_verbose_shows_each_request(running, pictory) -> None:
    """A line has the time, the request, the answer, and a prompt made harmless."""
    sandbox = running("--verbose", "--duration", "0")

    pictory("generate", "A \x1b[1mlighthouse", *FAST)
    sandbox.send_signal(signal.SIGINT)

    _, err = sandbox.communicate(timeout=10)
    lines = [line for line in err.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    submit, *polls, file = (line.partition(" ")[2] for line in lines)
    assert submit == "200 POST /v1/aistudio/images A [1mlighthouse"
    assert all(re.fullmatch(r"200 GET /v1/jobs/\S+ [a-z-]+", each) for each in polls)
    assert re.fullmatch(r"200 GET /images/user/\S+\.png", file)


def test_is_silent_otherwise(running, pictory) -> None:
    """Requests are not shown unasked."""
    sandbox = running("--duration", "0")

    pictory("history")
    sandbox.send_signal(signal.SIGINT)

    assert "GET" not in sandbox.communicate(timeout=10)[1]


def test_an_allowance_ends(running, pictory) -> None:
    """What it does not cover fails as it is documented."""
    running("--duration", "0", "--credits", "4")

    done = pictory("generate", "--count", "3", "A lighthouse", *FAST)

    assert done.code == 1
    assert "INSUFFICIENT_CREDITS" in done.err
    assert "2 images, 4 credits, 1 failed" in done.err


def test_jobs_fail_and_take_their_time(running, pictory) -> None:
    """All of them, with a rate of 1."""
    running("--duration", "0.3-0.4", "--failure-rate", "1")

    done = pictory("generate", "--json", "A lighthouse", *FAST)

    assert done.code == 1
    assert json.loads(done.out)["error"]["code"] == "IMAGE_GENERATION_FAILED"


def test_a_throttle_answers_429(running, pictory) -> None:
    """The client slows down; nothing is lost."""
    sandbox = running("-v", "--throttle", "0.5")

    assert pictory("history").code == 0
    done = pictory("history", "-v")
    sandbox.send_signal(signal.SIGINT)

    assert done.code == 0
    assert "429" in done.err
    assert "429 GET /v1/aistudio/images" in sandbox.communicate(timeout=10)[1]


@pytest.mark.parametrize(
    "options",
    [
        ("--duration", "soon"),
        ("--duration", "-1"),
        ("--duration", "3-1"),
        ("--duration", "nan"),
        ("--duration", "1-inf"),
        ("--credits", "0"),
        ("--credits", "many"),
        ("--failure-rate", "1.1"),
        ("--failure-rate", "-0.1"),
        ("--throttle", "0"),
    ],
)
def test_refuses_odd_options(pictory, options) -> None:
    """The option is named."""
    done = pictory("sandbox", *options)

    assert done.code == 2
    assert options[0] in done.err
