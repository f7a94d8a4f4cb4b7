"""What each polling policy costs in polls, and how late it sees the end of a job.

``python -m benchmarks.polling`` prints both for each policy, on simulated durations, as
Markdown; ``--quick`` takes fewer seeds and only the cases with goals; ``--data FILE``
writes the means for each job number, ``--plot FILE`` what `benchmarks.plots` draws.

The policy is shared by jobs that overlap, as in a session: *flight* jobs are in flight
and the next one starts when the end of one is seen, as with ``max_in_flight``. So the
first *flight* jobs start together, know nothing, and the fast ones report first; and a
job in flight follows a new plan from its next poll on. "burst" starts 500 jobs at
once, and the next 500 when all have ended. Requests take no time.

"optimum" is what dynamic programming finds for the true distribution of durations with
as many polls as a fixed interval of 10 s, a bound that no policy that has to learn can
reach. Ratios are to that fixed interval on the same durations, with the standard error
over seeds. Exit status 1 says that a goal was missed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import heapq
import json
import math
import random
import statistics
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import attrs

from pictory_async._policy.adaptive import Adaptive
from pictory_async._policy.polling import Backoff, FixedInterval, PollPolicy

MODEL = "seedream3.0"
QUICK_SLACK = 1.04  # what a few seeds may be off
Draw = Callable[[int, random.Random], float]  # number of the job -> its seconds
Seen = tuple[float, float]  # polls, delay


def lognormal(median: float, sigma: float) -> Draw:
    """Durations that scatter around *median* by the factor e**sigma."""
    return lambda _, rand: median * math.exp(sigma * rand.gauss(0, 1))


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
        return (
            found.polls <= slack * self.polls * fixed.polls
            and found.delay <= slack * self.delay * fixed.delay
            and found.delay <= slack * self.seconds
        )


@attrs.frozen
class Case:
    """Durations, and how jobs are submitted.

    Attributes:
        name: As printed.
        draw: How long each job takes.
        jobs: How many there are.
        skip: How many at the beginning are not measured.
        flight: How many are in flight.
        times: As many seeds as that for one of others.
        together: The next jobs start when all have ended, not one by one.
        goal: What Adaptive has to reach.
    """

    name: str
    draw: Draw = attrs.field(repr=False)
    jobs: int = 180
    skip: int = 20
    flight: int = 8
    times: int = 1
    together: bool = False
    goal: Goal | None = None


FINE, NO_WORSE = Goal(1.02, 1.0), Goal(1.05, 1.1)
USUAL = lognormal(20, 0.5)
CASES = [
    Case("sigma 0.1", lognormal(20, 0.1), goal=FINE),
    Case("sigma 0.2", lognormal(20, 0.2), goal=Goal(1.02, 1.0, 1.7)),
    Case("sigma 0.3", lognormal(20, 0.3), goal=FINE),
    Case("sigma 0.5", USUAL, goal=Goal(1.02, 1.0, 3.6)),
    Case("sigma 0.8", lognormal(20, 0.8), goal=NO_WORSE),
    Case("half 6 s, half 40 s", mixture(6, 40, 0.5, 0.3), goal=NO_WORSE),
    Case(
        "20 s, then 40 s",
        step(100, USUAL, lognormal(40, 0.5)),
        jobs=300,
        skip=100,
        goal=NO_WORSE,
    ),
    Case(
        "20 s, then 10 s",
        step(100, USUAL, lognormal(10, 0.5)),
        jobs=300,
        skip=100,
        goal=NO_WORSE,
    ),
    Case("first 20, one by one", USUAL, 20, 0, 1, 5, goal=NO_WORSE),
    Case("first 20, 8 in flight", USUAL, 20, 0, 8, 5, goal=NO_WORSE),
    Case("first 20, sigma 0.2", lognormal(20, 0.2), 20, 0, 8, 5, goal=NO_WORSE),
    Case("first 20, sigma 0.8", lognormal(20, 0.8), 20, 0, 8, 5, goal=NO_WORSE),
    Case("first 20, mixture", mixture(6, 40, 0.5, 0.3), 20, 0, 8, 5, goal=NO_WORSE),
    Case("sigma 0.5, 100 in flight", USUAL, 600, 200, 100),
    Case("first 1,500, 500 in flight", USUAL, 1500, 0, 500),
    Case("burst of 500, three times", USUAL, 1500, 0, 500, together=True),
    Case("burst of 500, third", USUAL, 1500, 1000, 500, together=True),
    Case("one in ten fails after 1 s", mixture(1, 20, 0.1, 0.3)),
    Case("outage of 300 s, 40 jobs", outage(100, 140, 300, USUAL), 300, 100),
    Case("after that outage", outage(100, 140, 300, USUAL), 300, 140),
    Case("1 s", lognormal(1, 0.3)),
    Case("6 s", lognormal(6, 0.2)),
    Case("10 min", lognormal(600, 0.3)),
]

PLOTTED = {"sigma 0.1", "sigma 0.2", "sigma 0.3", "sigma 0.5", "sigma 0.8"}

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


class Simulation:
    """Jobs in flight that share one policy."""

    def __init__(self, case: Case, policy: PollPolicy, rand: random.Random) -> None:
        self.case = case
        self.policy = policy
        # All policies get the same durations, in whatever order their jobs start.
        self.durations = [case.draw(number, rand) for number in range(case.jobs)]
        self.seen: list[Seen] = [(0, 0.0)] * case.jobs
        self.started = 0
        self.queue: list[_Job] = []

    def run(self) -> list[Seen]:
        """Return the polls and the delay of each job."""
        self._fill(0.0)
        while self.queue:
            job = heapq.heappop(self.queue)
            self._poll(job)
        return self.seen

    def _fill(self, now: float) -> None:
        while len(self.queue) < self.case.flight and self.started < self.case.jobs:
            job = _Job(now, self.started, now, self.durations[self.started])
            self.started += 1
            self._put(job)

    def _put(self, job: _Job) -> None:
        job.due += self.policy.delay(
            polls=job.polls, elapsed=job.due - job.started, model=MODEL
        )
        heapq.heappush(self.queue, job)

    def _poll(self, job: _Job) -> None:
        job.polls += 1
        elapsed = job.due - job.started
        if elapsed < job.duration:
            job.last = elapsed
            self._put(job)
            return
        self.policy.ended(model=MODEL, earliest=job.last, latest=elapsed)
        self.seen[job.number] = job.polls, elapsed - job.duration
        if not self.case.together or not self.queue:
            self._fill(job.due)


def run(case: Case, policy: str, seed: int) -> list[Seen]:
    """Return the polls and the delay of each job of a case."""
    made = POLICIES[policy](random.Random(-seed - 1))
    return Simulation(case, made, random.Random(seed)).run()


# --- the optimum ------------------------------------------------------------------


def optimum(number: int) -> Seen:
    """Return polls and delay of the best plan with the polls of a fixed 10 s.

    For the durations of the case's last job: known exactly, and no others.
    """
    case = CASES[number]
    rand = random.Random(1)
    sample = sorted(case.draw(case.jobs - 1, rand) for _ in range(40_000))
    polls = statistics.fmean(math.ceil(duration / 10) for duration in sample)
    low, high = 0.01, 100.0
    for _ in range(12):
        price = math.sqrt(low * high)
        found = _plan(sample, price)
        low, high = (price, high) if found[0] > polls else (low, price)
    dear, cheap = _plan(sample, low), _plan(sample, high)
    share = (polls - cheap[0]) / ((dear[0] - cheap[0]) or 1.0)
    return polls, cheap[1] + min(max(share, 0.0), 1.0) * (dear[1] - cheap[1])


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


# --- the tables -------------------------------------------------------------------


@attrs.frozen
class Figures:
    """What one policy came to in one case: means, and 95 of 100 delays are below."""

    polls: float
    delay: float
    p95: float
    by_seed: list[float]  # polls
    by_job: list[tuple[float, float]]


def measure(number: int, policy: str, seeds: int) -> Figures:
    """Run a case with many seeds."""
    case = CASES[number]
    runs = [run(case, policy, seed) for seed in range(seeds * case.times)]
    kept = [seen for each in runs for seen in each[case.skip :]]
    polls = [statistics.fmean(p for p, _ in each[case.skip :]) for each in runs]
    columns = zip(*runs, strict=True)
    by_job = [
        (statistics.fmean(p for p, _ in jobs), statistics.fmean(d for _, d in jobs))
        for jobs in columns
    ]
    return Figures(
        polls=statistics.fmean(polls),
        delay=statistics.fmean(delay for _, delay in kept),
        p95=statistics.quantiles((delay for _, delay in kept), n=20)[-1],
        by_seed=polls,
        by_job=by_job,
    )


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def line(*cells: object) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(*cells: str) -> str:
    """Return the head of a Markdown table."""
    return line(*cells) + "\n" + "|---" * len(cells) + "|"


def compare(case: Case, found: dict[str, Figures], best: str, *, slack: float) -> str:
    """Return a row of the table of results."""
    fixed, ours = found["fixed 10 s"], found["Adaptive"]
    more = [a - b for a, b in zip(ours.by_seed, fixed.by_seed, strict=True)]
    error = statistics.stdev(more) / math.sqrt(len(more)) / fixed.polls
    kept = ""
    if case.goal is not None:
        kept = "yes" if case.goal.kept(fixed, ours, slack=slack) else "no"
    return line(
        case.name,
        *(f"{each.polls:.2f} / {each.delay:.2f}" for each in found.values()),
        best,
        f"{ours.polls / fixed.polls:.3f} ± {error:.3f}",
        f"{ours.delay / fixed.delay:.3f}",
        f"{fixed.p95:.1f} / {ours.p95:.1f}",
        kept,
    )


class Timed:
    """A policy that notes how long its calls take."""

    def __init__(self, policy: PollPolicy) -> None:
        self.policy = policy
        self.delays: list[float] = []
        self.ends: list[float] = []

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Ask the policy."""
        begun = time.perf_counter()
        delay = self.policy.delay(polls=polls, elapsed=elapsed, model=model)
        self.delays.append(time.perf_counter() - begun)
        return delay

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Tell the policy."""
        begun = time.perf_counter()
        self.policy.ended(model=model, earliest=earliest, latest=latest)
        self.ends.append(time.perf_counter() - begun)


def cost(flight: int) -> str:
    """Return a row that says how long a call takes."""
    timed = Timed(Adaptive())
    case = Case("", USUAL, jobs=1000 + 5 * flight, flight=flight)
    Simulation(case, timed, random.Random(1)).run()
    return line(
        f"{flight:,}",
        f"{statistics.median(timed.delays) * 1e6:.1f}",
        f"{statistics.median(timed.ends) * 1e6:.1f}",
        f"{statistics.fmean(timed.ends) * 1e6:.0f}",
        f"{max(timed.ends) * 1e3:.1f}",
    )


def write(path: Path, found: dict[tuple[int, str], Figures]) -> None:
    """Write the means for each job number."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "policy", "job", "polls", "delay"])
        for (number, policy), figures in found.items():
            for job, (polls, delay) in enumerate(figures.by_job):
                rows.writerow([CASES[number].name, policy, job, polls, delay])


