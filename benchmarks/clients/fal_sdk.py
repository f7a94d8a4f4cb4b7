"""fal's SDK: ``AsyncClient.subscribe``, which submits, polls and fetches the result."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import RunJob, Setup


@asynccontextmanager
async def connect(setup: Setup) -> AsyncIterator[RunJob]:
    """Yield what runs one job."""
    # The host can be set from outside, but not the scheme: https.
    queue: Any = importlib.import_module("fal_client.client")
    queue.QUEUE_URL_FORMAT = f"{setup.base_url}/"
    client = importlib.import_module("fal_client").AsyncClient(key="key")

    async def run(prompt: str) -> str:
        result = await client.subscribe(
            "fal-ai/bench", {"prompt": prompt}, interval=setup.poll
        )
        return str(result["images"][0]["url"])

    try:
        yield run
    finally:  # it has no public way to close
        await (await client._client).aclose()  # noqa: SLF001
