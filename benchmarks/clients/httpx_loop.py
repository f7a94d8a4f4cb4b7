"""The same loop as the baseline, on httpx."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.clients import RunJob, Setup


@asynccontextmanager
async def connect(setup: Setup) -> AsyncIterator[RunJob]:
    """Yield what runs one job."""
    httpx = importlib.import_module("httpx")
    most = setup.connections
    async with httpx.AsyncClient(
        base_url=setup.base_url,
        headers={"Authorization": "key"},
        limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
        timeout=300,  # as aiohttp; by itself a request gives up 5 s before its turn
    ) as client:

        async def run(prompt: str) -> str:
            path = "/pictoryapis/v1/aistudio/images"
            response = await client.post(path, json={"prompt": prompt})
            response.raise_for_status()
            job_id = response.json()["data"]["jobId"]
            while True:
                await asyncio.sleep(setup.poll)
                response = await client.get(f"/pictoryapis/v1/jobs/{job_id}")
                response.raise_for_status()
                data = response.json()["data"]
                if data["status"] == "completed":
                    return str(data["url"])

        yield run
