"""What the figures are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs

from benchmarks import imports
from benchmarks.clients import BASELINE, CLIENTS, OURS, SDKS
from benchmarks.records import Results

TIMES: Final = "\N{MULTIPLICATION SIGN}"

Read = Callable[[Results], float | None]

WITH_ORJSON: Final = "pictory+orjson"
ON_AIOHTTP: Final = tuple(name for name in SDKS if CLIENTS[name].on_aiohttp)
ON_OTHERS: Final = tuple(name for name in SDKS if not CLIENTS[name].on_aiohttp)


@attrs.frozen
class Goal:
    """A figure that must not be larger than its limit.

    Attributes:
        title: What is measured.
        limit: The largest value that is good.
        unit: Behind both numbers.
        read: Finds the value; None if it was not measured.
    """

    title: str
    limit: float
    unit: str
    read: Read

    def row(self, results: Results) -> tuple[str, str, str, str]:
        """Return the cells of the table: title, goal, figure and verdict."""
        goal, value = f"≤ {self.limit:,g}{self.unit}", self.read(results)
        if value is None:
            return self.title, goal, "not measured", ""
        met = "yes" if value <= self.limit else "**no**"
        return self.title, goal, f"{_short(value)}{self.unit}", met


def _short(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"


def _ratio(
    figure: str,
    part: str,
    n: int,
    *,
    client: str = OURS,
    to: tuple[str, ...] = (BASELINE,),
) -> Read:
    return lambda results: results.ratio(figure, part, client=client, to=to, n=n)


def _worst(
    figure: str, part: str, n: int, *, times: float = 1, **wanted: float
) -> Read:
    def read(results: Results) -> float | None:
        value = results.most(figure, part, client=OURS, n=n, **wanted)
        return None if value is None else value * times

    return read


def goals() -> Iterator[Goal]:
    """Yield all goals in the order of the report."""
    yield from _of_jobs()
    yield from _of_many_jobs()
    yield from _of_the_history()
    yield Goal(
        f"import, CPU against importing {imports.PARTS}",
        1.10,
        TIMES,
        _ratio("cpu", "imports", 1, client=imports.OURS, to=(imports.PARTS,)),
    )


def _of_jobs() -> Iterator[Goal]:
    for n in (1_000, 5_000):
        title = f"CPU a request against the aiohttp loop, N = {n:,}"
        yield Goal(title, 1.10, TIMES, _at_once("cpu_per_request", n))
    for n in (100, 1_000):
        title = f"CPU a job against the best SDK without aiohttp, N = {n:,}"
        yield Goal(title, 0.2, TIMES, _at_once("cpu_per_job", n, to=ON_OTHERS))
        title = f"CPU a job against the best SDK with aiohttp, N = {n:,}"
        yield Goal(title, 0.333, TIMES, _at_once("cpu_per_job", n, to=ON_AIOHTTP))
    for n in (1_000, 10_000):
        title = f"memory a job, awaited by a task, against the aiohttp loop, N = {n:,}"
        yield Goal(title, 0.55, TIMES, _at_once("memory_per_job_kib", n))


def _at_once(figure: str, n: int, *, to: tuple[str, ...] = (BASELINE,)) -> Read:
    return lambda results: results.ratio(
        figure, "jobs", client=OURS, to=to, n=n, latency=0.0
    )


def _of_many_jobs() -> Iterator[Goal]:
    title = "heap of a handle without a waiter beside its prompt, N = 10,000"
    yield Goal(title, 1024, " B", _worst("heap_per_handle", "heap", 10_000))
    title = "jobs lost, N = 10,000, latency 0.1 s"
    yield Goal(title, 0, "", _worst("lost", "jobs", 10_000, latency=0.1))
    title = "100,000 jobs in flight: jobs lost"
    yield Goal(title, 0, "", _worst("lost", "flight", 100_000))
    title = "100,000 jobs in flight: longest stall of the loop"
    stall = _worst("lag_longest", "flight", 100_000, times=1e3)
    yield Goal(title, 50, " ms", stall)


def _of_the_history() -> Iterator[Goal]:
    read = "history of 10,000 images, CPU against aiohttp and dicts"
    yield Goal(read, 1.4, TIMES, _ratio("cpu", "history", 10_000))
    yield Goal(
        f"{read}; with orjson",
        1.05,
        TIMES,
        _ratio("cpu", "history", 10_000, client=WITH_ORJSON),
    )
    yield Goal(
        "history of 10,000 images, CPU against openai's paginator",
        0.1,
        TIMES,
        _ratio("cpu", "history", 10_000, to=("openai", "openai+aiohttp")),
    )
