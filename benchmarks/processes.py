"""The processes of a measurement: the server and a worker, each on its core."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode

HERE: Final = Path(__file__).parent
UNUSABLE: Final = 3  # a worker's exit code


class WorkerError(Exception):
    """A worker failed or was not done in time; the message says why."""


def pin(role: Literal["client", "server"]) -> None:
    """Keep this process to the first core, or the server to the last."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[0] if role == "client" else cores[-1]})


class UnusableError(WorkerError):
    """A client cannot be measured at all here; the message says why."""


class Control:
    """Speaks to the server about the measurement; blocks, so never while measuring."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.base_url = f"http://{host}"

    def reset(self, **settings: float) -> None:
        """Begin a measurement; see `benchmarks.server`."""
        self._ask("POST", f"/control/reset?{urlencode(settings)}")

    def stats(self) -> dict[str, Any]:
        """Return what the server has seen since the reset."""
        return dict(self._ask("GET", "/control/stats"))

    def _ask(self, method: str, target: str) -> Any:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, target)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def server() -> Iterator[str]:
    """Run the mock server in a process of its own; yield its host and port."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.kill()


def work(task: dict[str, Any], *, patience: float) -> dict[str, Any]:
    """Run one task in a fresh process and return its figures.

    Raises:
        UnusableError: The client can do nothing of that kind.
        WorkerError: It failed, or was not done in *patience* seconds.
    """
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.worker"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [*command, json.dumps(task)],
            cwd=HERE.parent,
            stdout=subprocess.PIPE,
            stderr=None if task.get("profile") else subprocess.PIPE,
            text=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WorkerError(f"not done in {patience:,.0f} s") from None
    if done.returncode:
        lines = (done.stderr or "failed").strip().splitlines()
        kind = UnusableError if done.returncode == UNUSABLE else WorkerError
        raise kind(lines[-1][:200])
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
