"""Waiting for credits: in the order of the prompts, and never for nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from pictory_async import BudgetExceededError
from pictory_async._budget import Budget
from pictory_async._purse import Purse

TWO = Decimal(2)


async def settle_down() -> None:
    """Let all tasks run as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


def waiter(purse: Purse, index: int, price: Decimal = TWO) -> asyncio.Task[None]:
    """Return a task that waits for credits."""
    return asyncio.create_task(purse.reserve(price, index=index))


async def test_the_first_prompt_is_served_first() -> None:
    """Whoever came first in time, the order of the prompts decides."""
    purse = Purse(Budget(limit=TWO))
    await purse.reserve(TWO, index=0)
    late, early = waiter(purse, 9), waiter(purse, 5)
    await settle_down()
    purse.free(TWO)
    await early
    assert not late.done()
    purse.settle(TWO, TWO)
    with pytest.raises(BudgetExceededError) as caught:
        await late
    assert caught.value.reserved == TWO


async def test_refused_at_once_where_nothing_can_make_room() -> None:
    """Without a job in flight there is nothing to wait for."""
    purse = Purse(Budget(limit=Decimal(1)))
    with pytest.raises(BudgetExceededError) as caught:
        await purse.reserve(TWO, index=0)
    assert (caught.value.limit, caught.value.reserved) == (1, 0)


async def test_a_cheaper_one_fits_after_a_refusal() -> None:
    """Only what does not fit is refused."""
    purse = Purse(Budget(limit=Decimal(3)))
    await purse.reserve(TWO, index=0)
    dear, cheap = waiter(purse, 1), waiter(purse, 2, Decimal(1))
    await settle_down()
    assert not cheap.done()  # the order is kept while there is hope
    purse.keep(TWO)
    with pytest.raises(BudgetExceededError):
        await dear
    await cheap
    assert purse.budget.reserved == 3


async def test_cancelled_waiter_reserves_nothing() -> None:
    """Neither while it waits nor in the moment in which it is served."""
    purse = Purse(Budget(limit=TWO))
    await purse.reserve(TWO, index=0)
    waiting, served = waiter(purse, 1), waiter(purse, 2)
    await settle_down()
    waiting.cancel()
    await settle_down()
    purse.free(TWO)  # serves the second
    served.cancel()
    results = await asyncio.gather(waiting, served, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert purse.budget.in_flight == purse.budget.reserved == 0
