"""What a piece of work costs this process: CPU, wall, memory and the loop's lag."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import gc
import resource
import time
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

TICK: Final = 0.01  # seconds between two looks at the loop's lag

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")


def resident() -> float:
    """Return the memory this process has now (or its peak, if unknown), in KiB."""
    return _status("VmRSS") or _max_rss()


def peak() -> float:
    """Return the most memory that this process had, in KiB."""
    return _status("VmHWM") or _max_rss()


def _status(name: str) -> float | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:  # not on Linux
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return float(found[0]) if found else None


def _max_rss() -> float:
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _forget_peak() -> None:
    """Let the peak be what there is now, where the system can do that."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")


class Pauses:
    """Notes the longest pause for the collection of garbage."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        """Be told by `gc` that a collection starts or stops."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.longest = max(self.longest, time.perf_counter() - self._began)

    def __enter__(self) -> Self:
        """Begin to listen."""
        gc.callbacks.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Listen no more."""
        gc.callbacks.remove(self)


class Meter:
    """The figures of the work inside ``async with Meter() as meter``.

    Attributes:
        profile: Listens to that work, too, if there is one.
    """

    profile: ClassVar[cProfile.Profile | None] = None

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}
        self._lags: list[float] = []

    async def __aenter__(self) -> Self:
        """Begin."""
        gc.collect()
        self._pauses = Pauses().__enter__()
        self._ticker = asyncio.create_task(self._tick())
        _forget_peak()
        self._memory = resident()
        if self.profile:
            self.profile.enable()
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, and have the figures."""
        cpu = time.process_time() - self._cpu
        wall = time.perf_counter() - self._wall
        if self.profile:
            self.profile.disable()
        highest = peak()
        self._pauses.__exit__(None, None, None)
        self._ticker.cancel()
        lags = sorted(self._lags) or [0.0]
        self.figures = {
            "cpu": cpu,
            "wall": wall,
            "memory_before_kib": self._memory,
            "memory_peak_kib": highest,
            "lag_longest": lags[-1],
            "lag_p99": lags[int(0.99 * (len(lags) - 1))],
            "gc_longest": self._pauses.longest,
        }

    async def _tick(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK)
            self._lags.append(time.perf_counter() - began - TICK)
