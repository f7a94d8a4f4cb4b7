"""The measurements of this library alone: handles, many jobs in flight, batches."""

from __future__ import annotations

import asyncio
import gc
import math
import tempfile
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Final

from benchmarks.clients.pictory import session_for
from benchmarks.meter import Figures, measured, memory, per_job
from benchmarks.plan import JOURNAL, Task
from benchmarks.processes import HERE, control
from pictory_async import Batch, GeneratedImage, JobHandle, PictorySession

HOUR: Final = 3600.0
AT_ONCE: Final = 10  # submissions; what they need is there before the first look
IN_FLIGHT: Final = 50  # prompts of a batch
EARLY: Final = 10_000  # prompts before the first look at the memory of a batch

Handle = JobHandle[GeneratedImage]


async def heap(task: Task, url: str) -> Figures:
    """Submit *n* prompts that nobody awaits; the value is heap a handle, in bytes."""
    control(url, "reset", duration=HOUR)
    prompts = [f"A fox in the snow, number {number}" for number in range(task.n)]
    async with session_for(url, poll=HOUR, connections=AT_ONCE) as session:
        warm = [f"{prompt}, to warm up" for prompt in prompts[:100]]
        await _submit(session, warm)
        tracemalloc.start()
        before = _traced()
        await _submit(session, prompts)  # the session alone keeps the handles
        grown = _traced() - before
        tracemalloc.stop()
    return {"value": grown / task.n}


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def flight(task: Task, url: str) -> Figures:
    """Submit *n* jobs at *rate* a second and wait for all; the value is CPU a request.

    Polls fall due as the submissions did, so there are never more than two or three
    times *rate* requests a second, and all jobs are in flight at the same time.
    """
    control(url, "reset", duration=task.job_duration)
    handles: list[Handle] = []
    prompts = (f"A fox in the snow, number {number}" for number in range(task.n))
    async with session_for(
        url, poll=task.poll, connections=task.connections
    ) as session:
        async with measured() as figures:
            await _submit(
                session, prompts, keep=handles.append, rate=task.rate, at_once=50
            )
            in_flight = len(session.jobs)
            states = [(await handle.wait()).state for handle in handles]
        lost = sum(state != "completed" for state in states)
        counts = {"in_flight": in_flight, "lost": lost}
        return per_job(task.n, figures, control(url, "stats")) | counts


async def _submit(
    session: PictorySession,
    prompts: Iterable[str],
    *,
    keep: Callable[[Handle], object] = bool,
    rate: float = math.inf,
    at_once: int = AT_ONCE,
) -> None:
    """Submit all, a few at a time, *rate* a second; give each handle to *keep*."""
    loop = asyncio.get_running_loop()
    began, left = loop.time(), enumerate(prompts)

    async def submit_some() -> None:
        for number, prompt in left:
            await asyncio.sleep(began + number / rate - loop.time())
            keep(await session.submit(prompt))

    await asyncio.gather(*(submit_some() for _ in range(at_once)))


async def batch(task: Task, url: str) -> Figures:
    """Run a batch of *n* prompts, with or without a journal; the value is CPU each."""
    control(url, "reset", duration=task.job_duration)
    done, early, at = 0, 0.0, min(EARLY, task.n // 2)
    # Beside the sources, as a temporary folder may be in memory.
    with tempfile.TemporaryDirectory(prefix=".journal-", dir=HERE.parent) as folder:
        journal = f"{folder}/{{}}" if task.client == JOURNAL else ""
        async with session_for(url, poll=task.poll, connections=100) as session:
            # What is loaded and built on first use belongs to no prompt.
            _first = [each async for each in _batch(session, 50, journal.format(1))]
            gc.collect()
            gc.freeze()  # what is loaded is not looked through in each collection
            async with measured() as figures:
                async for outcome in _batch(session, task.n, journal.format(2)):
                    done += outcome.image is not None
                    early = memory() if done == at else early
    if done != task.n:
        raise ValueError(f"{task.n - done} of {task.n} prompts have no image")
    growth = figures["memory_peak_kib"] / early
    figures |= {"early": at, "memory_early_kib": early, "memory_growth": growth}
    return figures | {"value": figures["cpu"] / task.n}


stream = batch  # so long that its memory must not grow


def _batch(session: PictorySession, n: int, journal: str) -> Batch:
    """Return a batch of *n* prompts that exist one at a time."""
    prompts = (f"A fox in the snow, number {number}" for number in range(n))
    return session.generate_many(
        prompts, max_in_flight=IN_FLIGHT, journal=journal or None, model="flux-schnell"
    )
