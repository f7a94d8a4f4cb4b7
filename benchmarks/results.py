"""The figures of all runs: a suite of pyperf, asked for medians and ratios.

pyperf reads the file, too: ``python -m pyperf show results.json``, or ``stats``,
``check`` and ``compare_to``. The value of a run is its main figure: CPU a request, an
item or a prompt, or bytes a handle. All others are in its metadata.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyperf  # type: ignore[import-untyped]

from benchmarks.clients import BASELINE, CLIENTS

# A client that loses more than this share of the jobs is not tried with more of them,
# and is in no picture: what is lost early costs little.
LOST: Final = 0.01

Run = dict[str, Any]


class Results:
    """The metadata of all runs, with their ``value``."""

    def __init__(self, benches: Iterable[pyperf.Benchmark] = ()) -> None:
        self.runs: list[Run] = [
            {"failed": None, **run.get_metadata(), "value": median(run.values)}
            for bench in benches
            for run in bench.get_runs()
        ]

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file of pyperf; return empty results if there is none."""
        return cls(pyperf.BenchmarkSuite.load(str(path)) if path.exists() else ())

    def of(self, part: str, **wanted: Any) -> list[Run]:
        """Return the runs of *part* with the wanted metadata that did not fail."""
        wanted |= {"part": part, "failed": None}
        return [run for run in self.runs if wanted.items() <= run.items()]

    def values(self, name: str, part: str, **wanted: Any) -> dict[int, float]:
        """Return a figure of each round in which it was measured."""
        runs = self.of(part, **wanted)
        return {run["round"]: float(run[name]) for run in runs if name in run}

    def ratios(
        self,
        name: str,
        part: str,
        *,
        client: str,
        to: Iterable[str] = (BASELINE,),
        **wanted: Any,
    ) -> list[float]:
        """Return a figure of *client* over that of the best of *to*, for each round."""
        best: dict[int, float] = {}
        for other in to:
            for number, value in self.values(
                name, part, client=other, **wanted
            ).items():
                best[number] = min(value, best.get(number, value))
        mine = self.values(name, part, client=client, **wanted)
        return [mine[number] / best[number] for number in mine if best.get(number)]

    def left_out(self) -> list[str]:
        """Return what was not run, or no further, and why, in sentences."""
        sentences: list[str] = []
        for run in self.runs:
            if why := run["failed"]:
                sentences.append(f"{what(run)}: {why}; not tried again, nor with more.")
            elif (lost := run.get("lost", 0)) > LOST * run["n"]:
                sentences.append(f"{what(run)}: {lost:,} jobs lost; not with more.")
        return list(dict.fromkeys(sentences))


def what(run: Run) -> str:
    """Return what was run, in words."""
    latency = f", latency {run['latency']:g} s" if run["latency"] else ""
    name = run["client"]
    title = CLIENTS[name].title if name in CLIENTS else name
    return f"{title}, {run['part']} with N = {run['n']:,}{latency}"
