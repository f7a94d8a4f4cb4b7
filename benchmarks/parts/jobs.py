"""Many jobs at once, each awaited by a task: CPU, memory, lag, and what was lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import attrs

from benchmarks.clients import CLIENTS, RunJob, Setup
from benchmarks.measure import Meter
from benchmarks.processes import Control
from benchmarks.task import Task

Ended = asyncio.Task[str]


async def run(task: Task, control: Control) -> dict[str, Any]:
    """Run the jobs of *task*; return the figures."""
    connect = CLIENTS[task.client].load().connect
    setup = Setup(
        base_url=control.base_url, poll=task.poll, connections=task.connections
    )
    control.reset()
    # What is loaded and built on first use belongs to no job.
    async with connect(attrs.evolve(setup, poll=0.01)) as run_job:
        await run_job("A prompt to warm up with")
    async with connect(setup) as run_job:
        prompts = [f"A fox in the snow, number {number}" for number in range(task.n)]
        control.reset(duration=task.duration, latency=task.latency)
        async with Meter() as meter:
            ended = await _run_all(run_job, prompts)
        stats = control.stats()
        return _figures(task, meter, ended, stats)


async def _run_all(run_job: RunJob, prompts: list[str]) -> list[Ended]:
    tasks = [asyncio.ensure_future(run_job(prompt)) for prompt in prompts]
    await asyncio.wait(tasks)
    return tasks


def _figures(
    task: Task, meter: Meter, ended: list[Ended], stats: dict[str, Any]
) -> dict[str, Any]:
    errors = Counter(
        type(error).__name__ for job in ended if (error := job.exception())
    )
    lost = errors.total()
    figures = meter.figures
    grown = figures["memory_peak_kib"] - figures["memory_before_kib"]
    return figures | {
        "lost": lost,
        "errors": ", ".join(name for name, _ in errors.most_common(3)),
        "paid_twice": max(0, stats["jobs"] - task.n),
        "cpu_per_job": figures["cpu"] / (task.n - lost) if lost < task.n else None,
        "cpu_per_request": figures["cpu"] / max(stats["requests"], 1),
        "memory_per_job_kib": grown / task.n,
        "requests_per_job": stats["requests"] / task.n,
        "server": stats,
    }
