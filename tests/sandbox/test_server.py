"""Faults on the wire."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import aiohttp
import pytest

from pictory_async.sandbox import Fault, Sandbox, SeenRequest, Throttle
from pictory_async.sandbox._replies import Reply
from pictory_async.sandbox._server import Server
from tests.sandbox.client import PROMPT, Serve

IMAGES = "/pictoryapis/v1/aistudio/images"


def now() -> float:
    """Return the time of the loop."""
    return asyncio.get_running_loop().time()


async def arrived(sandbox: Sandbox) -> None:
    """Wait until a request has arrived at the sandbox."""
    while not sandbox.requests:  # noqa: ASYNC110 - the sandbox has no events
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)


async def test_answer(serve: Serve) -> None:
    """A scripted answer is sent as written, and the request has no effect."""
    sandbox, client = await serve()
    sandbox.add_fault(
        Fault.answer(429, body={"a": 1}, retry_after=3, headers={"X-Note": "b"})
    )
    url = f"{sandbox.base_url}/v1/aistudio/images"
    async with client.http.post(url, json={"prompt": PROMPT}) as answer:
        assert answer.status == 429
        assert await answer.json() == {"a": 1}
        assert (answer.headers["Retry-After"], answer.headers["X-Note"]) == ("3", "b")
    assert (sandbox.jobs, sandbox.faults) == ({}, [])


async def test_answer_after_the_fact(serve: Serve) -> None:
    """A gateway may give up on a request that takes effect nevertheless."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.answer(504, handled=True))
    assert await client.submit() == (504, {"message": "Endpoint request timed out"})
    assert len(sandbox.jobs) == 1


@pytest.mark.parametrize("handled", [False, True])
async def test_drop(serve: Serve, handled: bool) -> None:
    """The connection ends without an answer, before or after the job was created."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.drop(handled=handled))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.submit()
    assert len(sandbox.jobs) == len(sandbox.submitted) == handled
    assert (await client.submit())[0] == 200


@pytest.mark.parametrize("keep", [0, 10, 10_000])
async def test_truncate(serve: Serve, keep: int) -> None:
    """The body ends before its announced length, and the job exists."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.truncate(keep=keep))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.submit()
    assert len(sandbox.jobs) == 1


@pytest.mark.looptime
@pytest.mark.parametrize("handled", [False, True])
async def test_hang(serve: Serve, handled: bool) -> None:
    """No answer is sent; a client that gives up can send another request."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.hang(handled=handled))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(100):
            await client.submit()
    assert len(sandbox.jobs) == handled
    assert (await client.submit())[0] == 200


@pytest.mark.looptime
async def test_trickle(serve: Serve) -> None:
    """The body arrives byte by byte and is complete."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.trickle(interval=2))
    start = now()
    status, body = await client.submit()
    assert (status, body["success"]) == (200, True)
    assert now() - start == pytest.approx(2 * len(json.dumps(body)), abs=0.1)


@pytest.mark.looptime
async def test_trickle_to_nobody(serve: Serve) -> None:
    """A client that leaves in the middle of a slow answer does no harm."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.trickle())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await client.submit()
    await asyncio.sleep(5)
    assert (await client.submit())[0] == 200


@pytest.mark.looptime
async def test_slow(serve: Serve) -> None:
    """A slow request is answered late but correctly."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.slow(25, on="submit"))
    start = now()
    assert (await client.submit())[0] == 200
    assert now() - start == pytest.approx(25, abs=0.1)


@pytest.mark.looptime
async def test_impatient_client_still_pays(serve: Serve) -> None:
    """A request is handled even if its client left while it was slow."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.slow(25))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await client.submit()
    assert sandbox.jobs == {}
    await asyncio.sleep(25)
    assert len(sandbox.jobs) == 1


@pytest.mark.parametrize(
    "fault", [Fault.hang(), Fault.slow(3600), Fault.trickle(interval=3600)]
)
async def test_closing_does_not_wait(serve: Serve, fault: Fault) -> None:
    """A sandbox with requests in progress closes at once."""
    sandbox, client = await serve()
    sandbox.add_fault(fault)
    request = asyncio.create_task(client.submit())
    await arrived(sandbox)
    start = now()
    await sandbox.aclose()
    await sandbox.aclose()
    assert now() - start < 0.5
    with pytest.raises(aiohttp.ClientError):
        await request


async def test_closing_after_the_client_left(serve: Serve) -> None:
    """A handler whose client is gone does not outlive the sandbox."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.slow(3600))
    request = asyncio.create_task(client.submit())
    await arrived(sandbox)
    request.cancel()
    await asyncio.wait([request])
    await client.http.close()
    await asyncio.sleep(0.01)
    await sandbox.aclose()
    assert sandbox.jobs == {}


