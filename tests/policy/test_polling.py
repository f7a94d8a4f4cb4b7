"""When a job is polled, and what one poll means for it."""

from __future__ import annotations

import math
import re
from typing import Any

import attrs
import pytest

from pictory_async._core.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    InvalidResponseError,
    JobExpiredError,
    JobFailedError,
    JobNotFoundError,
    NotFoundError,
    PermissionDeniedError,
    PictoryError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    SessionClosedError,
    TransportError,
)
from pictory_async._core.models import GeneratedImage, JobState
from pictory_async._core.wire import JobReport
from pictory_async._policy.polling import (
    LAG_AFTER_SUBMIT,
    Backoff,
    FixedInterval,
    PollAgain,
    PollPolicy,
    Settle,
    judge,
)

IMAGE = GeneratedImage(job_id="j1", url="https://cdn.example/a.png")


def delays(policy: PollPolicy, polls: int) -> list[float]:
    """Return the seconds before each of the first *polls* polls."""
    return [
        policy.delay(polls=n, elapsed=0.0, model="seedream3.0") for n in range(polls)
    ]


def test_the_delays_grow_from_first_to_maximum() -> None:
    """By default, without jitter, they grow from 10 s to 30 s by a factor of 1.25."""
    assert delays(Backoff(rand=lambda: 0.5), 7) == [
        10.0,
        12.5,
        15.625,
        19.53125,
        24.4140625,
        30.0,
        30.0,
    ]


@pytest.mark.parametrize(
    ("rand", "expected"),
    [
        (0.0, [10.0, 11.25, 14.0625]),
        (1.0, [11.0, 13.75, 17.1875]),
    ],
)
def test_jitter_varies_a_delay_by_its_share(rand: float, expected: list[float]) -> None:
    """A tenth is taken off or put on, but never below the first delay."""
    assert delays(Backoff(rand=lambda: rand), 3) == pytest.approx(expected, rel=1e-12)


def test_jitter_stays_within_the_documented_bounds() -> None:
    """No delay is outside 10 s to 30 s, whatever the random number."""
    for rand in (0.0, 0.25, 0.5, 0.75, math.nextafter(1.0, 0.0)):
        found = delays(Backoff(jitter=0.9, rand=lambda rand=rand: rand), 100)
        assert min(found) >= 10.0
        assert max(found) <= 30.0


def test_the_delays_vary_by_themselves() -> None:
    """Without a source of one's own, Python's randomness is used."""
    assert all(10.0 <= delay <= 11.0 for delay in delays(Backoff(), 1))
    assert len({Backoff().delay(polls=3, elapsed=0, model="m") for _ in range(9)}) > 1


def test_no_number_of_polls_is_too_many() -> None:
    """After a million polls the delay is still the maximum."""
    policy = Backoff(factor=1000, jitter=0)

    assert policy.delay(polls=10**6, elapsed=1e9, model="m") == 30.0


def test_a_constant_backoff_is_allowed() -> None:
    """A factor of 1 and a maximum equal to the first delay change nothing."""
    assert delays(Backoff(5, factor=1, maximum=5), 3) == [5, 5, 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": 0}, "first must be seconds above 0, not 0"),
        ({"first": -1}, "first must be seconds above 0, not -1"),
        ({"first": math.nan}, "first must be seconds above 0, not nan"),
        ({"first": math.inf}, "first must be seconds above 0, not inf"),
        ({"maximum": 0}, "maximum must be seconds above 0, not 0"),
        ({"maximum": math.inf}, "maximum must be seconds above 0, not inf"),
        ({"maximum": 9.9}, "maximum must be at least first"),
        ({"factor": 0.99}, "'factor' must be >= 1: 0.99"),
        ({"factor": math.nan}, "'factor' must be >= 1: nan"),
        ({"jitter": -0.1}, "'jitter' must be >= 0: -0.1"),
        ({"jitter": 1}, "'jitter' must be < 1: 1"),
    ],
)
def test_a_backoff_that_makes_no_sense_is_refused(
    options: dict[str, Any], message: str
) -> None:
    """The error names the setting and what it must be."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Backoff(**options)


def test_a_fixed_interval_never_changes() -> None:
    """It is 15 seconds unless another is given."""
    assert delays(FixedInterval(), 3) == [15, 15, 15]
    assert delays(FixedInterval(0.5), 3) == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("interval", [0, -1, math.nan, math.inf])
def test_a_bad_interval_is_refused(interval: float) -> None:
    """Only seconds above 0 can be waited."""
    with pytest.raises(ValueError, match="interval must be seconds above 0"):
        FixedInterval(interval)


@pytest.mark.parametrize("policy", [Backoff(rand=lambda: 0.5), FixedInterval()])
def test_the_simple_policies_learn_nothing(policy: PollPolicy) -> None:
    """They are policies, and a job's end does not change them."""
    assert isinstance(policy, PollPolicy)
    before = delays(policy, 5)
    policy.ended(model="seedream3.0", earliest=1.0, latest=2.0)

    assert delays(policy, 5) == before


