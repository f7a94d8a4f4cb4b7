"""The manifest and the contact sheet, while a batch runs and after it."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from pictory_async import ImageRequest
from pictory_async.cli._batch.prompts import Row
from pictory_async.cli._batch.reports import MANIFEST, SHEET, Reports
from tests.cli.batch.test_run import FAST, manifest, write
from tests.cli.batch.test_sheet import entry

ROWS = [Row(line, ImageRequest("A lighthouse")) for line in range(1, 10)]


def lines(folder: Path) -> list[int]:
    """Return the line numbers of the entries in a manifest, as they stand there."""
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    return [json.loads(each)["line"] for each in text.splitlines()]


async def run(folder: Path, *entries: dict[str, Any], recall: bool = False) -> Reports:
    """Write the reports of a run."""
    reports = Reports(folder, "p.txt", ROWS)
    if recall:
        reports.recall()
    reports.open()
    for each in entries:
        reports.add(each)
    await reports.aclose()
    return reports


async def until(condition) -> None:
    """Wait until a file that a thread writes is as expected."""
    while not condition():  # noqa: ASYNC110 - files have no events
        await asyncio.sleep(0.01)


async def test_reports_are_there_while_the_run_goes_on(tmp_path) -> None:
    """Entries are added in the order in which they come; at the end they are sorted."""
    reports = Reports(tmp_path, "p.txt", ROWS)
    reports.open()
    reports.add(entry(3))
    await until((tmp_path / SHEET).exists)
    assert "1 of 9 so far" in (tmp_path / SHEET).read_text(encoding="utf-8")
    assert lines(tmp_path) == [3]
    reports.add(entry(2))
    await until(lambda: len(lines(tmp_path)) == 2)
    assert lines(tmp_path) == [3, 2]

    await reports.aclose()

    assert lines(tmp_path) == [2, 3]
    page = (tmp_path / SHEET).read_text(encoding="utf-8")
    assert "interrupted after 2 of 9" in page
    assert sorted(each.name for each in tmp_path.iterdir()) == [SHEET, MANIFEST]


async def test_a_run_that_reaches_nothing_leaves_what_there_is(tmp_path) -> None:
    """Neither file is replaced by an empty one."""
    await run(tmp_path, entry(1))
    before = [each.read_bytes() for each in sorted(tmp_path.iterdir())]

    await run(tmp_path, recall=True)

    assert [each.read_bytes() for each in sorted(tmp_path.iterdir())] == before


async def test_a_run_that_reaches_little_keeps_the_rest(tmp_path) -> None:
    """Entries of the run before stay for prompts that were not reached."""
    await run(tmp_path, entry(1), entry(2), entry(3))

    await run(tmp_path, entry(2, job_id="j2"), entry(4), recall=True)

    assert lines(tmp_path) == [1, 2, 3, 4]
    page = (tmp_path / SHEET).read_text(encoding="utf-8")
    assert "interrupted after 4 of 9" in page


async def test_what_cannot_be_written_disturbs_nothing(tmp_path) -> None:
    """It is tried until the end, and then told."""
    folder = tmp_path / "away"
    reports = Reports(folder, "p.txt", ROWS)
    reports.open()
    reports.add(entry(1))
    await until(lambda: not reports._new)  # an attempt was made
    folder.mkdir()
    reports.add(entry(2))
    await until((folder / MANIFEST).exists)
    assert lines(folder) == [1, 2]
    await reports.aclose()
    assert reports.error is None

    lost = await run(tmp_path / "never", entry(1))

    assert isinstance(lost.error, FileNotFoundError)


def test_reports_survive_a_kill(service, spawn, pictory) -> None:
    """What had ended by then is in both; the same command goes on from there."""
    prompts = "".join(f"A lighthouse {number}\n" for number in range(12))
    file = write("p.txt", prompts)
    service.sandbox.hold()
    command = spawn("batch", file, "--max-in-flight", "4", *FAST)
    service.until(lambda: len(service.sandbox.jobs) == 4)
    for job_id in list(service.sandbox.jobs)[:3]:
        service.sandbox.finish(job_id)
    ended = Path("pictures", MANIFEST)
    service.until(lambda: ended.exists() and ended.read_bytes().count(b"\n") == 3)
    sheet = Path("pictures", SHEET)
    service.until(lambda: sheet.exists() and "of 12 so far" in sheet.read_text("utf-8"))

    command.send_signal(signal.SIGKILL)

    command.communicate(timeout=10)
    assert command.returncode == -signal.SIGKILL
    assert [each["state"] for each in manifest()] == ["completed"] * 3
    files = [Path("pictures", each["file"]) for each in manifest()]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in files)
    assert sheet.read_text("utf-8").endswith("</html>\n")
    service.sandbox.release()
    done = pictory("batch", file, *FAST)
    assert done.code == 0, done.err
    assert "12 images (3 already there, 9 new), 24 credits" in done.err
    assert sum(line.startswith("unchanged ") for line in done.lines) == 3
    assert [each["line"] for each in manifest()] == list(range(1, 13))
    assert len(service.sandbox.submitted) == 12


def test_a_report_that_cannot_be_written_costs_no_image(service, pictory) -> None:
    """The summary says so, and so does the exit code."""
    Path("pictures", SHEET).mkdir(parents=True)

    done = pictory("batch", write("p.txt", "A lighthouse\n"), *FAST)

    assert done.code == 1
    assert "Error: cannot write the manifest and the contact sheet: " in done.err
    assert done.out.startswith("saved pictures/")
    assert len(manifest()) == 1


@pytest.mark.parametrize("text", ["", "odd\n", '{"line": 1}\n[]\n\n', '{"line": 1'])
async def test_an_odd_manifest_is_replaced(tmp_path, text) -> None:
    """Another program's, or one that was cut."""
    (tmp_path / MANIFEST).write_text(text, encoding="utf-8")

    await run(tmp_path, entry(1), recall=True)

    assert lines(tmp_path) == [1]
