"""What a durable batch costs, and whether a very long one keeps its memory flat.

``python -m benchmarks.batch`` runs a batch of 10,000 prompts with and without a
journal, in turns, each in a process of its own against the mock server; and a batch of
1,000,000 prompts against a transport that answers by itself, without a network. It
prints the figures as Markdown and keeps them, in ``batch.md`` beside the results, of
which they become a part; ``--quick`` does all in small and keeps nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import attrs

from benchmarks.machine import describe
from benchmarks.measure import Meter, peak
from benchmarks.processes import HERE, Control, pin, server
from benchmarks.report import table
from pictory_async import Batch, FixedInterval, PictorySession
from pictory_async._core.endpoints import Call
from pictory_async._core.wire import Answer
from pictory_async._http.transport import Permit

# Each job is asked for twice: three requests, so that the journal is not lost in them.
DURATION: Final = 0.05
POLL: Final = 0.04
IN_FLIGHT: Final = 50
EARLY: Final = 10_000  # prompts after which the memory of a stream is looked at

MIB: Final = 1024.0
PAGE: Final = HERE / "batch.md"


@attrs.frozen(kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        prompts: Of the batch with and without a journal.
        stream: Of the long one.
        early: Of it before the first look at the memory.
        rounds: How often the two are run in turns.
    """

    prompts: int = 10_000
    stream: int = 1_000_000
    early: int = EARLY
    rounds: int = 5


QUICK: Final = Size(prompts=500, stream=3_000, early=1_000, rounds=1)


# --- in a process of its own ------------------------------------------------------


async def run_batch(host: str, n: int, *, durable: bool) -> dict[str, Any]:
    """Run a batch against the mock server; return the figures."""
    control = Control(host)
    control.reset(duration=DURATION)
    async with PictorySession(
        "key",
        base_url=f"{control.base_url}/pictoryapis",
        polling=FixedInterval(POLL),
    ) as session:
        with tempfile.TemporaryDirectory(prefix=".journal-", dir=HERE.parent) as folder:
            # What is loaded and built on first use belongs to no prompt.
            await consume(batch_of(session, 50, f"{folder}/warm" if durable else None))
            gc.collect()
            gc.freeze()  # what is loaded is not looked through in each collection
            async with Meter() as meter:
                path = f"{folder}/journal" if durable else None
                done = await consume(batch_of(session, n, path))
    assert done == n, f"{n - done} of {n} prompts have no image"  # noqa: S101
    return meter.figures


def batch_of(session: PictorySession, n: int, journal: str | None) -> Batch:
    """Return a batch of *n* prompts that exist one at a time."""
    return session.generate_many(
        prompts(n), max_in_flight=IN_FLIGHT, journal=journal, model="flux-schnell"
    )


def prompts(n: int) -> Iterator[str]:
    """Yield *n* prompts."""
    return (f"A fox in the snow, number {number}" for number in range(n))


async def consume(batch: Batch) -> int:
    """Iterate over *batch*; return how many prompts have their image."""
    done = 0
    async for outcome in batch:
        done += outcome.image is not None
    return done


class AtOnce:
    """A policy that asks without waiting: the stub has the answer."""

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Return no time."""
        return 0.0 * (polls + elapsed + len(model))

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Learn nothing."""