def test_a_policy_is_a_value() -> None:
    """Policies can be shared between sessions: they do not change."""
    assert FixedInterval(5) == FixedInterval(5)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Backoff().first = 1  # type: ignore[misc]


NOT_FOUND = JobReport[Any](JobState.IN_PROGRESS, error=JobNotFoundError(job_id="j1"))
FAILED = JobReport[Any](JobState.FAILED, error=JobFailedError(job_id="j1"))
CLEANED = JobReport[Any](JobState.CLEANED, error=JobExpiredError(job_id="j1"))


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (JobReport(JobState.IN_PROGRESS), PollAgain()),
        (JobReport(JobState("paused")), PollAgain()),
        (JobReport(JobState.COMPLETED, result=IMAGE), Settle(IMAGE)),
        (FAILED, Settle(FAILED.error)),
        (CLEANED, Settle(CLEANED.error)),
        (TransportError(sent=False), PollAgain()),
        (TransportError(sent=True), PollAgain()),
        (RequestTimeoutError(), PollAgain()),
        (InvalidResponseError(), PollAgain()),
        (APIError(status=302), PollAgain()),
        (APIError(status=199), PollAgain()),
        (APIError(status=200), PollAgain()),
        (APIError(status=408), PollAgain()),
        (APIError(status=408, retry_after=7.0), PollAgain(7.0)),
        (RateLimitedError(status=429), PollAgain()),
        (RateLimitedError(status=429, retry_after=60.0), PollAgain(60.0)),
        (RateLimitedError(status=429, retry_after=0.0), PollAgain(0.0)),
        (ServerError(status=500), PollAgain()),
        (ServerError(status=502), PollAgain()),
        (ServerError(status=503, retry_after=5.0), PollAgain(5.0)),
        (ServerError(status=504), PollAgain()),
        (APIError(status=999), PollAgain()),
    ],
)
@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("elapsed", [0.0, 1e6])
def test_an_answer_ends_the_job_or_does_not(
    report: JobReport[Any] | PictoryError,
    expected: PollAgain | Settle,
    elapsed: float,
    *,
    attached: bool,
) -> None:
    """A final state settles; a failed poll is repeated, not before Retry-After."""
    assert judge(report, elapsed=elapsed, attached=attached) == expected


@pytest.mark.parametrize(
    "report",
    [
        BadRequestError(status=400),
        AuthenticationError(status=401),
        APIError(status=402),
        PermissionDeniedError(status=403),
        PermissionDeniedError(status=403, from_api=False),
        NotFoundError(status=404),
        APIError(status=413),
        APIError(status=499, retry_after=5.0),
        SessionClosedError(),
    ],
)
@pytest.mark.parametrize("attached", [False, True])
def test_a_refusal_ends_the_job(report: PictoryError, *, attached: bool) -> None:
    """What polling again cannot change settles the handle with that very error."""
    step = judge(report, elapsed=1.0, attached=attached)

    assert isinstance(step, Settle)
    assert step.outcome is report


@pytest.mark.parametrize(
    ("elapsed", "attached", "ended"),
    [
        (0.0, False, False),
        (29.99, False, False),
        (30.0, False, True),
        (31.0, False, True),
        (0.0, True, True),
        (29.99, True, True),
    ],
)
def test_a_new_job_may_be_unknown_for_a_while(
    elapsed: float, *, attached: bool, ended: bool
) -> None:
    """For 30 seconds after a submission "not found" is lag, elsewhere it is final."""
    assert LAG_AFTER_SUBMIT == 30.0
    assert judge(NOT_FOUND, elapsed=elapsed, attached=attached) == (
        Settle(NOT_FOUND.error) if ended else PollAgain()
    )
