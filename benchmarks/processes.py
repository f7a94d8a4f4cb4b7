"""The processes of a measurement: the server and a worker, each on its core."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import attrs
import pyperf  # type: ignore[import-untyped]

from benchmarks.plan import Task

HERE: Final = Path(__file__).parent
# What pyperf knows of a machine and is kept: no host, no path, no version of a kernel.
KEPT: Final = {
    *("name", "unit", "loops", "date", "duration", "failed", "load_avg_1min"),
    *("aslr", "cpu_affinity", "cpu_count", "cpu_model_name", "mem_max_rss"),
    *("perf_version", "python_implementation", "python_version"),
}
PACKAGES: Final = {
    *("pictory-async", "aiohttp", "attrs", "cattrs", "anyio", "yarl", "multidict"),
    *("orjson", "uvloop", "httpx", "httpx2", "httpx-aiohttp", "pydantic"),
    *("replicate", "fal_client", "runwayml", "openai"),
}


def control(url: str, what: str, **settings: float) -> dict[str, Any]:
    """Reset the server or ask for its counts; block, so never while measuring."""
    place = f"{url}/control/{what}?{urlencode(settings)}"
    with urllib.request.urlopen(place, timeout=60) as answer:  # noqa: S310 - http
        return dict(json.load(answer))


def environment() -> dict[str, str]:
    """Return the variables for a child: it may keep the bytecode of what it imports.

    Where it may not, a tree of sources is compiled anew in each process, but not the
    packages that it is compared with, which were compiled when they were installed.
    """
    left_out = "PYTHONDONTWRITEBYTECODE"
    return {name: value for name, value in os.environ.items() if name != left_out}


def cores() -> list[int]:
    """Return the cores for the client and for the server; none if there is but one."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    usable = sorted(os.sched_getaffinity(0))
    return [usable[0], usable[-1]] if len(usable) > 1 else []


@contextmanager
def server() -> Iterator[str]:
    """Run the mock server in a process of its own; yield its URL."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=HERE.parent, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            if pinned := cores():
                os.sched_setaffinity(process.pid, pinned[1:])
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.kill()


def work(
    task: Task, *, patience: float, number: int = 0, profile: Path | None = None
) -> pyperf.Benchmark:
    """Measure one task in fresh processes; return it as a benchmark of one run.

    If it fails, or is not done in *patience* seconds beyond what its polls need, the
    benchmark is one beside that of the task: the metadata ``failed`` says why, and the
    value is the time that was spent in vain.
    """
    limit, began = patience + task.expected, time.monotonic()
    options: dict[str, Any] = {"cwd": HERE.parent, "env": environment(), "text": True}
    options |= {"capture_output": True, "timeout": limit}
    why = f"not done in {limit:,.0f} s"
    with server() as url, contextlib.suppress(subprocess.TimeoutExpired):
        command = _command(task, url, profile)
        done = subprocess.run(command, check=False, **options)  # noqa: S603 - our own
        if not done.returncode:
            bench = pyperf.Benchmark.loads(done.stdout.splitlines()[-1])
            return _known(bench.get_runs()[0], task, number)
        why = (done.stderr or "failed").strip().splitlines()[-1][:200]
    about = {"name": f"{task.name} failed", "failed": why}
    run = pyperf.Run([time.monotonic() - began], metadata=about)
    return _known(run, task, number)


def _command(task: Task, url: str, profile: Path | None) -> list[str]:
    """Return the command of a worker of pyperf: one warm-up before several values."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.worker", "--worker"]
    command += ["--quiet", "--loops=1", f"--warmups={int(task.values > 1)}"]
    command += [f"--values={task.values}", f"--url={url}"]
    command += [f"--task={json.dumps(attrs.asdict(task))}"]
    command += [f"--affinity={core}" for core in cores()[:1]]
    return command + ([f"--profile={profile}"] if profile else [])


def _known(run: pyperf.Run, task: Task, number: int) -> pyperf.Benchmark:
    """Return a benchmark of one run that knows its task, and no name of a machine."""
    found = run.get_metadata()
    figures = json.loads(found.pop("figures", "{}"))
    versions = {each.name: each.version for each in metadata.distributions()}
    packages = sorted(f"{name} {versions[name]}" for name in PACKAGES & versions.keys())
    about = {name: value for name, value in found.items() if name in KEPT}
    about |= {"round": number, "packages": ", ".join(packages)}
    about |= attrs.asdict(task) | figures
    kept = pyperf.Run(run.values, metadata=about, collect_metadata=False)
    return pyperf.Benchmark([kept])
