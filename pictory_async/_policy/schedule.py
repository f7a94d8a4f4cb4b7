"""When to poll the jobs of one model, given how long they take.

Dynamic programming on the cells of the distribution finds the polls that notice the end
soonest, at a price per poll; the price is chosen such that a job costs as many polls as
at a fixed interval.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import mul

import attrs

from pictory_async._policy.durations import Durations

MINIMUM = 1.0  # seconds between two polls of one job
SURPRISES = 2.0  # imaginary jobs of any duration, added to those learned from
TAIL = 16  # possible polls beyond the longest duration
CHEAPEST, DEAREST, HALVINGS = math.log(0.05), math.log(60.0), 8  # price, in seconds
# The budget of polls, as a multiple of those at a fixed interval: for jobs as they were
# observed, and with surprises; less CAUTION / number of jobs, because an estimate from
# few jobs tends to be too expensive. Found by simulation (benchmarks/polling.py).
BUDGET, BUDGET_WITH_SURPRISES, CAUTION = 1.02, 1.1, 0.7
LEAST = 1.04  # polls; with only one a job, shorter durations would go unnoticed


@attrs.frozen
class Schedule:
    """When to poll the jobs of one model; times are in seconds from the submission."""

    times: Sequence[float] = ()
    limits: Sequence[float] = ()  # the latest moment at which each is the next poll
    slack: Sequence[float] = ()  # the jitter of each
    shares: Sequence[float] = ()  # of the jobs still running, the share that ends by it

    @classmethod
    def of(cls, times: list[float], running: list[float]) -> Schedule:
        """Return the schedule of polls at *times*, when these shares still run."""
        limits = [(a + b) / 2 for a, b in pairwise([0.0, *times])]
        gaps = [b - a for a, b in pairwise([0.0, *times, math.inf])]
        slack = [0.1 * min(pair) for pair in pairwise(gaps)]
        shares = [1 - b / max(a, 1e-9) for a, b in pairwise([1.0, *running])]
        return cls(times, limits, slack, shares)


class Grid:
    """The possible times of a poll, and what is to be expected at each.

    Attributes (one value for each time):
        times: Seconds from the submission.
        ended: The share of jobs that have ended, surprises included.
        moment: The sum of their durations in seconds, weighted by share.
        seen: The share of jobs still running, as observed.
        wary: The share of jobs still running, surprises included.
        first: The index of the earliest possible next poll.
        last: The index of the latest possible next poll.
    """

    def __init__(self, durations: Durations, maximum: float) -> None:
        self.times = _times(durations, maximum)
        before = [0.0] * (len(self.times) - len(durations.raw) - TAIL)
        odd = SURPRISES / (durations.count + 2 * SURPRISES)
        each = odd / (len(durations.raw) + TAIL)
        mass = [(1 - odd) * share + each for share in durations.smooth]
        mass = [*before, *mass, *[each] * TAIL]
        middles = [0.0, *((a + b) / 2 for a, b in pairwise(self.times))]
        self.ended = list(accumulate(mass))
        self.moment = list(accumulate(map(mul, mass, middles)))
        raw = accumulate([*before, *durations.raw, *[0.0] * TAIL])
        self.seen = [max(0.0, 1 - share) for share in raw]
        self.wary = [max(0.0, 1 - share) for share in self.ended]
        self.first = [bisect_left(self.times, time + MINIMUM) for time in self.times]
        self.last = [bisect_right(self.times, t + maximum) - 1 for t in self.times]


def _times(durations: Durations, maximum: float) -> list[float]:
    """Return 0, steps up to the first cell, the end of each cell, and a tail."""
    parts = math.ceil((first := math.exp(durations.low)) / maximum)
    times = [first * part / parts for part in range(parts)]
    cells = range(len(durations.raw) + 1)
    times += [math.exp(durations.low + durations.step * cell) for cell in cells]
    gap = max(MINIMUM, times[-1] - times[-2])
    for _ in range(TAIL):
        times.append(times[-1] + gap)
        gap = min(gap * 1.25, maximum)
    return times


def _fixed(times: list[float], running: list[float], interval: float) -> float:
    """Return the number of polls that a job costs at a fixed interval."""
    polls, time = 1.0, interval
    while time < times[-1]:
        n = bisect_right(times, time)
        share = (time - times[n - 1]) / (times[n] - times[n - 1])
        polls += running[n - 1] + share * (running[n] - running[n - 1])
        time += interval
    return polls


def choose(durations: Durations, interval: float, maximum: float) -> Schedule:
    """Return the schedule that notices the end soonest with the polls of *interval*."""
    grid = Grid(durations, maximum)
    less = CAUTION / durations.count
    seen = max(_fixed(grid.times, grid.seen, interval) * (BUDGET - less), LEAST)
    wary = _fixed(grid.times, grid.wary, interval) * (BUDGET_WITH_SURPRISES - less)
    low, high = CHEAPEST, DEAREST
    best = _solve(grid, math.exp(high))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        polls = _solve(grid, math.exp(middle))
        dear = 1 + sum(grid.seen[n] for n in polls) > seen
        if dear or 1 + sum(grid.wary[n] for n in polls) > wary:
            low = middle
        else:
            high, best = middle, polls
    return Schedule.of([grid.times[n] for n in best], [grid.wary[n] for n in best])


def _solve(grid: Grid, price: float) -> list[int]:
    """Return the polls with the least cost: their price plus the delay that remains.

    ``costs[n]`` is the cost from poll n on, less what the poll before it has saved.
    """
    times, ended, moment = grid.times, grid.ended, grid.moment
    last = end = len(times) - 1
    costs, following = [0.0] * last, [last] * (last + 1)
    costs.append(times[last] * ended[last] - moment[last])
    for n in range(last - 1, -1, -1):
        begin = min(grid.first[n], last)
        end = max(min(grid.last[n], end), begin)  # not past the successor of n + 1
        gone = ended[n]
        found = [costs[m] - gone * times[m] for m in range(begin, end + 1)]
        least = min(found)
        end = following[n] = begin + found.index(least)
        costs[n] = times[n] * gone + least + price * grid.wary[n]
    chosen = [following[0]]
    while chosen[-1] < last:
        chosen.append(following[chosen[-1]])
    return chosen