class StubTransport:
    """Accepts every request and has every image, in this process."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    async def send(self, call: Call[Any], *, permit: Permit | None = None) -> Answer:
        """Answer as the service would."""
        await asyncio.sleep(0)
        if not call.paid:
            return Answer(200, _COMPLETED, method=call.method, path=call.path)
        if permit is not None:
            permit.use()
        body = b'{"success":true,"data":{"jobId":"job-%d"}}' % next(self._numbers)
        return Answer(200, body, method=call.method, path=call.path)


_COMPLETED: Final = json.dumps({
    "success": True,
    "data": {
        "status": "completed",
        "url": "https://images.example/user/fox.png",
        "width": 1280,
        "height": 720,
        "aiCreditsUsed": 0.6,
    },
}).encode()


async def run_stream(n: int, early: int) -> dict[str, Any]:
    """Run *n* prompts through the stub; return the memory early and at the end."""
    async with PictorySession(
        "key", base_url="http://127.0.0.1:1", polling=AtOnce()
    ) as session:
        stub = StubTransport()
        session._runtime.use().transport.send = stub.send  # type: ignore[method-assign]  # noqa: SLF001
        done, figures = 0, dict[str, Any]()
        async with Meter() as meter:
            async for outcome in session.generate_many(
                prompts(n), model="flux-schnell"
            ):
                outcome.unwrap()
                done += 1
                if done == early:
                    figures["early_kib"] = peak()
            figures["end_kib"] = peak()
    assert done == n, f"{n - done} of {n} prompts have no outcome"  # noqa: S101
    return figures | meter.figures


# --- all of them --------------------------------------------------------------------


def measure(what: str, *numbers: int, host: str = "-") -> dict[str, Any]:
    """Run one measurement in a fresh process; return its figures."""
    arguments = [what, host, *map(str, numbers)]
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "benchmarks.batch", "--measure", *arguments],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def run_all(size: Size) -> dict[str, Any]:
    """Return all figures: a list of rounds for each kind of batch, and the stream."""
    figures: dict[str, Any] = {"plain": [], "journal": []}
    with server() as host:
        for _ in range(size.rounds):
            for kind in ("plain", "journal"):
                figures[kind].append(measure(kind, size.prompts, host=host))
    return figures | {"stream": measure("stream", size.stream, size.early)}


def report(figures: dict[str, Any], size: Size) -> str:
    """Return the figures as Markdown."""
    ratios = [
        with_["cpu"] / without["cpu"]
        for with_, without in zip(figures["journal"], figures["plain"], strict=True)
    ]
    stream = figures["stream"]
    rows = [_row(kind, figures[kind], size.prompts) for kind in ("plain", "journal")]
    growth = stream["end_kib"] / stream["early_kib"] - 1
    setting = (
        f"A batch of {size.prompts:,} prompts, {IN_FLIGHT} in flight, three requests "
        f"each, {size.rounds} rounds in turns; the median, or the worst where it says "
        "so. A stall is the delay of a timer of 10 ms."
    )
    ratio = (
        f"With a journal: {median(ratios):.3f} times the CPU "
        f"({min(ratios):.3f} to {max(ratios):.3f}; goal 1.25)."
    )
    memory = (
        f"A stream of {size.stream:,} prompts without a network: peak memory "
        f"{stream['early_kib'] / MIB:.1f} MiB after {size.early:,} and "
        f"{stream['end_kib'] / MIB:.1f} MiB at the end, {growth:+.1%} (goal +10%), "
        f"{stream['cpu'] / size.stream * 1e6:.0f} us of CPU a prompt."
    )
    head = ("journal", "CPU, s", "CPU a prompt, ms", "wall, s", "worst stall, ms")
    return "\n".join([
        "## Batches",
        "",
        *(f"- {name}: {text}" for name, text in describe().items()),
        "",
        setting,
        "",
        *table(head, rows),
        ratio,
        "",
        memory,
        "",
    ])


def _row(kind: str, runs: list[dict[str, Any]], n: int) -> tuple[str, ...]:
    cpu = median(run["cpu"] for run in runs)
    return (
        "yes" if kind == "journal" else "no",
        f"{cpu:.2f}",
        f"{cpu / n * 1e3:.3f}",
        f"{median(run['wall'] for run in runs):.2f}",
        f"{max(run['lag_longest'] for run in runs) * 1e3:.1f}",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser("benchmarks.batch", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="all in small")
    parser.add_argument("--rounds", type=int, help="of the two in turns; default: 5")
    where = "file for the page; default: batch.md here for a whole run, else none"
    parser.add_argument("--output", type=Path, help=where)
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        return _measure(*options.measure)
    size = QUICK if options.quick else Size()
    if options.rounds:
        size = attrs.evolve(size, rounds=options.rounds)
    page = report(run_all(size), size)
    print(page)  # noqa: T201
    path = options.output or (None if options.quick else PAGE)
    if path:
        path.write_text(page, encoding="utf-8")
    return 0


def _measure(what: str, host: str, *numbers: str) -> int:
    pin("client")
    n, *rest = map(int, numbers)
    if what == "stream":
        figures = asyncio.run(run_stream(n, *rest))
    else:
        figures = asyncio.run(run_batch(host, n, durable=what == "journal"))
    print(json.dumps(figures))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
