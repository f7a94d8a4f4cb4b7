"""``pictory batch``, in pipes."""

from __future__ import annotations

import errno
import inspect
import io
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from pictory_async import PictorySession
from pictory_async.sandbox import Fault
from tests.cli.conftest import COMMAND, standard_input

FAST = ("--poll-every", "0.02")
EVIL = "<script>alert(1)</script>"
CSV = f"prompt,model,style\nA lighthouse,,vintage\n{EVIL},flux-schnell,\n"


class Failing(io.StringIO):
    """A stream that cannot be written, such as a file on a full disk."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, _: str) -> int:
        """Raise the error with the number."""
        raise OSError(self._number, os.strerror(self._number))


class FailingTerminal(Failing):
    """A terminal that is gone."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def write(name: str, text: str) -> str:
    """Write a file of prompts; return its name."""
    Path(name).write_text(text, encoding="utf-8")
    return name


def manifest(folder: str = "pictures") -> list[dict]:
    """Read the manifest of a batch."""
    text = Path(folder, "manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_makes_an_image_of_each_prompt(service, pictory) -> None:
    """It writes a line for each file, a manifest and a contact sheet."""
    done = pictory("batch", write("p.csv", CSV), "--aspect-ratio=16:9", *FAST)

    assert done.code == 0, done.err
    entries = manifest()
    files = [Path("pictures", each["file"]) for each in entries]
    assert sorted(done.lines) == sorted(f"saved {path}" for path in files)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)
    assert [each["line"] for each in entries] == [2, 3]
    assert [each["credits_used"] for each in entries] == [2, 0.6]
    assert sorted(service.sandbox.submitted, key=str) == [
        {
            "prompt": "<script>alert(1)</script>",
            "model": "flux-schnell",
            "aspectRatio": "16:9",
        },
        {"prompt": "A lighthouse", "aspectRatio": "16:9", "style": "vintage"},
    ]
    page = Path("pictures/index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert all(f'src="{path.name}"' in page for path in files)
    assert "2 images, 2.6 credits" in done.err
    assert not list(Path("pictures").glob(".*"))


def test_the_same_command_pays_for_nothing_twice(service, pictory) -> None:
    """What is done comes from the journal; appended prompts are sent."""
    pictory("batch", write("p.txt", "A lighthouse\n"), *FAST)
    before = manifest()

    done = pictory("batch", write("p.txt", "A lighthouse\nA cat on a roof\n"), *FAST)

    assert done.code == 0
    assert service.received("submit") == 2
    assert manifest()[0] == before[0]
    assert [each["prompt"] for each in manifest()] == [
        "A lighthouse",
        "A cat on a roof",
    ]


def test_an_edited_file_is_refused_before_anything_is_sent(service, pictory) -> None:
    """The line is named, and the reports of the other batch stay."""
    pictory("batch", write("p.txt", "A lighthouse\nA red bicycle\n"), *FAST)
    before = manifest()

    done = pictory("batch", write("p.txt", "A lighthouse\n\nA blue bicycle\n"), *FAST)

    assert done.code == 2
    assert "Error: p.txt:3: is not the prompt that pictures/batch.sqlite" in done.err
    assert "needs another --output or --journal" in done.err
    assert service.received("submit") == 2
    assert manifest() == before


def test_failures_are_grouped_by_cause(service, pictory) -> None:
    """Each is also reported on standard error; the exit code is 1."""
    for _ in range(3):
        service.sandbox.fail_next(code="CONTENT_POLICY", message="Too <odd>")
    prompts = "".join(f"A lighthouse {number}\n" for number in range(5))

    done = pictory("batch", write("p.txt", prompts), *FAST)

    assert done.code == 1
    assert done.err.count("failed: line ") == 3
    assert "  3 x JobFailedError CONTENT_POLICY (lines " in done.err
    assert "2 images, 4 credits, 3 failed" in done.err
    failed = [each for each in manifest() if each["state"] == "failed"]
    assert len(failed) == 3
    assert failed[0]["error"]["code"] == "CONTENT_POLICY"
    assert "Too &lt;odd&gt;" in Path("pictures/index.html").read_text(encoding="utf-8")


def test_a_key_that_is_refused_ends_it_early(service, pictory, monkeypatch) -> None:
    """A single refusal does not; with the right key the batch continues."""
    prompts = "".join(f"A lighthouse {number}\n" for number in range(300))
    command = ("batch", write("p.txt", prompts), "--max-in-flight=4", *FAST)
    with monkeypatch.context() as patch:
        patch.setenv("PICTORY_API_KEY", "pictai_fake_and_wrong")
        refused = pictory(*command)
    assert refused.code == 1
    assert refused.err.count("failed: line ") == 20
    assert service.received("submit") < 40
    assert "20 of 300 prompts ended." in refused.err
    assert "Error: POST /v1/aistudio/images answered 401" in refused.err
    assert "Continue with: pictory batch p.txt" in refused.err

    service.sandbox.add_fault(Fault.answer(401, on="submit", times=19, after=5))
    assert pictory(*command).err.count("failed: line ") == 19
    assert len(service.sandbox.submitted) == 281


def test_all_bad_lines_are_reported_before_anything_is_sent(service, pictory) -> None:
    """They are reported by number; not even the folder is made."""
    done = pictory("batch", write("p.txt", "A lighthouse\nno\n\nneither\nx\n"))

    assert done.code == 2
    assert [line.split(": ")[0] for line in done.err.splitlines()] == [
        "p.txt:2",
        "p.txt:5",
        "Error",
    ]
    assert "2 bad lines; nothing was sent" in done.err
    assert not service.sandbox.requests
    assert not Path("pictures").exists()


def test_dry_run_sends_nothing(pictory, tmp_path, monkeypatch) -> None:
    """It needs no key; a bad line makes the exit code 2."""
    monkeypatch.chdir(tmp_path)

    done = pictory("batch", write("p.csv", CSV), "--dry-run")

    assert done.code == 0
    assert done.lines[-1] == "estimated cost: 2.6 credits; nothing was sent"
    assert list(Path().iterdir()) == [Path("p.csv")]
    bad = pictory("batch", write("p.csv", f"{CSV}no\n"), "--dry-run", "--json")
    assert bad.code == 2
    assert json.loads(bad.out)["bad_lines"] == 1
    assert bad.err.startswith("p.csv:4: prompt: ")


class Lines(io.RawIOBase):
    """A file generated as it is read: many prompts of 840 characters."""

    def __init__(self, number: int) -> None:
        self._lines = (b"A lighthouse at dawn, " * 38 + b"\n" for _ in range(number))

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer) -> int:
        """Read the next line."""
        data = next(self._lines, b"")
        buffer[: len(data)] = data
        return len(data)


