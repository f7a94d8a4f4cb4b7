"""Webhooks that are really sent, to a receiver of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from pictory_async.sandbox import Sandbox

from .client import Client

Serve = Callable[..., Awaitable[tuple[Sandbox, Client]]]


class Receiver:
    """Keeps what it is sent; answers *status*, or not before it is closed."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[float, str, Any]] = asyncio.Queue()
        self.status: int | None = 200
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        """Where to send webhooks."""
        return str(self.server.make_url("/hook"))

    async def _take(self, request: web.Request) -> web.Response:
        now = asyncio.get_running_loop().time()
        await self.got.put((now, request.content_type, await request.json()))
        if self.status is None:
            await asyncio.sleep(3600)
        return web.Response(status=self.status or 200)


@pytest.fixture(name="receiver")
async def _receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.server.start_server(shutdown_timeout=0)
    yield receiver
    await receiver.server.close()


async def told(sandbox: Sandbox, times: int = 1) -> None:
    """Wait until so many webhooks are over."""
    while len(sandbox.webhooks) < times:  # noqa: ASYNC110 - the sandbox tells nobody
        await asyncio.sleep(0.01)


@pytest.mark.looptime
async def test_completion_is_told_when_it_happens(
    serve: Serve, receiver: Receiver
) -> None:
    """The webhook comes on time without a poll, and says what a poll says."""
    sandbox, client = await serve(duration=10)
    job_id = await client.job(webhook=receiver.url)
    start = sandbox.job(job_id).submitted_at
    at, kind, body = await receiver.got.get()
    assert (round(at - start, 3), kind) == (10.0, "application/json")
    assert (200, body) == await client.poll(job_id)
    assert body["data"]["status"] == "completed"
    await told(sandbox)
    (delivery,) = sandbox.webhooks
    assert (delivery.job_id, delivery.url) == (job_id, receiver.url)
    assert (delivery.payload, delivery.status, delivery.error) == (body, 200, None)


@pytest.mark.looptime
async def test_failure_is_told(serve: Serve, receiver: Receiver) -> None:
    """A failed job is told as well."""
    sandbox, client = await serve()
    sandbox.fail_next(code="BROKEN", message="It broke")
    await client.job(webhook=receiver.url)
    _, _, body = await receiver.got.get()
    assert body["success"] is False
    assert body["data"]["error_code"] == "BROKEN"


async def test_job_ended_by_hand_is_told_once(serve: Serve, receiver: Receiver) -> None:
    """A job that never ends by itself is told of when the test ends it."""
    sandbox, client = await serve(duration=float("inf"))
    job_id = await client.job(webhook=receiver.url)
    sandbox.finish(job_id)
    await told(sandbox)
    assert receiver.got.qsize() == 1


@pytest.mark.looptime
async def test_finished_before_its_time(serve: Serve, receiver: Receiver) -> None:
    """The timer of a job that was ended by hand tells nothing a second time."""
    sandbox, client = await serve(duration=10)
    sandbox.finish(await client.job(webhook=receiver.url))
    await asyncio.sleep(60)
    assert len(sandbox.webhooks) == 1


@pytest.mark.looptime
async def test_held_jobs_are_told_at_the_release(
    serve: Serve, receiver: Receiver
) -> None:
    """While jobs are held nothing is told."""
    sandbox, client = await serve(duration=10)
    sandbox.hold()
    await client.job(webhook=receiver.url)
    await asyncio.sleep(60)
    assert receiver.got.empty()
    sandbox.release()
    await receiver.got.get()


async def test_copies(serve: Serve, receiver: Receiver) -> None:
    """A webhook can be sent more than once."""
    sandbox, client = await serve(webhook_copies=3)
    sandbox.finish(await client.job(webhook=receiver.url))
    await told(sandbox, 3)
    assert receiver.got.qsize() == 3


async def test_error_status_is_written_down(serve: Serve, receiver: Receiver) -> None:
    """What a receiver answers is kept, and nothing is sent again."""
    receiver.status = 500
    sandbox, client = await serve()
    sandbox.finish(await client.job(webhook=receiver.url))
    await told(sandbox)
    assert [delivery.status for delivery in sandbox.webhooks] == [500]


async def test_nobody_there(serve: Serve) -> None:
    """A receiver that cannot be reached is written down and harms nothing."""
    sandbox, client = await serve()
    sandbox.finish(await client.job(webhook=f"http://127.0.0.1:{unused_port()}/"))
    await told(sandbox)
    (delivery,) = sandbox.webhooks
    assert delivery.status is None
    assert "Connect" in (delivery.error or "")


@pytest.mark.looptime
async def test_slow_receiver(serve: Serve, receiver: Receiver) -> None:
    """A receiver gets so many seconds and no more."""
    receiver.status = None
    sandbox, client = await serve(webhook_timeout=7)
    sandbox.finish(await client.job(webhook=receiver.url))
    start = asyncio.get_running_loop().time()
    await told(sandbox)
    assert asyncio.get_running_loop().time() - start == pytest.approx(7, abs=0.1)
    assert "Timeout" in (sandbox.webhooks[0].error or "")


async def test_closing_gives_up(serve: Serve, receiver: Receiver) -> None:
    """What is still being sent when the sandbox closes is dropped and written down."""
    receiver.status = None
    sandbox, client = await serve()
    sandbox.finish(await client.job(webhook=receiver.url))
    await receiver.got.get()
    sandbox.finish(await client.job(webhook=receiver.url))
    await sandbox.aclose()
    errors = {delivery.error for delivery in sandbox.webhooks}
    assert errors == {"the sandbox was closed"}
    assert len(sandbox.webhooks) == 2


@pytest.mark.looptime
async def test_nothing_is_sent_after_closing(serve: Serve, receiver: Receiver) -> None:
    """A job that ends after the sandbox was closed tells nobody."""
    sandbox, client = await serve(duration=10)
    job_id = await client.job(webhook=receiver.url)
    await sandbox.aclose()
    await asyncio.sleep(60)
    assert sandbox.job(job_id).state == "completed"
    assert sandbox.webhooks == []


@pytest.mark.looptime
async def test_outage(serve: Serve, receiver: Receiver) -> None:
    """A sandbox started again tells of the jobs of before; those that ended do not."""
    sandbox, client = await serve(duration=10)
    sandbox.finish(await client.job(webhook=receiver.url))
    await receiver.got.get()
    await client.job(webhook=receiver.url)
    await sandbox.aclose()
    await sandbox.start()
    await receiver.got.get()
    assert receiver.got.empty()
