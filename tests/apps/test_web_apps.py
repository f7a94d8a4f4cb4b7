"""The web applications beside this file and in the README, in their real servers."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web
from fastapi import FastAPI
from litestar import Litestar, get

from pictory_async import (
    FixedInterval,
    JobHandle,
    PictorySession,
    SessionClosedError,
)
from pictory_async.sandbox import Fault, Sandbox, ThreadedSandbox
from tests.apps import events as job_events
from tests.apps import webhooks_app
from tests.support.servers import address, aiohttp_serves, loopback, uvicorn_serves
from tests.test_readme import APP, README, ROOT

PROMPT = {"prompt": "A lighthouse at dawn"}
FRAMEWORKS = ["fastapi", "starlette", "aiohttp", "litestar", "quart"]
HERE = Path(__file__).parent


class QuickSession(PictorySession):
    """What the applications are given for `PictorySession`: it polls often."""

    made: QuickSession

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"polling": FixedInterval(0.02), **options})
        QuickSession.made = self


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run the code of an application anew, with sessions that poll faster.

    Anew, as an application of aiohttp or Quart serves only once.
    """
    if name == "readme":
        module = ModuleType("app")
        monkeypatch.setitem(sys.modules, "app", module)
        exec(compile(APP, "README.md", "exec"), vars(module))  # noqa: S102
    else:
        module = importlib.import_module(f".{name}_app", __package__)
        importlib.reload(module)
    monkeypatch.setattr(module, "PictorySession", QuickSession)
    return module


def serve(name: str, app: Any) -> AbstractAsyncContextManager[str]:
    """Serve an application as its docstring says."""
    if name == "aiohttp":
        return aiohttp_serves(app, handler_cancellation=True)
    return uvicorn_serves(app, timeout_graceful_shutdown=1)


@asynccontextmanager
async def visited(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Sandbox, aiohttp.ClientSession]]:
    """Give the sandbox behind an application, and a browser in front of it."""
    async with Sandbox(duration=0.05, pictures=False) as sandbox:
        monkeypatch.setenv("PICTORY_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PICTORY_API_BASE_URL", sandbox.base_url)
        module = load(name, monkeypatch)
        async with serve(name, module.app) as root:
            unlimited = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(root, connector=unlimited) as http:
                yield sandbox, http
        assert "closed" in repr(QuickSession.made)
        assert QuickSession.made.loop is None


def run(main: Coroutine[Any, Any, None], loop: str = "asyncio") -> None:
    """Run *main* on a loop of that kind."""
    factory = importlib.import_module(loop).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(main, 30))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that raises no event."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


