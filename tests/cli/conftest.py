"""Ways to run the command: in this process, in another one, and on a terminal."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from pictory_async.cli import main
from pictory_async.sandbox import ThreadedSandbox
from tests.cli.terminal import Terminal

COMMAND = (sys.executable, "-m", "pictory_async")


class Service:
    """A sandbox for commands of a test, which may interrupt them."""

    def __init__(self) -> None:
        self.sandbox = ThreadedSandbox(duration=0, pictures=False, page_size=3)
        self._closing = threading.Event()
        self._watchers: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for watcher in self._watchers:
            watcher.join()
        self.sandbox.__exit__(None, None, None)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until *condition* is true, such as that a request has arrived."""
        while not condition():  # the sandbox has no events
            time.sleep(0.005)

    def interrupt_when(
        self, condition: Callable[[], object], number: int = signal.SIGINT
    ) -> None:
        """Send this process a signal as soon as *condition* is true."""

        def watch() -> None:
            while not self._closing.wait(0.005):
                if condition():
                    os.kill(os.getpid(), number)
                    return

        self._watchers.append(threading.Thread(target=watch))
        self._watchers[-1].start()

    def received(self, kind: str) -> int:
        """Return how many requests of a kind have arrived."""
        return sum(request.kind == kind for request in self.sandbox.requests)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that direct the command to it."""
        return {
            "PICTORY_API_KEY": self.sandbox.api_key,
            "PICTORY_API_BASE_URL": self.sandbox.base_url,
        }


@pytest.fixture
def service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _clean_environment: None
) -> Iterator[Service]:
    """A service whose jobs end at once, for commands in this process."""
    monkeypatch.chdir(tmp_path)
    with Service() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


class Result:
    """The exit code and output of a command in this process."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.lines = out.splitlines()


@pytest.fixture
def pictory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run the command in this process, with the streams given."""

    def run(*arguments: str, **streams: io.StringIO) -> Result:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            code = main(arguments)
        return Result(code, *capsys.readouterr())

    return run


def standard_input(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    """Make *text* the standard input of the next command."""
    data = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.fixture
def spawn(service: Service) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in a process of its own, with pipes."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **options) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen([*COMMAND, *arguments], text=True, **pipes)  # noqa: S603
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def terminal(service: Service) -> Iterator[Callable[..., Terminal]]:
    """Start the command on a terminal of its own."""
    started: list[Terminal] = []

    def start(*arguments: str, size=(100, 30), **environment: str) -> Terminal:
        settings = {**os.environ, "TERM": "xterm-256color", **environment}
        for name in ("COLUMNS", "LINES"):
            settings.pop(name, None)
        started.append(Terminal([*COMMAND, *arguments], settings, size))
        return started[-1]

    yield start
    for each in started:
        each.close()
