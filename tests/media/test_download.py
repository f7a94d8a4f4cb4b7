"""Downloads: whole or not at all, off the event loop, and without the key."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictory_async import (
    DownloadError,
    GeneratedImage,
    HistoryImage,
    Limits,
    PictorySession,
    RetryPolicy,
)
from pictory_async._media import download as download_module
from pictory_async._media.download import PNG_SIGNATURE, extension, safe_stem
from pictory_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.looptime

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def image(sandbox: Sandbox) -> HistoryImage:
    """An image that the sandbox serves."""
    made = sandbox.add_image("A lighthouse at dawn")
    origin = sandbox.base_url.removesuffix("/pictoryapis")
    return HistoryImage(id=made.id, url=f"{origin}/images/user/x/{made.id}.png")


@pytest.fixture
async def served(session: PictorySession, sandbox: Sandbox) -> GeneratedImage:
    """An image that was just generated."""
    job = await session.submit("A lighthouse at dawn")
    sandbox.finish(job.job_id)
    job.poll_now()
    return await job


def left_in(folder: Path) -> list[str]:
    """Return the names of all files in *folder*."""
    return sorted(path.name for path in folder.iterdir())


async def test_saves_to_a_file(
    session: PictorySession, served: GeneratedImage, tmp_path: Path
) -> None:
    """The file has the image's bytes and the permissions of any new file."""
    path = await session.download(served, tmp_path / "here.png")
    assert path == tmp_path / "here.png"
    assert path.read_bytes().startswith(PNG)
    (tmp_path / "other").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other").stat().st_mode
    )
    assert left_in(tmp_path) == ["here.png", "other"]


async def test_makes_a_name_in_a_folder(
    session: PictorySession, served: GeneratedImage, tmp_path: Path
) -> None:
    """In a folder the name is the id's, with the extension of the type."""
    path = await session.download(served, tmp_path)
    assert path == tmp_path / f"{served.job_id}.png"
    made = await session.download(served, f"{tmp_path}/new/deep{os.sep}")
    assert made == tmp_path / "new" / "deep" / f"{served.job_id}.png"


async def test_makes_the_folder_of_a_file(
    session: PictorySession, served: GeneratedImage, tmp_path: Path
) -> None:
    """Missing folders are created."""
    path = await session.download(served, tmp_path / "a" / "b.png")
    assert path.exists()


async def test_existing_file_stays(
    session: PictorySession, sandbox: Sandbox, served: GeneratedImage, tmp_path: Path
) -> None:
    """Without *overwrite* an existing file is an error, before anything is sent."""
    target = tmp_path / "mine.png"
    target.write_text("mine")
    with pytest.raises(FileExistsError) as caught:
        await session.download(served, target)
    assert caught.value.filename == str(target)
    assert target.read_text() == "mine"
    assert not [r for r in sandbox.requests if r.kind == "file"]
    await session.download(served, target, overwrite=True)
    assert target.read_bytes().startswith(PNG)


async def test_existing_file_in_a_folder_stays(
    session: PictorySession, served: GeneratedImage, tmp_path: Path
) -> None:
    """A name that is made is not taken twice either."""
    path = await session.download(served, tmp_path)
    path.write_text("mine")
    with pytest.raises(FileExistsError) as caught:
        await session.download(served, tmp_path)
    assert caught.value.filename == str(path)
    assert path.read_text() == "mine"
    assert left_in(tmp_path) == [path.name]
    await session.download(served, tmp_path, overwrite=True)
    assert path.read_bytes().startswith(PNG)


async def test_two_downloads_to_one_file(
    session: PictorySession, served: GeneratedImage, tmp_path: Path
) -> None:
    """One of them makes the file, the other raises; no partial file remains."""
    target = tmp_path / "one.png"
    both = (session.download(served, target) for _ in range(2))
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(r).__name__ for r in results) in (
        ["FileExistsError", "PosixPath"],
        ["FileExistsError", "WindowsPath"],
    )
    assert left_in(tmp_path) == ["one.png"]


