"""How long the jobs of one model take, estimated from interval-censored observations.

A job that ended is a span: it ended between the last poll that found it running and the
poll that found it ended; a job that still runs is a span without an end. Expectation
maximisation on cells of equal ratio, smoothed after each round, turns the spans into a
distribution of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

import attrs

CELLS, MOST_CELLS, CELL_SECONDS = 96, 240, 5.0  # about 5 s each if jobs are long
ROUNDS = 12  # of expectation maximisation
WIDTH = 0.6  # of the smoothing, over the deviation and the number of jobs ** -0.2

Ended = tuple[float, float, float]  # log of start and end of its span; jobs running
Span = tuple[float, float, float]  # start and end, in cells; weight


@attrs.frozen
class Durations:
    """The share of jobs that end in each cell; cells are of equal ratio."""

    low: float  # logarithm of the seconds at which the first cell begins
    step: float  # by which that logarithm grows from cell to cell
    smooth: list[float]
    raw: list[float]  # the same before smoothing
    count: int  # of the jobs learned from


def estimate(
    ended: Sequence[Ended], running: Sequence[tuple[float, float]]
) -> Durations:
    """Return the distribution that best explains the ended and the running jobs."""
    low = min(early for early, _, _ in ended) - 0.2
    # A job that still runs may take up to e times its present age.
    high = max([late + 0.3 for _, late, _ in ended] + [age + 1.0 for age, _ in running])
    middle = sorted(late for _, late, _ in ended)[len(ended) // 2]
    wanted = (high - low) * math.exp(middle) / CELL_SECONDS
    cells = min(max(int(wanted), CELLS), MOST_CELLS)
    step = (high - low) / cells
    spans = [((a - low) / step, (b - low) / step, 1.0) for a, b, _ in ended]
    spans += [(max(0.0, a - low) / step, cells, weight) for a, weight in running]
    # The prior: equal shares for equal seconds, then for equal ratios.
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
    """Spread each job over its span in proportion to *shares*, and add them up."""
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
    """Smooth with a kernel whose deviation is *width* times that of *shares*."""
    mean = sum(map(mul, shares, range(len(shares))))
    variance = sum((n - mean) ** 2 * share for n, share in enumerate(shares))
    half = width * width * variance / 2 + 1e-9  # variance added by each pair of passes
    kept = (half + 1 - math.sqrt(2 * half + 1)) / half
    for _ in range(4):  # there and back, twice
        shares = list(accumulate(shares, lambda a, b: kept * a + (1 - kept) * b))
        shares.reverse()
    return _scaled(shares)
