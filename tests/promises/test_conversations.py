"""Conversations of arbitrary bytes: only our errors are raised, no image is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import looptime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictory_async import (
    FixedInterval,
    GeneratedImage,
    HistoryImage,
    PictoryError,
    PictorySession,
    RetryPolicy,
    SubmissionUnknownError,
)

ordinary = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

JOB_ID = "4d82d040-4394-4371-867d-72ae1dd62b6d"
IMAGE_URL = "https://example.com/a.png"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([
                "data",
                "success",
                "status",
                "jobId",
                "job_id",
                "url",
                "items",
                "error",
            ]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
bodies = st.binary(max_size=60) | json_values.map(lambda v: json.dumps(v).encode())
statuses = st.sampled_from([200, 200, 200, 201, 204, 302, 404, 408, 429, 500, 503, 599])
heads = st.sampled_from([
    b"",
    b"Retry-After: 1\r\n",
    b"Retry-After: soon\r\n",
    b"Content-Type: x\r\n",
])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Draw the bytes of an answer: HTTP with any body, sometimes not even HTTP."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=80))
    body = draw(bodies)
    claimed = len(body) + draw(st.sampled_from([0, 0, 0, 0, 5]))
    head = b"HTTP/1.1 %d X\r\n" % draw(statuses)
    return head + draw(heads) + b"Content-Length: %d\r\n\r\n" % claimed + body


def answer(body: dict[str, Any]) -> bytes:
    """Return the bytes of a good answer."""
    raw = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw


ACCEPTED = answer({"success": True, "data": {"jobId": JOB_ID}})
COMPLETED = answer({"success": True, "data": {"status": "completed", "url": IMAGE_URL}})


class Server:
    """Answers each POST and each GET with the next bytes of its list, then the last."""

    def __init__(self, posts: list[bytes], gets: list[bytes]) -> None:
        self._scripts = {b"POST": list(posts), b"GET": list(gets)}
        self.posts = 0

    async def talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request, and close the connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                self.posts += 1
                length = int(head.lower().split(b"content-length:")[1].split()[0])
                await reader.readexactly(length)
            script = self._scripts[head.split(b" ")[0]]
            writer.write(script.pop(0) if len(script) > 1 else script[0])
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client had enough
        finally:
            writer.close()


def converse(
    posts: list[bytes], gets: list[bytes]
) -> tuple[Server, GeneratedImage | PictoryError, object]:
    """Generate one image and read one page; return the outcome of both."""

    async def main() -> tuple[Server, Any, object]:
        server = Server(posts, gets)
        listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with PictorySession(
            "pictai_fake",
            base_url=f"http://127.0.0.1:{port}",
            polling=FixedInterval(10),
            retries=RetryPolicy(attempts=3, throttled_for=30),
            request_timeout=5,
            job_timeout=300,
        ) as session:
            image = await settled(session.generate("A lighthouse at dawn"))
            page = await settled(anext(session.history(), None))  # type: ignore[arg-type]
        listening.close()
        await listening.wait_closed()
        return server, image, page

    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        return runner.run(main())


async def settled(coro: Coroutine[Any, Any, Any]) -> Any:
    """Return the result or our error; any other error goes through."""
    try:
        return await coro
    except PictoryError as error:
        return error


@ordinary
@given(post=answers(), gets=st.lists(answers(), min_size=1, max_size=5))
def test_any_bytes_give_an_image_or_our_error(post: bytes, gets: list[bytes]) -> None:
    """Nothing but a PictoryError is raised, and an unknown POST is sent once."""
    server, image, page = converse([post], gets)

    assert isinstance(image, GeneratedImage | PictoryError)
    assert page is None or isinstance(page, HistoryImage | PictoryError)
    if isinstance(image, SubmissionUnknownError):
        assert server.posts == 1


@ordinary
@given(noise=st.lists(answers(), max_size=8))
def test_completed_image_is_never_lost(noise: list[bytes]) -> None:
    """Whatever came before, once a poll reports completed the image is there.

    Two ends are the service's own: a job that it says failed or was cleaned, and one
    that it does not know.
    """
    quiet = [bytes_ for bytes_ in noise if not reports_the_end(bytes_)]
    _, image, _ = converse([ACCEPTED], [*quiet, COMPLETED])

    assert isinstance(image, GeneratedImage)
    assert image.job_id == JOB_ID
    assert image.url.startswith("http")


def reports_the_end(raw: bytes) -> bool:
    """Return whether an answer reports the end of a job."""
    if raw.startswith(b"HTTP/1.1 404"):
        return True
    body = raw.partition(b"\r\n\r\n")[2]
    return any(end in body for end in (b"failed", b"cleaned", b'"success": false'))
