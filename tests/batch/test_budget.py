"""Credits under a ceiling: exact, and never above it by a reservation."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictory_async import BudgetExceededError
from pictory_async._batch.budget import Reservations

CREDITS = st.decimals(min_value=0, max_value=20, places=2)
PRICE = Decimal("0.6")
TWO = Decimal(2)


def test_without_a_limit_everything_fits() -> None:
    """A batch without a ceiling still counts its credits."""
    credits_ = Reservations()
    assert credits_.try_reserve(Decimal(10**9))
    credits_.free(Decimal(10**9))
    assert credits_.try_reserve(PRICE)
    assert credits_.reserved == PRICE
    assert credits_.settle(PRICE, Decimal(1)) == credits_.used == 1
    assert credits_.reserved == 0


def test_decimals_are_exact() -> None:
    """Five times 0.6 are 3, so they fit under 3."""
    credits_ = Reservations(Decimal(3))
    assert all(credits_.try_reserve(PRICE) for _ in range(5))
    assert not credits_.try_reserve(Decimal("0.01"))


def test_the_price_is_charged_if_the_service_names_no_credits() -> None:
    """A job without its credits is not free."""
    credits_ = Reservations(Decimal(3))
    assert credits_.try_reserve(PRICE)
    assert credits_.settle(PRICE, None) == credits_.used == PRICE


async def test_refusal_has_all_that_counts() -> None:
    """The error has the ceiling, and used and kept credits together."""
    credits_ = Reservations(Decimal(3))
    credits_.used, credits_.kept = Decimal(1), Decimal("1.1")
    with pytest.raises(BudgetExceededError) as caught:
        await credits_.reserve(TWO, index=0)
    error = caught.value
    assert (error.limit, error.reserved, error.price) == (3, Decimal("2.1"), 2)


def test_kept_credits_can_be_taken_up() -> None:
    """Credits that an earlier run kept become a reservation of this one."""
    credits_ = Reservations(Decimal(3))
    credits_.kept = Decimal(3)
    assert not credits_.try_reserve(PRICE)
    credits_.take_up(TWO)
    assert (credits_.kept, credits_.held, credits_.in_flight) == (1, 2, 1)
    credits_.free(TWO)
    assert credits_.try_reserve(TWO)


@pytest.mark.parametrize("limit", [Decimal(5), Decimal("7.3")])
@given(steps=st.lists(st.tuples(CREDITS, st.sampled_from(["settle", "free", "keep"]))))
def test_reservations_never_pass_the_limit(
    limit: Decimal, steps: list[tuple[Decimal, str]]
) -> None:
    """As long as no job costs more than its price, the ceiling holds at each step."""
    credits_ = Reservations(limit)
    charged = Decimal(0)
    for price, end in steps:
        if not credits_.try_reserve(price):
            continue
        assert credits_.used + credits_.reserved <= limit
        match end:
            case "settle":
                charged += credits_.settle(price, price / 2)
            case "free":
                credits_.free(price)
            case _:
                credits_.keep(price)
    assert credits_.in_flight == credits_.held == 0
    assert credits_.used == charged
    assert credits_.used + credits_.kept <= limit


# --- waiting for credits


async def settle_down() -> None:
    """Let all tasks run as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


def waiter(
    credits_: Reservations, index: int, price: Decimal = TWO
) -> asyncio.Task[None]:
    """Return a task that waits for credits."""
    return asyncio.create_task(credits_.reserve(price, index=index))


async def test_the_first_prompt_is_served_first() -> None:
    """The order of the prompts decides, not the order of their waiting."""
    credits_ = Reservations(TWO)
    await credits_.reserve(TWO, index=0)
    late, early = waiter(credits_, 9), waiter(credits_, 5)
    await settle_down()
    credits_.free(TWO)
    await early
    assert not late.done()
    credits_.settle(TWO, TWO)
    with pytest.raises(BudgetExceededError) as caught:
        await late
    assert caught.value.reserved == TWO


async def test_refused_immediately_if_nothing_can_make_room() -> None:
    """Without a job in flight there is nothing to wait for."""
    credits_ = Reservations(Decimal(1))
    with pytest.raises(BudgetExceededError) as caught:
        await credits_.reserve(TWO, index=0)
    assert (caught.value.limit, caught.value.reserved) == (1, 0)


async def test_a_cheaper_one_fits_after_a_refusal() -> None:
    """Only the price that does not fit is refused."""
    credits_ = Reservations(Decimal(3))
    await credits_.reserve(TWO, index=0)
    dear, cheap = waiter(credits_, 1), waiter(credits_, 2, Decimal(1))
    await settle_down()
    assert not cheap.done()  # the order is kept while the first may still fit
    credits_.keep(TWO)
    with pytest.raises(BudgetExceededError):
        await dear
    await cheap
    assert credits_.reserved == 3


async def test_cancelled_waiter_reserves_nothing() -> None:
    """Neither while it waits nor if it is served as it is cancelled."""
    credits_ = Reservations(TWO)
    await credits_.reserve(TWO, index=0)
    waiting, served = waiter(credits_, 1), waiter(credits_, 2)
    await settle_down()
    waiting.cancel()
    await settle_down()
    credits_.free(TWO)  # serves the second
    served.cancel()
    results = await asyncio.gather(waiting, served, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert credits_.in_flight == credits_.reserved == 0
