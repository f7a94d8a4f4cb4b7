"""Replicate's SDK: ``predictions.async_create``, then ``async_wait``."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.clients import RunJob, Setup


@asynccontextmanager
async def connect(setup: Setup) -> AsyncIterator[RunJob]:
    """Yield what runs one job."""
    replicate = importlib.import_module("replicate")
    client = replicate.Client(api_token="key", base_url=setup.base_url)  # noqa: S106
    client.poll_interval = setup.poll

    async def run(prompt: str) -> str:
        prediction = await client.predictions.async_create(
            version="abc123", input={"prompt": prompt}
        )
        await prediction.async_wait()
        return str(prediction.output[0])

    try:
        yield run
    finally:  # it has no public way to close
        await client._async_client.aclose()  # noqa: SLF001
