"""The policy that learns how long jobs take."""

from __future__ import annotations

import logging
import math
import random
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import polling
from pictory_async._policy.adaptive import ENOUGH, MODELS_KEPT, Adaptive
from pictory_async._policy.polling import Backoff, PollPolicy

MODEL = "seedream3.0"
CASES = {case.name: case for case in polling.CASES}


def teach(policy: Adaptive, *durations: float, model: str = MODEL) -> None:
    """Let *policy* learn from jobs that ended within 5 % of *durations*."""
    for duration in durations:
        policy.ended(
            model=model, earliest=duration * 0.95, latest=max(duration * 1.05, 0)
        )


def taught(*durations: float, **options: Any) -> Adaptive:
    """Return a policy without randomness that has learned from some jobs."""
    policy = Adaptive(rand=lambda: 0.5, **options)
    teach(policy, *durations)
    return policy


def around(median: float, count: int = 56) -> list[float]:
    """Return durations that scatter by a fifth, the same in each run."""
    rand = random.Random(1)
    return [median * math.exp(0.2 * rand.gauss(0, 1)) for _ in range(count)]


def polls_of(policy: Adaptive, until: float, model: str = MODEL) -> list[float]:
    """Return when a job is polled that takes *until* seconds; the last is after."""
    times = [policy.delay(polls=0, elapsed=0.0, model=model)]
    while times[-1] < until:
        delay = policy.delay(polls=len(times), elapsed=times[-1], model=model)
        times.append(times[-1] + delay)
    return times


def test_it_is_a_poll_policy_and_two_are_not_equal() -> None:
    """It has both methods, and does not share what it has learned."""
    assert isinstance(Adaptive(), PollPolicy)
    assert Adaptive() != Adaptive()
    assert "rand" not in repr(Adaptive())


@pytest.mark.parametrize(
    "options",
    [
        {"interval": 0.9},
        {"interval": math.nan},
        {"maximum": math.inf},
        {"interval": 20.0, "maximum": 15.0},
        {"memory": 15},
    ],
)
def test_an_option_out_of_bounds_is_refused(options: dict[str, Any]) -> None:
    """Intervals are from 1 s and finite, and the memory is enough to learn."""
    with pytest.raises(ValueError, match=r"must be|maximum"):
        Adaptive(**options)


def test_until_it_has_seen_enough_it_is_backoff() -> None:
    """The seventh end of a job still changes nothing; the eighth does."""
    fallback = Backoff(factor=1.03, rand=lambda: 0.5)
    expected = [fallback.delay(polls=n, elapsed=0, model=MODEL) for n in range(30)]
    policy = taught(*around(20, ENOUGH - 1))
    found = [policy.delay(polls=n, elapsed=10 * n, model=MODEL) for n in range(30)]
    assert found == expected
    assert found[0] == 10.0
    assert found[-1] > 20.0
    teach(policy, 20.0)
    assert policy.delay(polls=0, elapsed=0.0, model=MODEL) > 12.0


def test_the_polls_are_where_jobs_end() -> None:
    """The first is not before a few have ended, and then they are close together."""
    times = polls_of(taught(*around(20)), until=28.0)
    assert 16.0 < times[0] < 20.0
    assert max(b - a for a, b in pairwise(times)) < 4.0


def test_a_job_that_outlives_what_was_learned_is_polled_less_and_less() -> None:
    """Its intervals grow to the maximum, and do not exceed it."""
    times = polls_of(taught(*around(20)), until=900.0)
    delays = [b - a for a, b in pairwise(times)]
    assert delays[-1] == 30.0
    assert len(times) < 55  # FixedInterval(10) would poll 90 times


@pytest.mark.parametrize("median", [1.0, 2.0, 20.0, 120.0, 600.0, 3000.0])
def test_polls_are_within_budget_for_any_duration(median: float) -> None:
    """No more than at the fixed interval, on the durations that it has learned."""
    durations = around(median)
    policy = taught(*durations)
    spent = sum(len(polls_of(policy, until=duration)) for duration in durations)
    fixed = sum(math.ceil(duration / 10) for duration in durations)
    assert spent <= 1.1 * fixed


def test_the_interval_is_the_price() -> None:
    """A larger one costs fewer polls."""
    few, many = taught(*around(20), interval=15.0), taught(*around(20), interval=5.0)
    assert len(polls_of(few, until=25.0)) < len(polls_of(many, until=25.0))


