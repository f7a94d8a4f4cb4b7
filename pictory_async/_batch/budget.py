"""Credits under a ceiling: exact arithmetic, without a loop or a clock."""

from __future__ import annotations

import asyncio
import heapq
from decimal import Decimal

import attrs

from pictory_async._core.errors import BudgetExceededError


@attrs.define(kw_only=True)
class Budget:
    """What a batch has used and what it may still be charged.

    Each price is *reserved* before its POST and leaves the open reservations in one of
    three ways: it is *settled* with what was used, *freed* if nothing was charged, or
    *kept* if nobody knows.

    Attributes:
        limit: AI credits; None for no ceiling.
        used: Of jobs that ended.
        kept: For jobs that may have been charged, and that nobody waits for.
        held: For jobs in flight.
        in_flight: How many those are.
    """

    limit: Decimal | None = None
    used: Decimal = Decimal(0)
    kept: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    in_flight: int = 0

    @property
    def reserved(self) -> Decimal:
        """What may still be charged."""
        return self.kept + self.held

    def fits(self, price: Decimal) -> bool:
        """Say whether *price* fits beside all that counts now."""
        return self.limit is None or self.used + self.reserved + price <= self.limit

    def refusal(self, price: Decimal) -> BudgetExceededError:
        """Return the error for a *price* that does not fit and never will."""
        limit = Decimal(0) if self.limit is None else self.limit
        taken = self.used + self.reserved
        return BudgetExceededError(limit=limit, reserved=taken, price=price)

    def reserve(self, price: Decimal) -> None:
        """Take *price* from what is left."""
        self.held += price
        self.in_flight += 1

    def take_up(self, price: Decimal) -> None:
        """Turn a *price* kept by an earlier run into a reservation of this one."""
        self.kept -= price
        self.reserve(price)

    def settle(self, price: Decimal, used: Decimal | None) -> Decimal:
        """End a reservation; return what counts as used: *price* if nobody says."""
        charged = price if used is None else used
        self._release(price)
        self.used += charged
        return charged

    def free(self, price: Decimal) -> None:
        """End a reservation for which nothing was charged."""
        self._release(price)

    def keep(self, price: Decimal) -> None:
        """End a reservation that may have been charged; it still counts."""
        self._release(price)
        self.kept += price

    def _release(self, price: Decimal) -> None:
        self.held -= price
        self.in_flight -= 1


class Purse:
    """Gives out what a `Budget` has, to whoever comes first in the batch."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._waiting: list[tuple[int, asyncio.Future[None], Decimal]] = []

    async def reserve(self, price: Decimal, *, index: int) -> None:
        """Reserve *price* once it fits. Cancelling this reserves nothing.

        Raises:
            BudgetExceededError: It does not fit, and no reservation is left that
                could make room.
        """
        if not self._waiting and self.budget.fits(price):
            return self.budget.reserve(price)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (index, turn, price))
        self._give_turns()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:
                self.free(price)
            raise

    def settle(self, price: Decimal, used: Decimal | None) -> Decimal:
        """See `Budget.settle`."""
        charged = self.budget.settle(price, used)
        self._give_turns()
        return charged

    def free(self, price: Decimal) -> None:
        """See `Budget.free`."""
        self.budget.free(price)
        self._give_turns()

    def keep(self, price: Decimal) -> None:
        """See `Budget.keep`."""
        self.budget.keep(price)
        self._give_turns()

    def _give_turns(self) -> None:
        """Serve in order; refuse the first that nothing can make room for any more."""
        while self._waiting:
            _, turn, price = self._waiting[0]
            if not turn.done():  # else it was cancelled
                if self.budget.fits(price):
                    self.budget.reserve(price)
                    turn.set_result(None)
                elif self.budget.in_flight:
                    return
                else:
                    turn.set_exception(self.budget.refusal(price))
            heapq.heappop(self._waiting)