def plot(path: Path, found: dict[tuple[int, str], Figures]) -> None:
    """Write the points of a plot of delay against polls: a line for each policy."""
    points = [
        {
            "kind": policy,
            "point": CASES[number].name.removeprefix("sigma "),
            "polls": round(found[number, policy].polls, 3),
            "delay": round(found[number, policy].delay, 3),
        }
        for policy in POLICIES
        for number, case in enumerate(CASES)
        if case.name in PLOTTED
    ]
    path.write_text(json.dumps(points, indent=1) + "\n")


def tables(seeds: int, *, quick: bool) -> dict[tuple[int, str], Figures]:
    """Run all cases, print the tables, return the figures."""
    numbers = [n for n, case in enumerate(CASES) if case.goal or not quick]
    asked = [(number, policy) for number in numbers for policy in POLICIES]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        best = [] if quick else [pool.submit(optimum, number) for number in numbers]
        waiting = [pool.submit(measure, *each, seeds) for each in asked]
        found = dict(zip(asked, (each.result() for each in waiting), strict=True))
        bounds = [f"{each.result()[1]:.2f}" for each in best] or ["" for _ in numbers]
    say(f"Polls per job / mean delay in seconds; {seeds} seeds.\n")
    ratios = ("polls, ratio", "delay, ratio", "p95 delay: fixed 10 s / Adaptive")
    say(head("durations", *POLICIES, "optimum's delay", *ratios, "goal kept"))
    for number, bound in zip(numbers, bounds, strict=True):
        case = {policy: found[number, policy] for policy in POLICIES}
        say(compare(CASES[number], case, bound, slack=QUICK_SLACK if quick else 1.0))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less, in seconds")
    parser.add_argument("--seeds", type=int, help="default: 100; 4 if quick")
    parser.add_argument("--data", type=Path, help="a CSV file to write")
    parser.add_argument("--plot", type=Path, help="a JSON file to write")
    options = parser.parse_args(arguments)
    seeds = options.seeds or (4 if options.quick else 100)
    found = tables(seeds, quick=options.quick)
    if not options.quick:
        say("\nA call of Adaptive; `ended` makes a new plan now and then.\n")
        units = ("delay, median us", "ended, median us", "mean us", "longest ms")
        say(head("in flight", *units))
        for flight in (8, 1000, 20_000):
            say(cost(flight))
    if options.data:
        write(options.data, found)
    if options.plot:
        plot(options.plot, found)
    missed = [
        case.name
        for number, case in enumerate(CASES)
        if case.goal
        and not case.goal.kept(
            found[number, "fixed 10 s"],
            found[number, "Adaptive"],
            slack=QUICK_SLACK if options.quick else 1.0,
        )
    ]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
