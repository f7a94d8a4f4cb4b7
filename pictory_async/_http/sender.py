"""A call from its turn to its value: attempts, throttling, retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TypeVar, assert_never

from pictory_async._core.endpoints import Call, Kind
from pictory_async._core.errors import PictoryError
from pictory_async._core.log import log_retried, log_throttled
from pictory_async._core.models import ImageRequest
from pictory_async._core.unknown import SubmissionUnknownError
from pictory_async._http.clock import utc_now
from pictory_async._http.stats import Counters
from pictory_async._http.transport import Permit, Transport
from pictory_async._http.turns import Turns
from pictory_async._policy.retry import (
    Attempts,
    GiveUp,
    LeaveOpen,
    Rand,
    RetryPolicy,
    TryAgain,
    decide,
    is_throttling,
)

ValueT = TypeVar("ValueT")


class Sender:
    """Sends calls, each attempt in its turn.

    `fetch` is for calls that are to succeed: it retries. `attempt` is for polls, which
    the scheduler repeats at its own times. An answer of 429 or 503 to either slows the
    whole session: `_slow_down` passes it to `Turns.throttle`, and so to `Pace`.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        turns: Turns,
        retries: RetryPolicy,
        counters: Counters,
        rand: Rand = random.random,
    ) -> None:
        self.transport: Transport = transport
        self.turns: Turns = turns
        self.retries: RetryPolicy = retries
        self.counters: Counters = counters
        self._rand = rand

    async def attempt(
        self,
        call: Call[ValueT],
        *,
        permit: Permit | None = None,
        already_failing: bool = False,
    ) -> ValueT:
        """Make one attempt at *call* and return its value.

        Args:
            call: The call.
            permit: For a paid call, the permission to send its body.
            already_failing: Whether the caller's last attempt failed as well. One more
                503 then says nothing new about the service, and slows nothing.

        Cancelling this gives the turn back, or the place in the queue for it.

        Raises:
            PictoryError: The attempt failed; it was not retried.
        """
        if not self.turns.try_acquire():
            await self.turns.acquire(call.kind)
        return await self._attempt(call, permit, already_failing=already_failing)

    async def _attempt(
        self,
        call: Call[ValueT],
        permit: Permit | None,
        *,
        already_failing: bool = False,
    ) -> ValueT:
        """Make one attempt in a turn that is acquired already; release the turn."""
        started = self.turns.now()
        try:
            value = call.read(await self.transport.send(call, permit=permit))
        except PictoryError as error:
            self.counters.attempt_failed(call.kind, error)
            if not (already_failing and error.status == 503):
                self._slow_down(error, started, call.kind)
            raise
        else:
            self.counters.ok[call.kind] += 1
            return value
        finally:
            self.turns.release()

    async def fetch(
        self,
        call: Call[ValueT],
        *,
        permit: Permit | None = None,
        has_turn: bool = False,
    ) -> ValueT:
        """Send *call* and return its value; retry where that is safe and useful.

        Args:
            call: The call.
            permit: For a paid call, the permission to send its body.
            has_turn: Whether the caller has acquired the turn of the first attempt.

        Raises:
            SubmissionUnknownError: A paid call may have created a job.
            PictoryError: The last attempt failed; a paid call created nothing.
        """
        permit = permit or Permit()
        return await self.retry(
            partial(self.attempt, call, permit=permit),
            kind=call.kind,
            permit=permit,
            request=call.request,
            first=self._attempt(call, permit) if has_turn else None,
        )

    async def retry(
        self,
        attempt: Callable[[], Awaitable[ValueT]],
        *,
        kind: Kind,
        permit: Permit,
        request: ImageRequest | None = None,
        first: Awaitable[ValueT] | None = None,
    ) -> ValueT:
        """Repeat *attempt* until it succeeds or `decide` ends it.

        Args:
            attempt: Makes one attempt; raises `PictoryError`.
            kind: The kind of request, for the log.
            permit: Renewed before each further attempt.
            request: The user's request, if the attempt is paid; else None.
            first: The first attempt, if it differs from the others.
        """
        attempts = Attempts()
        while True:
            started_at = utc_now()
            try:
                return await (first or attempt())
            except PictoryError as exc:
                error, first = exc, None
            step = decide(
                error,
                paid=request is not None,
                attempts=attempts,
                policy=self.retries,
                rand=self._rand,
            )
            match step:
                case LeaveOpen(cause):
                    raise self.unknown(request, started_at, cause) from cause
                case GiveUp():
                    raise error
                case TryAgain() if permit.no_retry:
                    raise error
                case TryAgain():
                    attempts = step.attempts
                    permit.renew()
                    self._log_retry(error, kind, step)
                    await asyncio.sleep(step.after)
                case _:
                    assert_never(step)

    def unknown(
        self, request: ImageRequest | None, started_at: datetime, cause: PictoryError
    ) -> SubmissionUnknownError:
        """Return the error for a paid call that *cause* has just ended."""
        offset = self.transport.clock.offset
        return SubmissionUnknownError(
            request=request,
            started_at=started_at,
            ended_at=utc_now(),
            cause=cause,
            clock_offset=None if offset is None else offset.total_seconds(),
        )

    def _log_retry(self, error: PictoryError, kind: Kind, step: TryAgain) -> None:
        self.counters.retry(error, after=step.after)
        attempt = step.attempts.failures + step.attempts.throttles
        log_retried(error, kind=kind.value, delay=step.after, attempt=attempt)

    def _slow_down(self, error: PictoryError, started: float, kind: Kind) -> None:
        """Slow the whole session if *error* is a 429 or 503."""
        if is_throttling(error):
            retry_after = error.retry_after
            longest = self.retries.max_retry_after
            pause = None if retry_after is None else min(retry_after, longest)
            rate = self.turns.throttle(started=started, retry_after=pause)
            log_throttled(error, kind=kind.value, delay=pause, rate=rate)
