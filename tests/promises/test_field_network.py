"""What proxies, busy loops and wrong clocks do to requests, by the kind of fault."""

from __future__ import annotations

import asyncio
import gzip
import logging
import pickle
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pictory_async import (
    ConfigurationError,
    FixedInterval,
    GeneratedImage,
    PictoryError,
    PictorySession,
    RetryPolicy,
    SubmissionUnknownError,
    TransportError,
)
from pictory_async._http import clock
from pictory_async.sandbox import Fault, Sandbox, ThreadedSandbox

PROMPT = "A lighthouse at dawn"
KEY = "pictai_fake_key_of_the_field"
PNG = b"\x89PNG\r\n\x1a\n" + b"a picture"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler, **options: Any) -> AsyncIterator[str]:
    """Serve *handler* on loopback; yield its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, **options)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answer_of(request: web.Request) -> dict[str, Any]:
    """Return what the service says to a POST, a poll and a page."""
    if request.method == "POST":
        return {"success": True, "data": {"jobId": "job-1"}}
    if "/jobs/" in request.path:
        url = "https://images.example/1.png"
        return {"success": True, "data": {"status": "completed", "url": url}}
    return {"items": []}


class TestATimerIsNoWord:
    """A timer that is late says nothing of an answer that nobody has read."""

    def test_posts_of_a_busy_loop(self) -> None:
        """A heavy cell in a notebook turns no accepted job into an unknown one."""

        async def main(sandbox: ThreadedSandbox) -> None:
            sent, all_sent = list[object](), asyncio.Event()

            async def count(*seen: object) -> None:
                sent.append(seen)
                if len(sent) == 5:
                    all_sent.set()

            trace = aiohttp.TraceConfig()
            trace.on_request_chunk_sent.append(count)
            async with (
                aiohttp.ClientSession(trace_configs=[trace]) as http,
                PictorySession(
                    sandbox.api_key,
                    base_url=sandbox.base_url,
                    request_timeout=0.5,
                    http=http,
                ) as session,
            ):
                posts = [asyncio.create_task(session.submit(PROMPT)) for _ in range(5)]
                await all_sent.wait()
                end = time.perf_counter() + 1.2
                while time.perf_counter() < end:  # longer than the time-out
                    sum(range(10_000))
                jobs = await asyncio.gather(*posts)
                assert len({job.job_id for job in jobs}) == 5

        with ThreadedSandbox(pictures=False) as sandbox:
            sandbox.add_fault(Fault.slow(0.2, on="submit", times=None))
            asyncio.run(main(sandbox))


class TestALimitIsNotTheField:
    """A default of the HTTP library that proxies exceed, or that a user has changed."""

    @pytest.mark.parametrize("size", [9_000, 40_000, 200_000])
    async def test_large_headers(self, size: int) -> None:
        """Cookies, policies and tracing make no answer unreadable."""

        async def handler(request: web.Request) -> web.Response:
            headers = {"Set-Cookie": "a=" + "b" * size}
            return web.json_response(answer_of(request), headers=headers)

        async with (
            served(handler) as url,
            PictorySession(KEY, base_url=url, polling=FixedInterval(0.01)) as session,
        ):
            assert (await session.generate(PROMPT)).job_id == "job-1"

    async def test_large_headers_of_a_download(self, tmp_path: Path) -> None:
        """Nor do they make an image unreachable that is paid for."""

        async def handler(_: web.Request) -> web.Response:
            headers = {"Set-Cookie": "a=" + "b" * 40_000, "Content-Encoding": "gzip"}
            return web.Response(body=gzip.compress(PNG), headers=headers)

        async with (
            served(handler) as url,
            aiohttp.ClientSession(auto_decompress=False) as http,
            PictorySession(KEY, http=http) as session,
        ):
            image = GeneratedImage(job_id="a", url=f"{url}/a.png")
            path = await session.download(image, tmp_path / "a.png")
        assert path.read_bytes() == PNG

    @pytest.mark.parametrize(
        "options",
        [
            {"auto_decompress": False},
            {"raise_for_status": True},
            {"max_field_size": 100},
            {"timeout": aiohttp.ClientTimeout(total=0.001)},
        ],
    )
    async def test_a_session_made_for_something_else(
        self, options: dict[str, Any]
    ) -> None:
        """What our answers need is asked for with each request."""

        async def handler(request: web.Request) -> web.Response:
            body = web.json_response(answer_of(request)).body
            assert isinstance(body, bytes)
            headers = {"Content-Encoding": "gzip", "X-Trace": "t" * 300}
            return web.Response(body=gzip.compress(body), headers=headers)

        async with (
            served(handler) as url,
            aiohttp.ClientSession(**options) as http,
            PictorySession(
                KEY, base_url=url, http=http, polling=FixedInterval(0.01)
            ) as session,
        ):
            assert (await session.generate(PROMPT)).job_id == "job-1"


class TestARefusalOfTheConnection:
    """A word about the connection is not taken for one about the request."""

    @pytest.mark.parametrize("status", [408, 425])
    async def test_a_request_that_was_not_processed(self, status: int) -> None:
        """Nothing was created, so the POST is sent again."""
        posts = 0

        async def handler(request: web.Request) -> web.Response:
            nonlocal posts
            posts += request.method == "POST"
            if request.method == "POST" and posts == 1:
                return web.Response(status=status, headers={"Connection": "close"})
            return web.json_response(answer_of(request))

        async with (
            served(handler) as url,
            PictorySession(KEY, base_url=url, retries=RetryPolicy(first=0)) as session,
        ):
            assert (await session.submit(PROMPT)).job_id == "job-1"
        assert posts == 2


class TestClocks:
    """The service dates images by its own clock, which need not be ours."""

    @pytest.mark.looptime
    @pytest.mark.parametrize("hours", [-3, 3])
    async def test_reconcile_where_this_clock_is_wrong(
        self, monkeypatch: pytest.MonkeyPatch, hours: float
    ) -> None:
        """An image that was made is found, whatever time it is here."""
        wrong = timedelta(hours=hours)
        monkeypatch.setattr(clock, "utc_now", lambda: datetime.now(UTC) + wrong)
        for module in ("_http.sender", "_jobs.submit"):
            name = f"pictory_async.{module}.utc_now"
            monkeypatch.setattr(name, lambda: datetime.now(UTC) + wrong)
        async with (
            Sandbox(duration=1, pictures=False) as sandbox,
            PictorySession(sandbox.api_key, base_url=sandbox.base_url) as session,
        ):
            sandbox.add_fault(Fault.drop(handled=True, on="submit"))
            with pytest.raises(SubmissionUnknownError) as caught:
                await session.submit(PROMPT)
            await asyncio.sleep(2)
            found = await session.reconcile(caught.value)
        assert found is not None
        assert found.prompt == PROMPT


class TestProxies:
    """A proxy of the environment is used, said, and never sees a key in clear."""

    async def test_a_given_proxy_gets_every_request(self) -> None:
        """Also those for this machine, which the environment's would not get."""
        seen = list[str]()

        async def proxy(request: web.Request) -> web.Response:
            seen.append(request.raw_path)
            return web.json_response(answer_of(request))

        async with (
            served(proxy) as url,
            PictorySession(KEY, base_url="http://127.0.0.1:9", proxy=url) as session,
        ):
            assert (await session.submit(PROMPT)).job_id == "job-1"
        assert seen == ["http://127.0.0.1:9/v1/aistudio/images"]

    async def test_a_proxy_that_is_not_there_is_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The environment's is honoured, and its password is not shown."""
        monkeypatch.setenv("HTTPS_PROXY", "http://me:s3cret@127.0.0.1:9")
        retries = RetryPolicy(attempts=1)
        async with PictorySession(
            KEY, base_url="https://api.example", retries=retries
        ) as session:
            with pytest.raises(
                TransportError, match=r"the proxy 127\.0\.0\.1:9"
            ) as caught:
                await session.submit(PROMPT)
        assert not caught.value.sent
        assert "s3cret" not in f"{caught.value!r}"

    async def test_a_download_goes_through_it_too(self, tmp_path: Path) -> None:
        """An image is had where only the proxy can reach its host."""
        seen = list[tuple[str, str | None]]()

        async def proxy(request: web.Request) -> web.Response:
            seen.append((request.raw_path, request.headers.get("Authorization")))
            return web.Response(body=PNG, content_type="image/png")

        image = GeneratedImage(job_id="a", url="http://images.example/a.png?s=%27x")
        async with (
            served(proxy) as url,
            PictorySession(KEY, proxy=url) as session,
        ):
            path = await session.download(image, tmp_path / "a.png")
        assert path.read_bytes() == PNG
        assert seen == [("http://images.example/a.png?s=%27x", None)]

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"not HTTP at all\r\n\r\n",
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nnot TLS at all",
            b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
        ],
    )
    @pytest.mark.parametrize(
        "host", ["https://images.example", "http://images.example"]
    )
    async def test_its_password_is_in_no_error(
        self,
        caplog: pytest.LogCaptureFixture,
        tmp_path: Path,
        answer: bytes,
        host: str,
    ) -> None:
        """Whatever it answers; nor is the signature of an image's URL."""
        caplog.set_level(logging.DEBUG)

        async def talk(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.read(4096)
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        image = GeneratedImage(job_id="a", url=f"{host}/a.png?Signature=s1gned")
        async with (
            server,
            PictorySession(
                KEY,
                base_url="https://api.example",
                proxy=f"http://me:s3cret@127.0.0.1:{port}",
                retries=RetryPolicy(attempts=1),
            ) as session,
        ):
            for use in (
                session.submit(PROMPT),
                anext(session.history()),
                session.download(image, tmp_path / "a.png"),
            ):
                with pytest.raises(PictoryError) as caught:
                    await use
                told = f"{caught.value!r} {pickle.dumps(caught.value)!r}"
                assert not {"s3cret", "s1gned"} & set(re.findall(r"s\d\w+", told))
        assert "s3cret" not in caplog.text
        assert "s1gned" not in caplog.text

    def test_this_machine_is_reached_directly(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A sandbox works behind a proxy, and NO_PROXY is honoured."""
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:1")
        monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example:1")
        PictorySession(KEY, base_url="http://127.0.0.1:8")
        with pytest.raises(ConfigurationError, match=r"\$HTTPS_PROXY is a SOCKS"):
            PictorySession(KEY)
        monkeypatch.setenv("NO_PROXY", "pictory.ai")
        PictorySession(KEY)

    @pytest.mark.parametrize(
        ("proxy", "base_url"),
        [
            ("http://proxy.example:1", "http://127.0.0.1:8"),
            ("ftp://proxy.example", None),
            ("socks5://proxy.example", None),
            ("http://", None),
            ("http://[", None),
        ],
    )
    def test_a_proxy_that_cannot_be_used_is_refused(
        self, proxy: str, base_url: str | None
    ) -> None:
        """When the session is made, and without the key on a wire."""
        with pytest.raises(ConfigurationError):
            PictorySession(KEY, base_url=base_url, proxy=proxy)
