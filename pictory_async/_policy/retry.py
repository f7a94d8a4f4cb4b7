"""What to do after a failed attempt: one table, without a clock."""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import attrs

from pictory_async._core.errors import (
    APIError,
    InvalidResponseError,
    PictoryError,
    TransportError,
)

Rand = Callable[[], float]  # returns random numbers from 0 to 1

# Seconds. Without it a policy whose waits are 0 would send without end or pause.
_SHORTEST_THROTTLE = 0.05

# 2**64 times any delay exceeds every maximum; 1000**64 does not overflow a float.
_MAX_EXPONENT = 64


def _not_negative(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{attribute.name} must be 0 or more, not {value!r}")


@attrs.frozen
class RetryPolicy:
    """How failed requests are retried. Times are in seconds.

    Attributes:
        attempts: Attempts for one request; 1 means no retry.
        first: The longest wait after the first failure.
        factor: The factor by which the longest wait grows with each failure.
        maximum: The limit of that growth. Each wait is drawn at random between 0 and
            the longest wait ("full jitter").
        max_retry_after: The longest ``Retry-After`` that is waited for; after a longer
            one the error is raised to the caller.
        throttled_for: The total time for which one request waits because of 429 and
            503. These do not use up *attempts*.

    A paid request is retried only if it certainly created nothing.
    """

    attempts: int = attrs.field(
        default=5,
        validator=[attrs.validators.instance_of(int), attrs.validators.ge(1)],
    )
    first: float = attrs.field(default=0.5, kw_only=True, validator=_not_negative)
    factor: float = attrs.field(
        default=2.0,
        kw_only=True,
        validator=[attrs.validators.ge(1), attrs.validators.le(1000)],
    )
    maximum: float = attrs.field(default=20.0, kw_only=True, validator=_not_negative)
    max_retry_after: float = attrs.field(
        default=120.0, kw_only=True, validator=_not_negative
    )
    throttled_for: float = attrs.field(
        default=300.0, kw_only=True, validator=_not_negative
    )

    def delay(self, *, failures: int, rand: Rand = random.random) -> float:
        """Return the seconds to wait after so many *failures* (1 after the first)."""
        grown = self.first * self.factor ** min(failures - 1, _MAX_EXPONENT)
        return rand() * min(grown, self.maximum)


@attrs.frozen
class Attempts:
    """The failed attempts of one request so far.

    Attributes:
        failures: Those that count against `RetryPolicy.attempts`.
        throttles: Those that were answered with 429 or 503.
        throttled: Seconds waited because of the latter.
    """

    failures: int = 0
    throttles: int = 0
    throttled: float = 0.0


@attrs.frozen
class TryAgain:
    """Wait *after* seconds, then send it again; *attempts* is the new count."""

    after: float
    attempts: Attempts


# RFC 9110, 15.5.9: 408, the server did not receive a complete request; load balancers
# write it to idle connections, where it meets the next request. RFC 8470, 5.2: 425,
# the server did not process it.
NOT_PROCESSED: Final = frozenset({408, 425})


@attrs.frozen
class GiveUp:
    """Raise *error*: nothing was created, or the request was free."""

    error: PictoryError


@attrs.frozen
class LeaveOpen:
    """A paid request may have created a job: never send it again."""

    cause: PictoryError


def decide(
    error: PictoryError,
    *,
    paid: bool,
    attempts: Attempts,
    policy: RetryPolicy,
    rand: Rand = random.random,
) -> TryAgain | GiveUp | LeaveOpen:
    """Return what follows from *error*, the failure of one attempt."""
    if is_throttling(error):
        return _after_throttling(error, attempts, policy, rand)
    if paid and _may_have_created_a_job(error):
        return LeaveOpen(error)
    if (
        not _is_worth_repeating(error, paid=paid)
        or attempts.failures + 1 >= policy.attempts
    ):
        return GiveUp(error)
    counted = attrs.evolve(attempts, failures=attempts.failures + 1)
    return TryAgain(policy.delay(failures=counted.failures, rand=rand), counted)


def is_throttling(error: PictoryError) -> bool:
    """Return whether *error* asks the whole session to slow down."""
    return isinstance(error, APIError) and error.status in {429, 503}


def _after_throttling(
    error: PictoryError, attempts: Attempts, policy: RetryPolicy, rand: Rand
) -> TryAgain | GiveUp:
    retry_after = error.retry_after
    counted = attrs.evolve(attempts, throttles=attempts.throttles + 1)
    # A Retry-After of 0 counts as none: it would never use up *throttled_for*.
    backoff = policy.delay(failures=counted.throttles, rand=rand)
    after = retry_after or max(backoff, _SHORTEST_THROTTLE)
    counted = attrs.evolve(counted, throttled=attempts.throttled + after)
    too_long = (
        after > policy.max_retry_after or counted.throttled > policy.throttled_for
    )
    return GiveUp(error) if too_long else TryAgain(after, counted)


def _may_have_created_a_job(error: PictoryError) -> bool:
    match error:
        case TransportError(sent=sent):
            return sent
        case InvalidResponseError():
            return True
        case APIError(status=status):
            # [D] api-reference/ai-studio/generate-image, 500: "Retry the request after
            # a brief delay". A 502 or 504 comes from a gateway, which does not know
            # what the service behind it did.
            return (status >= 500 and status != 500) or status < 200
        case _:
            return False


def _is_worth_repeating(error: PictoryError, *, paid: bool) -> bool:
    match error:
        case TransportError() | InvalidResponseError():
            return True
        case APIError(status=status):
            if status in NOT_PROCESSED:
                return True
            return status == 500 if paid else not 400 <= status <= 499
        case _:
            return False


def read_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds to wait according to a ``Retry-After`` header.

    Args:
        value: Seconds, or a date (RFC 9110, 10.2.3).
        now: The moment from which a date is measured: the date of the answer, else
            the present time.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value, now)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def read_date(value: str | None) -> datetime | None:
    """Return the moment in an HTTP date; None if it cannot be read."""
    try:
        moment = parsedate_to_datetime(value or "")
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds_until(value: str, now: datetime) -> float | None:
    moment = read_date(value)
    return None if moment is None else max((moment - now).total_seconds(), 0.0)
