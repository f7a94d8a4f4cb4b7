"""``pictory history``, in pipes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pictory_async.sandbox import Fault


def fill(service, number: int) -> None:
    """Put images into the history."""
    for index in range(number):
        service.sandbox.add_image(f"Picture\t{index}", aspect_ratio="16:9")


def test_writes_lines_with_tabs(service, pictory) -> None:
    """Images of all pages are listed, newest first, one per line."""
    fill(service, 7)

    done = pictory("history")

    assert done.code == 0
    rows = [line.split("\t") for line in done.lines]
    assert [row[5] for row in rows] == [f"Picture {i}" for i in reversed(range(7))]
    created, _, model, size, url, _ = rows[0]
    assert datetime.fromisoformat(created).tzinfo is not None
    assert (model, size) == ("seedream3.0", "1280x720")
    assert url.endswith(".png")


def test_fetches_no_more_than_the_limit(service, pictory) -> None:
    """Two images are on the first page."""
    fill(service, 7)

    assert len(pictory("history", "-n", "2").lines) == 2
    assert service.received("images") == 1


def test_json_lines(service, pictory) -> None:
    """Prompts are not altered in JSON."""
    fill(service, 1)

    (image,) = map(json.loads, pictory("history", "--json").lines)

    assert image["prompt"] == "Picture\t0"
    assert (image["width"], image["height"]) == (1280, 720)
    assert image["style"] is None


def test_since_takes_local_time_and_zones(service, pictory) -> None:
    """A time without a zone is local time."""
    fill(service, 2)
    hour = timedelta(hours=1)
    now = datetime.now().astimezone()
    naive = now.replace(tzinfo=None)

    assert len(pictory("history", "--since", str(naive - hour)).lines) == 2
    assert len(pictory("history", "--since", (now - hour).isoformat()).lines) == 2
    assert pictory("history", "--since", str(naive + hour)).err == "no images\n"


@pytest.mark.parametrize("when", ["yesterday", "2026-13-01", "1700000000"])
def test_since_refuses_what_it_cannot_read(service, pictory, when) -> None:
    """The error shows what a date looks like."""
    done = pictory("history", "--since", when)

    assert done.code == 2
    assert "2026-11-21" in done.err


def test_a_refused_page_is_one_line(service, pictory) -> None:
    """Images listed before it stay."""
    fill(service, 5)
    service.sandbox.add_fault(Fault.answer(403, on="images", after=1))

    done = pictory("history")

    assert done.code == 1
    assert len(done.lines) == 3
    assert done.err.startswith("Error: GET /v1/aistudio/images answered 403")
    assert done.err.count("\n") == 1


def test_stops_quietly_on_a_closed_pipe(service, spawn) -> None:
    """With `head` there is no error message, and no page is fetched in vain."""
    fill(service, 60)
    history = spawn("history")
    assert history.stdout.readline().endswith("Picture 59\n")
    history.stdout.close()

    assert history.stderr.read() == ""
    assert history.wait() == 0
    assert service.received("images") < 20


def test_without_a_key_it_is_misuse(pictory) -> None:
    """The exit code is 2."""
    assert pictory("history").code == 2


def test_saves_the_images(service, pictory) -> None:
    """Each is saved under its id, in the order of the list."""
    fill(service, 11)

    done = pictory("history", "--output", "here")

    assert done.code == 0
    rows = [line.split("\t") for line in done.lines]
    assert [row[6] for row in rows] == [
        f"here/{image.id}.png" for image in service.sandbox.images
    ]
    assert all(Path(row[6]).read_bytes().startswith(b"\x89PNG") for row in rows)
    assert done.err == "11 images saved in here\n"


def test_saves_what_is_not_there(service, pictory) -> None:
    """A second run fetches nothing twice."""
    fill(service, 2)
    pictory("history", "--output", "here")
    fill(service, 1)

    done = pictory("history", "--output", "here", "--json")

    assert done.code == 0
    assert done.err == "1 image saved in here, 2 already there\n"
    assert service.received("file") == 3
    images = [json.loads(line) for line in done.lines]
    assert all(Path(image["path"]).exists() for image in images)
    assert [image["error"] for image in images] == [None] * 3


def test_an_image_that_cannot_be_saved_stops_no_other(service, pictory) -> None:
    """It is reported, and the exit code is 1."""
    fill(service, 3)
    service.sandbox.add_fault(Fault.answer(410, on="file"))

    done = pictory("history", "--output", "here", "--json")

    assert done.code == 1
    assert "2 images saved in here, 1 failed" in done.err
    assert done.err.startswith("failed: the image is finished but was not saved")
    failed = [image for line in done.lines if (image := json.loads(line))["error"]]
    assert [image["error"]["type"] for image in failed] == ["DownloadError"]
    assert failed[0]["path"] is None


def test_a_refused_page_ends_the_saving(service, pictory) -> None:
    """What is listed is saved, and no transfer is left behind."""
    fill(service, 12)
    service.sandbox.add_fault(Fault.answer(403, on="images", after=3))

    done = pictory("history", "--output", "here")

    assert done.code == 1
    assert all(Path(line.split("\t")[6]).exists() for line in done.lines)
    assert len(done.lines) >= 1
    assert not list(Path("here").glob(".*"))


def test_an_unusable_folder_lists_nothing(service, pictory) -> None:
    """It is found before the first page is fetched."""
    Path("file").write_text("", encoding="utf-8")

    done = pictory("history", "--output", "file/here")

    assert done.code == 2
    assert "cannot write to file/here" in done.err
    assert service.received("images") == 0
