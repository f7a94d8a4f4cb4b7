"""The baseline: what one writes with aiohttp when it just has to work once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from benchmarks.clients import RunJob, Setup

HEADERS = {"Authorization": "key"}


@asynccontextmanager
async def connect(setup: Setup) -> AsyncIterator[RunJob]:
    """Yield what runs one job."""
    async with aiohttp.ClientSession(
        setup.base_url,
        connector=aiohttp.TCPConnector(limit=setup.connections),
        headers=HEADERS,
        raise_for_status=True,
    ) as session:

        async def run(prompt: str) -> str:
            path = "/pictoryapis/v1/aistudio/images"
            async with session.post(path, json={"prompt": prompt}) as response:
                job_id = (await response.json())["data"]["jobId"]
            while True:
                await asyncio.sleep(setup.poll)
                path = f"/pictoryapis/v1/jobs/{job_id}"
                async with session.get(path) as response:
                    data = (await response.json())["data"]
                if data["status"] == "completed":
                    return str(data["url"])

        yield run


async def walk(setup: Setup) -> int:
    """Read the whole history as dicts, item by item; return how many there were."""
    count, query = 0, dict[str, str]()
    async with aiohttp.ClientSession(setup.base_url, headers=HEADERS) as session:
        while True:
            path = "/pictoryapis/v1/aistudio/images"
            async with session.get(path, params=query) as response:
                page = json.loads(await response.read())
            for item in page["items"]:
                count += bool(item["id"])
            if not page.get("nextPageKey"):
                return count
            query = {"nextPageKey": page["nextPageKey"]}
