"""Turns: how many at the same time, how fast, in which order; at exact times."""

from __future__ import annotations

import asyncio

import pytest

from pictory_async import Limits, SessionClosedError
from pictory_async._core.endpoints import Kind
from pictory_async._http.turns import Turns

pytestmark = pytest.mark.looptime


def turns_of(*, at_once: int = 1, per_second: float | None = None) -> Turns:
    """Return turns on the running loop."""
    limits = Limits(concurrent_requests=at_once, requests_per_second=per_second)
    return Turns(limits, asyncio.get_running_loop())


class Requests:
    """Requests that take *seconds* each and record when they began."""

    def __init__(self, turns: Turns, *, seconds: float = 1.0) -> None:
        self.turns = turns
        self.seconds = seconds
        self.began: list[tuple[str, float]] = []
        self._zero = asyncio.get_running_loop().time()

    async def one(self, kind: Kind = Kind.POLL, name: str = "") -> None:
        """Take a turn."""
        await self.turns.acquire(kind)
        now = asyncio.get_running_loop().time() - self._zero
        self.began.append((name or kind.value, round(now, 3)))
        await asyncio.sleep(self.seconds)
        self.turns.release()

    @property
    def times(self) -> list[float]:
        """When each began, in seconds."""
        return [at for _, at in self.began]


async def test_so_many_at_once() -> None:
    """No more requests than allowed are under way."""
    requests = Requests(turns_of(at_once=2))
    await asyncio.gather(*(requests.one() for _ in range(5)))
    assert requests.times == [0, 0, 1, 1, 2]


async def test_so_many_a_second() -> None:
    """Starts are evenly spaced."""
    requests = Requests(turns_of(at_once=100, per_second=4))
    await asyncio.gather(*(requests.one() for _ in range(6)))
    assert requests.times == [0, 0.25, 0.5, 0.75, 1.0, 1.25]


async def test_quiet_time_does_not_save_up() -> None:
    """After a pause there is no burst."""
    requests = Requests(turns_of(at_once=100, per_second=2))
    await requests.one()
    await asyncio.sleep(99)
    await asyncio.gather(*(requests.one() for _ in range(3)))
    assert requests.times == [0, 100, 100.5, 101]


async def test_kinds_take_turns() -> None:
    """A poll that comes after a thousand submits waits for one of them, not all."""
    requests = Requests(turns_of())
    submits = [asyncio.create_task(requests.one(Kind.SUBMIT)) for _ in range(1000)]
    await asyncio.sleep(0.5)
    others = [requests.one(kind) for kind in (Kind.POLL, Kind.PAGE, Kind.DOWNLOAD)]
    await asyncio.gather(*submits, *others)
    first = [kind for kind, _ in requests.began[:8]]
    assert sorted(first[:5]) == ["download", "page", "poll", "submit", "submit"]
    assert first[5:] == ["submit"] * 3


async def test_first_come_first_served_within_a_kind() -> None:
    """Waiters of a kind keep their order."""
    requests = Requests(turns_of())
    names = [f"{n}" for n in range(20)]
    await asyncio.gather(*(requests.one(name=name) for name in names))
    assert [name for name, _ in requests.began] == names


async def test_newcomer_does_not_overtake() -> None:
    """A request that arrives when a turn becomes free queues behind those that wait."""
    turns = turns_of(at_once=1)
    requests = Requests(turns)
    await turns.acquire(Kind.POLL)
    waiting = asyncio.create_task(requests.one(name="waiting"))
    await asyncio.sleep(0)
    turns.release()
    newcomer = asyncio.create_task(requests.one(name="newcomer"))
    await asyncio.gather(waiting, newcomer)
    assert [name for name, _ in requests.began] == ["waiting", "newcomer"]


async def test_cancelled_waiter_gives_up_its_place() -> None:
    """The next waiter moves up."""
    requests = Requests(turns_of())
    tasks = [asyncio.create_task(requests.one()) for _ in range(3)]
    await asyncio.sleep(0.5)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert requests.times == [0, 1]


async def test_waiter_cancelled_with_its_turn_gives_it_on() -> None:
    """A turn that was given to a waiter just as it was cancelled is not lost."""
    turns = turns_of()
    await turns.acquire(Kind.POLL)
    unlucky = asyncio.create_task(turns.acquire(Kind.POLL))
    await asyncio.sleep(0)
    turns.release()  # to the waiter
    unlucky.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unlucky
    async with asyncio.timeout(1):
        await turns.acquire(Kind.POLL)


async def test_retry_after_holds_up_everyone() -> None:
    """After a 429 no request starts until the wait is over; then they start slowly."""
    turns = turns_of(at_once=10)
    requests = Requests(turns, seconds=0)
    await requests.one()
    turns.throttle(started=asyncio.get_running_loop().time(), retry_after=30)
    await asyncio.gather(*(requests.one(kind) for kind in Kind))
    assert requests.times[0] == 0
    assert requests.times[1] == 30
    assert all(
        b - a > 0.5 for a, b in zip(requests.times, requests.times[1:], strict=False)
    )


async def test_closing_refuses_all() -> None:
    """Waiting and later requests are refused; those in flight are not disturbed."""
    turns = turns_of(per_second=0.1)
    requests = Requests(turns, seconds=5)
    under_way = asyncio.create_task(requests.one())
    waiting = asyncio.create_task(requests.one())
    given_up = asyncio.create_task(requests.one())
    await asyncio.sleep(1)
    given_up.cancel()
    turns.close()
    with pytest.raises(SessionClosedError):
        await waiting
    with pytest.raises(SessionClosedError):
        await turns.acquire(Kind.POLL)
    await under_way
    await asyncio.gather(given_up, return_exceptions=True)


async def test_ten_thousand_waiters_need_one_timer() -> None:
    """Memory and timers depend on requests in flight, not on those that wait."""
    loop = asyncio.get_running_loop()
    turns = turns_of(at_once=100, per_second=1000)
    requests = Requests(turns, seconds=0)
    timers = 0
    call_at = loop.call_at

    def counted(*args: object, **kwargs: object) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_at(*args, **kwargs)  # type: ignore[arg-type]

    loop.call_at = counted  # type: ignore[assignment, method-assign]
    await asyncio.gather(*(requests.one() for _ in range(10_000)))
    assert timers <= 10_100
    assert requests.times[-1] == pytest.approx(10, abs=0.01)


async def test_closed_between_a_turn_and_its_owner() -> None:
    """A request that was given a turn just before the closing does not start."""
    turns = Turns(Limits(concurrent_requests=1), asyncio.get_running_loop())
    assert turns.try_acquire()
    waiting = asyncio.create_task(turns.acquire(Kind.SUBMIT))
    await asyncio.sleep(0)
    turns.release()
    turns.close()
    with pytest.raises(SessionClosedError):
        await waiting
    assert not turns.try_acquire()