async def test_works_on_a_file_system_without_hard_links(
    session: PictorySession,
    served: GeneratedImage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a file cannot be linked it is renamed, and still not over another."""

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(self, target)

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = await session.download(served, tmp_path)
    assert path.read_bytes().startswith(PNG)
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        await session.download(served, tmp_path)
    assert path.read_text() == "mine"
    assert left_in(tmp_path) == [path.name]


async def test_image_host_gets_no_key(
    session: PictorySession, sandbox: Sandbox, served: GeneratedImage, tmp_path: Path
) -> None:
    """The request for a file carries no Authorization, and names us."""
    await session.download(served, tmp_path)
    (request,) = (r for r in sandbox.requests if r.kind == "file")
    assert "Authorization" not in request.headers
    assert sandbox.api_key not in str(dict(request.headers))
    assert request.headers["User-Agent"].startswith("pictory-async/")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault.truncate(on="file", keep=60, times=None), "broke off"),
        (Fault.drop(on="file", times=None), "Disconnected"),
        (Fault.answer(404, on="file"), "404"),
        (Fault.answer(403, on="file", body="<html>expired</html>"), "403"),
        (Fault.answer(500, on="file", times=None), "500"),
        (Fault.answer(200, on="file", body="<html>sorry</html>"), "not an image"),
        (
            Fault.answer(200, on="file", body="JFIF", content_type="image/png"),
            "not an image",
        ),
        (Fault.answer(200, on="file", body=b"", content_type="image/png"), "not an im"),
        (Fault.hang(on="file", times=None), "no answer within"),
        (Fault.trickle(on="file", times=None), "came in time"),
    ],
    ids=lambda v: getattr(v, "action", None),
)
async def test_failed_download_leaves_nothing(
    sandbox: Sandbox,
    image: HistoryImage,
    tmp_path: Path,
    fault: Fault,
    says: str,
) -> None:
    """Whatever goes wrong, the error says what, and no file is left on disk."""
    sandbox.add_fault(fault)
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, retries=RetryPolicy(attempts=2)
    ) as session:
        with pytest.raises(DownloadError, match=says) as caught:
            await session.download(image, tmp_path)
    assert left_in(tmp_path) == []
    assert caught.value.url == image.url
    assert caught.value.status in {None, 200, 403, 404, 500}


async def test_broken_download_is_tried_again(
    session: PictorySession, sandbox: Sandbox, image: HistoryImage, tmp_path: Path
) -> None:
    """A transfer that breaks off is restarted, as a GET is free."""
    sandbox.add_fault(
        Fault.truncate(on="file", keep=20),
        Fault.answer(503, on="file"),
        Fault.drop(on="file"),
    )
    path = await session.download(image, tmp_path)
    assert left_in(tmp_path) == [path.name]
    assert path.read_bytes().startswith(PNG)


async def test_cancelled_download_leaves_nothing(
    session: PictorySession, sandbox: Sandbox, image: HistoryImage, tmp_path: Path
) -> None:
    """A download that is given up in the middle removes what it had written."""
    sandbox.add_fault(Fault.trickle(on="file"))
    task = asyncio.create_task(session.download(image, tmp_path))
    await asyncio.sleep(20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_in(tmp_path) == []


async def test_cancelled_while_writing_leaves_nothing(
    session: PictorySession,
    image: HistoryImage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cancellation that arrives while a thread writes waits for it, and tidies up."""
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    commit = download_module._Part.commit

    def slow_commit(part: download_module._Part) -> None:
        loop.call_soon_threadsafe(began.set)
        commit(part)

    monkeypatch.setattr(download_module._Part, "commit", slow_commit)
    task = asyncio.create_task(session.download(image, tmp_path))
    await began.wait()
    task.cancel()
    results = await asyncio.gather(task, return_exceptions=True)
    left = left_in(tmp_path)
    assert not [name for name in left if name.endswith(".part")]
    assert isinstance(results[0], asyncio.CancelledError | Path)


async def test_file_without_end_is_cut(
    session: PictorySession,
    image: HistoryImage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that sends more than any image has does not fill the disk."""
    monkeypatch.setattr(download_module, "LARGEST_FILE", 100)
    with pytest.raises(DownloadError, match="larger than 100"):
        await session.download(image, tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "x", ""])
async def test_hostile_url_is_not_opened(
    session: PictorySession, sandbox: Sandbox, tmp_path: Path, url: str
) -> None:
    """Only http and https are fetched."""
    image = HistoryImage(id="a", url=url)
    with pytest.raises(DownloadError, match="http"):
        await session.download(image, tmp_path)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "hostile", ["../../etc/passwd", "/etc/passwd", "..", "a\x00b", "x" * 400, "CON"]
)
async def test_hostile_id_stays_in_the_folder(
    session: PictorySession, image: HistoryImage, tmp_path: Path, hostile: str
) -> None:
    """A name made from an id cannot leave the folder."""
    folder = tmp_path / "pictures"
    image = HistoryImage(id=hostile, url=image.url)
    path = await session.download(image, f"{folder}/")
    assert path.parent == folder
    assert left_in(tmp_path) == ["pictures"]
    assert left_in(folder) == [path.name]


async def test_error_shows_no_query(
    session: PictorySession, sandbox: Sandbox, image: HistoryImage, tmp_path: Path
) -> None:
    """A signed URL is not logged."""
    sandbox.add_fault(Fault.answer(403, on="file"))
    signed = HistoryImage(id="a", url=f"{image.url}?Signature=secret#fragment")
    with pytest.raises(DownloadError) as caught:
        await session.download(signed, tmp_path)
    assert "secret" not in f"{caught.value} {caught.value!r} {caught.value.url}"
    assert [r.query for r in sandbox.requests] == [{"Signature": "secret"}]


async def test_downloads_take_turns_with_everything_else(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The limit on concurrent requests applies to downloads as well."""
    made = [sandbox.add_image(f"Lighthouse number {n}") for n in range(5)]
    origin = sandbox.base_url.removesuffix("/pictoryapis")
    sandbox.add_fault(Fault.slow(10, on="file", times=None))
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        limits=Limits(concurrent_requests=2),
    ) as session:
        images = [
            HistoryImage(id=i.id, url=f"{origin}/images/user/x/{i.id}.png")
            for i in made
        ]
        await asyncio.gather(*(session.download(i, tmp_path) for i in images))
    began = [r.at for r in sandbox.requests]
    # Each took ten seconds, so the third after one began when that one had ended.
    assert len(began) == 5
    assert all(b - a >= 10 for a, b in zip(began, began[2:], strict=False))


async def test_brought_session_that_is_closed(
    sandbox: Sandbox, image: HistoryImage, tmp_path: Path
) -> None:
    """A closed session of the user raises our error, which says so."""
    http = aiohttp.ClientSession()
    await http.close()
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, http=http
    ) as session:
        with pytest.raises(DownloadError, match="closed"):
            await session.download(image, tmp_path)


