"""The session of a command: with the service, or with a sandbox of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pictory_async import Adaptive, FixedInterval, PictorySession
from pictory_async.cli._errors import NO_KEY, Misuse
from pictory_async.cli._text import one_line

if TYPE_CHECKING:
    from pictory_async.sandbox import Sandbox, Throttle

SANDBOX_NOTE: Final = "note: test pictures, drawn on this machine; no credits are used"
# Seconds that a job of a sandbox takes, and between two polls of it.
DURATION: Final = (1.0, 3.0)
_INTERVAL: Final = 0.25


@asynccontextmanager
async def connect(
    *,
    poll_every: float | None = None,
    proxy: str | None = None,
    sandbox: bool = False,
    state: Path | None = None,
) -> AsyncIterator[PictorySession]:
    """Open a session as the environment says, or with a sandbox of its own.

    Args:
        poll_every: Seconds between two polls of a job; None leaves it to the library.
        proxy: The proxy for the service; None leaves it to the environment.
        sandbox: Whether to run a sandbox for as long as the session lives.
        state: Where the sandbox keeps its jobs for the next command; None is nowhere.

    Raises:
        Misuse: There is no key.
        ConfigurationError: The key, the base URL or the proxy cannot be used.
    """
    if sandbox:
        async with start_sandbox(state=state) as running:
            polling = FixedInterval(poll_every or _INTERVAL)
            async with PictorySession(
                running.api_key, base_url=running.base_url, polling=polling
            ) as session:
                yield session
        return
    if not os.environ.get("PICTORY_API_KEY"):
        raise Misuse(NO_KEY)
    async with PictorySession(
        polling=FixedInterval(poll_every) if poll_every else Adaptive(), proxy=proxy
    ) as session:
        yield session


@asynccontextmanager
async def start_sandbox(
    *,
    port: int = 0,
    duration: tuple[float, float] = DURATION,
    credits: Decimal | None = None,  # noqa: A002 - the API's word
    failure_rate: float = 0.0,
    throttle: Throttle | None = None,
    state: Path | None = None,
) -> AsyncIterator[Sandbox]:
    """Run a sandbox that draws pictures; the options are those of `Sandbox`.

    Raises:
        Misuse: Pillow, with which it draws, is not installed; or the file of its state
            is another kind of file.
        OSError: The port is taken.
    """
    # Imported here, so that no other command loads a server.
    from pictory_async.sandbox import Sandbox  # noqa: PLC0415

    sandbox = Sandbox(
        port=port,
        duration=duration,
        credits=credits,
        failure_rate=failure_rate,
        throttle=throttle,
        record=False,
        state=state,
    )
    try:
        await sandbox.start()
    except ImportError:
        raise Misuse(
            "The sandbox draws with Pillow: pip install 'pictory-async[sandbox]'"
        ) from None
    except ValueError as error:
        raise Misuse(one_line(error)) from None
    try:
        yield sandbox
    finally:
        await sandbox.aclose()
