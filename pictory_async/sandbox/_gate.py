"""What a request passes before the API: rate limit, faults and chaos. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from pictory_async.sandbox import _replies as replies
from pictory_async.sandbox._faults import Chaos, Fault

if TYPE_CHECKING:
    from pictory_async.sandbox._options import Throttle
    from pictory_async.sandbox._recording import SeenRequest
    from pictory_async.sandbox._replies import Reply


@attrs.define
class _Armed:
    fault: Fault
    skip: int
    left: int | None

    def hits(self) -> bool:
        """Count a matching request; return whether the fault may hit it."""
        if self.skip:
            self.skip -= 1
            return False
        return True

    def use(self) -> None:
        if self.left is not None:
            self.left -= 1


class FaultScript:
    """The scripted faults. At most one hits a request: the first that was added."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    @property
    def faults(self) -> list[Fault]:
        """The faults that can still hit a request, in the order they were added."""
        return [armed.fault for armed in self._armed]

    def add(self, fault: Fault) -> None:
        """Arm *fault*."""
        self._armed.append(_Armed(fault, fault.after, fault.times))

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    def take(self, seen: SeenRequest) -> Fault | None:
        """Return the fault that hits *seen* and count it; None if none does."""
        matching = [a for a in self._armed if a.fault.on in {None, seen.kind}]
        # All of them count this request, even those behind the one that hits it.
        hitting = [armed for armed in matching if armed.hits()]
        if not hitting:
            return None
        hitting[0].use()
        self._armed = [armed for armed in self._armed if armed.left != 0]
        return hitting[0].fault


class TokenBucket:
    """The rate limit as a token bucket; the time is passed in."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._tokens = float(throttle.burst)
        self._counted_at = float("-inf")
        self.refused = 0

    def refusal(self, now: float) -> Reply | None:
        """Return the answer to a request over the limit; None admits it."""
        limit = self._throttle
        # A request that was slow to arrive may come after a later one.
        earned = max(0.0, now - self._counted_at) * limit.rate
        self._counted_at = max(now, self._counted_at)
        self._tokens = min(limit.burst, self._tokens + earned)
        # Tolerate rounding for a request that comes exactly when a token is due.
        if self._tokens >= 1 - 1e-6:
            self._tokens -= 1
            return None
        self.refused += 1
        return _throttled(limit)


class Gate:
    """What a request passes before the API.

    First the rate limit (of the API only: files come from another host), then the
    scripted faults, then *chaos*.
    """

    def __init__(self, *, throttle: Throttle | None, chaos: Chaos | None) -> None:
        self.script = FaultScript()
        self._bucket = TokenBucket(throttle) if throttle else None
        self._chaos = chaos

    @property
    def throttled(self) -> int:
        """How many requests the rate limit has refused."""
        return self._bucket.refused if self._bucket else 0

    def fault_for(self, seen: SeenRequest) -> Fault:
        """Return the fault that hits *seen*; one without effect if none does."""
        bucket = None if seen.kind == "file" else self._bucket
        if bucket and (reply := bucket.refusal(seen.at)):
            return Fault(action="answer", handled=False, reply=reply)
        fault = self.script.take(seen)
        if fault is None and self._chaos is not None:
            fault = self._chaos(seen)
        return fault or Fault()


def _throttled(limit: Throttle) -> Reply:
    reply = replies.gateway_reply(limit.status)
    if limit.html:
        page = "<html><body><h1>Too many requests</h1></body></html>"
        reply = replies.any_reply(limit.status, page)
    return attrs.evolve(reply, headers=replies.retry_after(limit.retry_after))
