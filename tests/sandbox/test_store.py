"""Sandboxes that go on with the jobs of an earlier one."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pictory_async import FixedInterval, PictorySession
from pictory_async.sandbox import Sandbox

STARTED = datetime(2026, 4, 4, 6, tzinfo=UTC)


def sandbox(path: Path, **options) -> Sandbox:
    """Return a sandbox with a file for its state."""
    plain = {"pictures": False, "duration": 10.0, "started_at": STARTED}
    return Sandbox(state=path, **{**plain, **options})


def session(running: Sandbox) -> PictorySession:
    """Return a session with a sandbox."""
    polling = FixedInterval(0.05)
    return PictorySession(running.api_key, base_url=running.base_url, polling=polling)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the state."""
    return tmp_path / "jobs.jsonl"


@pytest.mark.looptime
async def test_jobs_images_and_credits_are_kept(path) -> None:
    """What had ended has ended; what had not ends when it would have."""
    async with sandbox(path) as first, session(first) as client:
        image = await client.generate("A lighthouse")
        first.fail_next(code="X")
        failing = (await client.submit("A cat on a roof")).job_id
        late = (await client.submit("A red bicycle", style="vintage")).job_id
        before = first.images
        url = image.url

    later = STARTED + timedelta(seconds=19)
    async with sandbox(path, started_at=later) as second, session(second) as client:
        assert list(second.jobs) == [image.job_id, failing, late]
        assert second.job(image.job_id).state == "completed"
        assert [each.id for each in second.images] == [each.id for each in before]
        assert second.credits_used == Decimal(2)
        again = await client.job(image.job_id)
        assert again.url == url
        await client.download(again, path.parent / "a.png")
        assert (await client.job(late)).credits_used == Decimal(2)
        assert second.job(failing).state == "failed"
        assert second.submitted[2] == {"prompt": "A red bicycle", "style": "vintage"}


@pytest.mark.looptime
async def test_what_was_scripted_of_a_job_is_kept(path) -> None:
    """Cleaned jobs and odd states stay what they are."""
    async with sandbox(path, duration=math.inf) as first, session(first) as client:
        cleaned = (await client.submit("A lighthouse")).job_id
        odd = (await client.submit("A cat on a roof")).job_id
        endless = (await client.submit("A red bicycle")).job_id
        first.finish(cleaned)
        first.clean(cleaned)
        first.set_state(odd, "paused")

    async with sandbox(path) as second:
        assert second.job(cleaned).state == "cleaned"
        assert len(second.images) == 1
        assert second.job(odd).state == "paused"
        assert second.job(endless).state == "in-progress"


@pytest.mark.looptime
async def test_a_seed_gives_new_ids_to_new_jobs(path) -> None:
    """They are not those of the jobs that are there."""
    async with sandbox(path, seed=1) as first, session(first) as client:
        ids = {(await client.submit(f"A lighthouse {n}")).job_id for n in range(3)}

    async with sandbox(path, seed=1) as second, session(second) as client:
        ids |= {(await client.submit(f"A lighthouse {n}")).job_id for n in range(3)}
        assert len(second.jobs) == len(ids) == 6


async def test_a_kill_in_the_middle_of_a_line_loses_only_that(path) -> None:
    """The next sandbox begins with whole lines, as soon as it has a job."""
    async with sandbox(path, duration=0) as first, session(first) as client:
        image = await client.generate("A lighthouse")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"job_id": "cut o')

    before = path.read_bytes()

    async with sandbox(path) as second, session(second) as client:
        assert list(second.jobs) == [image.job_id]
        assert path.read_bytes() == before
        await client.submit("A red bicycle")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(list(map(json.loads, lines))) == 3


async def test_nothing_is_written_before_the_first_job(path) -> None:
    """A sandbox that was only tried leaves no file."""
    async with sandbox(path):
        pass

    assert not path.exists()
    path.touch()  # as a kill may leave it
    async with sandbox(path) as running:
        assert running.jobs == {}


async def test_listens_on_the_same_port_if_it_is_free(path) -> None:
    """URLs of images lead there; another sandbox may have it by now."""
    async with sandbox(path, duration=0) as first, session(first) as client:
        await client.generate("A lighthouse")
        address = first.base_url
        async with sandbox(path) as beside:
            assert beside.base_url != address
            assert len(beside.jobs) == 1

    async with sandbox(path) as second:
        assert second.base_url == address


@pytest.mark.parametrize("text", ["My notes\n", "[]\n", '{"owner": "a"}\n', "\0\n"])
async def test_another_file_is_refused_and_left_alone(path, text) -> None:
    """Nothing is served."""
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=r"jobs\.jsonl is not the state of a sandbox"):
        await sandbox(path).start()

    assert path.read_text(encoding="utf-8") == text


async def test_a_disk_that_is_full_for_a_while_loses_no_job(path, caplog) -> None:
    """Jobs go on; what could not be written is written with the next one."""
    folder = path.parent / "away"
    state = folder / "jobs.jsonl"
    async with sandbox(state, duration=0) as first, session(first) as client:
        await client.generate("A lighthouse")
        assert "the state of the sandbox cannot be written" in caplog.text
        folder.mkdir()
        await client.generate("A red bicycle")
        ids = list(first.jobs)
        with state.open("a", encoding="utf-8") as file:
            file.write('{"job_id": "cut o')  # what a full disk leaves
        folder.rename(path.parent / "away too")
        ids.append((await client.generate("A cat on a roof")).job_id)
        (path.parent / "away too").rename(folder)

    async with sandbox(state) as second:
        assert list(second.jobs) == ids
