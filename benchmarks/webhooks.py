"""How long after its end a job is known to have ended, with webhooks and without.

``python -m benchmarks.webhooks [--quick]`` submits jobs that take 5 to 90 seconds,
to the sandbox, and measures from the end of each at the service to the end of its
handle. Two clocks: the event loop's own, which flies (looptime; waits between polls
are exact, requests over loopback take no time of it), and the wall's, with jobs of a
fraction of a second, for what a webhook and the poll after it really take here.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import looptime
from aiohttp import web

from pictory_async import Backoff, FixedInterval, PictorySession, PollPolicy
from pictory_async.sandbox import Sandbox
from pictory_async.webhook import WebhookReceiver

JOBS = 1000
FLYING = (5.0, 90.0)  # seconds that jobs take on the loop's clock
REAL = (0.2, 2.0)  # and on the wall's


@attrs.frozen
class Case:
    """One way to hear of the end of jobs.

    Attributes:
        name: What the table calls it.
        polling: When jobs are asked for.
        webhook: Whether the service tells of the end as well.
        flies: Whether the clock is the loop's own, or the wall's.
    """

    name: str
    polling: PollPolicy
    webhook: bool
    flies: bool = True


CASES = (
    Case("Backoff()", Backoff(), webhook=False),
    Case("FixedInterval(15)", FixedInterval(15), webhook=False),
    Case("webhook, Backoff()", Backoff(), webhook=True),
    Case("webhook, FixedInterval(60)", FixedInterval(60), webhook=True),
    Case(
        "webhook, FixedInterval(60), wall", FixedInterval(60), webhook=True, flies=False
    ),
)


@attrs.frozen
class Measured:
    """What became of one case: delays in seconds, and polls of all jobs."""

    delays: list[float]
    polls: int


@asynccontextmanager
async def receiving(session: PictorySession) -> AsyncIterator[str]:
    """Listen for the webhooks of *session*; give the URL to be told at."""
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    # The port is known when it listens, and routes are fixed by then.
    receivers: list[WebhookReceiver] = []

    async def take(request: web.Request) -> web.StreamResponse:
        return await receivers[0].aiohttp_handler(request)

    app.router.add_post("/{token}", take)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        receivers.append(WebhookReceiver(session, public_url=address))
        yield receivers[0].url
    finally:
        await runner.cleanup()


async def measure(case: Case, *, jobs: int) -> Measured:
    """Submit *jobs* prompts at once and wait for all; measure each."""
    duration = FLYING if case.flies else REAL
    loop = asyncio.get_running_loop()
    async with Sandbox(seed=1, duration=duration, pictures=False) as sandbox:
        session = PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, polling=case.polling
        )

        async def one(number: int, webhook: str | None) -> float:
            job = await session.submit(f"Picture number {number}", webhook=webhook)
            await job.wait()
            ended = loop.time()
            return ended - (sandbox.job(job.job_id).ended_at or ended)

        async with session, receiving(session) as url:
            webhook = url if case.webhook else None
            delays = await asyncio.gather(*(one(n, webhook) for n in range(jobs)))
        polls = sum(job.polls for job in sandbox.jobs.values())
    return Measured(delays, polls)


def run(case: Case, *, jobs: int) -> Measured:
    """Run one case on a loop of its own."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if case.flies:
        factory = looptime.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(measure(case, jobs=jobs))


def row(case: Case, measured: Measured) -> str:
    """Return a line of the table."""
    delays = sorted(measured.delays)
    figures = (
        statistics.fmean(delays),
        statistics.median(delays),
        delays[int(len(delays) * 0.95)],
    )
    shown = " | ".join(f"{seconds:.3f}" for seconds in figures)
    return f"| {case.name} | {shown} | {measured.polls / len(delays):.2f} |"


def main(arguments: list[str] | None = None) -> int:
    """Print a table of all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--jobs", type=int, default=JOBS, help="jobs a case")
    parser.add_argument("--quick", action="store_true", help="30 jobs a case")
    options = parser.parse_args(arguments)
    jobs = 30 if options.quick else options.jobs
    print("| seconds until known | mean | median | 95 % | polls a job |")  # noqa: T201
    print("|---|---|---|---|---|")  # noqa: T201
    for case in CASES:
        print(row(case, run(case, jobs=jobs)), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
