"""When to ask how a job stands, learned from how long earlier jobs took.

Arithmetic on seconds, in three steps. A job that ended is a span: it ended between
the last poll that saw it run and the poll that saw the end; a job that still runs is a
span without an end. `_estimate` turns the spans of one model into a distribution of
durations of any shape, by expectation-maximisation on cells of equal ratio that is
smoothed after each round. `_choose` finds, by dynamic programming on those cells, the
polls that see the end soonest at a price per poll, and sets the price such that a job
costs as many polls as at a fixed interval.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import mul

import attrs

from pictory_async._events import log_planned, logs_polls
from pictory_async._polling import Backoff, Rand

MINIMUM = 1.0  # seconds between two polls of one job
ENOUGH = 8  # jobs that ended before the first plan
MODELS_KEPT = 32
SHORTEST, LONGEST = 0.5, 3600.0  # seconds; durations beyond are taken for these
UNSEEN = 2.5  # a job that no poll saw running took at least its time over this

BUCKETS, PER_E = 128, 16  # for the ages of running jobs; so many for a factor of e
CELLS, MOST_CELLS, CELL_SECONDS = 96, 240, 5.0  # about 5 s each if jobs are long
ROUNDS = 12  # of expectation-maximisation
WIDTH = 0.6  # of the smoothing, over the deviation and the number of jobs ** -0.2
SURPRISES = 2.0  # beside the jobs learned from, so many that take any time at all
TAIL = 16  # times for polls beyond the longest duration
CHEAPEST, DEAREST, HALVINGS = math.log(0.05), math.log(60.0), 8  # price, in seconds
# What may be spent of the polls at a fixed interval, for jobs as they were seen and
# with surprises; less CAUTION over the number of jobs: a guess from few errs to the
# dear side. These were found by simulation (benchmarks/polling.py).
BUDGET, BUDGET_WITH_SURPRISES, CAUTION = 1.02, 1.1, 0.7
LEAST = 1.04  # polls: with one a job nobody would find out that jobs end long before

Ended = tuple[float, float, float]  # logarithms of its span; how many then ran
Span = tuple[float, float, float]  # from where to where, in cells; for how many jobs
SECONDS = [attrs.validators.ge(MINIMUM), attrs.validators.lt(math.inf)]


@attrs.frozen
class Plan:
    """When to poll the jobs of one model; all in seconds from the submission."""

    times: Sequence[float] = ()
    limits: Sequence[float] = ()  # until when each can still be the next poll
    slack: Sequence[float] = ()  # by which each may vary
    shares: Sequence[float] = ()  # of the jobs that run, so many end before it

    @classmethod
    def of(cls, times: list[float], running: list[float]) -> Plan:
        """Return the plan of polls at *times*, which find such shares *running*."""
        limits = [(a + b) / 2 for a, b in pairwise([0.0, *times])]
        gaps = [b - a for a, b in pairwise([0.0, *times, math.inf])]
        slack = [0.1 * min(pair) for pair in pairwise(gaps)]
        shares = [1 - b / max(a, 1e-9) for a, b in pairwise([1.0, *running])]
        return cls(times, limits, slack, shares)


class Ages:
    """How old running jobs were when they were last seen: counts in buckets.

    Jobs have no names: one is taken from the oldest bucket that it may be in.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0.0] * BUCKETS
        self.total = 0.0

    def add(self, age: float) -> None:
        """Note a job that runs at *age*."""
        self.counts[_bucket(age)] += 1.0
        self.total += 1.0

    def remove(self, age: float) -> None:
        """Forget a job that was last seen at *age* or before."""
        counts = self.counts
        for bucket in range(_bucket(age), -1, -1):
            if counts[bucket] > 0.0:
                gone = min(1.0, counts[bucket])
                counts[bucket] -= gone
                self.total -= gone
                return

    def fade(self) -> None:
        """Forget a little of all, for jobs that end without a word."""
        self.counts = [count * 0.99 if count > 0.01 else 0.0 for count in self.counts]
        self.total = sum(self.counts)


def _bucket(age: float) -> int:
    return int(min(PER_E * math.log(age), BUCKETS - 1)) if age > 1 else 0


