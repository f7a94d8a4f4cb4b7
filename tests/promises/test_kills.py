"""A batch that is killed, interrupted and cut off repeatedly until it ends."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from pictory_async import (
    FixedInterval,
    PictorySession,
    RetryPolicy,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async.sandbox import Sandbox
from tests.support.batch_runs import Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")

PROMPTS = 100


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A fast sandbox, in real time."""
    async with Sandbox(duration=0.005, pictures=False, seed=1) as running:
        yield running


class Runner:
    """Runs batches in forks of one process that has everything imported."""

    def __init__(self, process: asyncio.subprocess.Process, run: Run) -> None:
        self._process = process
        self.run = run

    async def __call__(self, **changes: Any) -> dict[str, Any]:
        """Run the batch once; return how it ended, and its outcomes if it did."""
        line = json.dumps(attrs.asdict(attrs.evolve(self.run, **changes)))
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n".encode())
        return dict(json.loads(await self._process.stdout.readline()))

    async def intents(self) -> set[int]:
        """Return the prompts of the journal that have no job; nobody has it open."""
        return await asyncio.to_thread(self._intents)

    def _intents(self) -> set[int]:
        if not Path(self.run.journal).exists():
            return set()
        query = "SELECT position FROM prompts WHERE job_id IS NULL"
        with closing(sqlite3.connect(self.run.journal)) as database:
            try:
                return {index for (index,) in database.execute(query)}
            except sqlite3.OperationalError:  # killed before there was a table
                return set()


@pytest.fixture
async def runner(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Runner]:
    """A runner of batches of that sandbox."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.batch_runs",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        limit=2**20,
    )
    yield Runner(
        process,
        Run(
            base_url=sandbox.base_url,
            api_key=sandbox.api_key,
            journal=str(tmp_path / "run.sqlite"),
            folder=str(tmp_path / "pictures"),
            prompts=PROMPTS,
        ),
    )
    assert process.stdin
    process.stdin.close()
    await process.wait()


def accepted_twice(sandbox: Sandbox) -> list[str]:
    """Return the prompts that were paid for more than once."""
    counts = Counter(body["prompt"] for body in sandbox.submitted)
    return [prompt for prompt, count in counts.items() if count > 1]


async def test_killed_at_fifty_moments(
    runner: Runner, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each prompt has one outcome, none is paid twice, and the finished ones stay so.

    The moments are before and after a request, a transaction or a file, or some
    milliseconds later. One batch is killed at most of them; how many depends on the
    machine, so a second batch may be needed for the rest.
    """
    rand = random.Random(20261122)
    kills = lives = 0
    while kills < 50:
        lives += 1
        runner.run = attrs.evolve(
            runner.run,
            name=f"Life {lives}, picture",
            journal=str(tmp_path / f"{lives}.sqlite"),
            folder=str(tmp_path / str(lives)),
        )
        kills += await live(runner, sandbox, rand, kills=50 - kills)
    assert lives <= 3
    assert accepted_twice(sandbox) == []


async def live(
    runner: Runner, sandbox: Sandbox, rand: random.Random, *, kills: int
) -> int:
    """Kill one batch up to *kills* times until it ends; return how often it was.

    A prompt is unknown only if a kill left it between its intent and its id.
    """
    unknown, killed = set[int](), 0
    ended: dict[str, Any] = {}
    while killed < kills:
        event = rand.randrange(1, 25)
        delay = rand.choice([0, 0, rand.uniform(0, 0.01)])
        ended = await runner(event=event, delay=delay)
        if ended["status"] != -signal.SIGKILL:
            break
        killed += 1
        intents = await runner.intents()
        assert unknown <= intents  # nothing was sent again
        assert len(intents - unknown) <= runner.run.max_in_flight
        unknown = intents
    else:
        ended = await runner()
    assert ended["status"] == 0
    outcomes = ended["outcomes"]
    assert [index for index, *_ in outcomes] == list(range(PROMPTS))
    errors = {index: error for index, _, error, _ in outcomes if error is not None}
    assert errors == dict.fromkeys(unknown, "SubmissionUnknownError")
    jobs = {job_id: view.request["prompt"] for job_id, view in sandbox.jobs.items()}
    done = [(index, job, path) for index, job, error, path in outcomes if not error]
    assert all(jobs[job] == f"{runner.run.name} {index}" for index, job, _ in done)
    files = await asyncio.to_thread(lambda: set(Path(runner.run.folder).iterdir()))
    assert {Path(path) for *_, path in done} <= files
    seen = len(sandbox.requests)
    assert (await runner())["outcomes"] == outcomes
    assert len(sandbox.requests) == seen  # finished is finished
    return killed


async def test_interrupted_at_ten_moments(runner: Runner, sandbox: Sandbox) -> None:
    """After Ctrl-C, requests on the wire are still answered: nothing is unknown."""
    rand = random.Random(20261123)
    for _ in range(10):
        event = rand.randrange(1, 80)
        ended = await runner(event=event, signal=signal.SIGINT, max_in_flight=10)
        assert ended["status"] == 130
        assert await runner.intents() == set()
    ended = await runner()
    assert [error for _, _, error, _ in ended["outcomes"]] == [None] * PROMPTS
    assert len(sandbox.submitted) == PROMPTS
    assert accepted_twice(sandbox) == []


async def test_the_server_goes_away_again_and_again(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The network is cut for a while, at any moment, until all is done."""
    rand = random.Random(20261124)
    outages = 0

    async def go_away() -> None:
        nonlocal outages
        while True:
            seen = len(sandbox.requests) + rand.randrange(1, 60)
            while len(sandbox.requests) < seen:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.001)
            await sandbox.aclose()
            await asyncio.sleep(rand.uniform(0, 0.05))
            await sandbox.start()
            outages += 1

    unknown: set[int] = set()
    trouble = asyncio.create_task(go_away())
    try:
        while True:
            async with PictorySession(
                sandbox.api_key,
                base_url=sandbox.base_url,
                polling=FixedInterval(0.005),
                retries=RetryPolicy(attempts=3, first=0.005, maximum=0.02),
            ) as session:
                outcomes = await session.generate_many(
                    [f"Picture number {number}" for number in range(PROMPTS)],
                    journal=tmp_path / "run.sqlite",
                    max_in_flight=10,
                ).results()
            assert [o.index for o in outcomes] == list(range(PROMPTS))
            now = {
                o.index for o in outcomes if isinstance(o.error, SubmissionUnknownError)
            }
            assert unknown <= now
            unknown = now
            others = [o.error for o in outcomes if o.error and o.index not in now]
            assert all(isinstance(error, TransportError) for error in others)
            if not others:
                break
    finally:
        trouble.cancel()
        await asyncio.gather(trouble, return_exceptions=True)
    assert outages >= 3
    assert accepted_twice(sandbox) == []
    assert len(unknown) < PROMPTS / 2
