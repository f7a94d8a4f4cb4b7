"""This library: `PictorySession.generate` and `PictorySession.history`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.clients import RunJob, Setup
from pictory_async import FixedInterval, Limits, PictorySession


def session_for(setup: Setup) -> PictorySession:
    """Return a session that polls as the hand-written loop does."""
    return PictorySession(
        "key",
        base_url=f"{setup.base_url}/pictoryapis",
        polling=FixedInterval(setup.poll),
        limits=Limits(concurrent_requests=setup.connections),
    )


@asynccontextmanager
async def connect(setup: Setup) -> AsyncIterator[RunJob]:
    """Yield what runs one job."""
    async with session_for(setup) as session:

        async def run(prompt: str) -> str:
            return (await session.generate(prompt)).url

        yield run


async def walk(setup: Setup) -> int:
    """Read the whole history, item by item; return how many there were."""
    count = 0
    async with session_for(setup) as session:
        async for image in session.history():
            count += bool(image.id)
    return count
