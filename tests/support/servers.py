"""Real servers for applications under test, in the running loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from aiohttp import web
from aiohttp.web_protocol import RequestHandler


class _Announced(uvicorn.Server):
    """A server with an event that is set once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then set the event."""
        await super().startup(sockets)
        self.listening.set()


def loopback() -> socket.socket:
    """Return a socket on a free port, for an address that is known beforehand."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    return listening


def address(listening: socket.socket) -> str:
    """Return the URL of what listens there, without a slash at its end."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@asynccontextmanager
async def uvicorn_serves(
    app: Any, *, at: socket.socket | None = None, **options: Any
) -> AsyncIterator[str]:
    """Serve an ASGI application; give the address without a slash at its end.

    Leaving shuts the server down as SIGTERM does: open requests are finished.
    """
    given = {"log_level": "error", "ws": "none", **options}
    with at or loopback() as listening:
        server = _Announced(uvicorn.Config(app, **given))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        started = asyncio.create_task(server.listening.wait())
        await asyncio.wait([started, serving], return_when="FIRST_COMPLETED")
        started.cancel()
        try:
            yield address(listening)
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def aiohttp_serves(app: web.Application, **options: Any) -> AsyncIterator[str]:
    """Serve an aiohttp.web application; give the address, as `uvicorn_serves`."""
    # The rest of a body that was refused is not waited for.
    given = {"shutdown_timeout": 1.0, "lingering_time": 0.1, **options}
    runner = web.AppRunner(app, access_log=None, **given)
    await runner.setup()
    server = runner.server
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        await _connections_lost(server)


async def _connections_lost(server: web.Server[Any] | None) -> None:
    """Wait for the tasks of connections that aiohttp has forgotten already."""
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        handler = frame and frame.f_locals.get("self")
        if isinstance(handler, RequestHandler) and handler._manager in {None, server}:
            await asyncio.wait([task])
