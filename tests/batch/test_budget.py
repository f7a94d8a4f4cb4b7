"""Credits under a ceiling: exact, and never above it by a reservation."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictory_async import BudgetExceededError
from pictory_async._batch.budget import Budget, Purse

CREDITS = st.decimals(min_value=0, max_value=20, places=2)
PRICE = Decimal("0.6")


def test_without_a_limit_everything_fits() -> None:
    """A batch without a ceiling counts all the same."""
    budget = Budget()
    assert budget.fits(Decimal(10**9))
    budget.reserve(PRICE)
    assert budget.reserved == PRICE
    assert budget.settle(PRICE, Decimal(1)) == budget.used == 1
    assert budget.reserved == 0
    assert budget.refusal(PRICE).limit == 0


def test_decimals_are_exact() -> None:
    """Five times 0.6 are 3, so they fit under 3."""
    budget = Budget(limit=Decimal(3))
    for _ in range(5):
        assert budget.fits(PRICE)
        budget.reserve(PRICE)
    assert not budget.fits(Decimal("0.01"))


def test_price_counts_if_nobody_says_what_was_used() -> None:
    """A missing number is no gift."""
    budget = Budget(limit=Decimal(3))
    budget.reserve(PRICE)
    assert budget.settle(PRICE, None) == budget.used == PRICE


def test_refusal_says_what_counts() -> None:
    """The error has the ceiling and all that counted against it."""
    budget = Budget(limit=Decimal(3), used=Decimal(1), kept=Decimal("0.5"))
    budget.reserve(PRICE)
    error = budget.refusal(Decimal(2))
    assert (error.limit, error.reserved, error.price) == (3, Decimal("2.1"), 2)


def test_kept_credits_can_be_taken_up() -> None:
    """What an earlier run left open becomes a reservation of this one."""
    budget = Budget(limit=Decimal(3), kept=Decimal(3))
    assert not budget.fits(PRICE)
    budget.take_up(Decimal(2))
    assert (budget.kept, budget.held, budget.in_flight) == (1, 2, 1)
    budget.free(Decimal(2))
    assert budget.fits(Decimal(2))


@pytest.mark.parametrize("limit", [Decimal(5), Decimal("7.3")])
@given(steps=st.lists(st.tuples(CREDITS, st.sampled_from(["settle", "free", "keep"]))))
def test_reservations_never_pass_the_limit(
    limit: Decimal, steps: list[tuple[Decimal, str]]
) -> None:
    """As long as nobody charges more than the price, the ceiling holds at each step."""
    budget = Budget(limit=limit)
    charged = Decimal(0)
    for price, end in steps:
        if not budget.fits(price):
            continue
        budget.reserve(price)
        assert budget.used + budget.reserved <= limit
        match end:
            case "settle":
                charged += budget.settle(price, price / 2)
            case "free":
                budget.free(price)
            case _:
                budget.keep(price)
    assert budget.in_flight == budget.held == 0
    assert budget.used == charged
    assert budget.used + budget.kept <= limit


# --- waiting for credits

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
