"""A request from its turn to its value: attempts, throttling, retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar, assert_never

from pictory_async._core.endpoints import Call, Kind
from pictory_async._core.errors import PictoryError
from pictory_async._core.log import log_retried, log_throttled
from pictory_async._core.models import ImageRequest
from pictory_async._core.unknown import unknown
from pictory_async._http.stats import Counters
from pictory_async._http.transport import Permit, Transport
from pictory_async._http.turns import Turns
from pictory_async._policy.retry import (
    GiveUp,
    LeaveOpen,
    Rand,
    RetryPolicy,
    Tally,
    TryAgain,
    decide,
    is_throttling,
)

ValueT = TypeVar("ValueT")


class Sender:
    """Sends calls, each attempt in its turn."""

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
        self._ok = counters.ok
        self._rand = rand

    async def once(
        self,
        call: Call[ValueT],
        *,
        permit: Permit | None = None,
        already_failing: bool = False,
    ) -> ValueT:
        """Make one attempt at *call* and return its value.

        Args:
            call: What to ask.
            permit: Whether a paid call may go out.
            already_failing: Whether the last attempt failed too, so that one more 503
                says nothing new about the service.

        Raises:
            PictoryError: The attempt failed; nothing was tried again.
        """
        if not self.turns.try_acquire():
            await self.turns.acquire(call.kind)
        return await self.in_turn(call, permit=permit, already_failing=already_failing)

    async def in_turn(
        self,
        call: Call[ValueT],
        *,
        permit: Permit | None = None,
        already_failing: bool = False,
    ) -> ValueT:
        """Do as `once` in a turn that the caller has; it is given back."""
        started = self.turns.now()
        try:
            value = call.read(await self.transport.send(call, permit=permit))
        except PictoryError as error:
            self.counters.attempt_failed(call.kind, error)
            if not (already_failing and error.status == 503):
                self._slow_down(error, started, call.kind)
            raise
        else:
            self._ok[call.kind] += 1
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
        """Try *call* as often as it is safe and worth while.

        Args:
            call: What to ask.
            permit: Whether a paid call may go out.
            has_turn: Whether the caller has the turn of the first attempt.

        Raises:
            SubmissionUnknownError: A paid call may have created a job.
            PictoryError: It failed; a paid call created nothing.
        """
        permit = permit or Permit()
        return await self.persist(
            partial(self.once, call, permit=permit),
            kind=call.kind,
            permit=permit,
            request=call.request,
            first=self.in_turn(call, permit=permit) if has_turn else None,
        )

    async def persist(
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
            attempt: Raises our errors.
            kind: What it asks for.
            permit: Renewed before each further attempt.
            request: What a paid attempt asks for; None if it costs nothing.
            first: The first attempt, if it is made in another way.
        """
        tally = Tally()
        while True:
            started_at = datetime.now(UTC)
            try:
                return await (first or attempt())
            except PictoryError as exc:
                error, first = exc, None
            step = decide(
                error,
                paid=request is not None,
                tally=tally,
                policy=self.retries,
                rand=self._rand,
            )
            match step:
                case LeaveOpen(cause):
                    raise unknown(request, started_at, cause) from cause
                case GiveUp():
                    raise error
                case TryAgain() if permit.last:
                    raise error
                case TryAgain():
                    tally = step.tally
                    permit.renew()
                    self._log_retry(error, kind, step)
                    await asyncio.sleep(step.after)
                case _:
                    assert_never(step)

    def _log_retry(self, error: PictoryError, kind: Kind, step: TryAgain) -> None:
        self.counters.retry(error, after=step.after)
        attempt = step.tally.failures + step.tally.throttles
        log_retried(error, kind=kind.value, delay=step.after, attempt=attempt)

    def _slow_down(self, error: PictoryError, started: float, kind: Kind) -> None:
        if is_throttling(error):
            asked = error.retry_after
            longest = self.retries.max_retry_after
            pause = None if asked is None else min(asked, longest)
            rate = self.turns.throttle(started=started, retry_after=pause)
            log_throttled(error, kind=kind.value, delay=pause, rate=rate)
