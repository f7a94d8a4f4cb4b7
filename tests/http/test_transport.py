"""One attempt: what is sent, what is returned, and what must never leak."""

from __future__ import annotations

import asyncio
import gc
import gzip
import inspect
import logging
import pickle
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import http_exceptions, web
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pictory_async import (
    APIError,
    InvalidResponseError,
    PictorySession,
    RequestTimeoutError,
    RetryPolicy,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async._core.endpoints import IMAGES, Kind, image_page
from pictory_async._core.models import ImageRequest
from pictory_async._http import transport as transport_module
from pictory_async._http.transport import Permit, Transport
from pictory_async._settings import ApiKey, Proxies

KEY = "pictai_secret_but_fake_key"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start servers that answer as a test says; return their URL."""
    servers = list[TestServer]()

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/"))

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def raw() -> AsyncIterator[Callable[[bytes], Awaitable[str]]]:
    """Start a server that answers every request with the same bytes, and hangs up."""
    servers = list[asyncio.Server]()

    async def start(answer: bytes) -> str:
        async def talk(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            try:
                await reader.read(4096)
                writer.write(answer)
                await writer.drain()
            except ConnectionError:
                pass  # the client had enough: that is what some tests are about
            finally:
                writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


def session_for(url: str, **options: Any) -> PictorySession:
    """Return a session that makes one attempt only."""
    options = {"retries": RetryPolicy(attempts=1)} | options
    return PictorySession(KEY, base_url=url, **options)


def all_exceptions() -> list[type[BaseException]]:
    """Return every exception that the HTTP library defines."""
    modules = (aiohttp, aiohttp.client_exceptions, http_exceptions)
    found = {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Exception)
        if value.__module__.startswith("aiohttp") and "web" not in value.__module__
    }
    return sorted(found, key=lambda cls: cls.__name__)


def instance(cls: type[BaseException]) -> BaseException:
    """Make an exception, whatever its constructor, that holds the request's headers."""
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": KEY}))
    info = RequestInfo(URL("http://a"), "GET", headers, URL("http://a"))
    error = cls.__new__(cls)
    error.__dict__.update(
        request_info=info,
        status=0,
        message=KEY,
        headers=headers,
        history=(),
        code=0,
        _conn_key=ConnectionKey("a", 80, False, True, None, None, None),
        _os_error=OSError(1, KEY),
        _certificate_error=ValueError(KEY),
        _path="/",
        host="a",
        port=80,
        expected=b"",
        got=b"",
        _url=KEY,
        _description=KEY,
    )
    error.args = (KEY, KEY)
    return error


@pytest.mark.parametrize("cls", all_exceptions(), ids=lambda cls: cls.__name__)
async def test_no_exception_of_the_http_library_leaves(
    cls: type[BaseException],
) -> None:
    """Whatever it raises becomes ours, without cause, context or key."""

    async def fail(*_: object) -> aiohttp.ClientResponse:
        raise instance(cls)

    async with aiohttp.ClientSession(middlewares=[fail]) as http:
        transport = Transport(
            base_url=URL("https://example.com"),
            api_key=ApiKey(KEY),
            timeout=1,
            proxies=Proxies(),
            http=http,
        )
        for call in (image_page(None), IMAGES.submit(ImageRequest("A lighthouse"))):
            with pytest.raises(TransportError) as caught:
                await transport.send(call)
            error = caught.value
            assert error.__cause__ is None
            assert error.__context__ is None
            assert KEY not in f"{error} {error!r} {pickle.dumps(error)!r}"
        assert not error.sent


async def test_timeout_says_sent(serve: Serve) -> None:
    """A server that never answers is given up after the attempt's time-out."""
    gone = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await gone.wait()
        return web.Response()

    async with session_for(await serve(hang), request_timeout=0.05) as session:
        with pytest.raises(RequestTimeoutError) as caught:
            await anext(session.history())
        assert caught.value.sent
        assert (caught.value.method, caught.value.path) == (
            "GET",
            "/v1/aistudio/images",
        )
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(SubmissionUnknownError) as unknown:
            await session.submit("A lighthouse")
        assert isinstance(unknown.value.cause, RequestTimeoutError)
        gone.set()


async def test_timeout_while_connecting_is_not_sent() -> None:
    """A connection that is never accepted has carried nothing."""

    class Nowhere(aiohttp.TCPConnector):
        async def connect(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

    async with (
        aiohttp.ClientSession(connector=Nowhere()) as http,
        session_for("https://example.com", request_timeout=0.05, http=http) as session,
    ):
        with pytest.raises(RequestTimeoutError) as caught:
            await session.submit("A lighthouse")
    assert not caught.value.sent


async def test_tls_failure_is_not_sent(raw: Any) -> None:
    """A server without TLS has not received the request."""
    url = await raw(b"HTTP/1.1 200 OK\r\n\r\n")
    async with session_for(url.replace("http:", "https:")) as session:
        with pytest.raises(TransportError) as caught:
            await session.submit("A lighthouse")
    assert not caught.value.sent
    assert not isinstance(caught.value.__cause__, ssl.SSLError | aiohttp.ClientError)


async def test_unknown_host_is_not_sent() -> None:
    """A name that does not resolve has carried nothing."""
    async with session_for("https://nobody.invalid") as session:
        with pytest.raises(TransportError) as caught:
            await session.submit("A lighthouse")
    assert not caught.value.sent
    assert "nobody.invalid" in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_key_follows_no_redirect(serve: Serve, status: int) -> None:
    """A redirect of the API, to whatever place, is refused and not followed."""
    seen = list[str]()

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response({"items": []})

    other = await serve(elsewhere)

    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": other})

    async with session_for(await serve(redirect)) as session:
        for use in (anext(session.history()), session.submit("A lighthouse")):
            with pytest.raises(APIError) as caught:
                await use
            assert caught.value.status == status
    assert seen == []


async def test_key_echoed_by_a_proxy_is_masked(serve: Serve) -> None:
    """An error page that repeats the request's headers does not give the key away."""

    async def echo(request: web.Request) -> web.Response:
        text = f"<html>{dict(request.headers)}</html>"
        return web.Response(status=400, text=text)

    async with session_for(await serve(echo)) as session:
        with pytest.raises(APIError) as caught:
            await anext(session.history())
    error = caught.value
    shown = "".join(traceback.format_exception(error))
    assert "<API key>" in error.body
    assert KEY not in f"{error} {error!r} {error.body} {shown} {pickle.dumps(error)!r}"


@pytest.mark.looptime
async def test_key_is_in_no_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG level, over success and failure, the key is in no record."""
    caplog.set_level(logging.DEBUG)
    answers = iter([500, 429, 200, 200])

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"items": []}, status=next(answers))

    retries = RetryPolicy(first=0.001)
    async with session_for(await serve(handler), retries=retries) as session:
        assert [i async for i in session.history()] == []
        assert [i async for i in session.history()] == []
    assert "retried" in caplog.text
    assert KEY not in caplog.text


def test_key_does_not_show_in_a_representation() -> None:
    """A dict of headers that somebody logs hides the key."""
    assert KEY not in repr({"Authorization": ApiKey(KEY)})
    assert ApiKey(KEY) == KEY


async def test_huge_answer_is_not_read_to_its_end(serve: Serve) -> None:
    """An endless body is cut off at the limit and raised as unreadable."""
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        piece = b'["' + b"x" * 2**20
        try:
            while sent < 1000:
                await response.write(piece)
                sent += 1
        except ConnectionError:
            pass  # the client had enough
        return response

    async with session_for(await serve(endless)) as session:
        with pytest.raises(InvalidResponseError, match="larger than"):
            await anext(session.history())
    assert sent < 40


async def test_compressed_bomb_is_not_unpacked(serve: Serve) -> None:
    """A small body that decompresses to a large one is cut off like a large one."""
    bomb = gzip.compress(b" " * 2**26, compresslevel=9)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with session_for(await serve(handler)) as session:
        with pytest.raises((InvalidResponseError, TransportError)):
            await anext(session.history())


async def test_compressed_answer_is_read(serve: Serve) -> None:
    """A compressed body is decompressed."""

    async def handler(_: web.Request) -> web.Response:
        body = gzip.compress(b'{"items": []}')
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with session_for(await serve(handler)) as session:
        assert [i async for i in session.history()] == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 400_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 100_000 + b"\r\n{}",
        b"HTTP/1.1 99999 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
    ],
    ids=range(9),
)
async def test_broken_http_is_a_transport_error(raw: Any, answer: bytes) -> None:
    """What is not HTTP, or breaks off, becomes our error; a POST is then unknown."""
    async with session_for(await raw(answer)) as session:
        with pytest.raises(TransportError) as caught:
            await anext(session.history())
        assert caught.value.sent
        with pytest.raises(SubmissionUnknownError):
            await session.submit("A lighthouse")
    gc.collect()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/html"},
        {"Content-Type": "application/json; charset=klingon"},
        {"Content-Type": "nonsense"},
    ],
)
async def test_content_type_is_not_believed(
    serve: Serve, headers: dict[str, str]
) -> None:
    """JSON is JSON, whatever the header says."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b'{"items": []}', headers=headers)

    async with session_for(await serve(handler)) as session:
        assert [i async for i in session.history()] == []


@pytest.mark.parametrize(
    ("wait", "date", "seconds"),
    [
        ("7", None, 7.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", None, 0.0),
        ("soon", None, None),
    ],
)
async def test_retry_after_is_read(
    raw: Any, wait: str, date: str | None, seconds: float | None
) -> None:
    """Seconds and dates are understood; a date is measured from the answer's own."""
    dated = f"Date: {date}\r\n" if date else ""
    head = f"HTTP/1.1 429 No\r\nContent-Length: 0\r\n{dated}Retry-After: {wait}\r\n\r\n"
    http = aiohttp.ClientSession()
    transport = Transport(
        base_url=URL(await raw(head.encode())),
        api_key=ApiKey(KEY),
        timeout=5,
        proxies=Proxies(),
        http=http,
    )
    answer = await transport.send(IMAGES.job("a", None))
    assert answer.retry_after == seconds
    await http.close()


async def test_withdrawn_permit_keeps_the_request_back(serve: Serve) -> None:
    """A paid request whose permit was withdrawn never reaches the server."""
    seen = list[str]()

    async def handler(request: web.Request) -> web.Response:
        seen.append(await request.text())
        return web.json_response({"data": {"jobId": "a"}})

    http = aiohttp.ClientSession()
    transport = Transport(
        base_url=URL(await serve(handler)),
        api_key=ApiKey(KEY),
        timeout=5,
        proxies=Proxies(),
        http=http,
    )
    call = IMAGES.submit(ImageRequest("A lighthouse"))
    permit = Permit()
    assert permit.withdraw()
    with pytest.raises(TransportError) as caught:
        await transport.send(call, permit=permit)
    assert not caught.value.sent
    assert seen == []
    permit.renew()
    assert (await transport.send(call, permit=permit)).status == 200
    assert permit.sent
    assert not permit.withdraw()
    assert len(seen) == 1
    assert call.kind is Kind.SUBMIT
    await http.close()


async def test_connection_that_closes_before_the_body_leaves_is_not_sent() -> None:
    """A pooled connection that the server has closed carries no paid request."""

    class Closing(asyncio.WriteTransport):
        def is_closing(self) -> bool:
            return True

    permit = Permit()
    body = transport_module._PaidBody(b"{}", permit)
    for connection in (Closing(), None):
        writer = SimpleNamespace(transport=connection)
        for write in (body.write(writer), body.write_with_length(writer, 2)):
            with pytest.raises(ConnectionResetError):
                await write
    assert not permit.sent


async def test_stale_connection_repeats_a_get_and_never_a_post() -> None:
    """The library repeats a GET by itself once, when a kept connection was closed.

    It is why a POST must not go through any layer that does the same.
    """
    seen = list[str]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b" ")[0].decode())
        body = b'{"items": []}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + body)
        await writer.drain()
        again = await reader.read(4096)  # the second request on this connection
        if again:
            seen.append(again.split(b" ")[0].decode())
        writer.close()  # without an answer

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with session_for(url) as session:
        assert [i async for i in session.history()] == []
        assert [i async for i in session.history()] == []  # dropped, then repeated
        assert seen == ["GET", "GET", "GET"]
        with pytest.raises(SubmissionUnknownError):
            await session.submit("A lighthouse")
        assert seen == ["GET", "GET", "GET", "POST"]
    server.close()
    await server.wait_closed()


async def test_largest_answer_holds_a_full_page() -> None:
    """A page of 100 items with the longest prompts is far below the limit."""
    assert transport_module.LARGEST_ANSWER > 100 * (5000 * 12 + 2000)
