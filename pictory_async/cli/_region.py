"""The part of a terminal that is drawn again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text


class Region:
    """Draws what *render* returns every *interval* seconds while it is open.

    What is printed meanwhile stands above it; closed, it is gone.
    """

    def __init__(
        self,
        console: Console,
        render: Callable[[], RenderableType],
        *,
        interval: float,
    ) -> None:
        self._render = render
        self._interval = interval
        self._live = Live(
            console=console,
            get_renderable=self._with_last_line,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open it."""
        self._live.start()
        self._ticking = asyncio.create_task(self._tick(), name="pictory-region")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        self._live.stop()

    async def _tick(self) -> None:
        while True:
            self._live.refresh()
            await asyncio.sleep(self._interval)

    def _with_last_line(self) -> RenderableType:
        # The terminal writes its ^C where the region ends: not behind a full line.
        return Group(self._render(), Text())
