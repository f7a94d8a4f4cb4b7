"""The HTTP server: reads requests, sends answers, and performs faults."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from pictory_async.sandbox._api import PREFIX, route
from pictory_async.sandbox._recording import SeenRequest, parse_json
from pictory_async.sandbox._replies import Reply, gateway_reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pictory_async.sandbox._faults import Fault

logger: Final = logging.getLogger("pictory_async.sandbox")

HOST: Final = "127.0.0.1"
_BODY_LIMIT: Final = 1024**2  # [I] A gateway has one; a prompt never comes near it.
_SHUTDOWN: Final = 1.0  # seconds; handlers are stopped before, so it is never used up


class Server:
    """A server of *respond* on the loopback, with the faults of *fault_for*.

    Different tasks of one loop may start, use and close it.
    """

    def __init__(
        self,
        *,
        fault_for: Callable[[SeenRequest], Fault],
        respond: Callable[[SeenRequest], Awaitable[Reply]],
        keepalive_timeout: float,
    ) -> None:
        self._fault_for = fault_for
        self._respond = respond
        self._closing = asyncio.Event()
        # One task per request; a request outlives a client that went away.
        self._handlers: set[asyncio.Task[object]] = set()
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=_SHUTDOWN,
            keepalive_timeout=keepalive_timeout,
        )

    async def start(self, port: int) -> int:
        """Listen on *port* (0: any free one) and return it.

        Raises:
            OSError: It is taken.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        return site.port

    async def aclose(self) -> None:
        """Stop listening, abort requests in progress, close the connections."""
        self._closing.set()
        await self._runner.cleanup()
        # aiohttp forgets the handlers of connections that were lost.
        while self._handlers:
            await asyncio.wait(self._handlers)
        await asyncio.sleep(0)  # lets aiohttp's own tasks see that theirs ended

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        try:
            return await self._answer(request)
        except ConnectionError as exc:  # the client went away, as it may
            logger.debug("%s %s: %r", request.method, request.path, exc)
            return _hang_up(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        at = asyncio.get_running_loop().time()
        raw = await _read(request)
        seen = _seen(request, raw or b"", at)
        fault = self._fault_for(seen)
        if fault.delay and await self._closes_within(fault.delay):
            return _hang_up(request)
        reply = gateway_reply(413)
        if raw is not None and fault.handled:
            reply = await self._respond(seen)
        _log(seen, fault, reply)
        return await self._perform(request, fault, reply)

    async def _perform(
        self, request: web.Request, fault: Fault, reply: Reply
    ) -> web.StreamResponse:
        match fault.action:
            case "drop":
                return _hang_up(request)
            case "hang":
                while request.transport and not await self._closes_within(1.0):
                    continue
                return _hang_up(request)
            case "truncate":
                return await _truncate(request, reply, fault.keep)
            case "trickle":
                return await self._trickle(request, reply, fault.interval)
            case _:  # "pass" and "answer"
                return _response(fault.reply or reply)

    async def _trickle(
        self, request: web.Request, reply: Reply, interval: float
    ) -> web.StreamResponse:
        response = await _begin(request, reply)
        for place in range(len(reply.body)):
            if await self._closes_within(interval):
                return _hang_up(request)
            await response.write(reply.body[place : place + 1])
        return response

    async def _closes_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return False
        return True


async def _read(request: web.Request) -> bytes | None:
    """Return the body; None if it is larger than the gateway accepts."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None


def _seen(request: web.Request, raw: bytes, at: float) -> SeenRequest:
    kind, target = route(request.method, request.path)
    return SeenRequest(
        kind=kind,
        target=target,
        method=request.method,
        path=request.path,
        query=request.query,
        headers=request.headers,
        raw=raw,
        at=at,
    )


def _log(seen: SeenRequest, fault: Fault, reply: Reply) -> None:
    if not logger.isEnabledFor(logging.DEBUG):
        return
    sent = fault.reply or reply
    result = sent.status if fault.action in {"pass", "answer"} else fault.action
    line = (
        f"{result} {seen.method} {seen.path.removeprefix(PREFIX)} {_note(seen, sent)}"
    )
    logger.debug("%s", line.rstrip())


def _note(seen: SeenRequest, sent: Reply) -> str:
    """Return what a request is about: its prompt, or the state of its job."""
    match seen.kind, seen.body, parse_json(sent.body):
        case "submit", {"prompt": str(prompt)}, _:
            return prompt[:60]
        case "job", _, {"data": {"status": str(state)}}:
            return state
        case _:
            return ""


def _headers(reply: Reply) -> dict[str, str]:
    return {"Content-Type": reply.content_type, **reply.headers}


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=_headers(reply))


async def _begin(request: web.Request, reply: Reply) -> web.StreamResponse:
    """Send the headers of *reply*, with the length of its whole body."""
    response = web.StreamResponse(status=reply.status, headers=_headers(reply))
    response.content_length = len(reply.body)
    await response.prepare(request)
    return response


async def _truncate(
    request: web.Request, reply: Reply, keep: int
) -> web.StreamResponse:
    response = await _begin(request, reply)
    await response.write(reply.body[: min(keep, len(reply.body) - 1)])
    _hang_up(request)
    return response


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; the response is only for aiohttp and is never sent."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