def test_dry_run_of_many_prompts_keeps_none(pictory, monkeypatch) -> None:
    """Memory does not grow with the number of prompts in a pipe."""

    def dry_run(number):
        lines = io.TextIOWrapper(io.BufferedReader(Lines(number)))
        monkeypatch.setattr(sys, "stdin", lines)
        return pictory("batch", "-", "--dry-run")

    dry_run(1)  # what the first command imports is not memory of its prompts
    tracemalloc.start()
    done = dry_run(3_000)  # 2.5 MB
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert done.code == 0
    assert done.lines[0].endswith(" 3,000")
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (("p.md",), "A cat", "--format"),
        (("p.csv",), "promt\nA cat\n", "unknown 'promt': is prompt meant?"),
        (("p.txt",), "\n", "there are no prompts in p.txt"),
        (("missing.txt",), "", "cannot read missing.txt: No such file"),
        (("p.txt", "--max-credits=0"), "A cat", "is not a number above 0"),
        (("p.txt", "--max-credits=nan"), "A cat", "is not a number above 0"),
        (("p.txt", "--max-credits=x"), "A cat", "is not a number above 0"),
        (("p.txt", "--max-in-flight=0"), "A cat", "0 is not in the range"),
        (("p.txt", "--on-unknown=pay"), "A cat", "'pay' is not one of"),
        (("p.txt", "--model=odd", "--max-credits=9"), "A lighthouse", "no known price"),
        (("p.txt", "--output=p.txt/x"), "A lighthouse", "cannot write to p.txt/x"),
    ],
)
def test_misuse_is_2_and_sends_nothing(
    service, pictory, arguments, text, message
) -> None:
    """It is reported in a line, without a traceback."""
    if not arguments[0].startswith("missing"):
        write(arguments[0], text)

    done = pictory("batch", *arguments)

    assert done.code == 2
    assert message in done.err
    assert not service.sandbox.requests


