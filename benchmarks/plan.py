"""What is measured: in full, or quickly and in small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from benchmarks.clients import CLIENTS, OURS
from benchmarks.task import Task, paced

PARTS: Final = ("jobs", "history", "heap", "flight", "imports")


@attrs.frozen(kw_only=True)
class Plan:
    """All there is to choose.

    Attributes:
        parts: Which measurements.
        clients: Which clients, of those that are installed.
        sizes: Jobs at once.
        latencies: Seconds that each answer of the server takes.
        items: Of the history.
        handles: In progress without a waiter.
        flight: Jobs in flight at a bounded rate.
        rate: Of submissions, a second, for those.
        rounds: How often all is run.
        repeats: Imports of each kind a round.
        patience: Seconds a run may take above what its polls need.
        connections: The most connections of the clients that are written here.
        quick: Whether jobs are short.
    """

    parts: tuple[str, ...] = PARTS
    clients: tuple[str, ...] = tuple(CLIENTS)
    sizes: tuple[int, ...] = (100, 1_000, 5_000, 10_000)
    latencies: tuple[float, ...] = (0.0, 0.1)
    items: tuple[int, ...] = (10_000, 100_000)
    handles: int = 10_000
    flight: int = 100_000
    rate: float = 1_000
    rounds: int = 3
    repeats: int = 7
    patience: float = 120.0
    connections: int = 100
    quick: bool = False

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks of one round, small ones before large ones."""
        if "jobs" in self.parts:
            yield from self._jobs()
        if "history" in self.parts:
            yield from self._history()
        if "heap" in self.parts and OURS in self.clients:
            yield Task(part="heap", client=OURS, n=self.handles)
        if "flight" in self.parts and OURS in self.clients:
            yield self._flight()

    def _jobs(self) -> Iterator[Task]:
        for n in self.sizes:
            for latency in self.latencies:
                for client in self.clients:
                    task = paced(client, n, latency, quick=self.quick)
                    yield attrs.evolve(task, connections=self.connections)

    def _history(self) -> Iterator[Task]:
        for n in self.items:
            for client in self.clients:
                if CLIENTS[client].walks:
                    yield Task(part="history", client=client, n=n)

    def _flight(self) -> Task:
        """Return jobs that are all in flight when the last one is submitted.

        Each is asked for twice, and ends shortly before the second time.
        """
        submitting = self.flight / self.rate
        return Task(
            part="flight",
            client=OURS,
            n=self.flight,
            rate=self.rate,
            poll=0.6 * submitting,
            duration=1.1 * submitting,
            connections=self.connections,
        )


QUICK: Final = Plan(
    sizes=(50,),
    items=(1_000,),
    handles=500,
    flight=300,
    rate=300,
    rounds=1,
    repeats=1,
    patience=20.0,
    quick=True,
)


def expected(task: Task) -> float:
    """Return about how long *task* takes if the client is in no way slow."""
    return 2 * task.poll + task.duration + (task.n / task.rate if task.rate else 0)
