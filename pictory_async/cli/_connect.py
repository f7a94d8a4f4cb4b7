"""The session a command works with: the service's, or that of a sandbox."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pictory_async import Adaptive, FixedInterval, PictorySession
from pictory_async.cli._run import Misuse
from pictory_async.cli._words import NO_KEY

if TYPE_CHECKING:
    from pictory_async.sandbox import Sandbox

# Seconds that a job of a sandbox takes, and between two questions about it.
SANDBOX_DURATION = (1.0, 3.0)
SANDBOX_INTERVAL = 0.25


@asynccontextmanager
async def connect(
    *, poll_every: float | None = None, sandbox: bool = False
) -> AsyncIterator[PictorySession]:
    """Open a session as the environment says, or with a sandbox of its own.

    Args:
        poll_every: Seconds between two questions about a job; None is the library's
            backoff.
        sandbox: Whether to start a sandbox for as long as the session lives.

    Raises:
        Misuse: There is no key.
        ConfigurationError: The key or the base URL cannot be used.
    """
    if sandbox:
        async with start_sandbox() as running:
            polling = FixedInterval(poll_every or SANDBOX_INTERVAL)
            async with PictorySession(
                running.api_key, base_url=running.base_url, polling=polling
            ) as session:
                yield session
        return
    if not os.environ.get("PICTORY_API_KEY"):
        raise Misuse(NO_KEY)
    async with PictorySession(
        polling=FixedInterval(poll_every) if poll_every else Adaptive()
    ) as session:
        yield session


@asynccontextmanager
async def start_sandbox(*, port: int = 0) -> AsyncIterator[Sandbox]:
    """Run a sandbox that draws pictures.

    Raises:
        Misuse: What it draws with is not installed.
        OSError: The port is taken.
    """
    # Here, so that no other command loads a server.
    from pictory_async.sandbox import Sandbox  # noqa: PLC0415

    sandbox = Sandbox(port=port, duration=SANDBOX_DURATION, record=False)
    try:
        await sandbox.start()
    except ImportError:
        raise Misuse(
            "The sandbox draws with Pillow: pip install 'pictory-async[sandbox]'"
        ) from None
    try:
        yield sandbox
    finally:
        await sandbox.aclose()
