"""How long after its end a job is known to have ended, with webhooks and without.

``python -m benchmarks.webhooks [--quick]`` submits jobs that take 5 to 90 seconds to
the sandbox, and measures from the end of each at the service to the end of its handle.
Time is simulated (looptime): waits between polls are exact, and requests take none of
it. The last row is in real time, with jobs of a fraction of a second: what a webhook
and the poll after it really take here.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from statistics import fmean, median

import looptime
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from benchmarks.clients import KEY
from pictory_async import Backoff, FixedInterval, PictorySession, PollPolicy
from pictory_async.sandbox import Sandbox
from pictory_async.webhook import WebhookReceiver

Case = tuple[PollPolicy, bool, bool]
CASES: dict[
    str, Case
] = {  # polling, whether webhooks are sent, and if time is simulated
    "Backoff()": (Backoff(), False, True),
    "FixedInterval(15)": (FixedInterval(15), False, True),
    "webhook, Backoff()": (Backoff(), True, True),
    "webhook, FixedInterval(60)": (FixedInterval(60), True, True),
    "the same in real time": (FixedInterval(60), True, False),
}


async def measure(case: Case, *, jobs: int) -> tuple[list[float], float]:
    """Submit *jobs* prompts at once; return the delays in seconds, and polls a job."""
    polling, webhooks, simulated = case
    duration = (5.0, 90.0) if simulated else (0.2, 2.0)
    loop, port = asyncio.get_running_loop(), unused_port()
    async with (
        Sandbox(api_key=KEY, seed=1, duration=duration, pictures=False) as sandbox,
        PictorySession(KEY, base_url=sandbox.base_url, polling=polling) as session,
    ):
        receiver = WebhookReceiver(session, public_url=f"http://127.0.0.1:{port}")
        app = web.Application()
        app.router.add_post("/{token}", receiver.aiohttp_handler)

        async def one(number: int) -> float:
            webhook = receiver.url if webhooks else None
            job = await session.submit(f"Picture number {number}", webhook=webhook)
            await job.wait()
            ended = loop.time()
            return ended - (sandbox.job(job.job_id).ended_at or ended)

        async with TestServer(app, port=port):
            delays = await asyncio.gather(*(one(number) for number in range(jobs)))
        return delays, sum(job.polls for job in sandbox.jobs.values()) / jobs


def run(case: Case, *, jobs: int) -> tuple[list[float], float]:
    """Run one case on a loop of its own."""
    loop = looptime.new_event_loop if case[2] else None
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(measure(case, jobs=jobs))


def main(arguments: list[str] | None = None) -> int:
    """Print a table of all cases."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000, help="jobs a case")
    parser.add_argument("--quick", action="store_true", help="30 jobs a case")
    options = parser.parse_args(arguments)
    head = ("seconds until known", "mean", "median", "95 %", "polls a job")
    print(f"| {' | '.join(head)} |\n" + "|---" * len(head) + "|")  # noqa: T201
    for name, case in CASES.items():
        delays, polls = run(case, jobs=30 if options.quick else options.jobs)
        last = sorted(delays)[int(len(delays) * 0.95)]
        figures = f"{fmean(delays):.3f} | {median(delays):.3f} | {last:.3f}"
        print(f"| {name} | {figures} | {polls:.2f} |", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
