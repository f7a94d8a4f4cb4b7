"""Task owner and signal."""

from __future__ import annotations

import asyncio

import pytest

from pictory_async._tasks import Signal, TaskOwner, ended


async def test_tasks_are_named_and_held() -> None:
    """A task runs to its end although nobody else holds it."""
    owner, ended = TaskOwner(), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        ended.set()

    assert owner.spawn(work(), name="pictory-test").get_name() == "pictory-test"
    await ended.wait()
    await owner.aclose()


async def test_closing_cancels_and_waits() -> None:
    """After closing no task runs, not even one that was slow to end."""
    owner = TaskOwner()
    ended = list[str]()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            ended.append("stubborn")
            raise

    task = owner.spawn(stubborn(), name="pictory-test")
    await asyncio.sleep(0)
    await owner.aclose()
    assert ended == ["stubborn"]
    assert task.cancelled()


async def test_task_that_never_began_is_ended_too() -> None:
    """A task that is cancelled before its first step ends as well."""
    owner = TaskOwner()
    task = owner.spawn(asyncio.sleep(100), name="pictory-test")
    await owner.aclose()
    assert task.cancelled()


async def test_task_may_close_its_own_owner() -> None:
    """The task that closes is neither waited for nor cancelled."""
    owner = TaskOwner()
    other = owner.spawn(asyncio.sleep(100), name="pictory-other")
    await owner.spawn(owner.aclose(), name="pictory-close")
    assert other.cancelled()


async def test_tasks_started_while_closing_are_ended() -> None:
    """A task that starts another as it ends leaves none behind."""
    owner = TaskOwner()
    second = list[asyncio.Task[None]]()

    async def breed() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            second.append(owner.spawn(asyncio.sleep(100), name="pictory-second"))

    owner.spawn(breed(), name="pictory-first")
    await asyncio.sleep(0)
    await owner.aclose()
    assert second[0].cancelled()


async def test_signal_wakes_everyone_who_waits() -> None:
    """All present waiters wake; later ones wait for the next firing."""
    signal = Signal()
    signal.fire()
    waiters = [asyncio.create_task(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    signal.fire()
    await asyncio.gather(*waiters)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await signal.wait()


async def test_cancelled_waiter_disturbs_no_other() -> None:
    """A signal outlives a waiter that gave up, before and while it fires."""
    signal = Signal()
    first, second = (asyncio.create_task(signal.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    third = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    third.cancel()
    signal.fire()
    await second
    assert (await asyncio.gather(third, return_exceptions=True))[0] is not None


async def test_waiting_for_the_end_of_a_task_leaves_it_alone() -> None:
    """Cancelling the waiting cancels nothing else; a failure raises nothing here."""
    release = asyncio.Event()

    async def work() -> None:
        await release.wait()
        raise ValueError

    task = asyncio.create_task(work())
    waiting = [asyncio.create_task(ended(task)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    release.set()
    await waiting[1]
    assert waiting[0].cancelled()
    assert isinstance(task.exception(), ValueError)
