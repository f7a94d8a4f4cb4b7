"""A sandbox in a thread of its own, used from others."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pictory_async.sandbox import Fault, Sandbox, ThreadedSandbox
from tests.sandbox.client import Client


def run(main: Any) -> Any:
    """Run like `asyncio.run`, but leave the thread's own event loop alone."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(main)


async def job_in(sandbox: Sandbox) -> tuple[str, Any]:
    """Start a job; return its id and its state."""
    client = Client(sandbox.base_url, sandbox.api_key)
    try:
        job_id = await client.job()
        return job_id, (await client.poll(job_id))[1]["data"]["status"]
    finally:
        await client.http.close()


def test_every_public_name_is_that_of_a_sandbox() -> None:
    """It is a sandbox, and all its methods run in its thread."""
    with ThreadedSandbox(pictures=False) as sandbox:
        assert isinstance(sandbox, Sandbox)
    names = [name for name in vars(Sandbox) if not name.startswith("_")]
    assert all(name in vars(ThreadedSandbox) for name in names)
    for name in names:
        assert getattr(ThreadedSandbox, name).__doc__


def test_scripts_and_records_from_another_thread() -> None:
    """The sandbox outlives several loops, and can be scripted and inspected."""
    with ThreadedSandbox(pictures=False, duration=0) as sandbox:
        assert run(job_in(sandbox))[1] == "completed"
        sandbox.hold()
        job_id, state = run(job_in(sandbox))
        assert state == "in-progress"
        sandbox.release()
        assert sandbox.job(job_id).state == "completed"
        sandbox.add_fault(Fault.answer(503, on="submit"))
        sandbox.fail_next()
        assert len(sandbox.faults) == 1
        sandbox.clear_faults()
        assert run(job_in(sandbox))[1] == "failed"
        assert len(sandbox.submitted) == len(sandbox.jobs) == 3
        assert sandbox.polls(job_id) == 1
        with pytest.raises(KeyError):
            sandbox.finish("unknown")
    assert len(sandbox.submitted) == 3  # still there when it is over
    assert sandbox.job(job_id).state == "completed"


def test_webhook_of_a_job_ended_by_hand() -> None:
    """A webhook is sent on the sandbox's own loop."""
    with ThreadedSandbox(pictures=False, duration=float("inf")) as sandbox:

        async def start() -> str:
            client = Client(sandbox.base_url, sandbox.api_key)
            job_id = await client.job(webhook="http://127.0.0.1:9/")
            await client.http.close()
            return job_id

        sandbox.finish(run(start()))
    assert len(sandbox.webhooks) == 1


def test_many_threads_at_once() -> None:
    """Nothing is lost between threads, and none of them blocks for ever."""
    with ThreadedSandbox(pictures=False) as sandbox, ThreadPoolExecutor(8) as pool:
        images = pool.map(
            sandbox.add_image, [f"Picture number {number}" for number in range(200)]
        )
        assert len({image.id for image in images}) == 200
        assert len(sandbox.images) == 200


def test_outage() -> None:
    """A coroutine of any loop can simulate an outage."""

    async def main() -> None:
        await job_in(sandbox)
        await sandbox.aclose()
        with pytest.raises(OSError, match="Connect call failed"):
            await job_in(sandbox)
        assert await sandbox.start() is sandbox
        await job_in(sandbox)
        assert len(sandbox.jobs) == 2

    with ThreadedSandbox(pictures=False) as sandbox:
        run(main())


def test_it_is_entered_by_with() -> None:
    """Without its thread it can be neither started nor closed."""
    sandbox = ThreadedSandbox(pictures=False)
    for call in (sandbox.start, sandbox.aclose):
        with pytest.raises(RuntimeError, match="use `with`"):
            run(call())
    with sandbox:
        pass
    with pytest.raises(RuntimeError, match="make a new one"), sandbox:
        pass


def test_port_that_is_taken() -> None:
    """An error at the start is raised to the caller; no thread is left."""
    before = threading.active_count()
    with ThreadedSandbox(pictures=False) as sandbox:
        port = int(sandbox.base_url.split(":")[2].partition("/")[0])
        with pytest.raises(OSError, match="in use"):
            ThreadedSandbox(pictures=False, port=port).__enter__()
    assert threading.active_count() == before
