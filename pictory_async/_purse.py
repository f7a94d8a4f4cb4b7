"""Waiting for credits, in the order of the prompts."""

from __future__ import annotations

import asyncio
import heapq
from decimal import Decimal

from pictory_async._budget import Budget


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
