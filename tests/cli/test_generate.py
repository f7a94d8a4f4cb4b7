"""``pictory generate``, in pipes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pictory_async.sandbox import Fault
from tests.cli.conftest import standard_input

FAST = ("--poll-every", "0.02")


def test_saves_an_image_of_each_prompt(service, pictory) -> None:
    """Each prompt gives a line when it is accepted, and one with its file."""
    done = pictory("generate", "A lighthouse", "A red bicycle", *FAST)

    assert done.code == 0
    events = [line.split()[0] for line in done.lines]
    assert sorted(events) == ["saved", "saved", "submitted", "submitted"]
    saved = [line.removeprefix("saved ") for line in done.lines if "saved" in line]
    assert set(saved) == {f"pictures/{job_id}.png" for job_id in service.sandbox.jobs}
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in saved)
    assert re.fullmatch(r"2 images, 4 credits, \d+\.\d s\n", done.err)


def test_options_apply_to_every_prompt(service, pictory) -> None:
    """Model, ratio, style and reference are sent with each request."""
    pictory(
        "generate",
        "A lighthouse",
        "--model=flux-schnell",
        "--aspect-ratio=16:9",
        "--style=vintage",
        "--reference-image-url=https://example.com/a.png",
        *FAST,
    )

    assert service.sandbox.submitted == [
        {
            "prompt": "A lighthouse",
            "model": "flux-schnell",
            "aspectRatio": "16:9",
            "style": "vintage",
            "referenceImageUrl": "https://example.com/a.png",
        }
    ]


def test_a_failed_prompt_does_not_affect_the_others(service, pictory) -> None:
    """A failure gives a line on standard error and the exit code 1."""
    service.sandbox.fail_next(code="TOO_ODD", message="Too odd")

    done = pictory("generate", "A lighthouse", "A red bicycle", "no", *FAST)

    assert done.code == 1
    assert sum(line.startswith("saved") for line in done.lines) == 1
    failed = [line for line in done.err.splitlines() if line.startswith("failed")]
    assert len(failed) == 2
    assert any("(TOO_ODD: Too odd)" in line for line in failed)
    assert any(line.startswith("failed: no: prompt: must be 5") for line in failed)
    assert "1 image, 2 credits, 2 failed" in done.err


def test_json_has_one_object_for_each_prompt(service, pictory) -> None:
    """An object has all that is known, with credits as exact numbers."""
    done = pictory("generate", "--json", "--model=flux-schnell", "A cat", "no", *FAST)

    refused, drawn = (json.loads(line) for line in done.lines)
    (job_id,) = service.sandbox.jobs
    assert drawn == {
        "job_id": job_id,
        "state": "completed",
        "prompt": "A cat",
        "path": f"pictures/{job_id}.png",
        "url": drawn["url"],
        "width": 1024,
        "height": 1024,
        "credits_used": 0.6,
        "error": None,
    }
    assert drawn["url"].endswith(".png")
    assert refused["job_id"] is None
    assert refused["prompt"] == "no"
    assert refused["error"]["type"] == "InvalidRequestError"
    assert refused["error"]["field"] == "prompt"


def test_an_unknown_submission_is_reported_clearly(service, pictory) -> None:
    """The line says where to look before paying twice."""
    service.sandbox.add_fault(Fault.drop(on="submit", handled=True))

    done = pictory("generate", "--json", "A lighthouse", *FAST)

    assert done.code == 1
    assert "a job may have been created and paid for" in done.err
    assert "`pictory history`" in done.err
    assert service.received("submit") == 1
    error = json.loads(done.out)["error"]
    assert error["type"] == "SubmissionUnknownError"
    assert error["started_at"] <= error["ended_at"]


def test_a_failed_download_is_not_an_image_lost(service, pictory) -> None:
    """The line says that the image is finished; JSON includes its URL."""
    service.sandbox.add_fault(Fault.answer(404, on="file"))

    done = pictory("generate", "--json", "A lighthouse", *FAST)

    assert done.code == 1
    assert "the image is finished but was not saved" in done.err
    (job_id,) = service.sandbox.jobs
    assert f"to try again: pictory job {job_id} --output DIR" in done.err
    assert json.loads(done.out)["url"]


def test_reads_prompts_from_standard_input(service, pictory, monkeypatch) -> None:
    """A dash stands for its lines, except blank ones."""
    standard_input(monkeypatch, "\ufeffA lighthouse\n\n A red bicycle \n")

    assert pictory("generate", "-", *FAST).code == 0
    prompts = [each["prompt"] for each in service.sandbox.submitted]
    assert sorted(prompts) == ["A lighthouse", "A red bicycle"]


def test_no_prompts_on_standard_input_is_misuse(service, pictory, monkeypatch) -> None:
    """Empty input is more likely a mistake than intended."""
    standard_input(monkeypatch, "\n")

    done = pictory("generate", "-")

    assert done.code == 2
    assert "no prompts on standard input" in done.err


def test_without_a_key_it_says_where_to_get_one(pictory, tmp_path) -> None:
    """Nothing is started, least of all a sandbox that was not asked for."""
    done = pictory("generate", "A lighthouse", "-o", str(tmp_path / "new"))

    assert done.code == 2
    assert "PICTORY_API_KEY" in done.err
    assert "https://app.pictory.ai/api-access" in done.err
    assert "--sandbox" in done.err
    assert not (tmp_path / "new").exists()


def test_an_unusable_setting_is_one_line(service, pictory, monkeypatch) -> None:
    """A base URL that would expose the key is refused."""
    monkeypatch.setenv("PICTORY_API_BASE_URL", "http://example.com")

    done = pictory("generate", "A lighthouse")

    assert done.code == 2
    assert done.err.startswith("Error: base_url must be https")
    assert done.err.count("\n") == 1


def test_an_unusable_folder_is_found_before_anything_is_paid(service, pictory) -> None:
    """A folder below a file cannot be made."""
    Path("file").write_text("", encoding="utf-8")

    done = pictory("generate", "A lighthouse", "-o", "file/folder")

    assert done.code == 2
    assert "cannot write to file/folder" in done.err
    assert service.received("submit") == 0


def test_a_wrong_option_concerns_all_prompts(service, pictory) -> None:
    """An invalid URL is misuse; nothing is sent."""
    done = pictory("generate", "A lighthouse", "--reference-image-url", "here")

    assert done.code == 2
    assert "reference_image_url" in done.err
    assert service.received("submit") == 0


def test_an_undocumented_value_is_noted_once(service, pictory) -> None:
    """The service is the judge, and the documented value that is meant is named."""
    done = pictory("generate", "--model=seadream", "A lighthouse", "A cat", *FAST)

    assert done.err.count("note:") == 1
    assert "'seedream3.0'" in done.err
    assert done.code == 1


def test_verbose_shows_what_is_retried(service, pictory) -> None:
    """The log of the library goes to standard error."""
    service.sandbox.add_fault(Fault.answer(500, on="job"))

    done = pictory("generate", "-v", "A lighthouse", *FAST)

    assert done.code == 0
    assert "note: retried: poll of job" in done.err


def test_texts_cannot_harm_a_terminal(service, pictory) -> None:
    """Control characters of prompts and answers are removed; markup is text."""
    service.sandbox.fail_next(message="\x1b]0;evil\x07[red]no[/red]\n\u202egood")

    done = pictory("generate", "A \x1b[31m[bold]cat\r\n", *FAST)

    assert "submitted" in done.out
    assert "A [31m[bold]cat" in done.out
    assert "]0;evil [red]no[/red] good" in done.err
    assert not set("\x1b\x07\r\u202e") & set(done.out + done.err)


def test_the_sandbox_option_needs_no_key(pictory, tmp_path) -> None:
    """It says that the pictures are test pictures."""
    done = pictory("generate", "--sandbox", "A lighthouse", "-o", str(tmp_path))

    assert done.code == 0
    assert "test pictures" in done.err
    assert len(list(tmp_path.glob("*.png"))) == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_refuses_odd_intervals(service, pictory, seconds) -> None:
    """An interval is above 0 seconds and at most a day."""
    assert pictory("generate", "A lighthouse", "--poll-every", seconds).code == 2
    assert service.received("submit") == 0


def test_count_makes_several_images_of_each_prompt(service, pictory) -> None:
    """Each is a request of its own, and its line says which it is."""
    done = pictory("generate", "--count", "3", "A lighthouse", "A cat", *FAST)

    assert done.code == 0
    prompts = [each["prompt"] for each in service.sandbox.submitted]
    assert sorted(prompts) == ["A cat"] * 3 + ["A lighthouse"] * 3
    assert "2/3 A lighthouse" in done.out
    assert "6 images, 12 credits" in done.err


def test_an_invalid_prompt_is_reported_once(service, pictory) -> None:
    """Whatever the count."""
    done = pictory("generate", "--count", "3", "no", "A cat", *FAST)

    assert done.code == 1
    assert done.err.count("failed: no") == 1
    assert "3 images, 6 credits, 1 failed" in done.err


@pytest.mark.parametrize("count", ["0", "101", "many"])
def test_count_has_a_limit(service, pictory, count) -> None:
    """A slip of the finger must not cost a fortune."""
    assert pictory("generate", "--count", count, "A lighthouse").code == 2
    assert service.received("submit") == 0