def test_models_are_learned_apart() -> None:
    """A model without history learns nothing from other models."""
    policy = taught(*around(20))
    assert policy.delay(polls=0, elapsed=0.0, model="other") == 10.0


def test_it_follows_a_service_that_gets_slower_and_faster() -> None:
    """After as many jobs as it remembers, earlier ones have no influence."""
    policy = taught(*around(20))
    teach(policy, *around(60))
    assert len([time for time in polls_of(policy, until=60.0) if time < 40.0]) <= 2
    teach(policy, *around(8))
    assert policy.delay(polls=0, elapsed=0.0, model=MODEL) < 12.0


def test_fast_failures_do_not_ruin_the_schedule() -> None:
    """With one job in ten refused after a second the others are polled as before."""
    policy = Adaptive(rand=lambda: 0.5)
    for number, duration in enumerate(around(20, 100)):
        if number % 10 == 0:
            policy.ended(model=MODEL, earliest=0.0, latest=16.0)
        teach(policy, duration)
    times = [time for time in polls_of(policy, until=26.0) if time < 26.0]
    assert 12.0 < times[0] < 20.0
    assert len(times) >= 3


def test_the_slowest_of_a_burst_are_not_all_that_is_remembered() -> None:
    """Of 500 jobs that started together those that ended first count as well."""
    policy, rand = Adaptive(rand=lambda: 0.5), random.Random(2)
    durations = sorted(20 * math.exp(0.5 * rand.gauss(0, 1)) for _ in range(500))
    for age in (10.0, 20.0):
        for duration in durations:
            if duration > age:
                policy.delay(polls=int(age / 10), elapsed=age, model=MODEL)
    for duration in durations:
        latest = 10.0 * math.ceil(duration / 10)
        policy.ended(model=MODEL, earliest=latest - 10.0, latest=latest)
    assert policy.delay(polls=0, elapsed=0.0, model=MODEL) < 20.0


def test_jobs_that_still_run_count() -> None:
    """While others run on, those that ended first have less weight."""
    alone, among = Adaptive(rand=lambda: 0.5), Adaptive(rand=lambda: 0.5)
    for policy in (alone, among):
        for _ in range(20 if policy is among else 0):
            policy.delay(polls=1, elapsed=21.0, model=MODEL)
        teach(policy, *around(20, 16))
    # How much earlier the price allows polls if all jobs end soon.
    late = [polls_of(policy, until=60.0) for policy in (alone, among)]
    assert len([t for t in late[1] if t < 24]) < len([t for t in late[0] if t < 24])


def test_nothing_is_learned_while_most_jobs_still_run() -> None:
    """The first to end of a hundred are the fast ones."""
    policy = Adaptive(rand=lambda: 0.5)
    for _ in range(100):
        policy.delay(polls=1, elapsed=10.0, model=MODEL)
    for _ in range(30):
        policy.ended(model=MODEL, earliest=0.0, latest=10.0)
    assert policy.delay(polls=0, elapsed=0.0, model=MODEL) == 10.0


def test_memory_is_bounded() -> None:
    """Neither jobs nor models pile up."""
    policy = Adaptive(memory=16)
    for number in range(3 * MODELS_KEPT):
        policy.delay(polls=0, elapsed=0.0, model=f"model {number}")
    assert len(policy._models) == MODELS_KEPT
    teach(policy, *around(20, 100), model="new")
    assert len(policy._models) == MODELS_KEPT
    assert len(policy._models["new"].spans) == 16


def test_jobs_that_end_without_a_word_are_forgotten() -> None:
    """Jobs that were seen running and then never again lose their weight."""
    policy = Adaptive()
    for _ in range(1000):
        policy.delay(polls=1, elapsed=100.0, model=MODEL)
    for _ in range(3000):
        policy.ended(model=MODEL, earliest=0.0, latest=10.0)
    assert policy._models[MODEL].ages.total < 500


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_ignored(odd: float) -> None:
    """It is not learned, and no delay leaves its bounds."""
    policy = taught(*around(20))
    before = policy.delay(polls=0, elapsed=0.0, model=MODEL)
    for _ in range(20):
        policy.ended(model=MODEL, earliest=odd, latest=20.0)
        policy.ended(model=MODEL, earliest=10.0, latest=odd)
        assert 1.0 <= policy.delay(polls=2, elapsed=odd, model=MODEL) <= 30.0
    assert policy.delay(polls=0, elapsed=0.0, model=MODEL) == before


