"""OpenAI's SDK: ``videos.create_and_poll``, its one job to create and wait for."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import RunJob, Setup


@asynccontextmanager
async def connect(setup: Setup, http_client: Any = None) -> AsyncIterator[RunJob]:
    """Yield what runs one job."""
    async with _client(setup, http_client) as client:

        async def run(prompt: str) -> str:
            video = await client.videos.create_and_poll(
                model="sora-2",
                prompt=prompt,
                poll_interval_ms=int(setup.poll * 1000),
            )
            if video.status != "completed":
                raise RuntimeError(video.status)
            return str(video.id)

        yield run


async def walk(setup: Setup, http_client: Any = None) -> int:
    """Read the whole list, item by item; return how many there were."""
    count = 0
    async with _client(setup, http_client) as client:
        async for video in client.videos.list(limit=100):
            count += bool(video.id)
    return count


def _client(setup: Setup, http_client: Any) -> Any:
    return importlib.import_module("openai").AsyncOpenAI(
        api_key="key", base_url=f"{setup.base_url}/v1", http_client=http_client
    )
