"""This library: `PictorySession.generate` and `PictorySession.history`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.clients import KEY, RunJob
from pictory_async import FixedInterval, Limits, PictorySession


def session_for(url: str, *, poll: float, connections: int) -> PictorySession:
    """Return a session that polls as the hand-written loop does."""
    return PictorySession(
        KEY,
        base_url=f"{url}/pictoryapis",
        polling=FixedInterval(poll),
        limits=Limits(concurrent_requests=connections),
    )


@asynccontextmanager
async def connect(url: str, *, poll: float, connections: int) -> AsyncIterator[RunJob]:
    """Yield what runs one job."""
    async with session_for(url, poll=poll, connections=connections) as session:

        async def run(prompt: str) -> str:
            return (await session.generate(prompt)).url

        yield run


async def walk(url: str) -> int:
    """Read the whole history, item by item; return how many there were."""
    async with session_for(url, poll=1, connections=1) as session:
        return len([None async for image in session.history() if image.id])