@pytest.mark.looptime
async def test_closing_waits_for_what_cannot_be_broken_off() -> None:
    """A picture being drawn for a client that left is drawn to the end."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def draw(_: SeenRequest) -> Reply:
        begun.set()
        await asyncio.sleep(60)
        ended.set()
        return Reply(status=200)

    server = Server(fault_for=lambda _: Fault(), respond=draw, keepalive_timeout=75)
    port = await server.start(0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await begun.wait()
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(1)
    await server.aclose()
    assert ended.is_set()


async def test_fault_on_one_endpoint(serve: Serve) -> None:
    """A fault for polls leaves submits alone."""
    sandbox, client = await serve()
    sandbox.add_fault(Fault.answer(500, on="job", times=2), Fault.answer(502, on="job"))
    job_id = await client.job()
    statuses = [(await client.poll(job_id))[0] for _ in range(4)]
    assert statuses == [500, 500, 502, 200]
    sandbox.add_fault(Fault.drop(times=None))
    sandbox.clear_faults()
    assert (await client.poll(job_id))[0] == 200
    assert sandbox.polls(job_id) == 5


async def test_broken_file(serve: Serve) -> None:
    """Files can be truncated as well."""
    sandbox, client = await serve(duration=0)
    _, body = await client.poll(await client.job())
    sandbox.add_fault(Fault.truncate(keep=50, on="file"))
    with pytest.raises(aiohttp.ClientPayloadError):
        async with client.http.get(body["data"]["url"]) as answer:
            await answer.read()


async def test_chaos_sees_every_request(serve: Serve) -> None:
    """The hook gets each request and decides its fault."""
    shown: list[SeenRequest] = []

    def chaos(seen: SeenRequest) -> Fault | None:
        shown.append(seen)
        return Fault.answer(500) if len(shown) % 2 else None

    sandbox, client = await serve(chaos=chaos)
    assert [(await client.page())[0] for _ in range(4)] == [500, 200, 500, 200]
    assert shown == sandbox.requests


@pytest.mark.looptime
async def test_throttle(serve: Serve) -> None:
    """The rate limit follows the loop's clock."""
    sandbox, client = await serve(throttle=Throttle(0.5, burst=2, retry_after=2))
    statuses = [(await client.page())[0] for _ in range(3)]
    await asyncio.sleep(2)
    statuses += [(await client.page())[0] for _ in range(2)]
    assert statuses == [200, 200, 429, 200, 429]
    assert sandbox.throttled == 2


async def test_big_body(serve: Serve) -> None:
    """A body over the limit gets the gateway's answer, and the server goes on."""
    sandbox, client = await serve()
    status, body = await client.send(
        "POST", "/v1/aistudio/images", data=io.BytesIO(b" " * 2_000_000)
    )
    assert (status, body) == (413, {"message": "Request Too Long"})
    assert sandbox.requests[0].raw == b""
    assert (await client.submit())[0] == 200


async def test_client_leaves_while_sending(serve: Serve) -> None:
    """Half a request is ignored, and the server goes on."""
    sandbox, client = await serve()
    host, port = sandbox.base_url.split("/")[2].split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {IMAGES} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode() + b'{"prompt":')
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)
    assert sandbox.requests == []
    assert (await client.submit())[0] == 200


@pytest.mark.looptime
async def test_idle_connection_is_closed(serve: Serve) -> None:
    """An idle connection is closed after the given time."""
    sandbox, _ = await serve(keepalive_timeout=3)
    host, port = sandbox.base_url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {IMAGES} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    start = now()
    assert b'{"message": "Unauthorized"}' in await reader.read()
    assert 3 <= now() - start <= 5
    writer.close()
    await writer.wait_closed()


async def test_many_at_once(serve: Serve) -> None:
    """Hundreds of simultaneous requests are all answered."""
    sandbox, client = await serve(duration=0, record=False)
    jobs = await asyncio.gather(*(client.job() for _ in range(300)))
    polls = await asyncio.gather(*(client.poll(job_id) for job_id in jobs * 3))
    assert {body["data"]["status"] for _, body in polls} == {"completed"}
    assert len({*jobs}) == len(sandbox.images) == 300
    assert sandbox.requests == []


async def test_requests_are_recorded(serve: Serve) -> None:
    """Requests can be inspected afterwards."""
    sandbox, client = await serve()
    job_id = await client.job(style="vintage")
    await client.poll(job_id)
    await client.page("key+/=")
    await client.send("GET", "/v1/quota")
    submit, poll, page, other = sandbox.requests
    assert [each.kind for each in sandbox.requests] == [
        "submit",
        "job",
        "images",
        "other",
    ]
    body: dict[str, Any] = {"prompt": PROMPT, "style": "vintage"}
    assert (submit.method, submit.path, submit.body) == ("POST", IMAGES, body)
    assert submit.headers["authorization"] == sandbox.api_key
    assert (poll.target, poll.body) == (job_id, None)
    assert page.query["nextPageKey"] == "key+/="
    assert other.path == "/pictoryapis/v1/quota"
    assert submit.at <= poll.at <= page.at


async def test_the_log_has_each_request(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """A record has the request and its answer, or the fault; none has the key."""
    sandbox, client = await serve()
    url = f"{sandbox.base_url}/v1/aistudio/images"
    with caplog.at_level(logging.DEBUG, "pictory_async.sandbox"):
        async with client.http.post(url, json={"prompt": PROMPT}):
            pass
        sandbox.add_fault(Fault.answer(503), Fault.drop())
        async with client.http.get(url):
            pass
        with pytest.raises(aiohttp.ClientError):
            await client.http.post(url, json={"prompt": PROMPT})
        async with client.http.post(url, data=b"[1]"):
            pass

    path = "/v1/aistudio/images"
    assert [record.getMessage() for record in caplog.records] == [
        f"200 POST {path} {PROMPT}",
        f"503 GET {path}",
        f"drop POST {path} {PROMPT}",
        f"400 POST {path}",
    ]
