"""OpenAI's SDK on its optional aiohttp transport."""

from __future__ import annotations

import importlib
from contextlib import AbstractAsyncContextManager
from typing import Any

from benchmarks.clients import RunJob, Setup, openai_sdk


def connect(setup: Setup) -> AbstractAsyncContextManager[RunJob]:
    """Yield what runs one job."""
    return openai_sdk.connect(setup, _http_client())


async def walk(setup: Setup) -> int:
    """Read the whole list, item by item; return how many there were."""
    return await openai_sdk.walk(setup, _http_client())


def _http_client() -> Any:
    return importlib.import_module("openai").DefaultAioHttpClient()
