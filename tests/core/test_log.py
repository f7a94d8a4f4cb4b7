"""Log records and their fields, as the documentation of the package promises them."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

import pictory_async
from pictory_async import (
    Adaptive,
    FixedInterval,
    ImageRequest,
    JobFailedError,
    Limits,
    PictoryError,
    PictorySession,
    RetryPolicy,
    SubmissionUnknownError,
)
from pictory_async._core import log as _events
from pictory_async._jobs import scheduler, submit
from pictory_async.sandbox import Fault, Sandbox

PROMPT = "A lighthouse at dawn"
LOGGING = str(pictory_async.__doc__).partition("## Logging\n")[2].partition("\n## ")[0]
FLAGS = re.MULTILINE | re.DOTALL
PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Records(logging.Handler):
    """A handler that keeps all records and compares them with the documentation."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.seen: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, unless it is of the sandbox, which has a logger of its own."""
        if record.name == "pictory_async":
            self.seen.append(record)

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the fields of the records of one event."""
        every = [fields(record) for record in self.seen]
        return [each for each in every if each["pictory_event"] == event]

    def one(self, event: str) -> dict[str, Any]:
        """Return the fields of the only record of an event."""
        [found] = self.of(event)
        return found


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record beside logging's own, converted by JSON."""
    extra = {name: value for name, value in vars(record).items() if name not in PLAIN}
    assert json.loads(json.dumps(extra)) == extra, "not all of JSON's own types"
    return {**extra, "level": record.levelname}


def promised() -> dict[str, tuple[str, set[str]]]:
    """Return the levels and fields of each event, as documented."""
    item = re.compile(r"^- `(\w+)` \(([A-Zor ]+)\):.*?Fields:([^.]+)\.$", FLAGS)
    return {
        event: (levels, {f"pictory_{name}" for name in re.findall(r"`(\w+)`", names)})
        for event, levels, names in item.findall(LOGGING)
    }


@pytest.fixture
def records() -> Iterator[Records]:
    """Record everything, and compare it with the documentation at the end."""
    logger, handler = logging.getLogger("pictory_async"), Records()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)
    for record in handler.seen:
        found = fields(record)
        levels, names = promised()[found["pictory_event"]]
        assert found.pop("level") in levels
        assert set(found) == {"pictory_event", *names}
        assert record.getMessage()


def opened(sandbox: Sandbox, **options: Any) -> PictorySession:
    """Return a session that polls every ten seconds."""
    options = {"polling": FixedInterval(10), **options}
    return PictorySession(sandbox.api_key, base_url=sandbox.base_url, **options)


@pytest.mark.looptime
async def test_a_job_from_its_submission_to_its_end(
    sandbox: Sandbox, records: Records
) -> None:
    """Submitted, polled, polled, completed, closed: in that order, with figures."""
    async with opened(sandbox) as session:
        job = await session.submit(PROMPT, model="flux-schnell")
        await job
    assert [fields(record)["pictory_event"] for record in records.seen] == [
        *("submitted", "polled", "polled", "completed", "closed")
    ]
    submitted = records.one("submitted")
    assert submitted["pictory_job_id"] == job.job_id
    assert submitted["pictory_model"] == "flux-schnell"
    assert 0 <= submitted["pictory_elapsed"] < 10
    first, last = records.of("polled")
    assert (first["pictory_state"], first["pictory_delay"]) == ("in-progress", 10)
    assert (last["pictory_state"], last["pictory_delay"]) == ("completed", None)
    completed = records.one("completed")
    assert completed["pictory_polls"] == 2
    assert completed["pictory_elapsed"] == pytest.approx(20, abs=1)
    assert completed["pictory_credits_used"] == "0.6"
    assert records.one("closed")["pictory_job_ids"] == []


@pytest.mark.looptime
async def test_what_is_tried_again_is_told(sandbox: Sandbox, records: Records) -> None:
    """A retry logs what, why and when; a 429 logs that the session slows down."""
    sandbox.add_fault(
        Fault.answer(429, on="submit", headers={"Retry-After": "3"}),
        Fault.answer(500, on="job"),
    )
    async with opened(sandbox) as session:
        job = await session.submit(PROMPT)
        await job
        assert session.stats.retries == len(records.of("retried"))
    submit, poll = records.of("retried")
    assert submit["pictory_kind"] == "submit"
    assert submit["pictory_error"] == "RateLimitedError"
    assert submit["pictory_status"] == 429
    assert (submit["pictory_delay"], submit["pictory_attempt"]) == (3, 1)
    assert "429" in submit["pictory_reason"]
    assert poll["pictory_kind"] == "poll"
    assert poll["pictory_job_id"] == job.job_id
    assert (poll["pictory_delay"], poll["pictory_status"]) == (10, 500)
    throttled = records.one("throttled")
    assert (throttled["pictory_delay"], throttled["pictory_kind"]) == (3, "submit")
    assert throttled["pictory_rate"] > 0


