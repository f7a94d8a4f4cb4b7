"""The files of a batch: named, complete, a few at a time, and saved later if needed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pictory_async import (
    DownloadError,
    FixedInterval,
    GeneratedImage,
    InvalidRequestError,
    Limits,
    PictorySession,
    RetryPolicy,
    SessionClosedError,
)
from pictory_async._batch.files import DOWNLOADS
from pictory_async._media import download as download_module
from pictory_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.looptime

PNG = b"\x89PNG\r\n\x1a\n"


def prompts(n: int) -> list[str]:
    """Return *n* prompts."""
    return [f"Picture number {number}" for number in range(n)]


def left_in(folder: Path) -> list[str]:
    """Return the names of all files in *folder*."""
    return sorted(path.name for path in folder.iterdir())


async def test_each_image_has_its_file(
    session: PictorySession, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The name is made of the place and the job, so that no two are the same."""
    folder = tmp_path / "new" / "pictures"
    outcomes = await session.generate_many(prompts(12), save_to=folder).results()
    names = [f"{o.index:06}-{o.job_id}.png" for o in outcomes]
    assert left_in(folder) == sorted(names)
    for outcome in outcomes:
        outcome.unwrap()
        assert outcome.path == folder / names[outcome.index]
        assert outcome.path.read_bytes().startswith(PNG)


async def test_a_few_at_a_time(sandbox: Sandbox, tmp_path: Path) -> None:
    """Downloads leave room for the requests that are paid for."""
    sandbox.add_fault(Fault.slow(10, on="file", times=None))
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        limits=Limits(concurrent_requests=40),
    ) as session:
        await session.generate_many(prompts(24), save_to=tmp_path).results()
    began = [r.at for r in sandbox.requests if r.kind == "file"]
    assert len(began) == 24
    later = began[DOWNLOADS:]
    waits = [b - a for a, b in zip(began, later, strict=False)]
    assert min(waits) >= 9.9  # the loop fires timers a little early


async def test_a_failed_download_stands_beside_the_image(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The image was paid for; and the next one has its file."""
    sandbox.add_fault(Fault.answer(200, on="file", body="<html>", times=1))
    async with PictorySession(sandbox.api_key, base_url=sandbox.base_url) as session:
        batch = session.generate_many(prompts(2), save_to=tmp_path, max_in_flight=1)
        failed, saved = await batch.results()
    assert isinstance(failed.image, GeneratedImage)
    assert isinstance(failed.error, DownloadError)
    assert failed.path is None
    with pytest.raises(DownloadError):
        failed.unwrap()
    assert saved.path is not None
    assert left_in(tmp_path) == [saved.path.name]
    assert (batch.progress.completed, batch.progress.failed) == (1, 1)


@pytest.mark.parametrize("status", [403, 404])
async def test_a_url_that_is_gone_is_fetched_once_more(
    session: PictorySession, sandbox: Sandbox, tmp_path: Path, status: int
) -> None:
    """Through the job: signed URLs expire."""
    sandbox.add_fault(Fault.answer(status, on="file"))
    (outcome,) = await session.generate_many(prompts(1), save_to=tmp_path).results()
    assert outcome.unwrap()
    assert outcome.path is not None
    kinds = [request.kind for request in sandbox.requests]
    assert kinds[-3:] == ["file", "job", "file"]


async def test_a_url_that_stays_gone_is_an_error(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A fresh one is fetched once; also if the job cannot be polled any more."""
    sandbox.add_fault(Fault.answer(403, on="file", times=2))
    retries = RetryPolicy(attempts=1)
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, retries=retries
    ) as session:
        (gone,) = await session.generate_many(prompts(1), save_to=tmp_path).results()
        assert isinstance(gone.error, DownloadError)
        assert gone.error.status == 403
        sandbox.add_fault(
            Fault.answer(404, on="file"), Fault.answer(401, on="job", after=2)
        )
        (gone,) = await session.generate_many(prompts(1), save_to=tmp_path).results()
    assert isinstance(gone.error, DownloadError)
    assert gone.error.status == 404
    assert left_in(tmp_path) == []


async def test_a_disk_that_takes_no_file_is_a_failed_download(
    session: PictorySession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a failed download, beside the image."""

    def refuse(self: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download_module._Part, "create", refuse)
    (outcome,) = await session.generate_many(prompts(1), save_to=tmp_path).results()
    assert outcome.image is not None
    assert isinstance(outcome.error, DownloadError)
    assert "No space left" in str(outcome.error)


async def test_a_folder_that_takes_no_file_is_refused_before_anything_is_sent(
    session: PictorySession, sandbox: Sandbox, tmp_path: Path
) -> None:
    """No image that cannot be saved is paid for."""
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "pictures"):
        with pytest.raises(
            InvalidRequestError, match="folder that can be written"
        ) as e:
            await session.generate_many(prompts(3), save_to=folder).results()
        assert e.value.field == "save_to"
    assert sandbox.requests == []


async def test_closed_in_a_download(sandbox: Sandbox, tmp_path: Path) -> None:
    """No part of a file is left, and the error is one of the session."""
    sandbox.add_fault(Fault.trickle(on="file", times=None))
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    task = asyncio.create_task(
        session.generate_many(prompts(3), save_to=tmp_path).results()
    )
    await asyncio.sleep(32)
    await session.aclose()
    with pytest.raises(SessionClosedError):
        await task
    assert left_in(tmp_path) == []


async def test_files_are_saved_later(sandbox: Sandbox, tmp_path: Path) -> None:
    """By the next run on the same journal: those that failed, and deleted ones."""
    folder, journal = tmp_path / "pictures", tmp_path / "run.sqlite"
    sandbox.add_fault(Fault.answer(200, on="file", body="<html>", times=2))
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(1)
    ) as session:
        options = {"journal": journal, "save_to": folder}
        outcomes = await session.generate_many(prompts(6), **options).results()  # type: ignore[arg-type]
        assert sum(o.error is not None for o in outcomes) == 2
        saved = [o.path for o in outcomes if o.path is not None]
        assert len(saved) == 4
        saved[0].unlink()
        sent = len(sandbox.requests)
        again = await session.generate_many(prompts(6), **options).results()  # type: ignore[arg-type]
        assert all(o.error is None for o in again)
        kinds = [request.kind for request in sandbox.requests[sent:]]
        assert kinds == ["file"] * 3
        assert len(left_in(folder)) == 6
        plain = await session.generate_many(prompts(6), journal=journal).results()
    assert [o.path for o in plain] == [o.path for o in again]
    assert len(sandbox.requests) == sent + 3
