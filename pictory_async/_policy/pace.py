"""How fast requests may start: additive increase, multiplicative decrease.

The time is passed in. There is no limit on the rate until the service throttles; then
the session finds a rate that the service accepts.
"""

import math
from typing import Any

import attrs

CUT = 0.5  # the factor by which a 429 reduces the rate
RECOVERY = 60.0  # seconds from a standstill back to the rate before the first 429
SLOWEST = 0.2  # requests a second, the lowest rate
REMEMBERED = 60  # seconds with requests for which their number is kept


def _positive_or_none(_: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{attribute.name} must be above 0 or None, not {value!r}")


@attrs.frozen(kw_only=True)
class Limits:
    """Limits of a session, for submits, polls, pages and downloads together.

    Attributes:
        concurrent_requests: The number of requests in flight at the same time.
        requests_per_second: The number of requests started per second, evenly spaced;
            None for no limit except what the service enforces with 429.
    """

    concurrent_requests: int = attrs.field(
        default=32,
        validator=[attrs.validators.instance_of(int), attrs.validators.ge(1)],
    )
    requests_per_second: float | None = attrs.field(
        default=None, validator=_positive_or_none
    )


class Pace:
    """The earliest moment at which the next request may start."""

    def __init__(self, *, limit: float | None = None) -> None:
        self._limit = limit
        self._next = -math.inf
        self._paused_until = -math.inf
        self._rate: float | None = None  # while throttled, as of _rate_at
        self._rate_at = -math.inf
        self._goal = math.inf  # the rate at which the throttling is over
        self._starts: dict[int, int] = {}  # requests by whole second, the latest last

    def ready_at(self) -> float:
        """Return the moment from which the next request may start."""
        return max(self._next, self._paused_until)

    def started(self, now: float) -> None:
        """Count a request that starts *now*."""
        self._count(now)
        rate = self.rate(now)
        if rate is not None:
            self._next = max(self._next, now) + 1 / rate

    def rate(self, now: float) -> float | None:
        """Return how many requests a second may start; None for no limit."""
        if self._rate is None:
            return self._limit
        grown = self._rate + max(now - self._rate_at, 0.0) * self._goal / RECOVERY
        if grown >= self._goal:
            self._rate = None
            return self._limit
        return grown if self._limit is None else min(grown, self._limit)

    def throttled(
        self, now: float, *, started: float, retry_after: float | None
    ) -> None:
        """Slow down: a request from the moment *started* was refused *now*.

        Args:
            now: The present moment.
            started: When the refused request started.
            retry_after: Seconds the service asked for, capped by the caller.
        """
        if retry_after:
            self._paused_until = max(self._paused_until, now + retry_after)
        if started <= self._rate_at and self._rate is not None:
            return  # sent before the last cut: it says nothing about the new rate
        before = self.rate(now) or self._speed(started)
        if self._rate is None:
            self._goal = max(before, SLOWEST / CUT)
        self._rate = max(before * CUT, SLOWEST)
        self._rate_at = max(now, self._paused_until)
        self._next = max(self._next, now + 1 / self._rate)

    def _count(self, now: float) -> None:
        second = math.floor(now)
        if second not in self._starts:
            kept = list(self._starts.items())[-REMEMBERED:]
            self._starts = dict([*kept, (second, 0)])
        self._starts[second] += 1

    def _speed(self, moment: float) -> float:
        """Return how many requests a second were started around *moment*."""
        second = math.floor(moment)
        return max(self._starts.get(second, 0), self._starts.get(second - 1, 0), 1.0)
