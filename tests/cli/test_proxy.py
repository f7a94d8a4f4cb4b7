"""``--proxy``: the way of every command that sends something."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Service

FAST = ("--poll-every", "0.05")


@pytest.fixture
def proxy(service: Service, monkeypatch) -> str:
    """A proxy that stands in for a service which is nowhere else."""
    monkeypatch.setenv("PICTORY_API_BASE_URL", "http://127.0.0.1:9/pictoryapis")
    return service.sandbox.base_url.removesuffix("/pictoryapis")


def test_every_command_goes_through_it(service, pictory, proxy) -> None:
    """Submissions, polls, pages and files."""
    Path("prompts.txt").write_text("A red bicycle\n", encoding="utf-8")

    done = pictory("generate", "A lighthouse", "--proxy", proxy, *FAST)
    assert done.code == 0
    (job_id,) = service.sandbox.jobs
    assert pictory("job", job_id, "--proxy", proxy).code == 0
    assert len(pictory("history", "--proxy", proxy, "-o", "here").lines) == 1
    assert pictory("batch", "prompts.txt", "--proxy", proxy, *FAST).code == 0
    assert len(service.sandbox.jobs) == 2


def test_without_it_there_is_no_way(service, pictory, proxy) -> None:
    """The counterpart of the test above."""
    done = pictory("history")

    assert done.code == 1
    assert "cannot connect" in done.err


@pytest.mark.parametrize("command", ["generate", "job", "history", "batch", "check"])
def test_a_password_on_the_command_line_is_refused(service, pictory, command) -> None:
    """And not repeated."""
    argument = [] if command in {"history", "check"} else ["something"]

    done = pictory(command, *argument, "--proxy", "http://u:s3cret@localhost:1")

    assert done.code == 2
    assert "set $HTTPS_PROXY" in done.err
    assert "s3cret" not in done.err


def test_a_proxy_that_cannot_be_used_is_misuse(service, pictory) -> None:
    """Nothing is sent."""
    done = pictory("generate", "A lighthouse", "--proxy", "socks5://localhost:1")

    assert done.code == 2
    assert "SOCKS" in done.err
    assert service.received("submit") == 0


@pytest.mark.parametrize("command", ["batch prompts.txt", "generate something"])
def test_it_is_resumed_through_it(service, pictory, proxy, command) -> None:
    """The command that an interrupted one prints names the proxy, too."""
    Path("prompts.txt").write_text("A red bicycle\n", encoding="utf-8")
    service.sandbox.hold()
    service.interrupt_when(lambda: service.received("job"))

    done = pictory(*command.split(), "--proxy", proxy, *FAST)

    assert done.code == 130
    resume = done.err.partition("Continue with: pictory ")[2].splitlines()[0]
    assert f"--proxy {proxy}" in resume
    service.sandbox.release()
    assert pictory(*resume.split(), *FAST).code == 0
