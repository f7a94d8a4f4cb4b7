"""When to poll, learned from how long earlier jobs took.

Three steps: this module collects, for each model, what polls found; `durations`
estimates from it how long jobs take; `schedule` chooses the moments to poll at.

A simpler estimate, a log-normal fit in 60 lines, was measured against this one: it
takes 15 to 20 % more polls where durations are a mixture, and notices the end of jobs
that are submitted in bursts after 9 to 11 s instead of 4 s.
"""

import logging
import math
import random
from bisect import bisect_right
from collections import deque

import attrs

from pictory_async._core.log import log_planned, logger
from pictory_async._policy.durations import Ended, estimate
from pictory_async._policy.polling import Backoff
from pictory_async._policy.retry import Rand
from pictory_async._policy.schedule import MINIMUM, Schedule, choose

ENOUGH = 8  # ended jobs before the first schedule
MODELS_KEPT = 32
SHORTEST, LONGEST = 0.5, 3600.0  # seconds; durations are clamped to this range
UNSEEN = 2.5  # a job that no poll found running took at least its time / UNSEEN
BUCKETS, PER_E = 128, 16  # for the ages of running jobs: in all, and for a factor e
SECONDS = [attrs.validators.ge(MINIMUM), attrs.validators.lt(math.inf)]


class Ages:
    """A histogram of the ages that running jobs had at their last poll.

    Jobs are anonymous here: the one to remove is taken from the oldest bucket in which
    it may have been counted.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0.0] * BUCKETS
        self.total = 0.0

    def add(self, age: float) -> None:
        """Count a job that still runs at *age*."""
        self.counts[_bucket(age)] += 1.0
        self.total += 1.0

    def remove(self, age: float) -> None:
        """Remove a job whose last poll was at *age* or before."""
        counts = self.counts
        for bucket in range(_bucket(age), -1, -1):
            if counts[bucket] > 0.0:
                share = min(1.0, counts[bucket])
                counts[bucket] -= share
                self.total -= share
                return

    def fade(self) -> None:
        """Reduce all counts a little, for jobs whose end is never seen."""
        self.counts = [count * 0.99 if count > 0.01 else 0.0 for count in self.counts]
        self.total = sum(self.counts)


def _bucket(age: float) -> int:
    return int(min(PER_E * math.log(age), BUCKETS - 1)) if age > 1 else 0


class Learned:
    """What has been learned about one model.

    With many jobs in flight only every n-th end is kept; otherwise the memory would end
    up with only the slowest jobs of a burst, which end last.
    """

    __slots__ = (
        "ages",
        "before",
        "ended",
        "fresh",
        "peak",
        "schedule",
        "skipped",
        "spans",
    )

    def __init__(self, memory: int) -> None:
        self.spans: deque[Ended] = deque(maxlen=memory)
        self.ages = Ages()
        self.schedule = Schedule()
        self.ended = self.fresh = self.skipped = 0
        self.before = 0.0  # jobs that were running before the first of the spans
        self.peak = 0.0  # the most jobs that were running recently

    def keep(self, earliest: float, latest: float) -> bool:
        """Record the end of a job; return whether it is time for a new schedule."""
        if earliest > 0:
            self.ages.remove(earliest)
        self.peak = max(self.ages.total, self.peak - 0.125)
        self.ended, self.skipped = self.ended + 1, self.skipped + 1
        if self.skipped < self._jobs_each():
            return False
        self._append(earliest, latest)
        count = len(self.spans)
        if self.schedule.times:
            return self.fresh >= count / 8
        # While most jobs still run, those that have ended are the fast ones.
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
        """Return how many jobs each recorded one stands for."""
        return max(1.0, 2 * self.peak / (self.spans.maxlen or 1))

    def running(self) -> list[tuple[float, float]]:
        """Return logarithms of ages, each with its weight in spans.

        Jobs that were running before the first span are not counted: as many have
        ended since.
        """
        rest = max(0.0, 1 - self.before / max(self.ages.total, 1e-9))
        weights = [count * rest / self._jobs_each() for count in self.ages.counts]
        return [((n + 0.5) / PER_E, w) for n, w in enumerate(weights) if w > 0.01]


@attrs.define(eq=False, kw_only=True)
class Adaptive:
    """Poll when a job is likely to have ended, judging by earlier jobs of its model.

    A job costs about as many polls as at a fixed *interval*, and its end is noticed
    sooner: by 30 % where durations scatter by half, by 65 % where they scatter by a
    fifth (by simulation). A `Backoff` from *interval* to *maximum* decides until eight
    jobs of a model have ended, and for a job that takes longer than any before. No
    interval is under 1 s or over *maximum*. Each model is learned separately. One
    policy may serve several sessions of one thread.

    Attributes:
        interval: Seconds; a job may cost as many polls as at this fixed interval.
        maximum: Seconds, the longest interval.
        memory: The number of recent jobs of each model to learn from; with many in
            flight, of a sample of them. More is more precise, less adapts faster.
        rand: A source of random numbers from 0 to 1, so that jobs are not polled in
            step.

    Source: https://docs.pictory.ai/api-reference/ai-studio/get-image-job ("Use a
    polling interval of 10-30 seconds"), taken as a budget of polls.
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
        schedule = learned.schedule
        index = bisect_right(schedule.limits, elapsed)
        if polls:
            learned.ages.add(elapsed)
        if polls > 1:  # it was counted before, at an age that can only be guessed
            guess = elapsed - 0.9 * self.interval
            learned.ages.remove(
                max(guess, schedule.limits[index - 1]) if index else guess
            )
        if index < len(schedule.times):
            delay = schedule.times[index] + schedule.slack[index] * (
                2 * self.rand() - 1
            )
            delay = min(max(delay - elapsed, MINIMUM), self.maximum)
        else:
            delay = self._fallback.delay(polls=polls, elapsed=elapsed, model=model)
        if logger.isEnabledFor(logging.DEBUG):
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
            durations = estimate(learned.spans, learned.running())
            learned.schedule = choose(durations, self.interval, self.maximum)
            learned.fresh = 0

    def _begin(self, model: str) -> Learned:
        if len(self._models) >= MODELS_KEPT:
            del self._models[next(iter(self._models))]
        return self._models.setdefault(model, Learned(self.memory))


def _reason(learned: Learned, index: int) -> str:
    if not learned.schedule.times:
        return f"too few jobs have ended to learn from ({learned.ended})"
    if index >= len(learned.schedule.times):
        return "it takes longer than any job learned from"
    share, count = learned.schedule.shares[index], len(learned.spans)
    return f"{share:.0%} of jobs that old end by then, judging by the last {count}"