def test_a_file_that_is_not_a_journal_is_refused(service, pictory) -> None:
    """The file is left as it was."""
    write("notes.sqlite", "My notes, not a journal at all. " * 20)

    done = pictory("batch", write("p.txt", "A lighthouse"), "--journal=notes.sqlite")

    assert done.code == 2
    assert "notes.sqlite" in done.err
    assert Path("notes.sqlite").read_text(encoding="utf-8").startswith("My notes")
    assert service.received("submit") == 0


def test_a_ceiling_is_kept(service, pictory) -> None:
    """What does not fit is not sent; with a higher ceiling the batch continues."""
    file = write("p.txt", "A lighthouse\nA red bicycle\nA cat on a roof\n")

    done = pictory("batch", file, "--max-credits=4", *FAST)

    assert done.code == 1
    assert "note: at list price all prompts cost 6 credits" in done.err
    assert service.received("submit") == 2
    assert [each["state"] for each in manifest()].count("not-sent") == 1
    assert "not sent: line " in done.err
    assert "2 images, 4 credits, 1 not sent, " in done.err
    assert ": 2 credits do not fit under --max-credits 4: 4 are used or re" in done.err
    assert "failed" not in done.err
    assert "--max-credits 4 is 2 credits short of what is left to do" in done.err
    again = shlex.split(done.err.partition("to try again: ")[2].splitlines()[0])
    assert again[1:5] == ["batch", "p.txt", "--max-credits", "6"]
    assert pictory(*again[1:]).code == 0
    assert service.received("submit") == 3


@pytest.mark.parametrize(
    ("choice", "state", "posts"),
    [
        ("report", "unknown", 1),
        ("reconcile", "completed", 1),
        ("resubmit", "completed", 2),
    ],
)
def test_an_unknown_submission_is_treated_as_chosen(
    service, pictory, choice, state, posts
) -> None:
    """It is reported first; --on-unknown says what the next run does about it."""
    file = write("p.txt", "A lighthouse\n")
    service.sandbox.add_fault(Fault.drop(on="submit", handled=True))
    first = pictory("batch", file, *FAST)
    assert first.code == 1
    assert "1 prompt may have been paid for" in first.err
    service.until(lambda: len(service.sandbox.images) == 1)

    pictory("batch", file, "--on-unknown", choice, *FAST)

    assert manifest()[0]["state"] == state
    assert service.received("submit") == posts


def test_reads_standard_input_and_keeps_it_with_the_journal(
    service, pictory, monkeypatch
) -> None:
    """The copy is what another run continues with."""
    standard_input(monkeypatch, CSV)

    done = pictory("batch", "-", "--format=csv", "--json", *FAST)

    assert done.code == 0
    entries = [json.loads(line) for line in done.lines]
    assert sorted(entries, key=lambda e: e["line"]) == manifest()
    kept = Path("pictures/batch.prompts.csv")
    assert kept.read_text(encoding="utf-8") == CSV
    assert pictory("batch", str(kept), *FAST).code == 0
    assert service.received("submit") == 2
    # Other prompts do not replace the copy that belongs to the journal.
    standard_input(monkeypatch, "prompt\nA blue bicycle\n")
    assert pictory("batch", "-", "--format=csv", *FAST).code == 2
    assert kept.read_text(encoding="utf-8") == CSV


def test_two_commands_on_one_journal(service, pictory, spawn) -> None:
    """The second is refused with the reason."""
    service.sandbox.hold()
    file = write("p.txt", "A lighthouse\n")
    spawn("batch", file, *FAST)
    service.until(lambda: service.received("submit"))

    done = pictory("batch", file, *FAST)

    assert done.code == 2
    assert "batch.sqlite" in done.err


def test_ctrl_c_says_how_to_continue_and_that_works(service, spawn, tmp_path) -> None:
    """Jobs in flight are resumed, and nothing is paid for twice."""
    prompts = "".join(f"A lighthouse {number}\n" for number in range(9))
    file = write("my prompts.txt", prompts)
    service.sandbox.hold()
    command = spawn("batch", file, "--max-in-flight", "4", "--output=a b", *FAST)
    service.until(lambda: len(service.sandbox.jobs) == 4)
    service.sandbox.finish(next(iter(service.sandbox.jobs)))
    assert command.stdout.readline().startswith("saved a b/00000")
    service.until(lambda: len(service.sandbox.jobs) == 5)

    command.send_signal(signal.SIGINT)

    out, err = command.communicate(timeout=10)
    assert command.returncode == 130
    assert "4 jobs in progress continue at the service." in err
    assert "Traceback" not in err
    assert "\x1b" not in out + err
    assert service.received("submit") == 5
    assert "interrupted after" in Path("a b/index.html").read_text(encoding="utf-8")
    again = shlex.split(err.partition("Continue with: ")[2])
    assert again[:3] == ["pictory", "batch", "my prompts.txt"]
    service.sandbox.release()
    run = subprocess.run([*COMMAND, *again[1:]], capture_output=True, check=False)  # noqa: S603 - our own command
    assert run.returncode == 0, run.stderr
    assert service.received("submit") == 9
    assert [each["state"] for each in manifest("a b")] == ["completed"] * 9


