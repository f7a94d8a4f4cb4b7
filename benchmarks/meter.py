"""What a piece of work costs this process: CPU, wall, memory and the loop's delay."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

TICK: Final = 0.01  # seconds; how late this timer fires is the delay of the loop

Figures = dict[str, Any]


@asynccontextmanager
async def measured() -> AsyncIterator[Figures]:
    """Yield a dictionary that has the figures of the block when the block has ended.

    ``cpu`` (user and system, all threads), ``wall``, ``lag_longest``, ``lag_p99`` and
    ``gc_longest`` in seconds, ``memory_before_kib`` and ``memory_peak_kib`` in KiB.
    """
    figures: Figures = {}
    lags, pauses = [0.0], [0.0]
    gc.collect()
    ticker = asyncio.create_task(_tick(lags), name="meter")

    def note(phase: str, _: dict[str, int]) -> None:  # a pause that goes on is negative
        now = time.perf_counter()
        if phase == "start":
            pauses.append(-now)
        else:
            pauses[-1] += now

    gc.callbacks.append(note)
    _forget_peak()
    before = memory("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield figures
    finally:
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        gc.callbacks.remove(note)
        ticker.cancel()
    lags.sort()
    figures |= {"cpu": cpu, "wall": wall, "gc_longest": max(pauses)}
    figures |= {"lag_longest": lags[-1], "lag_p99": lags[int(0.99 * (len(lags) - 1))]}
    figures |= {"memory_before_kib": before, "memory_peak_kib": memory()}


async def _tick(lags: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        lags.append(time.perf_counter() - began - TICK)


def _forget_peak() -> None:
    """Let the peak be what there is now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def memory(name: str = "VmHWM") -> float:
    """Return the peak of this process's memory, or ``VmRSS``, as it is now, in KiB."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return float(line.split()[1])
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def per_job(n: int, figures: Figures, stats: Figures) -> Figures:
    """Return *figures* and those of the server; the value is CPU a request."""
    grown = figures["memory_peak_kib"] - figures["memory_before_kib"]
    return figures | {
        "value": figures["cpu"] / max(1, stats["requests"]),
        "memory_per_job_kib": grown / n,
        "requests_per_job": stats["requests"] / n,
        **{f"server_{name}": value for name, value in stats.items()},
    }
