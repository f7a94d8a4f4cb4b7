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
from typing import Any

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
from pictory_async.sandbox import Sandbox, ThreadedSandbox
from tests.apps import webhooks_app
from tests.support.servers import address, aiohttp_serves, loopback, uvicorn_serves
from tests.test_readme import APP, README

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


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    """Yield the data of server-sent events."""
    async for line in answer.content:
        if line.startswith(b"data:"):
            yield json.loads(line.removeprefix(b"data:"))


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
            async with http.post("/jobs", params=PROMPT) as answer:
                assert answer.status == 202
                job_id = (await answer.json())["job_id"]
            async with http.get(f"/jobs/{job_id}/events") as answer:
                assert answer.content_type == "text/event-stream"
                news = events(answer)
                assert (await anext(news))["state"] == "in-progress"
                async with http.get(f"/jobs/{job_id}") as present:
                    assert await present.json() == {"state": "in-progress"}
                sandbox.release()
                assert [event async for event in news][-1]["state"] == "completed"
            async with http.get(f"/jobs/{job_id}") as answer:
                assert (await answer.json())["state"] == "completed"
            async with http.get("/jobs/nobody-knows-this") as answer:
                assert answer.status == 404
                assert "nobody" in (await answer.json())["detail"]
            async with http.post("/images", params={"prompt": "A"}) as answer:
                assert answer.status == 422
            sandbox.fail_next()
            async with http.post("/images", params=PROMPT) as answer:
                assert answer.status == 502

    run(main())


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
                assert (await anext(events(answer)))["state"] == "in-progress"
            await until(lambda: waiters(job) == 3)
            drawing.cancel()
            leaving.close()
            await until(lambda: waiters(job) == 1)
            assert not job.done()
            sandbox.release()
            assert [event async for event in events(staying)][-1][
                "state"
            ] == "completed"
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
                assert (await anext(events(watching)))["state"] == "in-progress"
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
    ("file", "code", "text"),
    [
        ("app", APP, README),
        *(
            (f"{name}_app", code, code)
            for name in FRAMEWORKS
            if name != "aiohttp"
            and (code := (HERE / f"{name}_app.py").read_text(encoding="utf-8"))
        ),
    ],
    ids=["readme", *(name for name in FRAMEWORKS if name != "aiohttp")],
)
def test_documented_command(file: str, code: str, text: str, tmp_path: Path) -> None:
    """The documented command serves the application, and SIGTERM ends it cleanly."""
    (tmp_path / f"{file}.py").write_text(code, encoding="utf-8")
    command = re.search(rf"`(uvicorn {file}:app [^`]*)`", text)
    assert command
    with ThreadedSandbox(pictures=False) as sandbox, loopback() as free:
        sandbox.hold()
        port = str(free.getsockname()[1])
        free.close()
        server = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-m", *command[1].split(), "--port", port],
            cwd=tmp_path,
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