def test_a_full_disk_stops_it_and_it_can_continue(service, spawn, pictory) -> None:
    """Nothing is sent that the journal could not record."""
    prompts = "".join(f"A lighthouse {number}\n" for number in range(40))
    file = write("p.txt", prompts)
    arguments = ("batch", file, "--max-in-flight", "4", *FAST)
    limit = (64 * 1024, 64 * 1024)  # bytes that a file may have

    command = spawn(
        *arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )

    _, err = command.communicate(timeout=20)
    assert command.returncode == 1, err
    assert "Error: journal " in err.splitlines()[-1]
    assert "Continue with: pictory batch p.txt --max-in-flight 4" in err
    assert "Traceback" not in err
    accepted = len(service.sandbox.jobs)
    assert 0 < accepted < 40
    done = pictory(*arguments, "--on-unknown=reconcile")
    assert done.code == 0, done.err
    assert len(service.sandbox.jobs) == 40


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EINVAL])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_output_that_fails_costs_no_image(service, pictory, number, options) -> None:
    """All are made and saved; the error and the exit code say what is missing."""
    prompts = "".join(f"A lighthouse {line}\n" for line in range(9))
    file = write("p.txt", prompts)

    done = pictory("batch", file, *options, *FAST, stdout=Failing(number))

    assert done.code == 1
    why = os.strerror(number)
    last = done.err.splitlines()[-1]
    assert last == f"Error: standard output cannot be written ({why})"
    assert [each["state"] for each in manifest()] == ["completed"] * 9
    assert all(Path("pictures", each["file"]).exists() for each in manifest())


def test_a_terminal_that_fails_costs_no_image(service, pictory, monkeypatch) -> None:
    """Neither the live view nor the summary can end the batch."""
    monkeypatch.setenv("TERM", "xterm")
    terminal = FailingTerminal(errno.EIO)

    done = pictory("batch", write("p.txt", "A lighthouse\n"), *FAST, stdout=terminal)

    assert done.code == 1
    assert "Error: standard output cannot be written (Input/output error)" in done.err
    assert len(manifest()) == 1


