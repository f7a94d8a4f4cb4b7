"""Webhooks: delivered by the sandbox, over loopback, to real servers."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from pictory_async import (
    FixedInterval,
    GeneratedImage,
    InvalidRequestError,
    JobFailedError,
    JobHandle,
    PictorySession,
)
from pictory_async.sandbox import Fault, Sandbox
from pictory_async.webhook import BODY_LIMIT, WebhookReceiver

from .support.servers import aiohttp_serves, uvicorn_serves

PROMPT = "A lighthouse at dawn"
PUBLIC = "https://app.example/pictory"
SECRET = "a-fake-secret-of-the-tests-0123456789"

Host = Callable[[WebhookReceiver], AbstractAsyncContextManager[str]]


@pytest.fixture(name="sandbox")
async def _sandbox() -> AsyncIterator[Sandbox]:
    """A service whose jobs end when a test says so."""
    async with Sandbox(duration=float("inf"), pictures=False) as running:
        yield running


@pytest.fixture(name="session")
async def _session(sandbox: Sandbox) -> AsyncIterator[PictorySession]:
    """A session that polls too rarely to see a job end before its webhook does."""
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(3000)
    ) as opened:
        yield opened


@pytest.fixture(name="receiver")
def _receiver(session: PictorySession) -> WebhookReceiver:
    return WebhookReceiver(session, public_url=PUBLIC, secret=SECRET)


def delivery(job_id: str, status: str = "completed") -> bytes:
    """Return what the service would send."""
    payload = {"job_id": job_id, "success": True, "data": {"status": status}}
    return json.dumps(payload).encode()


async def polled(sandbox: Sandbox, job_id: str, times: int) -> None:
    """Wait until a job was polled that many times."""
    while sandbox.polls(job_id) < times:  # noqa: ASYNC110 - the sandbox has no event for it
        await asyncio.sleep(0.01)


async def answered(sandbox: Sandbox, times: int = 1) -> list[int | None]:
    """Wait for that many webhooks to be answered; return the statuses."""
    while len(sandbox.webhooks) < times:  # noqa: ASYNC110 - the sandbox has no event for it
        await asyncio.sleep(0.01)
    return [webhook.status for webhook in sandbox.webhooks]


# --- servers and frameworks -----------------------------------------------------------


@asynccontextmanager
async def bare(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """Serve the receiver alone; that is an application, too."""
    async with uvicorn_serves(receiver.asgi, lifespan="on") as address:
        yield address


@asynccontextmanager
async def fastapi_mount(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """Mount it in FastAPI, behind a proxy that removes a part of the path."""
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/hooks/pictory", receiver.asgi)
    async with uvicorn_serves(
        app, root_path="/behind/a/proxy", log_level="debug", log_config=None
    ) as address:
        yield f"{address}/hooks/pictory"


@asynccontextmanager
async def starlette_mount(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """Mount it in Starlette, two deep."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    inner = Mount("/pictory", app=receiver.asgi)
    async with uvicorn_serves(Starlette(routes=[Mount("/a", routes=[inner])])) as root:
        yield f"{root}/a/pictory"


