"""Jobs through a service that fails one request in three: is any lost or paid twice?

``python -m tests.promises.chaos --seeds 1000`` runs that many seeds of 200 jobs and
prints what became of them. Time is simulated (looptime), so that time-outs and waits of
minutes cost nothing; what goes wrong depends on the seed alone.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import os
import random
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import attrs
import looptime
from aiohttp import web

from pictory_async import (
    GeneratedImage,
    PictoryError,
    PictorySession,
    SubmissionUnknownError,
)
from pictory_async.sandbox import Fault, ImageView, Sandbox, SeenRequest

JOBS = 200
ONE_IN = 3  # so many requests go wrong

Outcome = GeneratedImage | PictoryError


@attrs.define
class Tally:
    """What became of the jobs of one run or of many.

    Attributes:
        jobs: Prompts that were submitted.
        faults: Sender with which something went wrong.
        completed: Prompts that gave their image.
        unknown: Submissions whose outcome was left open, and which were not repeated.
        recovered: Images of such submissions that `reconcile` found.
        refused: Prompts that ended in another error, truly without a job.
        most_posts: The most POSTs that the service accepted for one prompt.
        lost: Images at the service that reached nobody, and wrong answers.
        tasks: Tasks left when everything was closed.
    """

    jobs: int = 0
    faults: int = 0
    completed: int = 0
    unknown: int = 0
    recovered: int = 0
    refused: int = 0
    most_posts: int = 0
    lost: int = 0
    tasks: int = 0

    def add(self, other: Tally) -> None:
        """Add the figures of another run to these."""
        most = max(self.most_posts, other.most_posts)
        for field in attrs.fields(Tally):
            total = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, total)
        self.most_posts = most

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, paid twice or left behind."""
        return self.lost == 0 and self.tasks == 0 and self.most_posts <= 1


class Gremlin:
    """Decides, from a seed, which request goes wrong and how."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.faults = 0
        self.resting = False

    def __call__(self, _: SeenRequest) -> Fault | None:
        """Return what goes wrong with a request; None for most."""
        if self.resting or self._random.randrange(ONE_IN):
            return None
        self.faults += 1
        return self._random.choice(self._kinds())()

    def _kinds(self) -> list[Callable[[], Fault]]:
        rand = self._random
        page = "<html><body>try again later</body></html>"
        wait = rand.choice([None, None, 0, 1, 7, 200])
        handled = rand.random() < 0.5  # if so, there is a job that nobody is told of
        return [
            partial(Fault.drop, handled=False),
            partial(Fault.drop, handled=True),
            partial(Fault.answer, 429, retry_after=wait),
            partial(Fault.answer, 429, body=page),
            partial(Fault.answer, 500),
            partial(Fault.answer, 502, handled=handled),
            partial(Fault.answer, 503, retry_after=wait),
            partial(Fault.answer, 504, handled=handled),
            partial(Fault.answer, 200, body=page, handled=True),
            partial(Fault.answer, 200, body=b"", handled=True),
            partial(Fault.truncate, keep=rand.randrange(40)),
            partial(Fault.slow, rand.choice([0.5, 5, 45])),  # 45 is over the time-out
            partial(Fault.hang, handled=handled),
        ]


@asynccontextmanager
async def webhook_receiver(session: PictorySession) -> AsyncIterator[str]:
    """Listen for webhooks, each of which comes twice; yield the URL."""

    async def receive(request: web.Request) -> web.Response:
        job_id = (await request.json())["job_id"]
        for job in session.jobs:
            if job.job_id == job_id:
                job.poll_now()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def run_jobs(seed: int, *, jobs: int = JOBS) -> Tally:
    """Submit *jobs* prompts through chaos and compare the outcomes with the truth."""
    random.seed(seed)  # the jitter of retries and polls
    gremlin = Gremlin(seed)
    tally = Tally(jobs=jobs)
    before = asyncio.all_tasks()
    async with Sandbox(
        seed=seed,
        duration=(2.0, 60.0),
        pictures=False,
        record=False,
        chaos=gremlin,
        webhook_copies=2,
    ) as sandbox:
        session = PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, job_timeout=7200
        )
        async with session, webhook_receiver(session) as webhook:
            prompts = [f"Picture {number} of seed {seed}" for number in range(jobs)]
            outcomes = await asyncio.gather(
                *(
                    one(session, prompt, webhook if number % 2 else None)
                    for number, prompt in enumerate(prompts)
                )
            )
            gremlin.resting = True
            await asyncio.sleep(120)  # until jobs that nobody follows have ended
            truth = jobs_by_prompt(sandbox)
            for prompt, outcome in zip(prompts, outcomes, strict=True):
                await judge(tally, session, truth[prompt], outcome)
    tally.faults = gremlin.faults
    tally.tasks = len(asyncio.all_tasks() - before)
    return tally


async def one(session: PictorySession, prompt: str, webhook: str | None) -> Outcome:
    """Generate one image; return what became of it."""
    try:
        return await session.generate(prompt, webhook=webhook)
    except PictoryError as error:
        return error


def jobs_by_prompt(sandbox: Sandbox) -> Mapping[str, list[ImageView]]:
    """Return the images that the service made for each prompt: the truth."""
    made = defaultdict[str, list[ImageView]](list)
    for image in sandbox.images:
        made[image.prompt].append(image)
    return made


async def judge(
    tally: Tally, session: PictorySession, made: list[ImageView], outcome: Outcome
) -> None:
    """Count one outcome, held against what the service did."""
    tally.most_posts = max(tally.most_posts, len(made))
    match outcome:
        case GeneratedImage():
            tally.completed += 1
            tally.lost += [image.job_id for image in made] != [outcome.job_id]
        case SubmissionUnknownError():
            tally.unknown += 1
            found = await session.reconcile(outcome)
            ids = [found.id] if found else []
            tally.recovered += bool(found)
            tally.lost += ids != [image.id for image in made]
        case _:
            tally.refused += 1
            tally.lost += len(made)


def run_seed(seed: int, *, jobs: int = JOBS) -> Tally:
    """Run one seed on a loop of its own, in simulated time."""
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        return runner.run(run_jobs(seed, jobs=jobs))


def main(arguments: list[str] | None = None) -> int:
    """Run many seeds on all processors; 1 if anything was lost or paid twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many runs")
    parser.add_argument("--jobs", type=int, default=JOBS, help="jobs a run")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.seeds)
    total = Tally()
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for seed, tally in zip(
            seeds, pool.map(partial(run_seed, jobs=options.jobs), seeds), strict=True
        ):
            total.add(tally)
            if not tally.sound:
                print(f"seed {seed}: {tally}", flush=True)  # noqa: T201
    for name, value in attrs.asdict(total).items():
        print(f"{name:>10}  {value:,}")  # noqa: T201
    return 0 if total.sound else 1


if __name__ == "__main__":
    sys.exit(main())
