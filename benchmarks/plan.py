"""What is measured: which client does what, how often, and at which pace."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Final

import attrs

from benchmarks.clients import CLIENTS, OURS

PARTS: Final = ("jobs", "history", "heap", "flight", "batch", "stream", "imports")
JOURNAL: Final = f"{OURS}+journal"

# What is imported in a fresh interpreter, by the name of its row, beside these.
DEPENDENCIES: Final = "import aiohttp, attrs, cattrs, anyio"
IMPORTS: Final = {
    "pictory_async": "from pictory_async import PictorySession",
    "aiohttp alone": "import aiohttp",
}


@attrs.frozen(kw_only=True)
class Task:
    """One measurement of one client, in a process of its own; times are in seconds."""

    part: str  # one of `PARTS`
    client: str  # a name of `CLIENTS` or of `IMPORTS`, or `JOURNAL`
    n: int = 1  # jobs, prompts or items of the history
    latency: float = 0.0  # of each answer of the server
    poll: float = 0.5  # between two polls of a job
    job_duration: float = 1.75
    connections: int = 100  # at most, of a client that is written here
    rate: float = 0.0  # of submissions, a second, where they are spread
    values: int = 1  # how often it is measured in its process

    @property
    def name(self) -> str:
        """The name of the benchmark, for pyperf."""
        latency = f" latency={self.latency:g}" if self.latency else ""
        return f"{self.part} {self.client} n={self.n}{latency}"

    @property
    def expected(self) -> float:
        """About how many seconds this takes if the client is in no way slow."""
        spread = self.n / self.rate if self.rate else 0
        series = self.n * 0.01 if self.part in {"batch", "stream"} else 0
        return 2 * self.poll + self.job_duration + spread + series


def tasks(options: Namespace, *, first: bool = True) -> Iterator[Task]:
    """Yield the tasks of one round, of those that the command line chose."""
    every = [*_jobs(options), *_history(options), *_ours(options, first=first)]
    repeated = {"part": "imports", "values": options.repeats}
    for task in [*every, *(Task(client=name, **repeated) for name in IMPORTS)]:
        if task.part in options.parts:
            yield attrs.evolve(task, connections=options.connections)


def _jobs(options: Namespace) -> Iterator[Task]:
    """Yield jobs whose polls one core can keep up with.

    About 1,250 polls a second fall due, or 500 if each answer takes its time, and a job
    ends halfway between its third and its fourth poll: so every client that keeps up
    makes the same five requests a job.
    """
    for n in options.n:
        for latency in options.latency:
            shortest, rate = (2.0, 500) if latency else (0.5, 1250)
            poll = max(0.1, n / 1250) if options.quick else max(shortest, n / rate)
            for client in options.clients:
                task = Task(part="jobs", client=client, n=n, latency=latency, poll=poll)
                yield attrs.evolve(task, job_duration=3.5 * poll)


def _history(options: Namespace) -> Iterator[Task]:
    for n in options.items:
        for client in options.clients:
            if CLIENTS[client].walk:
                yield Task(part="history", client=client, n=n)


def _ours(options: Namespace, *, first: bool) -> Iterator[Task]:
    """Yield what is measured of this library alone."""
    if OURS not in options.clients:
        return
    yield Task(part="heap", client=OURS, n=options.handles)
    # All are in flight when the last one is submitted; each is polled twice, and ends
    # shortly before the second time.
    flight = Task(part="flight", client=OURS, n=options.flight, rate=options.rate)
    spread = flight.n / flight.rate
    yield attrs.evolve(flight, poll=0.6 * spread, job_duration=1.1 * spread)
    for client in (OURS, JOURNAL):  # three requests a prompt hide no journal
        batch = Task(part="batch", client=client, n=options.prompts, poll=0.04)
        yield attrs.evolve(batch, job_duration=0.05)
    if first:  # once is enough to see whether memory grows
        stream = Task(part="stream", client=OURS, n=options.stream, poll=0.01)
        yield attrs.evolve(stream, job_duration=0.0)