SECONDS = st.floats(allow_nan=False, allow_infinity=False) | st.floats(0, 1000)


@settings(max_examples=20, deadline=None)
@given(
    spans=st.lists(st.tuples(SECONDS, SECONDS), min_size=ENOUGH, max_size=14),
    asked=st.lists(st.tuples(st.integers(0, 10**6), SECONDS), min_size=1),
    interval=st.floats(1, 30),
    rand=st.floats(0, 1),
)
def test_no_delay_is_out_of_bounds(
    spans: list[tuple[float, float]],
    asked: list[tuple[int, float]],
    interval: float,
    rand: float,
) -> None:
    """Whatever was learned, every delay is from 1 s to the maximum."""
    policy = Adaptive(interval=interval, rand=lambda: rand)
    for number, (earliest, latest) in enumerate(spans):
        policy.delay(polls=number, elapsed=asked[0][1], model=MODEL)
        policy.ended(model=MODEL, earliest=earliest, latest=latest)
    for polls, elapsed in asked:
        assert 1.0 <= policy.delay(polls=polls, elapsed=elapsed, model=MODEL) <= 30.0


@pytest.mark.parametrize("duration", [0.0, 1e-300, 1.0, 18.3, 1e300])
def test_jobs_that_take_exactly_as_long_as_each_other(duration: float) -> None:
    """A burst that ended together is learned without a division by zero."""
    policy = taught(*[duration] * 100)
    assert all(0 < time < 7200 for time in polls_of(policy, until=3600.0))


def test_jitter_spreads_polls_but_little() -> None:
    """By a tenth of the distance to the next poll, either way."""
    early, late = Adaptive(rand=lambda: 0.0), Adaptive(rand=lambda: 1.0)
    teach(early, *around(20))
    teach(late, *around(20))
    first = [p.delay(polls=0, elapsed=0.0, model=MODEL) for p in (early, late)]
    assert 0.1 < first[1] - first[0] < 1.0


def test_an_early_poll_replaces_the_planned_one() -> None:
    """A poll shortly before a planned one takes its place."""
    policy = taught(*around(20))
    first = policy.delay(polls=0, elapsed=0.0, model=MODEL)
    assert policy.delay(polls=1, elapsed=first - 0.3, model=MODEL) > 1.3
    assert policy.delay(polls=1, elapsed=0.5, model=MODEL) == first - 0.5


@pytest.mark.parametrize(
    ("learned", "elapsed", "reason"),
    [
        (2, 0.0, r"too few jobs have ended to learn from \(2\)"),
        (56, 0.0, r"\d+% of jobs that old end by then, judging by the last 56"),
        (56, 3600.0, "it takes longer than any job learned from"),
    ],
)
def test_a_log_record_says_why(
    learned: int, elapsed: float, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG there is one for each delay, with its reason."""
    policy = taught(*around(20, learned))
    with caplog.at_level(logging.DEBUG, "pictory_async"):
        policy.delay(polls=1, elapsed=elapsed, model=MODEL)
    [record] = caplog.records
    assert record.name == "pictory_async"
    assert f"'{MODEL}'" in record.getMessage()
    assert re.search(reason, record.getMessage())


def test_no_text_is_made_without_debug(caplog: pytest.LogCaptureFixture) -> None:
    """At INFO nothing is logged, and no text is formatted."""

    class Unprintable(str):
        __slots__ = ()

        def __repr__(self) -> str:
            raise AssertionError("nobody reads this")

    with caplog.at_level(logging.INFO, "pictory_async"):
        Adaptive().delay(polls=0, elapsed=0.0, model=Unprintable("model"))
    assert not caplog.records


def test_it_sees_ends_sooner_for_as_many_polls() -> None:
    """What `python -m benchmarks.polling` holds against the goals, with one seed."""
    number = list(CASES).index("sigma 0.2")
    fixed, ours = (
        polling.measure(number, policy, 2) for policy in ("fixed 10 s", "Adaptive")
    )
    assert ours.polls <= 1.05 * fixed.polls
    assert ours.delay <= 0.5 * fixed.delay
