"""The key goes to the API's own origin only; all output is searched for it."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pictory_async import (
    GeneratedImage,
    ImageRequest,
    PictoryError,
    PictorySession,
    RetryPolicy,
)
from pictory_async.sandbox import Fault, Sandbox

KEY = "pictai_secret_but_fake_key"
PROMPT = "A lighthouse at dawn, and nobody is to know of it " * 3


class Elsewhere:
    """A server of another origin that records its requests and serves an image."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Record a whole request."""
        body = await request.text()
        self.seen.append(f"{request.method} {request.url} {request.raw_headers} {body}")
        return web.Response(body=b"\x89PNG\r\n\x1a\n", content_type="image/png")


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    """Run the other server."""
    other = Elsewhere()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", other.answer)
    async with TestServer(app) as server:
        other.url = str(server.make_url("/other.png"))
        yield other


REDIRECTS = [301, 302, 303, 307, 308]


@pytest.mark.parametrize("status", REDIRECTS)
async def test_api_redirect_takes_nothing_along(
    sandbox: Sandbox, elsewhere: Elsewhere, status: int
) -> None:
    """No call of the API follows a redirect to another host, port or scheme."""
    there = {"Location": elsewhere.url}
    sandbox.add_fault(Fault.answer(status, times=None, headers=there))
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, retries=RetryPolicy(attempts=1)
    ) as session:
        for use in (session.submit(PROMPT), anext(session.history())):
            with pytest.raises(PictoryError):
                await use
        job = session.job("a")
        await job.wait(timeout=0.2)
    assert len(sandbox.requests) >= 3
    assert elsewhere.seen == []


@pytest.mark.parametrize("status", REDIRECTS)
async def test_download_redirect_has_nothing_to_take_along(
    sandbox: Sandbox, elsewhere: Elsewhere, tmp_path: Path, status: int
) -> None:
    """A redirected download arrives, and neither host gets the key."""
    made = sandbox.add_image(PROMPT)
    origin = sandbox.base_url.removesuffix("/pictoryapis")
    there = {"Location": elsewhere.url}
    sandbox.add_fault(Fault.answer(status, on="file", headers=there))
    async with PictorySession(sandbox.api_key, base_url=sandbox.base_url) as session:
        url = f"{origin}/images/user/x/{made.id}.png"
        image = GeneratedImage(job_id=made.id, url=url)
        path = await session.download(image, tmp_path)
    assert path.stat().st_size == 8
    assert len(elsewhere.seen) == 1
    assert sandbox.api_key not in elsewhere.seen[0]
    files = [r for r in sandbox.requests if r.kind == "file"]
    assert not any("Authorization" in r.headers for r in files)


async def test_image_on_the_api_s_own_host_gets_no_key(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """A download is sent without the key, wherever the image is."""
    base = elsewhere.url.removesuffix("/other.png")
    async with PictorySession(KEY, base_url=f"{base}/api") as session:
        await session.download(GeneratedImage(job_id="a", url=f"{base}/a"), tmp_path)
    assert KEY not in elsewhere.seen[0]


FAULTS = [
    Fault.answer(401),
    Fault.answer(403, body="<html>no</html>"),
    Fault.answer(418, body={"message": f"you sent {KEY}", "code": KEY}),
    Fault.answer(400, body={"fields": [{"name": KEY, "errors": [KEY]}]}),
    Fault.answer(500, body=KEY),
    Fault.answer(429, retry_after=9999),
    Fault.answer(200, body=f"<html>{KEY}</html>"),
    Fault.answer(200, body={"success": False, "error": KEY}),
    Fault.answer(302, headers={"Location": f"http://127.0.0.1:9/{KEY}"}),
    Fault.drop(handled=True),
    Fault.truncate(keep=7),
    Fault.hang(),
]


@pytest.mark.looptime
@pytest.mark.parametrize("fault", FAULTS, ids=range(len(FAULTS)))
async def test_key_is_nowhere_in_what_comes_out(
    fault: Fault,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Neither text, representation, traceback with locals, pickle nor log shows it.

    Texts, representations and the log do not show the whole prompt either.
    """
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    shown, kept = list[str](), list[str]()
    async with (
        Sandbox(api_key=KEY, pictures=False) as sandbox,
        PictorySession(
            KEY,
            base_url=sandbox.base_url,
            retries=RetryPolicy(attempts=2),
            request_timeout=5,
        ) as session,
    ):
        sandbox.add_fault(fault, fault, fault)
        job = session.job("some-id")
        uses = (session.submit(PROMPT), anext(session.history(), None), job.result())  # type: ignore[arg-type]
        outcomes = await asyncio.gather(*uses, return_exceptions=True)
        errors = [e for e in outcomes if isinstance(e, BaseException)]
        shown += [repr(session), repr(session._runtime.settings), repr(job)]
        shown += [repr(job.status), repr(ImageRequest(PROMPT))]
        assert all(isinstance(error, PictoryError) for error in errors)
        for error in errors:
            whole = traceback.TracebackException.from_exception(
                error, capture_locals=True
            )
            kept += ["".join(whole.format()), repr(pickle.dumps(error))]
            shown += [str(error), repr(error)]
    shown += [caplog.text, *capfd.readouterr()]
    assert KEY not in "\n".join(shown + kept)
    assert PROMPT not in "\n".join(shown)
