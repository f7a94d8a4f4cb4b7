"""Sandboxes for tests, closed at their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from pictory_async.sandbox import Sandbox
from tests.sandbox.client import Client, Serve


@pytest.fixture(name="serve")
async def _serve() -> AsyncIterator[Serve]:
    """Start sandboxes with the options given; jobs take ten seconds, ids repeat."""
    async with AsyncExitStack() as stack:

        async def serve(**options: Any) -> tuple[Sandbox, Client]:
            started = datetime(2026, 4, 4, 6, 3, 38, 665000, tzinfo=UTC)
            plain = {
                "pictures": False,
                "seed": 1,
                "duration": 10.0,
                "started_at": started,
            }
            sandbox = await stack.enter_async_context(Sandbox(**{**plain, **options}))
            client = Client(sandbox.base_url, sandbox.api_key)
            stack.push_async_callback(client.http.close)
            return sandbox, client

        yield serve
