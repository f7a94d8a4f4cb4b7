"""What one writes by hand when it just has to work once: on aiohttp, and on httpx."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from benchmarks.clients import KEY, RunJob

HEADERS = {"Authorization": KEY}
IMAGES = "/pictoryapis/v1/aistudio/images"
JOBS = "/pictoryapis/v1/jobs"


@asynccontextmanager
async def on_aiohttp(
    url: str, *, poll: float, connections: int
) -> AsyncIterator[RunJob]:
    """Yield what runs one job: the baseline of all ratios."""
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(
        url, connector=connector, headers=HEADERS, raise_for_status=True
    ) as session:

        async def run(prompt: str) -> str:
            async with session.post(IMAGES, json={"prompt": prompt}) as response:
                job_id = (await response.json())["data"]["jobId"]
            while True:
                await asyncio.sleep(poll)
                async with session.get(f"{JOBS}/{job_id}") as response:
                    data = (await response.json())["data"]
                if data["status"] == "completed":
                    return str(data["url"])

        yield run


async def walk(url: str) -> int:
    """Read the whole history as dicts, item by item; return how many there were."""
    count, query = 0, dict[str, str]()
    async with aiohttp.ClientSession(url, headers=HEADERS) as session:
        while True:
            async with session.get(IMAGES, params=query) as response:
                page = json.loads(await response.read())
            for item in page["items"]:
                count += bool(item["id"])
            if not page.get("nextPageKey"):
                return count
            query = {"nextPageKey": page["nextPageKey"]}


@asynccontextmanager
async def on_httpx(url: str, *, poll: float, connections: int) -> AsyncIterator[RunJob]:
    """Yield what runs one job: the same loop, on httpx."""
    httpx = importlib.import_module("httpx")
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections
    )
    # The time-out is aiohttp's; by itself a request gives up 5 s before its turn.
    async with httpx.AsyncClient(
        base_url=url, headers=HEADERS, limits=limits, timeout=300
    ) as client:

        async def run(prompt: str) -> str:
            response = await client.post(IMAGES, json={"prompt": prompt})
            job_id = response.raise_for_status().json()["data"]["jobId"]
            while True:
                await asyncio.sleep(poll)
                response = await client.get(f"{JOBS}/{job_id}")
                data = response.raise_for_status().json()["data"]
                if data["status"] == "completed":
                    return str(data["url"])

        yield run