class Event(NamedTuple):
    """A server-sent event as `EventSource` dispatches it."""

    name: str
    id: str
    data: dict[str, Any]


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Yield the events of a stream; those here have one line of data each."""
    fields: dict[str, str] = {}
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        else:
            yield Event(fields["event"], fields["id"], json.loads(fields["data"]))


async def started(http: aiohttp.ClientSession) -> str:
    """Start a job; return its id."""
    async with http.post("/jobs", params=PROMPT) as answer:
        assert answer.status == 202
        return str((await answer.json())["job_id"])


async def streamed(http: aiohttp.ClientSession, job_id: str) -> list[Event]:
    """Return all events of a job."""
    async with http.get(f"/jobs/{job_id}/events") as answer:
        assert answer.status == 200
        return [event async for event in events(answer)]


def waiters(job: JobHandle[Any]) -> int:
    """Return how many tasks wait for *job* or for its next status."""
    signals = (job._ended, job._changed)
    return sum(len(signal._waiters) for signal in signals if signal)


# --- what they do ---------------------------------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_endpoints(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image, a job's id, its status, its events, and errors with their status."""

    async def main() -> None:
        async with visited(framework, monkeypatch) as (sandbox, http):
            async with http.post("/images", params=PROMPT) as answer:
                assert answer.status == 200
                assert (await answer.json())["url"].endswith(".png")
            sandbox.hold()
            job_id = await started(http)
            async with http.get(f"/jobs/{job_id}") as answer:
                assert await answer.json() == {"state": "in-progress"}
            sandbox.release()
            await streamed(http, job_id)
            async with http.get(f"/jobs/{job_id}") as answer:
                assert (await answer.json())["state"] == "completed"
            async with http.get("/jobs/nobody-knows-this") as answer:
                assert answer.status == 404
                assert "nobody" in (await answer.json())["detail"]
            for unusable in ({"prompt": "A"}, {}):
                async with http.post("/images", params=unusable) as answer:
                    assert answer.status == 422
            sandbox.fail_next()
            async with http.post("/images", params=PROMPT) as answer:
                assert answer.status == 502

    run(main())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_events(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same events in each framework, the last with the URL of the image."""

    async def main() -> None:
        async with visited(framework, monkeypatch) as (sandbox, http):
            sandbox.hold()
            job_id = await started(http)
            async with http.get(f"/jobs/{job_id}/events") as answer:
                got = {name: answer.headers.get(name) for name in job_events.HEADERS}
                assert got == job_events.HEADERS
                news = events(answer)
                first = await anext(news)
                assert (first.name, first.id) == ("status", "1")
                assert first.data["state"] == "in-progress"
                assert first.data["seconds"] == round(first.data["seconds"], 1)
                (job,) = QuickSession.made.jobs
                sandbox.release()
                rest = [event async for event in news]
            image = await job
            assert [(event.name, event.id) for event in rest] == [("end", "end")]
            assert rest[0].data == {
                "state": "completed",
                "seconds": round(job.status.elapsed, 1),
                "url": image.url,
            }
            # Who comes late, or in another process, gets the end; a page that did not
            # close the stream is told not to come again.
            assert (await streamed(http, job_id))[-1].data["url"] == image.url
            again = {"Last-Event-ID": "end"}
            async with http.get(f"/jobs/{job_id}/events", headers=again) as answer:
                assert (answer.status, await answer.read()) == (204, b"")

    run(main())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_events_of_failures(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that cannot be watched is an error status; one that fails, an event."""

    async def main() -> None:
        async with visited(framework, monkeypatch) as (sandbox, http):
            for status in (404, 502):
                async with http.get("/jobs/nobody-knows-this/events") as answer:
                    assert answer.status == status
                    assert (await answer.json()).keys() == {"detail"}
                sandbox.add_fault(Fault.answer(403, on="job"))
            sandbox.clear_faults()
            sandbox.fail_next(code="NO_LUCK")
            last = (await streamed(http, await started(http)))[-1]
            assert (last.name, last.data["state"]) == ("end", "failed")
            assert "NO_LUCK" in last.data["error"]
            assert last.data.keys() == {"state", "seconds", "error"}

    run(main())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_events_while_nothing_happens(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy sees traffic although the state of the job does not change."""
    monkeypatch.setattr(job_events, "SECONDS", 0.01)

    async def main() -> None:
        async with visited(framework, monkeypatch) as (sandbox, http):
            sandbox.hold()
            job_id = await started(http)
            async with http.get(f"/jobs/{job_id}/events") as answer:
                news = events(answer)
                seen = [await anext(news) for _ in range(5)]
                assert [event.id for event in seen] == list("12345")
                assert {event.data["state"] for event in seen} == {"in-progress"}
                sandbox.release()
                assert [event async for event in news][-1].name == "end"

    run(main())


async def test_events_end_without_an_end_for_a_closed_session() -> None:
    """The job goes on, so the browser reconnects to the next process."""
    async with Sandbox(duration=float("inf"), pictures=False) as sandbox:
        session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
        job = await session.submit("A lighthouse at dawn")
        news = await job_events.job_events(job)
        assert b"event: status" in await anext(news)
        await session.aclose()
        assert [event async for event in news] == []


@pytest.mark.parametrize(
    ("framework", "loop"),
    [
        *((framework, "asyncio") for framework in [*FRAMEWORKS, "readme"]),
        *((framework, "uvloop") for framework in ("fastapi", "aiohttp")),
    ],
)
def test_two_hundred_clients(
    framework: str, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 200 concurrent clients gets an image of its own, paid once."""
    pytest.importorskip(loop)

    async def main() -> None:
        async with visited(framework, monkeypatch) as (sandbox, http):

            async def draw(number: int) -> str:
                prompt = {"prompt": f"Picture number {number}"}
                async with http.post("/images", params=prompt) as answer:
                    return str((await answer.json())["url"])

            urls = await asyncio.gather(*(draw(number) for number in range(200)))
            assert len(set(urls)) == len(sandbox.submitted) == 200

    run(main(), loop)


# --- who leaves -----------------------------------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_client_that_leaves(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handler ends; the job and its other waiters go on."""

    async def main() -> None:
        async with visited(framework, monkeypatch) as (sandbox, http):
            sandbox.hold()
            drawing = asyncio.create_task(http.post("/images", params=PROMPT))
            await until(lambda: len(sandbox.submitted) == 1)
            session = QuickSession.made
            await until(lambda: bool(session.jobs) and waiters(session.jobs[0]) == 1)
            (job,) = session.jobs
            staying = await http.get(f"/jobs/{job.job_id}/events")
            leaving = await http.get(f"/jobs/{job.job_id}/events")
            for answer in (staying, leaving):
                assert (await anext(events(answer))).name == "status"
            await until(lambda: waiters(job) == 3)
            drawing.cancel()
            leaving.close()
            await until(lambda: waiters(job) == 1)
            assert not job.done()
            sandbox.release()
            assert [event async for event in events(staying)][-1].name == "end"
            assert (await job).url
            assert len(sandbox.submitted) == 1

    run(main())


def plain_app(framework: str, handle: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Return an application whose only page awaits *handle* and nothing else."""
    if framework == "aiohttp":
        app = web.Application()

        async def page(_: web.Request) -> web.Response:
            await handle()
            return web.Response()

        app.router.add_get("/", page)
        return app
    if framework == "fastapi":
        app_ = FastAPI()
        app_.get("/")(handle)
        return app_
    return Litestar([get("/")(handle)], openapi_config=None, logging_config=None)


@pytest.mark.parametrize("framework", ["fastapi", "litestar", "aiohttp"])
def test_frameworks_that_end_no_handler(framework: str) -> None:
    """By itself such a handler goes on, as the table in README.md says."""

    async def main() -> None:
        begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def handle() -> None:
            begun.set()
            await go_on.wait()
            ended.set()

        app = plain_app(framework, handle)
        server = aiohttp_serves if framework == "aiohttp" else uvicorn_serves
        async with server(app) as root:
            async with aiohttp.ClientSession() as http:
                asking = asyncio.create_task(http.get(root))
                await begun.wait()
                asking.cancel()
            await asyncio.sleep(0.1)  # for what does not come: a cancellation
            go_on.set()
            await ended.wait()

    run(main())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_shutdown_while_clients_wait(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that wait for longer than the server does keep no session open."""

    async def main() -> None:
        async with aiohttp.ClientSession() as staying:  # until after the server
            async with visited(framework, monkeypatch) as (sandbox, http):
                sandbox.hold()
                (await http.post("/jobs", params=PROMPT)).close()
                (job,) = QuickSession.made.jobs
                events_url = http._build_url(f"/jobs/{job.job_id}/events")
                watching = await staying.get(events_url)
                assert (await anext(events(watching))).name == "status"
                drawing = asyncio.create_task(
                    staying.post(http._build_url("/images"), params=PROMPT)
                )
                await until(lambda: len(sandbox.submitted) == 2)
            with pytest.raises(SessionClosedError):
                await job
            watching.close()
            # Without an answer before the end there is none, or an error.
            try:
                async with await drawing as answer:
                    assert answer.status >= 500
            except aiohttp.ClientConnectionError:
                pass

    run(main())


# --- the README, webhooks, and the command line ---------------------------------------


def test_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image, an error with its status, and a client that leaves a paid job."""

    async def main() -> None:
        async with visited("readme", monkeypatch) as (sandbox, http):
            async with http.post("/images", params=PROMPT) as answer:
                assert (await answer.json())["url"].endswith(".png")
            sandbox.fail_next(code="NO_LUCK")
            async with http.post("/images", params=PROMPT) as answer:
                assert answer.status == 502
                assert "NO_LUCK" in (await answer.json())["detail"]
            sandbox.hold()
            drawing = asyncio.create_task(http.post("/images", params=PROMPT))
            session = QuickSession.made
            await until(lambda: bool(session.jobs) and waiters(session.jobs[0]) == 1)
            (job,) = session.jobs
            drawing.cancel()
            await until(lambda: waiters(job) == 0)
            sandbox.release()
            assert (await job).url
            assert len(sandbox.submitted) == 3

    run(main())


def test_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends by its webhook; the session would poll once a minute."""

    async def main() -> None:
        async with Sandbox(duration=0.05, pictures=False) as sandbox:
            monkeypatch.setenv("PICTORY_API_KEY", sandbox.api_key)
            monkeypatch.setenv("PICTORY_API_BASE_URL", sandbox.base_url)
            listening = loopback()
            monkeypatch.setenv("PUBLIC_URL", f"{address(listening)}/pictory")
            async with (
                uvicorn_serves(webhooks_app.app, at=listening) as root,
                aiohttp.ClientSession(root) as http,
                http.post("/images", params=PROMPT) as answer,
            ):
                assert (await answer.json())["url"].endswith(".png")
            assert [webhook.status for webhook in sandbox.webhooks] == [204]
            (job_id,) = sandbox.jobs
            assert sandbox.polls(job_id) == 1

    run(main())


@pytest.mark.parametrize(
    "name", ["readme", *(name for name in FRAMEWORKS if name != "aiohttp")]
)
def test_documented_command(name: str, tmp_path: Path) -> None:
    """The documented command serves the application, and SIGTERM ends it cleanly."""
    folder, text = tmp_path, README
    if name == "readme":
        (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    else:
        folder, text = ROOT, (HERE / f"{name}_app.py").read_text(encoding="utf-8")
    command = re.search(r"`(uvicorn [\w.]*app:app [^`]*)`", text)
    assert command
    with ThreadedSandbox(pictures=False) as sandbox, loopback() as free:
        sandbox.hold()
        port = str(free.getsockname()[1])
        free.close()
        server = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-m", *command[1].split(), "--port", port],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PICTORY_API_KEY": sandbox.api_key,
                "PICTORY_API_BASE_URL": sandbox.base_url,
            },
        )
        assert server.stderr is not None
        try:
            printed = list(iter(partial(_line_until, server.stderr, "running on"), ""))
            asyncio.run(_ask_and_leave(f"http://127.0.0.1:{port}", sandbox))
            server.send_signal(signal.SIGTERM)
            printed += server.stderr.readlines()
            server.wait(timeout=20)
        finally:
            server.kill()
            server.wait()
            server.stderr.close()
    assert len(sandbox.submitted) == 1
    assert "Application shutdown complete" in "".join(printed)
    assert "Traceback" not in "".join(printed)
    assert "Unclosed" not in "".join(printed)


def _line_until(lines: Any, last: str) -> str:
    """Return the next line, or nothing for the line with *last* in it."""
    line = str(lines.readline())
    assert line, "the server ended"
    return "" if last in line else line


async def _ask_and_leave(root: str, sandbox: ThreadedSandbox) -> None:
    """Request an image, and disconnect as soon as it is paid for."""
    async with aiohttp.ClientSession(root) as http:
        drawing = asyncio.create_task(http.post("/images", params=PROMPT))
        await until(lambda: len(sandbox.submitted) == 1)
        drawing.cancel()
