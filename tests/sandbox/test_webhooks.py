"""Webhooks that are really sent, to a receiver in the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from pictory_async.sandbox import Sandbox
from tests.sandbox.client import Serve


class Receiver:
    """A receiver that keeps what it gets; it answers *status*, or nothing if None."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[float, str, Any]] = asyncio.Queue()
        self.status: int | None = 200
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        """The URL to send webhooks to."""
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


async def delivered(sandbox: Sandbox, times: int = 1) -> None:
    """Wait until *times* webhooks have been sent."""
    while len(sandbox.webhooks) < times:  # noqa: ASYNC110 - the sandbox has no events
        await asyncio.sleep(0.01)


@pytest.mark.looptime
async def test_completion_is_reported_when_it_happens(
    serve: Serve, receiver: Receiver
) -> None:
    """The webhook is sent on time without a poll, and has the body of a poll."""
    sandbox, client = await serve(duration=10)
    job_id = await client.job(webhook=receiver.url)
    start = sandbox.job(job_id).submitted_at
    at, kind, body = await receiver.got.get()
    assert (round(at - start, 3), kind) == (10.0, "application/json")
    assert (200, body) == await client.poll(job_id)
    assert body["data"]["status"] == "completed"
    await delivered(sandbox)
    (delivery,) = sandbox.webhooks
    assert (delivery.job_id, delivery.url) == (job_id, receiver.url)
    assert (delivery.payload, delivery.status, delivery.error) == (body, 200, None)


@pytest.mark.looptime
async def test_failure_is_reported(serve: Serve, receiver: Receiver) -> None:
    """A failed job is reported as well."""
    sandbox, client = await serve()
    sandbox.fail_next(code="BROKEN", message="It broke")
    await client.job(webhook=receiver.url)
    _, _, body = await receiver.got.get()
    assert body["success"] is False
    assert body["data"]["error_code"] == "BROKEN"


async def test_job_ended_by_hand_is_reported_once(
    serve: Serve, receiver: Receiver
) -> None:
    """A job that never ends by itself is reported when the test ends it."""
    sandbox, client = await serve(duration=float("inf"))
    job_id = await client.job(webhook=receiver.url)
    sandbox.finish(job_id)
    await delivered(sandbox)
    assert receiver.got.qsize() == 1


@pytest.mark.looptime
async def test_finished_before_its_time(serve: Serve, receiver: Receiver) -> None:
    """The timer of a job that was ended by hand sends no second webhook."""
    sandbox, client = await serve(duration=10)
    sandbox.finish(await client.job(webhook=receiver.url))
    await asyncio.sleep(60)
    assert len(sandbox.webhooks) == 1


@pytest.mark.looptime
async def test_held_jobs_are_reported_at_the_release(
    serve: Serve, receiver: Receiver
) -> None:
    """No webhook is sent while jobs are held."""
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
    await delivered(sandbox, 3)
    assert receiver.got.qsize() == 3


async def test_error_status_is_written_down(serve: Serve, receiver: Receiver) -> None:
    """The receiver's status is recorded, and nothing is sent again."""
    receiver.status = 500
    sandbox, client = await serve()
    sandbox.finish(await client.job(webhook=receiver.url))
    await delivered(sandbox)
    assert [delivery.status for delivery in sandbox.webhooks] == [500]


async def test_nobody_there(serve: Serve) -> None:
    """An unreachable receiver is recorded and does no harm."""
    sandbox, client = await serve()
    sandbox.finish(await client.job(webhook=f"http://127.0.0.1:{unused_port()}/"))
    await delivered(sandbox)
    (delivery,) = sandbox.webhooks
    assert delivery.status is None
    assert "Connect" in (delivery.error or "")


@pytest.mark.looptime
async def test_slow_receiver(serve: Serve, receiver: Receiver) -> None:
    """A receiver has the given time to answer and no more."""
    receiver.status = None
    sandbox, client = await serve(webhook_timeout=7)
    sandbox.finish(await client.job(webhook=receiver.url))
    start = asyncio.get_running_loop().time()
    await delivered(sandbox)
    assert asyncio.get_running_loop().time() - start == pytest.approx(7, abs=0.1)
    assert "Timeout" in (sandbox.webhooks[0].error or "")


async def test_closing_gives_up(serve: Serve, receiver: Receiver) -> None:
    """A webhook that is being sent when the sandbox closes is dropped and recorded."""
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
    """A job that ends after the sandbox was closed sends no webhook."""
    sandbox, client = await serve(duration=10)
    job_id = await client.job(webhook=receiver.url)
    await sandbox.aclose()
    await asyncio.sleep(60)
    assert sandbox.job(job_id).state == "completed"
    assert sandbox.webhooks == []


@pytest.mark.looptime
async def test_outage(serve: Serve, receiver: Receiver) -> None:
    """A restarted sandbox reports jobs in progress, not those that had ended."""
    sandbox, client = await serve(duration=10)
    sandbox.finish(await client.job(webhook=receiver.url))
    await receiver.got.get()
    await client.job(webhook=receiver.url)
    await sandbox.aclose()
    await sandbox.start()
    await receiver.got.get()
    assert receiver.got.empty()
