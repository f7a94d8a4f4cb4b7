"""How long an import takes, above an interpreter that imports nothing."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections import defaultdict
from statistics import median
from typing import Final

from benchmarks.processes import HERE
from benchmarks.records import Record

OURS: Final = "pictory_async"
PARTS: Final = "aiohttp, attrs, cattrs, anyio"
NOTHING: Final = "nothing"

CODE: Final = {
    NOTHING: "pass",
    PARTS: f"import {PARTS}",
    OURS: f"from {OURS} import PictorySession",
    "aiohttp": "import aiohttp",
}


def measure(number: int, *, repeats: int) -> list[Record]:
    """Import each in turn, *repeats* times; return the medians for round *number*."""
    took: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for code in CODE.values():
        _time(code)  # now the files are compiled and at hand
    for _ in range(repeats):
        for name, code in CODE.items():
            took[name].append(_time(code))
    return [_record(name, took, number) for name in CODE if name != NOTHING]


def _record(
    name: str, took: dict[str, list[tuple[float, float]]], number: int
) -> Record:
    cpu, wall = (
        median(pair[index] for pair in took[name])
        - median(pair[index] for pair in took[NOTHING])
        for index in (0, 1)
    )
    figures = {"cpu": cpu, "wall": wall}
    return Record(part="imports", client=name, n=1, round=number, figures=figures)


def _time(code: str) -> tuple[float, float]:
    """Return the CPU and the wall time of a fresh interpreter that runs *code*."""
    cpu, wall = _children(), time.perf_counter()
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=HERE.parent)  # noqa: S603 - code of ours
    return _children() - cpu, time.perf_counter() - wall


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
