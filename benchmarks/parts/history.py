"""Walking the whole history, one page after the other: CPU an item."""

from __future__ import annotations

from typing import Any

from benchmarks.clients import CLIENTS, Setup
from benchmarks.measure import Meter
from benchmarks.processes import Control
from benchmarks.task import Task


async def run(task: Task, control: Control) -> dict[str, Any]:
    """Walk over *n* items twice, and measure the second time; return the figures.

    Raises:
        ValueError: It did not read each item once.
    """
    walk = CLIENTS[task.client].load().walk
    setup = Setup(base_url=control.base_url, poll=task.poll)
    control.reset(items=task.n)
    await walk(setup)  # now the server has each page at hand
    control.reset(items=task.n)
    async with Meter() as meter:
        count = await walk(setup)
    if count != task.n:
        raise ValueError(f"{count} items instead of {task.n}")
    return meter.figures | {
        "cpu_per_item": meter.figures["cpu"] / task.n,
        "server": control.stats(),
    }
