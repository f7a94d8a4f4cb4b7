"""Runway's SDK: ``text_to_image.create``, then ``wait_for_task_output``."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import RunJob, Setup


@asynccontextmanager
async def connect(setup: Setup, http_client: Any = None) -> AsyncIterator[RunJob]:
    """Yield what runs one job."""
    polling: Any = importlib.import_module("runwayml.lib.polling")
    polling.POLL_TIME, polling.POLL_JITTER = setup.poll, 0  # else 6 s, give or take
    client = importlib.import_module("runwayml").AsyncRunwayML(
        api_key="key", base_url=setup.base_url, http_client=http_client
    )

    async def run(prompt: str) -> str:
        created = await client.text_to_image.create(
            model="gen4_image", prompt_text=prompt, ratio="1280:720"
        )
        return str((await created.wait_for_task_output()).output[0])

    async with client:
        yield run