@asynccontextmanager
async def litestar_mount(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """Mount it in Litestar."""
    from litestar import Litestar, asgi

    mounted = asgi("/pictory", is_mount=True, copy_scope=False)(receiver.asgi)
    app = Litestar([mounted], openapi_config=None, logging_config=None)
    async with uvicorn_serves(app, log_level="debug", log_config=None) as address:
        yield f"{address}/pictory"


@asynccontextmanager
async def quart_route(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """Call `receive` in a route, as any framework can."""
    from quart import Quart, Response, request

    app = Quart("hooks")

    @app.post("/pictory/<token>")
    async def take(token: str) -> Response:
        status = await receiver.receive(token, await request.get_data())
        return Response("", status=status)

    async with uvicorn_serves(app) as address:
        yield f"{address}/pictory"


@asynccontextmanager
async def aiohttp_route(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """Use the handler for aiohttp.web."""
    app = web.Application()
    app.router.add_route("*", "/pictory/{token}", receiver.aiohttp_handler)
    async with aiohttp_serves(app) as address:
        yield f"{address}/pictory"


ANYWHERE = [
    bare,
    fastapi_mount,
    starlette_mount,
    litestar_mount,
    quart_route,
    aiohttp_route,
]
OWN_SERVERS = [bare, aiohttp_route]


@pytest.mark.parametrize("host", ANYWHERE)
async def test_job_ends_when_it_is_told(
    host: Host, session: PictorySession, sandbox: Sandbox
) -> None:
    """A job completes by its webhook, with one poll, in every framework."""
    fixed = WebhookReceiver(session, public_url=PUBLIC, secret=SECRET)
    async with host(fixed) as address:
        receiver = WebhookReceiver(session, public_url=address, secret=SECRET)
        job = await session.submit(PROMPT, webhook=receiver.url)
        sandbox.finish(job.job_id)
        image = await job
        assert image.url.endswith(".png")
        assert sandbox.polls(job.job_id) == 1
        assert await answered(sandbox) == [204]


async def test_failure_is_told(
    session: PictorySession, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """A job that fails is polled like any other; the delivery is not trusted."""
    job = await session.submit(PROMPT)
    sandbox.fail(job.job_id, code="BROKEN")
    assert await receiver.receive(SECRET, delivery(job.job_id, "completed")) == 204
    with pytest.raises(JobFailedError, match="BROKEN"):
        await job


# --- early, twice, unknown ------------------------------------------------------------


@pytest.mark.looptime
async def test_told_before_the_submit_was_answered() -> None:
    """If a delivery overtakes the id of its job, the job is polled once accepted."""
    async with Sandbox(duration=3.0, pictures=False) as sandbox:
        sandbox.add_fault(Fault.trickle(interval=0.2, on="submit"))
        session = PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(3000)
        )
        async with session, asyncio.timeout(60):
            app = web.Application()
            receiver = WebhookReceiver(
                session, public_url=f"http://127.0.0.1:{unused_port()}"
            )
            app.router.add_post("/{token}", receiver.aiohttp_handler)
            async with aiohttp_serves(app) as address:
                webhook = receiver.url.replace(str(receiver)[17:-5], address)
                submitting = asyncio.create_task(
                    session.submit(PROMPT, webhook=webhook)
                )
                assert await answered(sandbox) == [204]
                assert not submitting.done()
                assert isinstance(await (await submitting), GeneratedImage)


async def test_announced_ids_are_forgotten_without_a_submission(
    session: PictorySession, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """An id is remembered only while a submission could still turn out to have it."""
    elsewhere = await session.submit(PROMPT)
    await receiver.receive(SECRET, delivery("nobody-knows-this"))
    job = await session.submit(PROMPT)
    assert session._runtime.jobs._announced == {}
    assert (sandbox.polls(elsewhere.job_id), sandbox.polls(job.job_id)) == (0, 0)


async def test_memory_of_announced_ids_is_bounded(
    session: PictorySession, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """Made-up ids replace the oldest, and the memory does not grow."""
    sandbox.add_fault(Fault.slow(0.2, on="submit"))
    submitting = asyncio.create_task(session.submit(PROMPT))
    while not sandbox.requests:  # noqa: ASYNC110 - the sandbox has no event for it
        await asyncio.sleep(0.01)
    for number in range(3000):
        assert await receiver.receive(SECRET, delivery(f"made-up-{number}")) == 204
    announced = session._runtime.jobs._announced
    assert list(announced) == [f"made-up-{number}" for number in range(2000, 3000)]
    await submitting
    assert not announced
    assert [seen.kind for seen in sandbox.requests] == ["submit"]


async def test_flood_of_duplicates(
    session: PictorySession, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """All copies that arrive during a poll cause one more poll together."""
    job = await session.submit(PROMPT)
    sandbox.add_fault(Fault.slow(0.05, on="job"))
    for _ in range(4):
        assert await receiver.receive(SECRET, delivery(job.job_id)) == 204
    await polled(sandbox, job.job_id, 1)
    for _ in range(1000):
        assert await receiver.receive(SECRET, delivery(job.job_id)) == 204
    async for status in job.updates():
        if status.polls == 2:
            break
    sandbox.finish(job.job_id)
    assert await receiver.receive(SECRET, delivery(job.job_id)) == 204
    assert not job.done()  # after so many deliveries the job is left to the scheduler
    job.poll_now()
    await job
    assert sandbox.polls(job.job_id) == 3
    assert await receiver.receive(SECRET, delivery(job.job_id)) == 204


async def test_memory_of_deliveries_is_bounded(
    session: PictorySession, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs of the latest deliveries are remembered; earlier ones are forgotten."""
    monkeypatch.setattr(session, "poll_now", lambda _: True)
    for number in range(1500):
        await receiver.receive(SECRET, delivery(f"job-{number}"))
    assert list(receiver._deliveries) == [
        f"job-{number}" for number in range(500, 1500)
    ]


async def test_unknown_job_costs_no_request(
    sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """An id that is not in progress is not polled: no amplification."""
    for number in range(100):
        assert await receiver.receive(SECRET, delivery(f"unknown-{number}")) == 204
    await asyncio.sleep(0.1)
    assert sandbox.requests == []


# --- malformed and hostile ------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"job"',
        b"{}",
        b'{"job_id": null}',
        b'{"job_id": ""}',
        b'{"job_id": "  "}',
        b'{"job_id": ".."}',
        b'{"job_id": "a\\u0000b"}',
        b'{"job_id": ["a"]}',
        b'{"job_id": true}',
        b'{"job_id": 1.5}',
        b'{"data": {"status": "completed"}}',
        b"[" * 60_000,
        b'{"job_id": ' + b"9" * 60_000 + b"}",
        b"\xff\xfe\x00",
        b"job_id=a",
        b'{"job_id": "\\ud800"}',
    ],
    ids=lambda body: str(body[:20]),
)
async def test_malformed(
    body: bytes, session: PictorySession, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """A body that names no job is refused and changes nothing."""
    assert await receiver.receive(SECRET, body) == 400
    assert (session.jobs, sandbox.requests) == ((), [])


@pytest.mark.parametrize(
    "body",
    ['{"job_id": "%s"}', '{"jobId": "%s"}', '{"data": {"jobId": "%s"}}'],
)
async def test_names_and_places_of_the_id(
    body: str, session: PictorySession, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """The id is found under all names that the service's pages use."""
    job = await session.submit(PROMPT)
    sandbox.finish(job.job_id)
    assert await receiver.receive(SECRET, (body % job.job_id).encode()) == 204
    assert await job


@pytest.mark.parametrize("token", ["", "x", SECRET[:-1], SECRET + "x", "é", "\ud800"])
async def test_wrong_secret(
    token: str, session: PictorySession, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """Without the secret nothing happens, whatever the body says."""
    job = await session.submit(PROMPT)
    assert await receiver.receive(token, delivery(job.job_id)) == 404
    await asyncio.sleep(0.05)
    assert sandbox.polls(job.job_id) == 0


async def test_secret_is_compared_in_constant_time(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison takes the same time whatever it compares."""
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(
        hmac, "compare_digest", lambda *pair: compared.append(pair) or real(*pair)
    )
    await receiver.receive("guess", b"")
    assert compared == [(b"guess", SECRET.encode())]


async def test_closed_session(
    session: PictorySession, receiver: WebhookReceiver
) -> None:
    """While the application shuts down, the answer is 503: try again."""
    await session.aclose()
    assert await receiver.receive(SECRET, delivery("a")) == 503


async def test_too_large_for_receive(receiver: WebhookReceiver) -> None:
    """The limit holds wherever the body comes from."""
    assert await receiver.receive(SECRET, b" " * BODY_LIMIT) == 400
    assert await receiver.receive(SECRET, b" " * (BODY_LIMIT + 1)) == 413


# --- over HTTP ------------------------------------------------------------------------


async def endless() -> AsyncIterator[bytes]:
    """A body without length and without end."""
    while True:
        yield b" " * 4096
        await asyncio.sleep(0)


async def refused(address: str, **options: Any) -> int:
    """POST to *address*; return the status."""
    async with (
        aiohttp.ClientSession() as http,
        asyncio.timeout(10),
        http.request("POST", address, **options) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("host", OWN_SERVERS)
async def test_reading_stops_at_the_limit(
    host: Host, receiver: WebhookReceiver
) -> None:
    """Neither a length that is announced nor an endless body is read to its end."""
    async with host(receiver) as address:
        url = f"{address}/{SECRET}"
        assert await refused(url, data=b" " * (BODY_LIMIT + 1)) == 413
        assert await refused(url, data=b" " * BODY_LIMIT) == 400
        async with aiohttp.ClientSession() as http, asyncio.timeout(10):
            try:
                async with http.post(url, data=endless()) as answer:
                    assert answer.status == 413
            except aiohttp.ClientConnectionError:
                pass  # hung up on while it was still sending: that is fine as well


@pytest.mark.parametrize("host", OWN_SERVERS)
async def test_statuses_over_http(host: Host, receiver: WebhookReceiver) -> None:
    """Wrong path, wrong method, nonsense, and what is well-formed."""
    async with host(receiver) as address, aiohttp.ClientSession() as http:
        url = f"{address}/{SECRET}"
        assert await refused(f"{address}/wrong", data=delivery("a")) == 404
        assert await refused(url, data=b"nonsense") == 400
        assert await refused(url, data=delivery("a")) == 204
        for method in ("GET", "PUT", "DELETE"):
            async with http.request(method, url) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")
            async with http.request(method, f"{address}/wrong") as answer:
                assert answer.status == 404


@pytest.mark.parametrize("host", OWN_SERVERS)
async def test_client_that_leaves_or_lies(
    host: Host, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a body, and a body whose chunks are garbage, harm nothing."""
    async with host(receiver) as address:
        port = int(address.removeprefix("http://127.0.0.1:").partition("/")[0])
        path = "/" + f"{address}/{SECRET}".split("/", 3)[3]
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\n"
        for rest in (
            "Content-Length: 100\r\n\r\n{",
            "Transfer-Encoding: chunked\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write((head + rest).encode())
            await asyncio.sleep(0.05)  # so that the body comes by itself
            writer.write(b"garbage\r\n")
            writer.write_eof()
            await reader.read()
            writer.close()
            await writer.wait_closed()
        assert await refused(f"{address}/{SECRET}", data=delivery("a")) == 204
    assert "webhook.py" not in caplog.text


def request_of(path: str, **more: Any) -> dict[str, Any]:
    """Return the scope of a POST."""
    return {"type": "http", "method": "POST", "path": path, "headers": [], **more}


async def sent_by_asgi(
    receiver: WebhookReceiver, scope: dict[str, Any], read: Callable[[], Awaitable[Any]]
) -> list[Any]:
    """Return what the ASGI application sends for one request."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await receiver.asgi(scope, read, send)
    return sent


async def test_nothing_is_read_for_a_wrong_secret(receiver: WebhookReceiver) -> None:
    """A sender without the secret cannot make the application read."""

    async def read() -> None:
        pytest.fail("the body was read")

    start, _ = await sent_by_asgi(receiver, request_of("/a/wrong"), read)
    assert start["status"] == 404
    length = [(b"content-length", b"65537")]
    start, _ = await sent_by_asgi(
        receiver, request_of(f"/{SECRET}", headers=length), read
    )
    assert start["status"] == 413


@pytest.mark.looptime
async def test_body_that_never_comes(receiver: WebhookReceiver) -> None:
    """A body gets ten seconds."""
    began = asyncio.get_running_loop().time()
    start, _ = await sent_by_asgi(
        receiver, request_of(f"/{SECRET}"), asyncio.Event().wait
    )
    assert start["status"] == 408
    assert asyncio.get_running_loop().time() - began == pytest.approx(10)


async def test_no_connection_header_in_http_2(receiver: WebhookReceiver) -> None:
    """HTTP/2 has no such header, and servers refuse to send it."""
    read = asyncio.Event().wait
    for version, expected in (("1.1", True), ("2", False)):
        scope = request_of("/wrong", http_version=version)
        start, _ = await sent_by_asgi(receiver, scope, read)
        assert ((b"connection", b"close") in start["headers"]) is expected


async def test_websocket_is_refused(receiver: WebhookReceiver) -> None:
    """A websocket is refused."""
    scope = {"type": "websocket", "path": f"/{SECRET}"}
    assert await sent_by_asgi(receiver, scope, asyncio.Event().wait) == [
        {"type": "websocket.close"}
    ]


# --- the secret -----------------------------------------------------------------------


def test_url_has_a_secret_of_its_own(session: PictorySession) -> None:
    """Each receiver draws 256 bits, behind the public address."""
    urls = {WebhookReceiver(session, public_url=f"{PUBLIC}/").url for _ in range(50)}
    assert len(urls) == 50
    assert all(len(url.removeprefix(f"{PUBLIC}/")) == 43 for url in urls)


@pytest.fixture
def records() -> Iterator[list[str]]:
    """The lines of all loggers at every level, the server's access log included."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(f"{record.name}: {record.getMessage()}")

    handler = Keep()
    # The server's own loggers may not propagate their records.
    loggers = [logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.access")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield said
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.mark.parametrize("host", [fastapi_mount, litestar_mount])
async def test_secret_is_not_logged(
    host: Host,
    session: PictorySession,
    sandbox: Sandbox,
    records: list[str],
) -> None:
    """No log has the secret, not even the access log of uvicorn."""
    receiver = WebhookReceiver(session, public_url=PUBLIC, secret=SECRET)
    async with host(receiver) as address:
        job = await session.submit(PROMPT)
        sandbox.finish(job.job_id)
        url = f"{address}/{SECRET}"
        assert await refused(url, data=delivery(job.job_id)) == 204
        await job
    accesses = [line for line in records if line.startswith("uvicorn.access")]
    assert any("/... HTTP" in line.replace("/ HTTP", " HTTP") for line in accesses), (
        accesses
    )
    assert any(f"webhook: job {job.job_id}" in line for line in records)
    assert not [line for line in records if SECRET in line]
    assert SECRET not in repr(receiver)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("public_url", ""),
        ("public_url", "app.example/pictory"),
        ("public_url", "ftp://app.example"),
        ("public_url", "https:///pictory"),
        ("public_url", "https://app.example/?a=b"),
        ("public_url", "https://app.example/#a"),
        ("public_url", "https://user:fake@app.example/"),
        ("public_url", "https://app.example:port/"),
        ("public_url", None),
        ("secret", ""),
        ("secret", "short"),
        ("secret", "a/b" * 20),
        ("secret", 5),
    ],
)
def test_arguments_are_checked(field: str, value: Any, session: PictorySession) -> None:
    """What cannot be reached or could be guessed is refused, and not shown."""
    options = {"public_url": PUBLIC, field: value}
    with pytest.raises(InvalidRequestError) as caught:
        WebhookReceiver(session, **options)
    assert caught.value.field == field
    assert "fake" not in str(caught.value)


def test_importing_brings_no_web_framework() -> None:
    """aiohttp.web is imported only by its handler."""
    import subprocess
    import sys

    code = "import sys, pictory_async.webhook; print('aiohttp.web' in sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


async def test_handle_of_another_session_is_not_touched(
    session: PictorySession, sandbox: Sandbox, receiver: WebhookReceiver
) -> None:
    """A receiver serves its own session."""
    async with PictorySession(sandbox.api_key, base_url=sandbox.base_url) as other:
        job: JobHandle[GeneratedImage] = await other.submit(PROMPT)
        assert await receiver.receive(SECRET, delivery(job.job_id)) == 204
        await asyncio.sleep(0.05)
        assert sandbox.polls(job.job_id) == 0
