"""How fast requests may start, to the moment."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictory_async._policy.pace import Limits, Pace

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def paced(starts: list[float], *, limit: float | None = None) -> Pace:
    """Return a pace under which requests started at these moments."""
    pace = Pace(limit=limit)
    for moment in starts:
        pace.started(moment)
    return pace


def test_there_is_no_limit_by_default() -> None:
    """Any number of requests may start together until the service throttles."""
    pace = paced([0.0] * 1000)

    assert pace.ready_at() == -math.inf
    assert pace.rate(0.0) is None


def test_a_limit_spaces_requests_evenly() -> None:
    """At four a second the next may start a quarter of a second after each."""
    pace = Pace(limit=4.0)
    assert pace.ready_at() == -math.inf

    starts = []
    now = 10.0
    for _ in range(4):
        now = max(now, pace.ready_at())
        pace.started(now)
        starts.append(now)

    assert starts == [10.0, 10.25, 10.5, 10.75]
    assert pace.rate(now) == 4.0


def test_time_that_was_not_used_is_not_saved_up() -> None:
    """After a quiet time requests are spaced as before, not sent in a burst."""
    pace = paced([10.0, 20.0], limit=4.0)

    assert pace.ready_at() == 20.25


def test_retry_after_stops_everything_until_then() -> None:
    """Retry-After applies to all requests, and the rate recovers after it."""
    pace = Pace()
    pace.throttled(100.0, started=99.0, retry_after=30.0)

    assert pace.ready_at() == 130.0
    assert pace.rate(130.0) == 0.5
    pace.started(130.0)
    assert pace.ready_at() == 132.0
    assert pace.rate(145.0) == 0.75
    assert pace.rate(160.0) is None


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    """Of several Retry-Afters the longest counts."""
    pace = Pace()
    pace.throttled(100.0, started=99.0, retry_after=30.0)
    pace.throttled(101.0, started=99.0, retry_after=5.0)
    assert pace.ready_at() == 130.0

    pace.throttled(102.0, started=99.0, retry_after=60.0)
    assert pace.ready_at() == 162.0


@pytest.mark.parametrize("retry_after", [None, 0.0])
def test_a_refusal_without_a_time_halves_the_rate(retry_after: float | None) -> None:
    """Sixteen a second become eight."""
    pace = paced([0.0] * 16)
    pace.throttled(0.5, started=0.0, retry_after=retry_after)

    assert pace.rate(0.5) == 8.0
    assert pace.ready_at() == 0.625


def test_a_burst_of_refusals_counts_once() -> None:
    """Requests that were under way at the cut say nothing about the new rate."""
    pace = paced([0.0] * 16)
    for refused in range(16):
        pace.throttled(0.5 + refused / 64, started=0.0, retry_after=None)

    assert pace.rate(0.5) == 8.0
    assert pace.ready_at() == 0.625


def test_the_rate_grows_evenly_back_to_unlimited() -> None:
    """A sixtieth of the old rate comes back each second, until it is reached."""
    pace = paced([0.0] * 16)
    pace.throttled(0.5, started=0.0, retry_after=None)

    assert pace.rate(15.5) == 12.0
    assert pace.rate(30.25) == pytest.approx(15.9333, abs=1e-4)
    assert pace.rate(30.5) is None
    pace.started(30.5)
    assert pace.ready_at() == 0.625


def test_requests_are_spaced_by_the_rate_of_the_moment() -> None:
    """At twelve a second the next may start a twelfth later."""
    pace = paced([0.0] * 16)
    pace.throttled(0.5, started=0.0, retry_after=None)
    pace.started(15.5)

    assert pace.ready_at() == 15.5 + 1 / 12


def test_a_refusal_of_the_new_rate_cuts_again() -> None:
    """A request that started after the cut and is throttled halves the rate again."""
    pace = paced([0.0] * 16)
    pace.throttled(0.5, started=0.0, retry_after=None)
    pace.throttled(15.5, started=10.0, retry_after=None)

    assert pace.rate(15.5) == 6.0
    assert pace.rate(52.9) is not None
    assert pace.rate(53.0) is None


def test_the_rate_has_a_floor_and_recovers_within_a_minute() -> None:
    """Cut again and again it allows a request every five seconds, and recovers."""
    pace = paced([0.0] * 16)
    for cut in range(33):
        now = 0.5 + cut / 64
        pace.throttled(now, started=now - 1 / 128, retry_after=None)

    assert now == 1.0
    assert pace.rate(1.0) == 0.2
    assert pace.ready_at() == 6.0
    assert pace.rate(60.0) is not None
    assert pace.rate(61.0) is None


def test_a_new_throttling_after_recovery_starts_anew() -> None:
    """The speed of the moment is what is halved."""
    pace = paced([0.0] * 16)
    pace.throttled(0.5, started=0.0, retry_after=None)
    assert pace.rate(31.0) is None
    for _ in range(4):
        pace.started(40.0)
    pace.throttled(40.5, started=40.0, retry_after=None)

    assert pace.rate(40.5) == 2.0
    assert pace.rate(70.5) is None


def test_a_late_refusal_after_recovery_cuts_anew() -> None:
    """Once a start has shown that all is well again, any refusal counts."""
    pace = paced([0.0] * 16)
    pace.throttled(0.5, started=0.0, retry_after=None)
    pace.started(40.0)
    pace.throttled(41.0, started=0.25, retry_after=None)

    assert pace.rate(41.0) == 8.0


def test_a_slow_refusal_of_a_burst_halves_the_speed_of_the_burst() -> None:
    """What counts is how fast requests went out when the refused one did."""
    pace = paced([0.0] * 50)
    pace.throttled(1.5, started=0.0, retry_after=None)

    assert pace.rate(1.5) == 25.0


def test_speeds_are_forgotten() -> None:
    """A long run does not keep a count for each of its seconds."""
    pace = paced([float(second) for second in range(10_000)])

    assert len(pace._starts) <= 61


@pytest.mark.parametrize(
    ("starts", "rate"),
    [
        ([], 0.5),
        ([0.0], 0.5),
        ([n / 10 for n in range(11)], 5.0),
        ([0.0, 0.5, 1.25], 1.0),
        ([0.0] * 50 + [5.0], 0.5),
        ([0.0] * 50 + [5.0] * 8, 4.0),
    ],
)
def test_the_speed_is_measured_over_a_second(starts: list[float], rate: float) -> None:
    """The second of the refused request counts, or the one before; at least one."""
    pace = paced(starts)
    now = (starts[-1] if starts else 0.0) + 0.5
    pace.throttled(now, started=now, retry_after=None)

    assert pace.rate(now) == rate


def test_a_limit_is_halved_and_comes_back() -> None:
    """Under a limit the cut begins there, and recovery ends there."""
    pace = paced([0.0], limit=4.0)
    pace.throttled(1.0, started=0.0, retry_after=None)

    assert pace.rate(1.0) == 2.0
    assert pace.rate(16.0) == 3.0
    assert pace.rate(31.0) == 4.0
    pace.started(31.0)
    assert pace.ready_at() == 31.25


def test_throttling_never_makes_a_slow_session_faster() -> None:
    """A limit below the floor of the cut stays the limit."""
    pace = paced([0.0], limit=0.1)
    assert pace.ready_at() == 10.0
    pace.throttled(1.0, started=0.0, retry_after=None)

    assert pace.ready_at() == 10.0
    assert [pace.rate(moment) for moment in (1.0, 20.0, 31.0, 99.0)] == [0.1] * 4
    pace.started(10.0)
    assert pace.ready_at() == 20.0


@unhurried
@given(
    limit=st.none() | st.floats(0.01, 100),
    events=st.lists(
        st.tuples(
            st.floats(0, 100),
            st.none() | st.tuples(st.floats(0, 100), st.none() | st.floats(0, 200)),
        ),
        max_size=30,
    ),
)
def test_a_pace_never_stands_still_or_exceeds_its_limit(
    limit: float | None, events: list[tuple[float, Any]]
) -> None:
    """Whatever happens, the next start is not far away, and the limit is kept."""
    pace, now = Pace(limit=limit), 0.0
    for wait, refused in events:
        if refused is None:
            now = max(now + wait, pace.ready_at())
            pace.started(now)
            if limit is not None:
                assert pace.ready_at() >= now + 0.999 / limit
        else:
            age, retry_after = refused
            now += wait
            pace.throttled(now, started=now - age, retry_after=retry_after)
        rate = pace.rate(now)
        assert rate is None or 0 < rate <= max(limit or math.inf, 0.0)
        assert pace.ready_at() < now + 200 + 100 * len(events) + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrent_requests": 0}, "'concurrent_requests' must be >= 1: 0"),
        ({"concurrent_requests": -1}, "'concurrent_requests' must be >= 1: -1"),
        *(
            (
                {"requests_per_second": bad},
                f"requests_per_second must be above 0 or None, not {bad}",
            )
            for bad in (0, -1, math.inf, math.nan)
        ),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    options: dict[str, Any], message: str
) -> None:
    """The error names the setting and what it must be."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Limits(**options)


def test_limits_have_their_documented_defaults() -> None:
    """Thirty-two concurrent requests, and no limit on the rate."""
    assert Limits() == Limits(concurrent_requests=32, requests_per_second=None)
    assert Limits(requests_per_second=0.5).requests_per_second == 0.5
