"""Fixtures that every test runs under."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from blockbuster import BlockBuster

from pictory_async import FixedInterval, PictorySession
from pictory_async.sandbox import Sandbox


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests."""
    for name in ("PICTORY_API_KEY", "PICTORY_API_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def nothing_left_behind() -> AsyncIterator[None]:
    """Fail a test that leaves a task running or an exception unseen."""
    loop, lost = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: lost.append(context))
    before = asyncio.all_tasks()
    yield
    for _ in range(3):  # for the callbacks of the last tasks
        await asyncio.sleep(0)
    gc.collect()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks still running: {left}"
    assert not lost, f"errors nobody saw: {lost}"


@pytest.fixture
async def no_blocking() -> AsyncIterator[None]:
    """Fail a test in which the package blocks the event loop."""
    guard = BlockBuster(scanned_modules=["pictory_async"])
    guard.activate()
    yield
    guard.deactivate()


def pytest_configure() -> None:
    """Declare that there is no loop: looptime would make one and leave it open."""
    asyncio.set_event_loop(None)


def pytest_collection_finish() -> None:
    """Exempt what is imported from the garbage collection of each test: it is slow."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put every asynchronous test under the guards."""
    for item in items:
        if inspect.iscoroutinefunction(getattr(item, "obj", None)):
            assert isinstance(item, pytest.Function)
            for guard in ("nothing_left_behind", "no_blocking"):
                if guard not in item.fixturenames:
                    item.fixturenames.insert(0, guard)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox whose jobs take 20 seconds of the loop's time."""
    async with Sandbox(duration=20.0, pictures=False) as running:
        yield running


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[PictorySession]:
    """A session of the sandbox that polls every ten seconds."""
    polling = FixedInterval(10)
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=polling
    ) as opened:
        yield opened
