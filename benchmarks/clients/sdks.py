"""The SDKs of services that work alike, each in the way its documentation shows."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import KEY, RunJob


@asynccontextmanager
async def replicate(url: str, *, poll: float, **_: int) -> AsyncIterator[RunJob]:
    """Yield what runs one job: ``predictions.async_create``, then ``async_wait``."""
    sdk = importlib.import_module("replicate")
    client = sdk.Client(api_token=KEY, base_url=url)
    client.poll_interval = poll

    async def run(prompt: str) -> str:
        prediction = await client.predictions.async_create(
            version="abc123", input={"prompt": prompt}
        )
        await prediction.async_wait()
        return str(prediction.output[0])

    yield run  # it has no public way to close


@asynccontextmanager
async def fal(url: str, *, poll: float, **_: int) -> AsyncIterator[RunJob]:
    """Yield what runs one job: ``subscribe`` submits, polls and fetches the result."""
    # The host can be set from outside, but not the scheme: https.
    queue: Any = importlib.import_module("fal_client.client")
    queue.QUEUE_URL_FORMAT = f"{url}/"
    client = importlib.import_module("fal_client").AsyncClient(key=KEY)

    async def run(prompt: str) -> str:
        result = await client.subscribe(
            "fal-ai/bench", {"prompt": prompt}, interval=poll
        )
        return str(result["images"][0]["url"])

    yield run  # nor has this one


@asynccontextmanager
async def runway(
    url: str, *, poll: float, on_aiohttp: bool = False, **_: int
) -> AsyncIterator[RunJob]:
    """Yield what runs one job: ``create``, then ``wait_for_task_output``."""
    polling: Any = importlib.import_module("runwayml.lib.polling")
    polling.POLL_TIME, polling.POLL_JITTER = poll, 0  # else 6 s, give or take
    sdk = importlib.import_module("runwayml")
    http = sdk.DefaultAioHttpClient() if on_aiohttp else None
    async with sdk.AsyncRunwayML(api_key=KEY, base_url=url, http_client=http) as client:

        async def run(prompt: str) -> str:
            created = await client.text_to_image.create(
                model="gen4_image", prompt_text=prompt, ratio="1280:720"
            )
            return str((await created.wait_for_task_output()).output[0])

        yield run


@asynccontextmanager
async def openai(
    url: str, *, poll: float, on_aiohttp: bool = False, **_: int
) -> AsyncIterator[RunJob]:
    """Yield what runs one job: a video, its one thing to create and wait for."""
    async with _openai(url, on_aiohttp=on_aiohttp) as client:

        async def run(prompt: str) -> str:
            interval = int(poll * 1000)
            video = await client.videos.create_and_poll(
                model="sora-2", prompt=prompt, poll_interval_ms=interval
            )
            if video.status != "completed":
                raise RuntimeError(video.status)
            return str(video.id)

        yield run


async def walk_openai(url: str, *, on_aiohttp: bool = False) -> int:
    """Read the whole list, item by item; return how many there were."""
    async with _openai(url, on_aiohttp=on_aiohttp) as client:
        return len([None async for video in client.videos.list(limit=100) if video.id])


def _openai(url: str, *, on_aiohttp: bool) -> Any:
    sdk = importlib.import_module("openai")
    http = sdk.DefaultAioHttpClient() if on_aiohttp else None
    return sdk.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", http_client=http)
