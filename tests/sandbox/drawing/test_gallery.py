"""The files of the images."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import Any

import pytest
from PIL import Image

from tests.sandbox.client import Client, Serve


async def fetch(client: Client, job_id: str) -> tuple[dict[str, Any], bytes]:
    """Return the data of a completed job and its file."""
    _, body = await client.poll(job_id)
    async with client.http.get(body["data"]["url"]) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        return body["data"], await answer.read()


def size(data: bytes) -> tuple[int, int]:
    """Return width and height of a whole PNG file."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.size


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize(
    ("model", "ratio", "expected"),
    [
        ("seedream3.0", "1:1", (1024, 1024)),
        ("flux-schnell", "16:9", (1280, 720)),
        ("nanobanana-pro", "9:16", (720, 1280)),
        ("nanobanana", "16:9", (1024, 1024)),
    ],
)
async def test_file_has_the_announced_size(
    serve: Serve, pictures: bool, model: str, ratio: str, expected: tuple[int, int]
) -> None:
    """The file, the job and the history agree on width and height."""
    sandbox, client = await serve(pictures=pictures, duration=0)
    data, file = await fetch(client, await client.job(model=model, aspectRatio=ratio))
    assert (data["width"], data["height"]) == size(file) == expected
    assert [(each.width, each.height) for each in sandbox.images] == [expected]


async def test_equal_requests_are_drawn_once(serve: Serve) -> None:
    """Two images of one request have one file; another prompt has another."""
    _, client = await serve(pictures=True, duration=0)
    jobs = [await client.job(), await client.job(), await client.job(prompt="A lamp")]
    files = [(await fetch(client, job_id))[1] for job_id in jobs]
    assert files[0] is not files[1]
    assert (files[0] == files[1], files[0] == files[2]) == (True, False)


async def test_solid_files_differ(serve: Serve) -> None:
    """Without pictures the color still distinguishes prompts."""
    _, client = await serve(duration=0)
    jobs = [await client.job(), await client.job(prompt="A lamp \ud800")]
    first, second = [(await fetch(client, job_id))[1] for job_id in jobs]
    assert first != second


async def test_many_files(serve: Serve) -> None:
    """More files than are kept can be fetched, at once and repeatedly."""
    _, client = await serve(duration=0)
    jobs = [await client.job(prompt=f"Image {number}") for number in range(80)]
    first = await asyncio.gather(*(fetch(client, job_id) for job_id in jobs))
    again = await asyncio.gather(*(fetch(client, job_id) for job_id in jobs))
    assert first == again


async def test_without_pillow(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Pillow the start says what to install; files of one color need none."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(
        sys.modules, "pictory_async.sandbox._drawing.pictures", raising=False
    )
    with pytest.raises(ImportError, match=r"pip install 'pictory-async\[sandbox\]'"):
        await serve(pictures=True)
    await serve(pictures=False)


async def test_unknown_file(serve: Serve) -> None:
    """A file that does not exist gets the answer of a bucket, not of the API."""
    sandbox, client = await serve()
    url = sandbox.base_url.removesuffix("/pictoryapis") + "/images/user/a/b.png"
    async with client.http.get(url) as answer:
        assert (answer.status, answer.content_type) == (403, "application/xml")
    assert (sandbox.requests[-1].kind, sandbox.requests[-1].target) == ("file", "b")


async def test_head_of_a_file(serve: Serve) -> None:
    """HEAD returns the length and no body."""
    _, client = await serve(duration=0)
    data, file = await fetch(client, await client.job())
    async with client.http.head(data["url"]) as answer:
        assert (answer.status, answer.content_length) == (200, len(file))
        assert await answer.read() == b""