@pytest.mark.looptime
async def test_a_job_that_fails_and_one_that_is_left(
    sandbox: Sandbox, records: Records
) -> None:
    """Both are warnings: somebody has paid, and has no image."""
    sandbox.fail_next(code="NO_LUCK")
    async with opened(sandbox) as session:
        with pytest.raises(JobFailedError):
            await session.generate(PROMPT)
        left = await session.submit(PROMPT)
    failed = records.one("failed")
    assert failed["level"] == "WARNING"
    assert failed["pictory_error"] == "JobFailedError"
    assert "NO_LUCK" in failed["pictory_reason"]
    assert records.one("closed")["pictory_job_ids"] == [left.job_id]
    assert records.one("closed")["level"] == "WARNING"


async def test_closing_is_told_once(sandbox: Sandbox, records: Records) -> None:
    """A session that is closed twice, or was never opened, logs `closed` once."""
    session = opened(sandbox)
    await session.aclose()
    await session.aclose()
    async with opened(sandbox) as session:
        await session.aclose()
    assert len(records.of("closed")) == 2


@pytest.mark.looptime
async def test_an_unknown_word_and_a_broken_policy(
    sandbox: Sandbox, records: Records
) -> None:
    """Undocumented values and exceptions of a user's code are logged."""

    class Broken:
        def delay(self, **_: object) -> float:
            raise RuntimeError("no idea")

        def ended(self, **_: object) -> None: ...

    async with opened(sandbox, polling=Broken()) as session:
        ImageRequest(PROMPT, model="flux-shnell")
        job = await session.submit(PROMPT)
        sandbox.set_state(job.job_id, "paused")
        await asyncio.sleep(40)
    model, state = records.of("undocumented")
    assert (model["pictory_field"], model["pictory_value"]) == ("model", "flux-shnell")
    assert (state["pictory_field"], state["pictory_value"]) == ("state", "paused")
    assert state["pictory_job_id"] == job.job_id
    [broken] = [r for r in records.seen if fields_event(r) == "broken"]
    assert broken.exc_info
    assert isinstance(broken.exc_info[1], RuntimeError)
    assert broken.__dict__["pictory_job_id"] == job.job_id


def fields_event(record: logging.LogRecord) -> str:
    """Return the event of a record."""
    return record.__dict__["pictory_event"]


async def test_where_it_was_logged_is_where_it_happened(
    sandbox: Sandbox, records: Records
) -> None:
    """A record names the module that reports the event, not `log` itself."""
    async with opened(sandbox) as session:
        await session.submit(PROMPT)
    assert {record.module for record in records.seen} <= {"submit", "jobs"}


@pytest.mark.looptime
async def test_nothing_private_is_in_any_record(
    sandbox: Sandbox, records: Records
) -> None:
    """Not the key, not a whole prompt, no webhook, no query of a URL."""
    prompt = "nobody is to know of this " * 20
    request = ImageRequest(
        prompt,
        reference_image_url="https://example.com/a.png?signature=hush",
        webhook="https://example.com/hook/whoever-knows-this-may-post",
    )
    sandbox.add_fault(
        Fault.answer(429, on="submit"),
        Fault.drop(on="job"),
        Fault.drop(handled=True, on="submit"),
    )
    async with opened(
        sandbox, polling=Adaptive(), limits=Limits(concurrent_requests=1)
    ) as session:
        with pytest.raises(SubmissionUnknownError):
            await session.submit(request)
        await session.generate(request)
        abandoned = asyncio.create_task(session.submit(request))
        sandbox.add_fault(Fault.slow(5, on="submit"))
        await asyncio.sleep(2)
        abandoned.cancel()
        await asyncio.sleep(5)
    assert {"abandoned", "planned", "retried"} <= {
        fields_event(r) for r in records.seen
    }
    for record in records.seen:
        shown = f"{vars(record)} {record.getMessage()}"
        for private in (sandbox.api_key, prompt[:100], "hush", "whoever-knows"):
            assert private not in shown


def test_a_submission_that_was_given_up(records: Records) -> None:
    """Nobody knows whether there is a job, and the log says so as an error."""
    _events.log_abandoned("a request")
    _events.log_abandoned("a request", error=PictoryError("no luck"))
    _events.log_abandoned("a request", job_id="a")
    levels = [each["level"] for each in records.of("abandoned")]
    assert levels == ["ERROR", "ERROR", "WARNING"]


def test_what_a_journal_lost(records: Records) -> None:
    """An id that is not on disk is in the log."""
    _events.log_lost("too late for the journal: job %s", "a", job_id="a")
    assert records.one("lost")["pictory_job_id"] == "a"


async def test_nothing_is_built_that_nobody_reads(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a level is disabled, a job makes no record and no text for one."""
    caplog.set_level(logging.ERROR, "pictory_async")
    monkeypatch.setattr(logging.Logger, "log", None)
    for name in ("log_submitted", "log_polled", "log_completed"):
        for module in (scheduler, submit):
            monkeypatch.setattr(module, name, None, raising=False)
    async with opened(sandbox) as session:
        await session.generate(PROMPT)
    assert not caplog.records


async def test_every_retry_of_a_request_counts_its_attempts(
    sandbox: Sandbox, records: Records
) -> None:
    """The attempts of one request go up."""
    sandbox.add_fault(Fault.answer(500, on="images", times=3))
    async with opened(sandbox, retries=RetryPolicy(first=0)) as session:
        assert [image async for image in session.history()] == []
    assert [each["pictory_attempt"] for each in records.of("retried")] == [1, 2, 3]
    assert {each["pictory_kind"] for each in records.of("retried")} == {"page"}
