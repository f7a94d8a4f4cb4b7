"""When to poll a job, and what a poll means: decisions without a clock."""

import random
from typing import Any, Final, Protocol, runtime_checkable

import attrs

from pictory_async._core.errors import (
    APIError,
    InvalidResponseError,
    JobNotFoundError,
    PictoryError,
    TransportError,
)
from pictory_async._core.models import ResultT
from pictory_async._core.wire import JobReport
from pictory_async._policy.retry import NOT_PROCESSED, Rand

# Seconds for which a new job may still be unknown to a replica of the service [I].
LAG_AFTER_SUBMIT = 30.0


# Refusals of the request that was made now, not of the question.
AGAIN: Final = NOT_PROCESSED | {429}


@runtime_checkable
class PollPolicy(Protocol):
    """Decides when a job is polled. Pure: seconds come in, seconds go out."""

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Return the seconds until the next poll.

        Args:
            polls: Polls so far; 0 before the first.
            elapsed: Seconds since the submission.
            model: The requested model; the documented default if none was requested.
        """
        ...

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Learn that a submitted job of *model* completed or failed.

        Args:
            model: As in `delay`.
            earliest: Seconds from the submission to the last poll that found it
                running.
            latest: Seconds from the submission to the poll that found it ended.
        """
        ...


def _positive(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{attribute.name} must be seconds above 0, not {value!r}")


@attrs.frozen
class Backoff:
    """Poll after *first* seconds, then at growing intervals up to *maximum*.

    The defaults keep to the documented 10 to 30 seconds.

    Attributes:
        first: Seconds before the first poll.
        factor: The factor by which the interval grows with each poll; at least 1.
        maximum: Seconds, the longest interval.
        jitter: The share by which an interval varies, so that many jobs are not polled
            in step; the interval stays within [first, maximum].
        rand: A source of random numbers from 0 to 1.

    Source: https://docs.pictory.ai/api-reference/ai-studio/get-image-job ("Use a
    polling interval of 10-30 seconds").
    """

    first: float = attrs.field(default=10.0, validator=_positive)
    factor: float = attrs.field(
        default=1.25,
        kw_only=True,
        validator=[attrs.validators.ge(1), attrs.validators.le(1000)],
    )
    maximum: float = attrs.field(default=30.0, kw_only=True, validator=_positive)
    jitter: float = attrs.field(
        default=0.1,
        kw_only=True,
        validator=[attrs.validators.ge(0), attrs.validators.lt(1)],
    )
    rand: Rand = attrs.field(default=random.random, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.maximum < self.first:
            raise ValueError("maximum must be at least first")

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:  # noqa: ARG002
        """Return the seconds until the next poll; see `PollPolicy`."""
        grown = min(self.first * self.factor ** min(polls, 64), self.maximum)
        varied = grown * (1 + self.jitter * (2 * self.rand() - 1))
        return min(max(varied, self.first), self.maximum)

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Learn nothing; see `PollPolicy`."""


@attrs.frozen
class FixedInterval:
    """Poll every *interval* seconds, as the guide's example does.

    Attributes:
        interval: Seconds between two polls, and before the first.

    Source: https://docs.pictory.ai/guides/ai-studio/text-to-image
    """

    interval: float = attrs.field(default=15.0, validator=_positive)

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:  # noqa: ARG002
        """Return the interval; see `PollPolicy`."""
        return self.interval

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Learn nothing; see `PollPolicy`."""


@attrs.frozen
class PollAgain:
    """The job goes on. Wait at least *at_least* seconds before the next poll."""

    at_least: float = 0.0


@attrs.frozen
class Settle:
    """The job has ended, with a result or an error as its *outcome*."""

    outcome: Any


def judge(
    report: JobReport[ResultT] | PictoryError, *, elapsed: float, attached: bool
) -> PollAgain | Settle:
    """Return what one poll means for its job.

    Args:
        report: What the poll returned or raised.
        elapsed: Seconds since the submission.
        attached: Whether the job was submitted elsewhere.
    """
    match report:
        case JobReport(error=JobNotFoundError()) if (
            not attached and elapsed < LAG_AFTER_SUBMIT
        ):
            return PollAgain()
        case JobReport(error=JobNotFoundError() as error):
            return Settle(error)
        case JobReport(error=None, result=None):
            return PollAgain()
        case JobReport(error=None, result=result):
            return Settle(result)
        case JobReport(error=error):
            return Settle(error)
        case APIError(status=status) if 400 <= status <= 499 and status not in AGAIN:
            return Settle(report)
        case APIError(retry_after=retry_after):
            return PollAgain(retry_after or 0.0)
        case TransportError() | InvalidResponseError():
            return PollAgain()
        case _:
            return Settle(report)
