"""Two clients in turn, to see what a change is worth: A, B, B, A, and so on."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median, quantiles
from typing import Any, Final

import attrs

from benchmarks.processes import server, work
from benchmarks.task import Task

# Of which a duel shows those that there are.
FIGURES: Final = (
    "cpu",
    "cpu_per_request",
    "cpu_per_job",
    "cpu_per_item",
    "requests_per_job",
    "memory_per_job_kib",
    "lag_longest",
    "gc_longest",
    "wall",
)


@attrs.frozen
class Duel:
    """What came of it.

    Attributes:
        first: The figures of the first client, one a round.
        second: Of the second.
    """

    first: list[dict[str, Any]]
    second: list[dict[str, Any]]

    def ratios(self, name: str) -> list[float]:
        """Return the first client's figure over the second's, for each round."""
        pairs = zip(self.first, self.second, strict=True)
        return [one[name] / max(other[name], 1e-9) for one, other in pairs]

    def table(self) -> str:
        """Return a line for each figure."""
        names = [name for name in FIGURES if name in self.first[0]]
        return "\n".join(["", *map(self.say, names)])

    def say(self, name: str) -> str:
        """Return the median of the ratios, their middle half, and both medians."""
        ratios = self.ratios(name)
        low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios * 3)
        one = median(figures[name] for figures in self.first)
        other = median(figures[name] for figures in self.second)
        return (
            f"{name:>18}  {median(ratios):6.3f}  [{low:.3f}, {high:.3f}]"
            f"  {_plain(one)} : {_plain(other)}"
        )


def fight(tasks: tuple[Task, Task], *, rounds: int, patience: float) -> Iterator[Duel]:
    """Run both tasks *rounds* times; yield what is known after each round."""
    duel = Duel([], [])
    sides = list(zip(tasks, (duel.first, duel.second), strict=True))
    for number in range(rounds):
        for task, figures in sides if number % 2 else sides[::-1]:
            with server() as host:
                given = attrs.asdict(task) | {"host": host}
                figures.append(work(given, patience=patience))
        yield duel


def _plain(value: float) -> str:
    return f"{value * 1e3:,.3f} m" if value < 1 else f"{value:,.2f}"
