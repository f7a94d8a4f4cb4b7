"""Credits under a ceiling: exact arithmetic, and waiting in the prompts' order."""

from __future__ import annotations

import asyncio
import heapq
from decimal import Decimal

from pictory_async._core.errors import BudgetExceededError


class Reservations:
    """The credits that a batch has used, and those that it may still be charged.

    Each price is *reserved* before its POST. A reservation ends in one of three ways:
    it is *settled* with the credits that were used, *freed* if nothing was charged, or
    *kept* if nobody knows.

    Attributes:
        limit: The ceiling in AI credits; None for no ceiling.
        used: Credits charged for jobs that have ended.
        kept: Credits that may have been charged for jobs that nobody waits for.
        held: Credits reserved for jobs in flight.
        in_flight: The number of jobs in flight.
    """

    def __init__(self, limit: Decimal | None = None) -> None:
        self.limit = limit
        self.used = Decimal(0)
        self.kept = Decimal(0)
        self.held = Decimal(0)
        self.in_flight: int = 0
        self._waiting: list[tuple[int, asyncio.Future[None], Decimal]] = []

    @property
    def reserved(self) -> Decimal:
        """Credits that may still be charged."""
        return self.kept + self.held

    # --- reserving ----------------------------------------------------------------

    def try_reserve(self, price: Decimal) -> bool:
        """Reserve *price* if it fits under the ceiling now; return whether it does."""
        if self.limit is not None and self.used + self.reserved + price > self.limit:
            return False
        self.held += price
        self.in_flight += 1
        return True

    async def reserve(self, price: Decimal, *, index: int) -> None:
        """Reserve *price* once it fits; lower indices are served first.

        Cancelling this reserves nothing.

        Raises:
            BudgetExceededError: It does not fit, and no job in flight is left that
                could make room.
        """
        if not self._waiting and self.try_reserve(price):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (index, turn, price))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:
                self.free(price)  # it was served as the task was cancelled
            raise

    def take_up(self, price: Decimal) -> None:
        """Turn a *price* that an earlier run kept into a reservation of this one."""
        self.kept -= price
        self.held += price
        self.in_flight += 1

    # --- ending a reservation -----------------------------------------------------

    def settle(self, price: Decimal, used: Decimal | None) -> Decimal:
        """Charge *used*, or *price* if that is None; return the credits charged."""
        charged = price if used is None else used
        self.used += charged
        self._release(price)
        return charged

    def free(self, price: Decimal) -> None:
        """Charge nothing."""
        self._release(price)

    def keep(self, price: Decimal) -> None:
        """Let *price* count against the ceiling for good, as it may be charged."""
        self.kept += price
        self._release(price)

    def _release(self, price: Decimal) -> None:
        self.held -= price
        self.in_flight -= 1
        self._serve()

    def _serve(self) -> None:
        """Serve waiters in order; refuse the first if nothing can make room for it."""
        while self._waiting:
            _, turn, price = self._waiting[0]
            if not turn.done():  # else it was cancelled
                if self.try_reserve(price):
                    turn.set_result(None)
                elif self.in_flight:
                    return
                else:
                    turn.set_exception(self._refusal(price))
            heapq.heappop(self._waiting)

    def _refusal(self, price: Decimal) -> BudgetExceededError:
        assert self.limit is not None  # noqa: S101 - else every price fits
        taken = self.used + self.reserved
        return BudgetExceededError(limit=self.limit, reserved=taken, price=price)