def test_an_error_output_that_fails_costs_no_image(service, pictory) -> None:
    """What it would have said is in the manifest; nothing else is missing."""
    service.sandbox.fail_next()
    file = write("p.txt", "A lighthouse\nA red bicycle\n")

    done = pictory("batch", file, *FAST, stderr=Failing(errno.EIO))

    assert done.code == 1
    assert sorted(each["state"] for each in manifest()) == ["completed", "failed"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_a_device_that_is_full_costs_no_image(service, spawn, streams) -> None:
    """As a process of its own, with what Python flushes at its end."""
    file = write("p.txt", "A lighthouse\nA red bicycle\n")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = spawn("batch", file, *FAST, **dict.fromkeys(streams, full))

        command.communicate(timeout=20)

    assert command.returncode == ("stdout" in streams)
    assert [each["state"] for each in manifest()] == ["completed"] * 2


def test_interrupted_at_once_it_overwrites_nothing(service, pictory) -> None:
    """An empty manifest is not written."""
    service.sandbox.hold()
    service.interrupt_when(lambda: service.received("job"), signal.SIGTERM)

    done = pictory("batch", write("p.txt", "A lighthouse\n"), *FAST)

    assert done.code == 143
    assert "0 of 1 prompt ended." in done.err
    assert not Path("pictures/manifest.jsonl").exists()


def test_a_sandbox_has_a_journal_of_its_own(pictory, tmp_path, monkeypatch) -> None:
    """A test picture is never mistaken for one that was paid for."""
    monkeypatch.chdir(tmp_path)

    done = pictory("batch", write("p.txt", "A lighthouse\n"), "--sandbox", "-o", "out")

    assert done.code == 0
    assert "test pictures" in done.err
    assert Path("out/sandbox.sqlite").exists()
    assert not Path("out/batch.sqlite").exists()
    assert len(manifest("out")) == 1


def test_undocumented_values_are_noted_once(service, pictory) -> None:
    """Many lines with the same value give one note."""
    file = write("p.txt", "A lighthouse\nA red bicycle\n")

    done = pictory("batch", file, "--style=cartonn", "--dry-run")

    assert done.err.count("note:") == 1
    assert "'cartoon'" in done.err


def test_a_wrong_value_is_noted_once_with_its_number(service, pictory) -> None:
    """Nor does its refusal fill the screen: later lines refer to the first."""
    file = write("p.txt", "".join(f"A lighthouse {line}\n" for line in range(5)))

    done = pictory("batch", file, "--aspect-ratio=7:5", "--max-in-flight=1", *FAST)

    assert done.code == 1
    notes = [line for line in done.err.splitlines() if line.startswith("note: ")]
    expected = (
        "note: aspect_ratio '7:5' is not documented and is sent as given; documented "
        "are 1:1, 16:9, 9:16 (5 prompts)"
    )
    assert notes == [expected]
    first, *others = (x for x in done.err.splitlines() if x.startswith("failed: "))
    assert first.startswith("failed: line 1: A lighthouse 0: POST /v1/aistudio/images")
    assert others == [
        f"failed: line {line}: A lighthouse {line - 1}: as line 1"
        for line in range(2, 6)
    ]


def test_other_columns_are_noted_and_kept(service, pictory) -> None:
    """What Excel writes where a comma is the decimal sign is read as it is."""
    text = "sep=;\r\nId;Prompt;Aspect Ratio;Notes;;\r\n7;A cat, asleep;16:9;x;;\r\n"

    done = pictory("batch", write("p.csv", text), *FAST)

    assert done.code == 0, done.err
    assert "note: columns that are kept, but not sent: Id, Notes" in done.err
    (made,) = manifest()
    assert (made["line"], made["columns"]) == (3, {"Id": "7", "Notes": "x"})
    assert service.sandbox.submitted == [
        {"prompt": "A cat, asleep", "aspectRatio": "16:9"}
    ]


def test_text_in_another_encoding_is_refused(service, pictory) -> None:
    """The line and the likely encoding are named; nothing is sent."""
    Path("p.txt").write_bytes(b"A lighthouse\nA caf\xe9 at dawn\n")

    done = pictory("batch", "p.txt")

    assert done.code == 2
    assert "p.txt:2: is not UTF-8 text; probably it is Windows-1252" in done.err
    assert not service.sandbox.requests


def test_the_sandbox_of_a_batch_survives_its_interruption(
    service, spawn, pictory, monkeypatch
) -> None:
    """The command that is printed works without a key, and draws nothing twice."""
    monkeypatch.delenv("PICTORY_API_KEY")
    prompts = "".join(f"A lighthouse {number}\n" for number in range(6))
    options = ("--sandbox", "--max-in-flight=2", "-o", "out", *FAST)
    command = spawn("batch", write("p.txt", prompts), *options)
    assert command.stdout.readline().startswith("saved out/00000")

    command.send_signal(signal.SIGINT)

    _, err = command.communicate(timeout=20)
    assert command.returncode == 130
    started = len(Path("out/sandbox.jobs.jsonl").read_bytes().splitlines()) - 1
    (ended,) = map(int, re.findall(r"(\d+) of 6 prompts ended", err))
    # Jobs that have finished wait in the journal: they are not in progress any more.
    assert "continue when the batch does" not in err or started > ended
    again = shlex.split(err.partition("Continue with: ")[2].splitlines()[0])
    done = pictory(*again[1:])
    assert done.code == 0, done.err
    assert "6 images (" in done.err
    jobs = Path("out/sandbox.jobs.jsonl").read_text(encoding="utf-8").splitlines()
    ids = {json.loads(line)["job_id"] for line in jobs[1:]}
    assert {each["job_id"] for each in manifest("out")} == ids
    assert len(ids) == 6
    assert service.received("submit") == 0


def test_a_sandbox_refuses_a_state_that_is_not_its_own(pictory, tmp_path) -> None:
    """The file is left as it was."""
    state = tmp_path / "sandbox.jobs.jsonl"
    state.write_text("My notes\n", encoding="utf-8")
    file = tmp_path / "p.txt"
    file.write_text("A lighthouse\n", encoding="utf-8")

    done = pictory("batch", str(file), "--sandbox", "-o", str(tmp_path))

    assert done.code == 2
    assert "sandbox.jobs.jsonl is not the state of a sandbox" in done.err
    assert state.read_text(encoding="utf-8") == "My notes\n"


def test_a_dry_run_reads_the_journal(service, pictory) -> None:
    """It says what is paid already, and what is left; a ceiling counts both."""
    pictory("batch", write("p.txt", "A lighthouse\nA red bicycle\n"), *FAST)
    file = write("p.txt", "A lighthouse\nA red bicycle\nA cat on a roof\n")

    done = pictory("batch", file, "--dry-run", "--max-credits=5")

    assert done.code == 0, done.err
    *lines, total = (" ".join(line.split()) for line in done.lines)
    assert total == (
        "estimated cost: 6 credits, of which 2 credits are still to pay; "
        "nothing was sent"
    )
    assert lines == [
        "prompts 3",
        "(the service's default) 3 6 credits",
        "bad lines 0",
        "sent by earlier runs 2 4 credits",
        "left to send 1 2 credits",
    ]
    assert "note: at list price all prompts cost 6 credits; " in done.err
    data = json.loads(pictory("batch", file, "--dry-run", "--json").out)
    assert (data["sent_prompts"], data["credits_used"]) == (2, 4)
    assert data["credits_left_to_pay"] == 2
    assert service.received("submit") == 2


def test_a_dry_run_of_a_journal_that_cannot_be_read(service, pictory) -> None:
    """As the batch itself would, it says what is wrong."""
    Path("pictures").mkdir()
    write("pictures/batch.sqlite", "My notes, not a journal at all. " * 20)

    done = pictory("batch", write("p.txt", "A lighthouse\n"), "--dry-run")

    assert done.code == 1
    assert "batch.sqlite: it is another kind of file" in done.err


def test_a_shorter_list_is_refused(service, pictory) -> None:
    """The journal was made for more prompts than there are."""
    pictory("batch", write("p.txt", "A lighthouse\nA red bicycle\n"), *FAST)

    done = pictory("batch", write("p.txt", "A lighthouse\n"), *FAST)

    assert done.code == 2
    assert "p.txt has only 1 prompt, but pictures/batch.sqlite was made for" in done.err


@pytest.mark.skipif(
    "filename" not in inspect.signature(PictorySession.generate_many).parameters,
    reason="files cannot be named yet",
)
def test_a_column_names_the_files(service, pictory) -> None:
    """The extension is that of what the service sends."""
    text = "prompt,filename\nA lighthouse,dawn.jpg\nA red bicycle,v1.5 red\n"

    done = pictory("batch", write("p.csv", text), *FAST)

    assert done.code == 0, done.err
    assert [each["file"] for each in manifest()] == ["dawn.png", "v1.5 red.png"]


def test_names_of_files_are_checked_before_anything_is_sent(service, pictory) -> None:
    """The line and the name are told."""
    text = "prompt,filename\nA lighthouse,../dawn\nA red bicycle,dawn\n"

    done = pictory("batch", write("p.csv", text), *FAST)

    assert done.code == 2
    assert "p.csv:2: filename: must be a name, without '/', not '../dawn'" in done.err
    assert not service.sandbox.requests


def test_without_standard_input_it_says_so(service, pictory, monkeypatch) -> None:
    """A service or a scheduled job may have none."""
    monkeypatch.setattr(sys, "stdin", None)

    for command in (("batch", "-"), ("batch", "-", "--dry-run"), ("generate", "-")):
        done = pictory(*command)

        assert done.code == 2
        assert "there is no standard input" in done.err


def test_many_failures_are_listed_within_bounds(service, pictory) -> None:
    """The most frequent causes are listed, and the others counted."""
    for number in range(12):
        service.sandbox.fail_next(code=f"ODD_{number}")
    prompts = "".join(f"A lighthouse {number}\n" for number in range(12))

    done = pictory("batch", write("p.txt", prompts), *FAST)

    assert done.err.count("  1 x JobFailedError ODD_") == 10
    assert "  and 2 more causes" in done.err


def test_a_file_that_looks_like_an_option_is_resumed(service, pictory) -> None:
    """The command to try again names it so that it is taken for a file."""
    write("-p.txt", "A lighthouse\nA red bicycle\n")

    done = pictory("batch", "--max-credits=2", *FAST, "--", "-p.txt")

    again = shlex.split(done.err.partition("to try again: ")[2].splitlines()[0])
    assert again[2] == "./-p.txt"
    assert pictory(*again[1:]).code == 0
