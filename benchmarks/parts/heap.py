"""Handles in progress that nobody waits for: heap a handle, beside its prompt."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Iterable
from typing import Any

from benchmarks.clients import Setup
from benchmarks.clients.pictory import session_for
from benchmarks.processes import Control
from benchmarks.task import Task
from pictory_async import PictorySession

HOUR = 3600.0
AT_ONCE = 10  # requests; what they need is there before the first look


async def run(task: Task, control: Control) -> dict[str, Any]:
    """Submit *n* prompts and look at the heap; return the figures."""
    control.reset(duration=HOUR)
    setup = Setup(base_url=control.base_url, poll=HOUR, connections=AT_ONCE)
    prompts = [f"A fox in the snow, number {number}" for number in range(task.n)]
    async with session_for(setup) as session:
        await _submit(session, [f"{prompt}, to warm up" for prompt in prompts[:100]])
        tracemalloc.start()
        before = _heap()
        await _submit(session, prompts)
        grown = _heap() - before
        tracemalloc.stop()
    return {"heap_per_handle": grown / task.n, "server": control.stats()}


async def _submit(session: PictorySession, prompts: Iterable[str]) -> None:
    """Submit all, a few at a time; the session alone keeps the handles."""
    left = iter(prompts)

    async def submit_some() -> None:
        for prompt in left:
            await session.submit(prompt)

    await asyncio.gather(*(submit_some() for _ in range(AT_ONCE)))


def _heap() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
