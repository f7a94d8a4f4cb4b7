"""``pictory job``, in pipes."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from pictory_async import PictorySession
from pictory_async.sandbox import Fault

FAST = ("--poll-every", "0.02")


@pytest.fixture
def submit(service):
    """Start a job as another program would; return its id."""

    def start(prompt: str) -> str:
        async def go() -> str:
            async with PictorySession() as session:
                return (await session.submit(prompt)).job_id

        return asyncio.run(go())

    return start


def test_polls_once(service, pictory, submit) -> None:
    """A job in progress is shown as it is, after one poll."""
    service.sandbox.hold()
    job_id = submit("A lighthouse")

    done = pictory("job", job_id)

    assert done.code == 0
    assert done.out == f"{job_id}\tin-progress\t\t\t\t\n"
    assert service.sandbox.polls(job_id) == 1


def test_shows_a_completed_job(service, pictory, submit) -> None:
    """Its size, credits and URL are shown."""
    job_id = submit("A lighthouse")

    done = pictory("job", job_id)

    word, state, size, used, url, path = done.lines[0].split("\t")
    assert (word, state, size, used, path) == (
        job_id,
        "completed",
        "1024x1024",
        "2",
        "",
    )
    assert url.startswith("http://127.0.0.1")


def test_json_has_the_same(service, pictory, submit) -> None:
    """The prompt of a job that was started elsewhere is not known."""
    job_id = submit("A lighthouse")

    item = json.loads(pictory("job", "--json", job_id).out)

    assert item["job_id"] == job_id
    assert item["state"] == "completed"
    assert item["credits_used"] == 2
    assert item["prompt"] is None
    assert item["error"] is None


def test_saves_what_is_finished(service, pictory, submit) -> None:
    """The image is saved in the folder; a second time nothing is replaced."""
    job_id = submit("A lighthouse")

    first = pictory("job", job_id, "--output", "here")
    again = pictory("job", job_id, "--output", "here")

    assert first.code == 0
    assert first.lines[0].endswith(f"\there/{job_id}.png")
    assert Path(f"here/{job_id}.png").exists()
    assert again.code == 1
    assert (
        again.err == f"failed: here/{job_id}.png already exists and was not replaced\n"
    )


def test_has_nothing_to_save_yet(service, pictory, submit) -> None:
    """A folder without --wait cannot be served before the job has ended."""
    service.sandbox.hold()
    job_id = submit("A lighthouse")

    done = pictory("job", job_id, "--output", "here")

    assert done.code == 1
    assert "--wait" in done.err


def test_waits_for_the_end(service, pictory, submit) -> None:
    """With --wait several jobs are followed, even past a failed poll."""
    service.sandbox.hold()
    job_ids = [submit("A lighthouse"), submit("A red bicycle")]
    service.sandbox.add_fault(Fault.answer(500, on="job"))
    threading.Timer(0.2, service.sandbox.release).start()

    done = pictory("job", "--wait", *job_ids, "-o", "here", *FAST)

    assert done.code == 0
    assert {line.split("\t")[1] for line in done.lines} == {"completed"}
    assert len(list(Path("here").iterdir())) == 2


def test_a_failed_job_gives_the_exit_code_1(service, pictory, submit) -> None:
    """Its state is a result, and the reason an error."""
    service.sandbox.fail_next()
    job_id = submit("A lighthouse")

    done = pictory("job", job_id)

    assert done.code == 1
    assert done.out.startswith(f"{job_id}\tfailed\t")
    assert done.err.startswith(f"failed: job {job_id} failed (IMAGE_GENERATION_FAILED")


def test_an_unknown_job_is_one_line(service, pictory) -> None:
    """Nothing is written to standard output."""
    done = pictory("job", "no-such-job")

    assert done.code == 1
    assert not done.out
    assert done.err.startswith("failed: job no-such-job: not found")
    assert done.err.count("\n") == 1


def test_a_cleaned_job_points_to_the_history(service, pictory, submit) -> None:
    """The image may still be there."""
    job_id = submit("A lighthouse")
    service.sandbox.clean(job_id)

    done = pictory("job", job_id)

    assert done.code == 1
    assert "`pictory history`" in done.err


def test_no_answer_does_not_mean_in_progress(service, pictory, submit) -> None:
    """A poll without an answer leaves the state unknown."""
    job_id = submit("A lighthouse")
    service.sandbox.add_fault(Fault.drop(on="job", times=None))

    done = pictory("job", "--json", job_id)

    assert done.code == 1
    assert json.loads(done.out)["state"] is None
    assert json.loads(done.out)["error"]["type"] == "TransportError"


def test_what_cannot_be_an_id_is_refused(service, pictory) -> None:
    """Nothing is sent."""
    done = pictory("job", "..")

    assert done.code == 1
    assert "must be the id of a job" in done.err
    assert not service.sandbox.requests
