"""What follows from a failed request: one table, row by row."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictory_async._core.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    PictoryError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    SessionClosedError,
    TransportError,
)
from pictory_async._policy.retry import (
    Attempts,
    GiveUp,
    LeaveOpen,
    RetryPolicy,
    TryAgain,
    decide,
    is_throttling,
    read_date,
    read_retry_after,
)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

POLICY = RetryPolicy()
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


def step(
    error: PictoryError,
    *,
    paid: bool,
    attempts: Attempts | None = None,
    policy: RetryPolicy = POLICY,
) -> TryAgain | GiveUp | LeaveOpen:
    """Return what follows from *error* when every wait is half the longest."""
    return decide(
        error,
        paid=paid,
        attempts=attempts or Attempts(),
        policy=policy,
        rand=lambda: 0.5,
    )


AGAIN, OPEN, RAISED = "again", "open", "raised"


@pytest.mark.parametrize(
    ("error", "if_paid", "if_free"),
    [
        (TransportError(sent=False), AGAIN, AGAIN),
        (RequestTimeoutError(sent=False), AGAIN, AGAIN),
        (TransportError(sent=True), OPEN, AGAIN),
        (RequestTimeoutError(sent=True), OPEN, AGAIN),
        (InvalidResponseError(status=200), OPEN, AGAIN),
        (APIError(status=100), OPEN, AGAIN),
        (APIError(status=200), RAISED, AGAIN),
        (APIError(status=302), RAISED, AGAIN),
        (BadRequestError(status=400), RAISED, RAISED),
        (AuthenticationError(status=401), RAISED, RAISED),
        (APIError(status=402), RAISED, RAISED),
        (PermissionDeniedError(status=403), RAISED, RAISED),
        (NotFoundError(status=404), RAISED, RAISED),
        (APIError(status=408), AGAIN, AGAIN),
        (APIError(status=425), AGAIN, AGAIN),
        (APIError(status=413), RAISED, RAISED),
        (APIError(status=422), RAISED, RAISED),
        (APIError(status=499, retry_after=1.0), RAISED, RAISED),
        (ServerError(status=500), AGAIN, AGAIN),
        (ServerError(status=500, from_api=False), AGAIN, AGAIN),
        (ServerError(status=501), OPEN, AGAIN),
        (ServerError(status=502), OPEN, AGAIN),
        (ServerError(status=504), OPEN, AGAIN),
        (ServerError(status=504, retry_after=1.0), OPEN, AGAIN),
        (ServerError(status=599), OPEN, AGAIN),
        (APIError(status=999), OPEN, AGAIN),
        (SessionClosedError(), RAISED, RAISED),
    ],
)
def test_a_first_failure_has_its_row(
    error: PictoryError, if_paid: str, if_free: str
) -> None:
    """A paid request is repeated only where it certainly created nothing."""
    steps = {
        AGAIN: TryAgain(0.25, Attempts(failures=1)),
        OPEN: LeaveOpen(error),
        RAISED: GiveUp(error),
    }

    assert step(error, paid=True) == steps[if_paid]
    assert step(error, paid=False) == steps[if_free]


@pytest.mark.parametrize(
    ("error", "paid", "expected"),
    [
        (TransportError(sent=False), True, GiveUp),
        (TransportError(sent=False), False, GiveUp),
        (TransportError(sent=True), True, LeaveOpen),
        (TransportError(sent=True), False, GiveUp),
        (InvalidResponseError(), True, LeaveOpen),
        (InvalidResponseError(), False, GiveUp),
        (ServerError(status=500), True, GiveUp),
        (ServerError(status=502), True, LeaveOpen),
        (ServerError(status=502), False, GiveUp),
    ],
)
def test_attempts_are_used_up(
    error: PictoryError, expected: type[GiveUp | LeaveOpen], *, paid: bool
) -> None:
    """The last failure is raised, but an unknown outcome stays unknown."""
    for attempts, policy in (
        (Attempts(failures=4), POLICY),
        (Attempts(failures=9), POLICY),
        (Attempts(), RetryPolicy(1)),
    ):
        found = step(error, paid=paid, attempts=attempts, policy=policy)
        assert type(found) is expected


def test_each_failure_counts_and_waits_longer() -> None:
    """Five attempts wait four times, each for half of what has doubled."""
    attempts, waits = Attempts(), []
    while isinstance(
        found := step(ServerError(status=500), paid=True, attempts=attempts), TryAgain
    ):
        attempts, waits = found.attempts, [*waits, found.after]

    assert waits == [0.25, 0.5, 1.0, 2.0]
    assert attempts == Attempts(failures=4)


THROTTLES = [RateLimitedError(status=429), ServerError(status=503)]


def throttle(status: int, retry_after: float | None) -> APIError:
    """Return a throttling answer with that Retry-After."""
    cls = RateLimitedError if status == 429 else ServerError
    return cls(status=status, retry_after=retry_after)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("paid", [False, True])
@pytest.mark.parametrize(
    ("retry_after", "before", "expected"),
    [
        # Without Retry-After: full jitter over what doubles with each throttling.
        (None, Attempts(), TryAgain(0.25, Attempts(0, 1, 0.25))),
        (None, Attempts(3, 2, 9.0), TryAgain(1.0, Attempts(3, 3, 10.0))),
        (None, Attempts(0, 99, 0.0), TryAgain(10.0, Attempts(0, 100, 10.0))),
        # With it: exactly those seconds.
        (60.0, Attempts(), TryAgain(60.0, Attempts(0, 1, 60.0))),
        (1.5, Attempts(2, 5, 10.0), TryAgain(1.5, Attempts(2, 6, 11.5))),
        # A wait of nothing is replaced, or the time would never be used up.
        (0.0, Attempts(0, 1, 1.0), TryAgain(0.5, Attempts(0, 2, 1.5))),
        # Attempts are not used up, not even by the last one.
        (1.0, Attempts(failures=4), TryAgain(1.0, Attempts(4, 1, 1.0))),
        (1.0, Attempts(failures=99), TryAgain(1.0, Attempts(99, 1, 1.0))),
        # The longest Retry-After that is obeyed, and the time for throttling.
        (120.0, Attempts(), TryAgain(120.0, Attempts(0, 1, 120.0))),
        (120.5, Attempts(), None),
        (1e9, Attempts(), None),
        (100.0, Attempts(0, 2, 200.0), TryAgain(100.0, Attempts(0, 3, 300.0))),
        (100.0, Attempts(0, 2, 200.5), None),
        (None, Attempts(0, 99, 290.0), TryAgain(10.0, Attempts(0, 100, 300.0))),
        (None, Attempts(0, 99, 290.5), None),
    ],
)
def test_throttling_is_waited_out(
    status: int,
    retry_after: float | None,
    before: Attempts,
    expected: TryAgain | None,
    *,
    paid: bool,
) -> None:
    """A 429 or 503 created nothing: it is sent again within the time allowed."""
    error = throttle(status, retry_after)

    assert step(error, paid=paid, attempts=before) == (expected or GiveUp(error))


def test_throttling_without_an_end_is_given_up() -> None:
    """However short the waits of the service, a request is given up eventually."""
    for retry_after in (None, 0.0, 1.0):
        attempts = Attempts()
        for _ in range(1000):
            found = step(throttle(429, retry_after), paid=True, attempts=attempts)
            if not isinstance(found, TryAgain):
                break
            attempts = found.attempts
        assert isinstance(found, GiveUp)
        assert 280.0 <= attempts.throttled <= 300.0


def test_throttling_can_be_left_to_the_caller() -> None:
    """With no time for it, the first throttling is raised."""
    policy = RetryPolicy(throttled_for=0)

    for error in THROTTLES:
        assert step(error, paid=True, policy=policy) == GiveUp(error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RateLimitedError(status=429), True),
        (ServerError(status=503), True),
        (ServerError(status=500), False),
        (ServerError(status=502), False),
        (APIError(status=408), False),
        (TransportError(), False),
        (InvalidResponseError(status=429), False),
    ],
)
def test_only_429_and_503_slow_the_session_down(
    error: PictoryError, *, expected: bool
) -> None:
    """Other failures say nothing about how fast requests may go."""
    assert is_throttling(error) is expected


def test_the_longest_wait_doubles_up_to_the_maximum() -> None:
    """Full jitter draws from 0 to a bound that grows to 20 seconds."""
    bounds = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]

    for failures, bound in enumerate(bounds, start=1):
        assert POLICY.delay(failures=failures, rand=lambda: 0.0) == 0.0
        assert POLICY.delay(failures=failures, rand=lambda: 0.5) == bound / 2
        highest = POLICY.delay(failures=failures, rand=lambda: math.nextafter(1.0, 0.0))
        assert highest < bound
        assert highest == pytest.approx(bound)


def test_waits_vary_by_themselves() -> None:
    """Without a source of one's own, Python's randomness is used."""
    assert len({POLICY.delay(failures=9) for _ in range(9)}) > 1
    error = TransportError(sent=False)
    found = decide(error, paid=True, attempts=Attempts(), policy=POLICY)
    assert isinstance(found, TryAgain)
    assert 0.0 <= found.after <= 0.5


def test_no_number_of_failures_is_too_many() -> None:
    """After a million failures the wait is still bounded."""
    policy = RetryPolicy(factor=1000)

    assert policy.delay(failures=10**6, rand=lambda: 1.0) == 20.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attempts": 0}, "'attempts' must be >= 1: 0"),
        ({"attempts": -1}, "'attempts' must be >= 1: -1"),
        ({"factor": 0.5}, "'factor' must be >= 1: 0.5"),
        *(
            ({name: bad}, f"{name} must be 0 or more, not {bad}")
            for name in ("first", "maximum", "max_retry_after", "throttled_for")
            for bad in (-0.5, math.nan, math.inf)
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    options: dict[str, Any], message: str
) -> None:
    """The error names the setting and what it must be."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RetryPolicy(**options)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        ("0", 0.0),
        ("2.5", 2.5),
        (" 7 ", 7.0),
        ("-3", 0.0),
        ("inf", None),
        ("-inf", None),
        ("nan", None),
        ("1e999", None),
        ("soon", None),
        ("12 seconds", None),
        ("Sat, 21 Nov 2026 09:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 10:01:30 +0100", 90.0),
        ("Sat, 21 Nov 2026 09:01:30", 90.0),
        ("Saturday, 21-Nov-26 09:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 08:00:00 GMT", 0.0),
        ("Sat, 31 Feb 2026 09:00:00 GMT", None),
        ("Sat, 21 Nov 99999 09:00:00 GMT", None),
        ("Sat, 21 Nov 2026 09:00:00 +9999", None),
    ],
)
def test_retry_after_is_read_in_both_forms(
    value: str | None, expected: float | None
) -> None:
    """Seconds or a date give seconds, at least 0; anything else gives None."""
    assert read_retry_after(value, now=NOW) == expected


def test_a_date_is_measured_from_the_moment_given() -> None:
    """The answer's own date counts, in whatever zone it is."""
    moment = NOW.astimezone(timezone(timedelta(hours=9)))

    assert read_retry_after("Sat, 21 Nov 2026 09:00:10 GMT", now=moment) == 10.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("yesterday", None),
        ("Sat, 21 Nov 2026 09:00:00 GMT", NOW),
        ("Sat, 21 Nov 2026 09:00:00 -0000", NOW),
        ("Sat, 21 Nov 2026 09:00:00", NOW),
    ],
)
def test_an_http_date_is_aware(value: str | None, expected: datetime | None) -> None:
    """A date without a zone is taken as UTC."""
    found = read_date(value)

    assert found == expected
    assert found is None or found.tzinfo is not None


@unhurried
@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d+ \w{3} \d+ [\d:]+ \S+"))
def test_any_header_can_be_read(value: str) -> None:
    """No value raises, and what is read can be waited."""
    seconds = read_retry_after(value, now=NOW)

    assert seconds is None or 0 <= seconds < math.inf
