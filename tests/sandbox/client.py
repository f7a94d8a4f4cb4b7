"""A plain HTTP client of the sandbox, independent of pictory_async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from pictory_async.sandbox import Sandbox

PROMPT = "A red bicycle leaning on a blue door"


class Client:
    """A client that returns the status and the parsed body."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self.base_url = base_url
        self.http = aiohttp.ClientSession(headers={"Authorization": api_key})

    async def send(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Send one request to *path* below the base URL."""
        url = f"{self.base_url}{path}"
        async with self.http.request(method, url, **options) as answer:
            return answer.status, await answer.json(content_type=None)

    async def submit(self, **fields: Any) -> tuple[int, Any]:
        """Request an image."""
        body = {"prompt": PROMPT, **fields}
        return await self.send("POST", "/v1/aistudio/images", json=body)

    async def job(self, **fields: Any) -> str:
        """Request an image and return the job id."""
        status, body = await self.submit(**fields)
        assert status == 200
        return str(body["data"]["jobId"])

    async def poll(self, job_id: str) -> tuple[int, Any]:
        """Poll a job."""
        return await self.send("GET", f"/v1/jobs/{job_id}")

    async def page(self, key: str | None = None) -> tuple[int, Any]:
        """Request a page of the history."""
        params = {} if key is None else {"nextPageKey": key}
        return await self.send("GET", "/v1/aistudio/images", params=params)


# The fixture that starts sandboxes, each with its client.
Serve = Callable[..., Awaitable[tuple[Sandbox, Client]]]