class Learned:
    """What is remembered of one model.

    With many jobs in flight only every n-th end is kept; otherwise all that is left
    of a burst of jobs would be its slowest, which end last.
    """

    __slots__ = ("ages", "before", "ended", "fresh", "peak", "plan", "skipped", "spans")

    def __init__(self, memory: int) -> None:
        self.spans: deque[Ended] = deque(maxlen=memory)
        self.ages = Ages()
        self.plan = Plan()
        self.ended = self.fresh = self.skipped = 0
        self.before = 0.0  # how many ran before the first of the spans
        self.peak = 0.0  # how many ran at most, of late

    def keep(self, earliest: float, latest: float) -> bool:
        """Note an end; return whether it is time for a new plan."""
        if earliest > 0:
            self.ages.remove(earliest)
        self.peak = max(self.ages.total, self.peak - 0.125)
        self.ended, self.skipped = self.ended + 1, self.skipped + 1
        if self.skipped < self._jobs_each():
            return False
        self._append(earliest, latest)
        count = len(self.spans)
        if self.plan.times:
            return self.fresh >= count / 8
        # While most still run, those that ended were the fast ones.
        return count >= ENOUGH and self.ended >= self.ages.total / 2

    def _append(self, earliest: float, latest: float) -> None:
        self.skipped, self.fresh = 0, self.fresh + 1
        self.ages.fade()
        late = min(max(latest, SHORTEST), LONGEST)
        early = min(max(earliest, late / UNSEEN), late)
        if len(self.spans) == self.spans.maxlen:
            self.before = self.spans[0][2]
        self.spans.append((math.log(early), math.log(late), self.ages.total))

    def _jobs_each(self) -> float:
        """Return for how many jobs one that is kept stands."""
        return max(1.0, 2 * self.peak / (self.spans.maxlen or 1))

    def running(self) -> list[tuple[float, float]]:
        """Return logarithms of ages, and how many spans each is worth.

        Less as many as ran before the first span: in their place others have ended.
        """
        rest = max(0.0, 1 - self.before / max(self.ages.total, 1e-9))
        weights = [count * rest / self._jobs_each() for count in self.ages.counts]
        return [((n + 0.5) / PER_E, w) for n, w in enumerate(weights) if w > 0.01]


@attrs.define(eq=False, kw_only=True)
class Adaptive:
    """Poll when a job is likely to have ended, as earlier jobs of its model did.

    A job costs about as many polls as at a fixed *interval*, and its end is seen
    sooner: by 30 % where durations scatter by half, by 65 % where they do by a fifth
    (by simulation). Until eight jobs of a model have ended, and for a job that outlives
    all that was learned, `Backoff` from *interval* to *maximum* decides. No interval
    is under 1 s or over *maximum*. Each model is learned by itself: how long one takes
    tells nothing about another. One policy may serve several sessions of one thread.

    Attributes:
        interval: Seconds; as many polls as at this fixed interval may be spent.
        maximum: Seconds, the longest interval.
        memory: Jobs of each model to learn from, the latest, or a sample of twice as
            many as are in flight. More is finer, less follows a change faster.
        rand: Source of randomness, from 0 to 1, so that jobs do not poll in step.

    Source: https://docs.pictory.ai/api-reference/ai-studio/get-image-job ("Use a
    polling interval of 10-30 seconds"), taken as a number of polls.
    """

    interval: float = attrs.field(default=10.0, validator=SECONDS)
    maximum: float = attrs.field(default=30.0, validator=SECONDS)
    memory: int = attrs.field(default=56, validator=attrs.validators.ge(2 * ENOUGH))
    rand: Rand = attrs.field(default=random.random, repr=False)
    _models: dict[str, Learned] = attrs.field(factory=dict, init=False, repr=False)
    _fallback: Backoff = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._fallback = Backoff(
            self.interval, factor=1.03, maximum=self.maximum, rand=self.rand
        )

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Return the seconds until the next poll; see `PollPolicy`."""
        learned = self._models.get(model) or self._begin(model)
        plan = learned.plan
        index = bisect_right(plan.limits, elapsed)
        if polls:
            learned.ages.add(elapsed)
        if polls > 1:  # it was seen before, though by how much before is a guess
            guess = elapsed - 0.9 * self.interval
            learned.ages.remove(max(guess, plan.limits[index - 1]) if index else guess)
        if index < len(plan.times):
            delay = plan.times[index] + plan.slack[index] * (2 * self.rand() - 1)
            delay = min(max(delay - elapsed, MINIMUM), self.maximum)
        else:
            delay = self._fallback.delay(polls=polls, elapsed=elapsed, model=model)
        if logs_polls():
            reason = _reason(learned, index)
            log_planned(
                delay=delay, model=model, elapsed=elapsed, polls=polls, reason=reason
            )
        return delay

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Learn how long a job took; see `PollPolicy`."""
        if not math.isfinite(earliest + latest):
            return
        learned = self._models.get(model) or self._begin(model)
        if learned.keep(earliest, latest):
            durations = _estimate(learned.spans, learned.running())
            learned.plan = _choose(durations, self.interval, self.maximum)
            learned.fresh = 0

    def _begin(self, model: str) -> Learned:
        if len(self._models) >= MODELS_KEPT:
            del self._models[next(iter(self._models))]
        return self._models.setdefault(model, Learned(self.memory))


def _reason(learned: Learned, index: int) -> str:
    if not learned.plan.times:
        return f"too few jobs have ended to learn from, {learned.ended}"
    if index >= len(learned.plan.times):
        return "it has outlived all that was learned"
    share, count = learned.plan.shares[index], len(learned.spans)
    return f"{share:.0%} of those that run so long end by then, as {count} jobs tell"


