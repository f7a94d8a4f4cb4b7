"""When to ask how a job stands: arithmetic on seconds, without a clock."""

import random
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

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

Rand = Callable[[], float]

# A new job may be unknown to the part of the service that answers first.
LAG_AFTER_SUBMIT = 30.0


@runtime_checkable
class PollPolicy(Protocol):
    """Decides when a job is asked for. Pure: seconds come in, seconds go out."""

    def delay(self, *, polls: int, elapsed: float, model: str) -> float:
        """Return the seconds until the next poll.

        Args:
            polls: Polls so far; 0 before the first.
            elapsed: Seconds since the submission.
            model: As requested; the documented default where none was named.
        """
        ...

    def ended(self, *, model: str, earliest: float, latest: float) -> None:
        """Learn that a submitted job of *model* completed or failed.

        Args:
            model: As in `delay`.
            earliest: Seconds from the submission to the last poll that saw it run.
            latest: Seconds from the submission to the poll that saw the end.
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
        factor: By which the interval grows with each poll; at least 1.
        maximum: Seconds, the longest interval.
        jitter: Share by which an interval varies, so that many jobs do not poll in
            step; it never leads out of [first, maximum].
        rand: Source of randomness, from 0 to 1.

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
    """Nothing final yet. Wait at least this many seconds."""

    at_least: float = 0.0


@attrs.frozen
class Settle:
    """The job has ended, with a result or with an error."""

    outcome: Any


def judge(
    heard: JobReport[ResultT] | PictoryError, *, elapsed: float, attached: bool
) -> PollAgain | Settle:
    """Say what one poll means for the job.

    Args:
        heard: What the poll gave.
        elapsed: Seconds since the submission.
        attached: Whether the job was started elsewhere.
    """
    match heard:
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
        case APIError(status=status) if 400 <= status <= 499 and status not in {
            408,
            429,
        }:
            return Settle(heard)
        case APIError(retry_after=asked):
            return PollAgain(asked or 0.0)
        case TransportError() | InvalidResponseError():
            return PollAgain()
        case _:
            return Settle(heard)
