"""``pictory batch``, in pipes."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from pictory_async.sandbox import Fault
from tests.cli.conftest import COMMAND

FAST = ("--poll-every", "0.02")
EVIL = "<script>alert(1)</script>"
CSV = f"prompt,model,style\nA lighthouse,,vintage\n{EVIL},flux-schnell,\n"


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, _: str) -> int:
        """Raise the error of a full disk."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write(name: str, text: str) -> str:
    """Write a file of prompts; return its name."""
    Path(name).write_text(text, encoding="utf-8")
    return name


def manifest(folder: str = "pictures") -> list[dict]:
    """Read the manifest of a batch."""
    text = Path(folder, "manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make *text* the standard input of the next command."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


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
    assert "Error: p.txt:3: " in done.err
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
    many = io.TextIOWrapper(io.BufferedReader(Lines(3_000)))  # 2.5 MB
    monkeypatch.setattr(sys, "stdin", many)

    tracemalloc.start()
    done = pictory("batch", "-", "--dry-run")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert done.code == 0
    assert done.lines[0].endswith(" 3,000")
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (("p.md",), "A cat", "--format"),
        (("p.csv",), "promt\nA cat\n", "unknown 'promt' among the column names"),
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
    assert "to try again: pictory batch p.txt --max-credits 4" in done.err
    assert pictory("batch", file, "--max-credits=6", *FAST).code == 0
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
    assert sorted(entries, key=lambda e: e["index"]) == manifest()
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


def test_an_output_that_is_full_stops_it_and_it_can_continue(service, pictory) -> None:
    """Reports of what there is are written, and the command to continue."""
    prompts = "".join(f"A lighthouse {number}\n" for number in range(40))
    command = ("batch", write("p.txt", prompts), "--max-in-flight=2", *FAST)
    stopped = pictory(*command, stdout=Full())
    assert stopped.code == 1
    assert "Continue with: pictory batch p.txt --max-in-flight 2" in stopped.err
    assert stopped.err.splitlines()[-1] == "Error: No space left on device"
    assert len(manifest()) == 1
    assert pictory(*command).code == 0
    assert len(service.sandbox.submitted) == 40


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