@attrs.frozen
class Durations:
    """Shares of the jobs that end in each cell; cells are of equal ratio."""

    low: float  # logarithm of the seconds at which the first cell begins
    step: float  # by which it grows with each cell
    smooth: list[float]
    raw: list[float]  # not smoothed: nothing but what was seen
    count: int  # jobs that were learned from


def _estimate(
    ended: Sequence[Ended], running: Sequence[tuple[float, float]]
) -> Durations:
    """Return the distribution that explains both, jobs that ended and that run."""
    low = min(early for early, _, _ in ended) - 0.2
    # Those that run may go on for as long again, and more.
    high = max([late + 0.3 for _, late, _ in ended] + [age + 1.0 for age, _ in running])
    middle = sorted(late for _, late, _ in ended)[len(ended) // 2]
    wanted = (high - low) * math.exp(middle) / CELL_SECONDS
    cells = min(max(int(wanted), CELLS), MOST_CELLS)
    step = (high - low) / cells
    spans = [((a - low) / step, (b - low) / step, 1.0) for a, b, _ in ended]
    spans += [(max(0.0, a - low) / step, cells, weight) for a, weight in running]
    # To begin with, equal shares for equal seconds, then for equal ratios.
    smooth = [math.exp(min(0.0, low + step * n - middle)) for n in range(cells)]
    raw = smooth = _scaled(smooth)
    for _ in range(ROUNDS):
        raw = _allot(smooth, spans)
        smooth = _blur(raw, WIDTH * len(ended) ** -0.2)
    return Durations(low, step, smooth, raw, len(ended))


def _scaled(shares: list[float]) -> list[float]:
    total = sum(shares)
    return [share / total for share in shares]


def _allot(shares: list[float], spans: Sequence[Span]) -> list[float]:
    """Spread each job over its span as *shares* have it, and add them up."""
    below = [0.0, *accumulate(shares), 1.0]
    rises = [0.0] * (len(shares) + 2)
    for start, stop, weight in spans:
        first, x = int(start), start % 1
        last, y = int(end := max(stop, start + 0.2)), end % 1
        upper = below[last] + y * (below[last + 1] - below[last])
        lower = below[first] + x * (below[first + 1] - below[first])
        height = weight / max(upper - lower, 1e-12)
        rises[first] += height * (1 - x)
        rises[first + 1] += height * x
        rises[last] -= height * (1 - y)
        rises[last + 1] -= height * y
    return _scaled([max(0.0, share) for share in map(mul, shares, accumulate(rises))])


def _blur(shares: list[float], width: float) -> list[float]:
    """Smooth with a kernel whose deviation is *width* of that of *shares*."""
    mean = sum(map(mul, shares, range(len(shares))))
    variance = sum((n - mean) ** 2 * share for n, share in enumerate(shares))
    half = width * width * variance / 2 + 1e-9  # what each way there and back adds
    kept = (half + 1 - math.sqrt(2 * half + 1)) / half
    for _ in range(4):  # there and back, twice
        shares = list(accumulate(shares, lambda a, b: kept * a + (1 - kept) * b))
        shares.reverse()
    return _scaled(shares)


class Grid:
    """The times at which a poll can be, and what is to be expected at each.

    By each a share of the jobs has `ended`, after `moment` seconds in sum; others
    still run: as was `seen`, and with surprises (`wary`). The next poll can be the
    one numbered `first`, `last` or any between.
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
    """Return 0, the way to the first cell, the end of each cell, and a tail."""
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
    """Return how many polls a job costs at a fixed interval."""
    polls, time = 1.0, interval
    while time < times[-1]:
        n = bisect_right(times, time)
        share = (time - times[n - 1]) / (times[n] - times[n - 1])
        polls += running[n - 1] + share * (running[n] - running[n - 1])
        time += interval
    return polls


def _choose(durations: Durations, interval: float, maximum: float) -> Plan:
    """Return the plan that sees the end soonest for as many polls as *interval*."""
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
    return Plan.of([grid.times[n] for n in best], [grid.wary[n] for n in best])


def _solve(grid: Grid, price: float) -> list[int]:
    """Return the polls that cost least: their price and the delay that they leave.

    `costs` are those from each poll on, less what the poll before it has saved.
    """
    times, ended, moment = grid.times, grid.ended, grid.moment
    last = end = len(times) - 1
    costs, following = [0.0] * last, [last] * (last + 1)
    costs.append(times[last] * ended[last] - moment[last])
    for n in range(last - 1, -1, -1):
        begin = min(grid.first[n], last)
        end = max(min(grid.last[n], end), begin)  # never after what follows a later n
        gone = ended[n]
        found = [costs[m] - gone * times[m] for m in range(begin, end + 1)]
        least = min(found)
        end = following[n] = begin + found.index(least)
        costs[n] = times[n] * gone + least + price * grid.wary[n]
    chosen = [following[0]]
    while chosen[-1] < last:
        chosen.append(following[chosen[-1]])
    return chosen
