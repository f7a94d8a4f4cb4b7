"""A great many jobs in flight at a bounded rate of polls: the loop's longest stall."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.clients import Setup
from benchmarks.clients.pictory import session_for
from benchmarks.measure import Meter
from benchmarks.processes import Control
from benchmarks.task import Task
from pictory_async import GeneratedImage, JobHandle, PictorySession

SUBMITTERS = 50

Handle = JobHandle[GeneratedImage]


async def run(task: Task, control: Control) -> dict[str, Any]:
    """Submit *n* jobs at *rate* a second and wait for all; return the figures.

    Polls fall due as the submissions did, so there are never more than two or three
    times *rate* requests a second, and all jobs are in flight at the same time.
    """
    setup = Setup(
        base_url=control.base_url, poll=task.poll, connections=task.connections
    )
    control.reset(duration=task.duration, latency=task.latency)
    async with session_for(setup) as session:
        async with Meter() as meter:
            handles = await _submit_all(session, task)
            in_flight = len(session.jobs)
            lost = [handle for handle in handles if not await _completes(handle)]
        return (
            meter.figures
            | _more(task, meter, control.stats())
            | {
                "in_flight": in_flight,
                "lost": len(lost),
            }
        )


async def _submit_all(session: PictorySession, task: Task) -> list[Handle]:
    handles: list[Handle] = []
    loop = asyncio.get_running_loop()
    began, numbers = loop.time(), iter(range(task.n))

    async def submit_some() -> None:
        for number in numbers:
            await asyncio.sleep(began + number / task.rate - loop.time())
            prompt = f"A fox in the snow, number {number}"
            handles.append(await session.submit(prompt))

    await asyncio.gather(*(submit_some() for _ in range(SUBMITTERS)))
    return handles


async def _completes(handle: Handle) -> bool:
    return (await handle.wait()).state == "completed"


def _more(task: Task, meter: Meter, stats: dict[str, Any]) -> dict[str, Any]:
    grown = meter.figures["memory_peak_kib"] - meter.figures["memory_before_kib"]
    return {
        "cpu_per_job": meter.figures["cpu"] / task.n,
        "cpu_per_request": meter.figures["cpu"] / max(1, stats["requests"]),
        "memory_per_job_kib": grown / task.n,
        "requests_per_job": stats["requests"] / task.n,
        "server": stats,
    }
