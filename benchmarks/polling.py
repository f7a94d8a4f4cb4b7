"""What each polling policy costs in polls, and how late it sees the end of a job.

``python -m benchmarks.polling`` prints both for each policy, on simulated durations, as
Markdown; ``--quick`` takes fewer seeds and only the cases with goals; ``--plot FILE``
writes what `benchmarks.plots` draws. Exit status 1 says that a goal was missed.

The policy is shared by jobs that overlap, as in a session: *flight* jobs are in flight
and the next one starts when the end of one is seen, as with ``max_in_flight``. So the
first *flight* jobs start together, know nothing, and the fast ones report first; and a
job in flight follows a new plan from its next poll on. "burst" starts 500 jobs at
once, and the next 500 when all have ended. Requests take no time.

"optimum" is what dynamic programming finds for the true distribution of durations with
as many polls as a fixed interval of 10 s, a bound that no policy that has to learn can
reach. Ratios are to that fixed interval on the same durations, with the standard error
over seeds.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import heapq
import json
import math
import random
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, islice
from pathlib import Path
from statistics import fmean, median, quantiles, stdev

import attrs

from pictory_async import Adaptive, Backoff, FixedInterval, PollPolicy

MODEL = "seedream3.0"
QUICK_SLACK = 1.04  # what a few seeds may be off
Draw = Callable[[int, random.Random], float]  # number of the job -> its seconds
Seen = tuple[float, float]  # polls, delay


def lognormal(middle: float, sigma: float) -> Draw:
    """Durations that scatter around *middle* by the factor e**sigma."""
    return lambda _, rand: middle * math.exp(sigma * rand.gauss(0, 1))


def mixture(fast: float, slow: float, share: float, sigma: float) -> Draw:
    """Durations of which that *share* is *fast*."""
    return lambda _, rand: (
        (fast if rand.random() < share else slow) * math.exp(sigma * rand.gauss(0, 1))
    )


def step(at: int, before: Draw, after: Draw) -> Draw:
    """Durations that change with job number *at*."""
    return lambda job, rand: (before if job < at else after)(job, rand)


def outage(start: int, end: int, wait: float, usual: Draw) -> Draw:
    """Durations to which jobs from *start* to *end* add up to *wait* seconds."""
    return lambda job, rand: (
        usual(job, rand) + (wait * rand.random() if start <= job < end else 0.0)
    )


@attrs.frozen
class Goal:
    """What is allowed: ratios to a fixed 10 s, and seconds of mean delay."""

    polls: float
    delay: float
    seconds: float = math.inf

    def kept(self, fixed: Figures, found: Figures, *, slack: float) -> bool:
        """Say whether *found* is within *slack* times the goal."""
        delay = min(self.delay * fixed.delay, self.seconds)
        return (
            found.polls <= slack * self.polls * fixed.polls
            and found.delay <= slack * delay
        )


@attrs.frozen
class Case:
    """Durations, and how jobs are submitted."""

    name: str
    draw: Draw = attrs.field(repr=False)
    jobs: int = 180
    skip: int = 20  # so many at the beginning are not measured
    flight: int = 8  # so many are in flight
    times: int = 1  # as many seeds as that for one of others
    together: bool = False  # the next jobs start when all have ended, not one by one
    goal: Goal | None = None  # what Adaptive has to reach


FINE, NO_WORSE = Goal(1.02, 1.0), Goal(1.05, 1.1)
USUAL, MIXED = lognormal(20, 0.5), mixture(6, 40, 0.5, 0.3)
SLOWER, FASTER = (
    step(100, USUAL, lognormal(40, 0.5)),
    step(100, USUAL, lognormal(10, 0.5)),
)
OUTAGE = outage(100, 140, 300, USUAL)
CASES = [
    Case("sigma 0.1", lognormal(20, 0.1), goal=FINE),
    Case("sigma 0.2", lognormal(20, 0.2), goal=Goal(1.02, 1.0, 1.7)),
    Case("sigma 0.3", lognormal(20, 0.3), goal=FINE),
    Case("sigma 0.5", USUAL, goal=Goal(1.02, 1.0, 3.6)),
    Case("sigma 0.8", lognormal(20, 0.8), goal=NO_WORSE),
    Case("half 6 s, half 40 s", MIXED, goal=NO_WORSE),
    Case("20 s, then 40 s", SLOWER, jobs=300, skip=100, goal=NO_WORSE),
    Case("20 s, then 10 s", FASTER, jobs=300, skip=100, goal=NO_WORSE),
    Case("first 20, one by one", USUAL, 20, 0, 1, 5, goal=NO_WORSE),
    Case("first 20, 8 in flight", USUAL, 20, 0, 8, 5, goal=NO_WORSE),
    Case("first 20, sigma 0.2", lognormal(20, 0.2), 20, 0, 8, 5, goal=NO_WORSE),
    Case("first 20, sigma 0.8", lognormal(20, 0.8), 20, 0, 8, 5, goal=NO_WORSE),
    Case("first 20, mixture", MIXED, 20, 0, 8, 5, goal=NO_WORSE),
    Case("sigma 0.5, 100 in flight", USUAL, 600, 200, 100),
    Case("first 1,500, 500 in flight", USUAL, 1500, 0, 500),
    Case("burst of 500, three times", USUAL, 1500, 0, 500, together=True),
    Case("burst of 500, third", USUAL, 1500, 1000, 500, together=True),
    Case("one in ten fails after 1 s", mixture(1, 20, 0.1, 0.3)),
    Case("outage of 300 s, 40 jobs", OUTAGE, 300, 100),
    Case("after that outage", OUTAGE, 300, 140),
    Case("1 s", lognormal(1, 0.3)),
    Case("6 s", lognormal(6, 0.2)),
    Case("10 min", lognormal(600, 0.3)),
]
PLOTTED = range(5)  # durations that scatter more and more

POLICIES: dict[str, Callable[[random.Random], PollPolicy]] = {
    "fixed 10 s": lambda _: FixedInterval(10),
    "fixed 15 s": lambda _: FixedInterval(15),
    "Backoff": lambda rand: Backoff(rand=rand.random),
    "Adaptive": lambda rand: Adaptive(rand=rand.random),
}


@attrs.define(order=True)
class _Job:
    due: float
    number: int
    started: float
    duration: float
    polls: int = 0
    last: float = 0.0


def simulate(case: Case, policy: PollPolicy, rand: random.Random) -> list[Seen]:
    """Return the polls and the delay of each job, all of which share one policy."""
    # All policies get the same durations, in whatever order their jobs start.
    durations = [case.draw(number, rand) for number in range(case.jobs)]
    seen: list[Seen] = [(0, 0.0)] * case.jobs
    waiting, queue = iter(range(case.jobs)), list[_Job]()

    def put(job: _Job) -> None:
        elapsed = job.due - job.started
        job.due += policy.delay(polls=job.polls, elapsed=elapsed, model=MODEL)
        heapq.heappush(queue, job)

    def fill(now: float) -> None:
        for number in islice(waiting, case.flight - len(queue)):
            put(_Job(now, number, now, durations[number]))

    fill(0.0)
    while queue:
        job = heapq.heappop(queue)
        job.polls += 1
        elapsed = job.due - job.started
        if elapsed < job.duration:
            job.last = elapsed
            put(job)
            continue
        policy.ended(model=MODEL, earliest=job.last, latest=elapsed)
        seen[job.number] = job.polls, elapsed - job.duration
        if not case.together or not queue:
            fill(job.due)
    return seen


def optimum(number: int) -> float:
    """Return the delay of the best plan with as many polls as a fixed 10 s.

    For the durations of the case's last job: known exactly, and no others.
    """
    case = CASES[number]
    rand = random.Random(1)
    sample = sorted(case.draw(case.jobs - 1, rand) for _ in range(40_000))
    polls = fmean(math.ceil(duration / 10) for duration in sample)
    low, high = 0.01, 100.0
    for _ in range(12):
        price = math.sqrt(low * high)
        more = _plan(sample, price)[0] > polls
        low, high = (price, high) if more else (low, price)
    dear, cheap = _plan(sample, low), _plan(sample, high)
    share = (polls - cheap[0]) / ((dear[0] - cheap[0]) or 1.0)
    return cheap[1] + min(max(share, 0.0), 1.0) * (dear[1] - cheap[1])


def _plan(sample: Sequence[float], price: float) -> Seen:
    """Return the polls and the delay of the best plan at a price per poll."""
    grid = [sample[-1] * (n / 400) ** 1.5 for n in range(401)]
    ended = [bisect_right(sample, at) for at in grid]
    sums = [0.0, *accumulate(sample)]
    cost, plan, top = [0.0] * 401, [(0.0, 0.0)] * 401, 400
    for n in range(399, -1, -1):
        running = len(sample) - ended[n]
        late = [
            grid[m] * (ended[m] - ended[n]) - (sums[ended[m]] - sums[ended[n]])
            for m in range(n + 1, top + 1)
        ]
        costs = [a + b for a, b in zip(late, cost[n + 1 :], strict=False)]
        best = costs.index(min(costs))
        top = n + 1 + best
        cost[n] = price * running + costs[best]
        plan[n] = (plan[top][0] + running, plan[top][1] + late[best])
    return plan[0][0] / len(sample), plan[0][1] / len(sample)


@attrs.frozen
class Figures:
    """What one policy came to in one case: means, and 95 of 100 delays are below."""

    polls: float
    delay: float
    p95: float
    by_seed: list[float]  # polls


def measure(number: int, policy: str, seeds: int) -> Figures:
    """Run a case with many seeds."""
    case, runs = CASES[number], []
    for seed in range(seeds * case.times):
        made = POLICIES[policy](random.Random(-seed - 1))
        runs.append(simulate(case, made, random.Random(seed))[case.skip :])
    polls = [fmean(polls for polls, _ in run) for run in runs]
    delays = [delay for run in runs for _, delay in run]
    return Figures(fmean(polls), fmean(delays), quantiles(delays, n=20)[-1], polls)


class Timed(Adaptive):
    """Adaptive, which notes how long it takes to learn of an end, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.took: list[float] = []

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Learn of the end of a job."""
        began = time.perf_counter()
        super().ended(model=model, earliest=earliest, latest=latest)
        self.took.append(time.perf_counter() - began)


def line(*cells: object) -> None:
    """Print a row of a Markdown table."""
    sys.stdout.write("| " + " | ".join(str(cell) for cell in cells) + " |\n")


def head(*cells: str) -> None:
    """Print the head of a Markdown table."""
    line(*cells)
    sys.stdout.write("|---" * len(cells) + "|\n")


def compare(case: Case, found: dict[str, Figures], bound: str, *, slack: float) -> bool:
    """Print a row of the table of results; return whether its goal was kept."""
    fixed, ours = found["fixed 10 s"], found["Adaptive"]
    more = [a - b for a, b in zip(ours.by_seed, fixed.by_seed, strict=True)]
    error = stdev(more) / math.sqrt(len(more)) / fixed.polls
    kept = case.goal is None or case.goal.kept(fixed, ours, slack=slack)
    line(
        case.name,
        *(f"{each.polls:.2f} / {each.delay:.2f}" for each in found.values()),
        bound,
        f"{ours.polls / fixed.polls:.3f} ± {error:.3f}",
        f"{ours.delay / fixed.delay:.3f}",
        f"{fixed.p95:.1f} / {ours.p95:.1f}",
        "" if case.goal is None else "yes" if kept else "no",
    )
    return kept


def cost(flight: int) -> None:
    """Print a row that says how long Adaptive takes to learn of an end."""
    policy = Timed()
    case = Case("", USUAL, jobs=1000 + 5 * flight, flight=flight)
    simulate(case, policy, random.Random(1))
    micro = (f"{median(policy.took) * 1e6:.1f}", f"{fmean(policy.took) * 1e6:.0f}")
    line(f"{flight:,}", *micro, f"{max(policy.took) * 1e3:.1f}")


def plot(path: Path, found: dict[tuple[int, str], Figures]) -> None:
    """Write the points of a plot of delay against polls: a line for each policy."""
    points = []
    for policy in POLICIES:
        for number in PLOTTED:
            figures, name = found[number, policy], CASES[number].name
            point = {"kind": policy, "point": name.removeprefix("sigma ")}
            place = {"polls": round(figures.polls, 3), "delay": round(figures.delay, 3)}
            points.append(point | place)
    path.write_text(json.dumps(points, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less, in seconds")
    parser.add_argument("--seeds", type=int, help="default: 100; 4 if quick")
    parser.add_argument("--plot", type=Path, help="a JSON file to write")
    options = parser.parse_args(arguments)
    quick, seeds = options.quick, options.seeds or (4 if options.quick else 100)
    numbers = [n for n, case in enumerate(CASES) if case.goal or not quick]
    asked = [(number, policy) for number in numbers for policy in POLICIES]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        best = {} if quick else {n: pool.submit(optimum, n) for n in numbers}
        waiting = [pool.submit(measure, *each, seeds) for each in asked]
        found = dict(zip(asked, (each.result() for each in waiting), strict=True))
        bounds = {n: f"{each.result():.2f}" for n, each in best.items()}
    sys.stdout.write(f"Polls per job / mean delay in seconds; {seeds} seeds.\n\n")
    ratios = ("polls, ratio", "delay, ratio", "p95 delay: fixed 10 s / Adaptive")
    head("durations", *POLICIES, "optimum's delay", *ratios, "goal kept")
    kept, slack = True, QUICK_SLACK if quick else 1.0
    for number in numbers:
        figures = {policy: found[number, policy] for policy in POLICIES}
        kept &= compare(CASES[number], figures, bounds.get(number, ""), slack=slack)
    if not quick:
        sys.stdout.write("\nHow long Adaptive takes to learn of an end.\n\n")
        head("in flight", "median us", "mean us", "longest ms")
        for flight in (8, 1000, 20_000):
            cost(flight)
    if options.plot:
        plot(options.plot, found)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