async def test_file_that_cannot_be_made_is_the_user_s_own(
    session: PictorySession,
    image: HistoryImage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of the file system is raised as it is, and the turn is released."""

    def refuse(self: object) -> None:
        raise PermissionError(13, "no", str(tmp_path))

    monkeypatch.setattr(download_module._Part, "create", refuse)
    with pytest.raises(PermissionError):
        await session.download(image, tmp_path)
    assert left_in(tmp_path) == []


async def test_disk_error_is_the_user_s_own(
    session: PictorySession, image: HistoryImage, tmp_path: Path
) -> None:
    """What the file system refuses is raised as it is."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        await session.download(image, tmp_path / "file" / "below.png")


# --- file names

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        (
            "4d82d040-4394-4371-867d-72ae1dd62b6d",
            "4d82d040-4394-4371-867d-72ae1dd62b6d",
        ),
        ("a fox, in the snow", "a_fox_in_the_snow"),
        ("../../etc/passwd", "etc_passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/absolute", "absolute"),
        ("C:\\Windows", "C_Windows"),
        ("a/../b", "a_.._b"),
        (".hidden", "hidden"),
        ("trailing. . .", "trailing"),
        ("a\x00b", "a_b"),
        ("a\nb\x1b[31m", "a_b_31m"),
        ("CON", "_CON"),
        ("con", "_con"),
        ("Con ", "_Con"),
        ("NUL.txt", "_NUL.txt"),
        ("COM0", "_COM0"),
        ("lpt9.tar.gz", "_lpt9.tar.gz"),
        ("CONSOLE", "CONSOLE"),
        ("🦊", "image"),
        ("fox🦊", "fox"),
        ("", "image"),
        (".", "image"),
        ("..", "image"),
        ("   ", "image"),
        ("___", "image"),
        ("\ud800", "image"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_hostile_name_becomes_a_plain_one(name: str, stem: str) -> None:
    """Separators, controls, reserved names, dots and length are dealt with."""
    made = safe_stem(name)
    assert made == (name if stem == name else f"{stem}-{made[-8:]}")


def test_changed_names_stay_different() -> None:
    """Two names that are cleaned to the same text do not become one file."""
    names = ["../a", "./a", "a", "a/", "🦊", "🐻", "", "x" * 300, "x" * 301, "CON"]
    assert len({safe_stem(name).lower() for name in names}) == len(names)


@unhurried
@given(st.text())
def test_no_name_leaves_its_folder(name: str) -> None:
    """A stem is never empty, long, hidden or anything but letters, digits and ._-."""
    stem = safe_stem(name)

    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,109}", stem)
    assert stem.split(".")[0].upper() not in {"CON", "NUL", "COM1", "LPT1"}


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/png", ".png"),
        ("image/jpeg", ".jpg"),
        ("image/webp", ".webp"),
        ("image/gif", ".gif"),
        ("image/avif", ".avif"),
        ("IMAGE/PNG; charset=binary", ".png"),
        (" image/jpeg ;q=1", ".jpg"),
    ],
)
def test_the_content_type_names_the_extension(content_type: str, expected: str) -> None:
    """Case, blanks and parameters do not matter."""
    assert extension(content_type, beginning=b"") == expected


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "binary/octet-stream", "", "image/x"]
)
@pytest.mark.parametrize(
    ("beginning", "expected"),
    [
        (PNG_SIGNATURE + b"rest", ".png"),
        (b"\xff\xd8\xff\xe0rest", ".jpg"),
        (b"GIF89a", ".gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", ".webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"<!DOCTYPE html>", None),
        (b"\x89PNG", None),
        (b"", None),
    ],
)
def test_the_first_bytes_decide_where_no_image_is_named(
    content_type: str, beginning: bytes, expected: str | None
) -> None:
    """If the header names no image type, the first bytes decide."""
    assert extension(content_type, beginning=beginning) == expected
