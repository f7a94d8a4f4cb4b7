"""Batches with a journal: interrupted anywhere, they resume and pay once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pictory_async import (
    BatchOutcome,
    BudgetExceededError,
    DownloadError,
    FixedInterval,
    ImageRequest,
    JobFailedError,
    JobTimeoutError,
    JournalError,
    JournalMismatchError,
    PictorySession,
    SessionClosedError,
    SubmissionUnknownError,
)
from pictory_async._batch import journal as journal_module
from pictory_async._batch.journal_file import JournalFile
from pictory_async._batch.records import Record, fingerprint
from pictory_async.sandbox import Fault, Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A service that is quick: these tests wait for a real disk, in real time."""
    async with Sandbox(duration=0.01, pictures=False) as running:
        yield running


def connect(sandbox: Sandbox, **settings: Any) -> PictorySession:
    """Return a session that polls quickly."""
    settings = {"polling": FixedInterval(0.01)} | settings
    return PictorySession(sandbox.api_key, base_url=sandbox.base_url, **settings)


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[PictorySession]:
    """Such a session."""
    async with connect(sandbox) as opened:
        yield opened


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "run.sqlite"


def prompts(n: int) -> list[str]:
    """Return *n* prompts."""
    return [f"Picture number {number}" for number in range(n)]


def posts(sandbox: Sandbox) -> int:
    """Return how many POSTs arrived."""
    return sum(request.kind == "submit" for request in sandbox.requests)


def rows(journal: Path) -> list[tuple[Any, ...]]:
    """Return what is in the journal, while no batch has it."""
    with closing(sqlite3.connect(journal)) as database:
        query = "SELECT position, job_id, outcome FROM prompts ORDER BY position"
        return database.execute(query).fetchall()


def change(journal: Path, statement: str) -> None:
    """Change the file behind the journal's back."""
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute(statement)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the service shows, which has no event for it."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def run(
    session: PictorySession, requests: Iterable[Any], journal: Path, **options: Any
) -> list[BatchOutcome]:
    """Run a batch to its end; return the outcomes in order."""
    return await session.generate_many(requests, journal=journal, **options).results()


async def test_what_is_done_is_given_again_without_a_request(
    session: PictorySession,
    sandbox: Sandbox,
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Equal, but not the same object; appended prompts are sent."""
    monkeypatch.setattr(journal_module, "CHUNK", 16)  # read in several pieces
    sandbox.fail_next()
    first = await run(session, prompts(60), journal)
    seen = len(sandbox.requests)
    batch = session.generate_many(prompts(60), journal=journal)
    again = await batch.results()
    assert len(sandbox.requests) == seen
    assert [o.image for o in again] == [o.image for o in first]
    assert [o.job_id for o in again] == [o.job_id for o in first]
    errors = [o.error for o in again if o.error]
    assert [type(error) for error in errors] == [JobFailedError]
    assert [vars(error) for error in errors] == [
        vars(o.error) for o in first if o.error
    ]
    assert batch.progress.submitted == 60
    assert batch.progress.credits_used == sandbox.credits_used == 118
    more = await run(session, iter(prompts(62)), journal)
    assert [o.error is None for o in more[-2:]] == [True, True]
    assert posts(sandbox) == 62


async def test_jobs_in_flight_are_followed_on(sandbox: Sandbox, journal: Path) -> None:
    """A session that was closed in the middle loses no job."""
    sandbox.hold()
    async with connect(sandbox) as session:
        task = asyncio.create_task(run(session, prompts(5), journal))
        await until(lambda: len(session.jobs) == 5)
    with pytest.raises(SessionClosedError):
        await task
    sandbox.release()
    async with connect(sandbox) as session:
        outcomes = await run(session, prompts(5), journal)
    assert [o.job_id for o in outcomes] == [job_id for _, job_id, _ in rows(journal)]
    assert all(o.unwrap().request == o.request for o in outcomes)
    assert posts(sandbox) == 5


@pytest.mark.parametrize("known", [True, False])
async def test_an_edited_list_is_noticed(
    session: PictorySession, sandbox: Sandbox, journal: Path, known: bool
) -> None:
    """At its first difference: before anything is sent if it is known in full."""
    await run(session, prompts(4), journal)
    edited = [*prompts(2), "Another picture", *prompts(10)[3:]]
    batch = session.generate_many(edited if known else iter(edited), journal=journal)
    outcomes: list[BatchOutcome] = []
    with pytest.raises(JournalMismatchError) as caught:
        async for outcome in batch:
            outcomes.append(outcome)  # noqa: PERF401 - what came is kept on an error
    assert caught.value.index == 2
    assert caught.value.path == str(journal)
    assert len(outcomes) == (0 if known else 2)
    assert posts(sandbox) == 4


@pytest.mark.parametrize("known", [True, False])
async def test_a_list_that_became_shorter_is_noticed(
    session: PictorySession, sandbox: Sandbox, journal: Path, known: bool
) -> None:
    """The recorded prompt that is missing is the difference."""
    await run(session, prompts(4), journal)
    with pytest.raises(JournalMismatchError, match="missing") as caught:
        await run(session, prompts(3) if known else iter(prompts(3)), journal)
    assert caught.value.index == 3


async def test_other_options_are_other_prompts(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """All but the webhook."""
    await run(session, prompts(1), journal, webhook="http://127.0.0.1:9/a")
    await run(session, prompts(1), journal, webhook="http://127.0.0.1:9/b")
    with pytest.raises(JournalMismatchError):
        await run(session, prompts(1), journal, model="flux-schnell")
    with pytest.raises(JournalMismatchError):
        await run(session, ["x"], journal)  # a prompt that cannot be asked for
    with pytest.raises(JournalMismatchError):
        odd = ImageRequest(prompts(1)[0], extra={"seed": object()})
        await run(session, iter([odd]), journal)
    assert posts(sandbox) == 1


async def test_what_created_nothing_is_tried_again(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """Refused, over the ceiling, not a valid prompt; and each may be changed."""
    sandbox.add_fault(Fault.answer(400, on="submit"))
    first = await run(
        session, [*prompts(3), "x"], journal, max_in_flight=1, max_credits=2
    )
    kinds = [type(o.error).__name__ for o in first]
    assert kinds == [
        "BadRequestError",
        "NoneType",
        "BudgetExceededError",
        "InvalidRequestError",
    ]
    assert [position for position, _, _ in rows(journal)] == [1]
    changed = ["Another picture", prompts(2)[1], *prompts(3)[2:], "Long enough"]
    again = await run(session, changed, journal)
    assert all(o.error is None for o in again)
    assert again[1].job_id == first[1].job_id
    assert len(sandbox.submitted) == 4


async def test_a_job_that_timed_out_is_waited_for_again(
    sandbox: Sandbox, journal: Path
) -> None:
    """It was paid for, and may be there by now."""
    sandbox.hold()
    async with connect(sandbox, job_timeout=0.05) as session:
        (outcome,) = await run(session, prompts(1), journal)
    assert isinstance(outcome.error, JobTimeoutError)
    sandbox.release()
    async with connect(sandbox) as session:
        (outcome,) = await run(session, prompts(1), journal)
    assert outcome.unwrap().job_id == next(iter(sandbox.jobs))
    assert posts(sandbox) == 1


async def test_credits_of_earlier_runs_count(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """The ceiling is for the whole batch, however often it is interrupted."""
    sandbox.add_fault(Fault.drop(on="submit", handled=True))
    await run(session, prompts(3), journal, max_in_flight=1)  # 2 unknown, 4 used
    batch = session.generate_many(prompts(6), journal=journal, max_credits=9)
    outcomes = await batch.results()
    assert [type(o.error).__name__ for o in outcomes] == [
        "SubmissionUnknownError",
        "NoneType",
        "NoneType",
        "NoneType",
        "BudgetExceededError",
        "BudgetExceededError",
    ]
    error = outcomes[4].error
    assert isinstance(error, BudgetExceededError)
    assert error.reserved == 8
    assert (batch.progress.credits_used, batch.progress.credits_reserved) == (6, 2)


# --- unknown --------------------------------------------------------------------------


async def lose_the_answer(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> SubmissionUnknownError:
    """Run two prompts, the first of which is unknown; return its error."""
    sandbox.add_fault(Fault.drop(on="submit", handled=True))
    outcome, other = await run(session, ["A red fox"] * 2, journal, max_in_flight=1)
    assert other.error is None
    assert isinstance(outcome.error, SubmissionUnknownError)
    await until(lambda: len(sandbox.images) == 2)
    return outcome.error


async def test_unknown_is_reported_and_nothing_is_sent(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """With all that `reconcile` needs to look for it."""
    error = await lose_the_answer(session, sandbox, journal)
    batch = session.generate_many(["A red fox"] * 2, journal=journal)
    outcome, _ = await batch.results()
    assert isinstance(outcome.error, SubmissionUnknownError)
    assert outcome.error.request == ImageRequest("A red fox")
    assert outcome.job_id is None
    assert error.started_at and outcome.error.started_at  # noqa: PT018 - for mypy
    assert error.ended_at and outcome.error.ended_at  # noqa: PT018
    assert abs(outcome.error.started_at - error.started_at) < timedelta(seconds=1)
    assert abs(outcome.error.ended_at - error.ended_at) < timedelta(seconds=1)
    assert posts(sandbox) == 2
    assert batch.progress.unknown == 1
    assert await session.reconcile(outcome.error) is not None


async def test_unknown_is_found_in_the_history(
    sandbox: Sandbox, session: PictorySession, journal: Path
) -> None:
    """Also by another session, and never the image of another prompt of the batch."""
    await lose_the_answer(session, sandbox, journal)
    async with connect(sandbox) as another:
        outcome, other = await run(
            another, ["A red fox"] * 2, journal, on_unknown="reconcile"
        )
        image = outcome.unwrap()
        assert image.url != other.unwrap().url
        assert Path(image.url).stem in {made.id for made in sandbox.images}
        assert (image.job_id, outcome.job_id) == ("", None)
        seen = len(sandbox.requests)
        again = await run(another, ["A red fox"] * 2, journal)
        assert again[0].unwrap().url == image.url
        assert len(sandbox.requests) == seen
    assert posts(sandbox) == 2


async def test_unknown_that_is_not_found_is_reported(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """The image of another prompt is not taken, and no error is swallowed."""
    sandbox.add_fault(Fault.drop(on="submit"))  # nothing was created
    await run(session, ["A red fox"] * 2, journal, max_in_flight=1)
    async with connect(sandbox) as another:
        outcome, _ = await run(
            another, ["A red fox"] * 2, journal, on_unknown="reconcile"
        )
        assert isinstance(outcome.error, SubmissionUnknownError)
        sandbox.add_fault(Fault.answer(403, on="images"))
        outcome, _ = await run(
            another, ["A red fox"] * 2, journal, on_unknown="reconcile"
        )
    assert isinstance(outcome.error, SubmissionUnknownError)
    assert "403" in str(outcome.error.cause)


async def test_reconciling_leaves_the_image_of_a_job_in_flight(
    sandbox: Sandbox, journal: Path
) -> None:
    """The second prompt's job has made it, but this session has not polled it yet."""
    sandbox.hold()
    sandbox.add_fault(Fault.drop(on="submit"))  # the first one created nothing
    async with connect(sandbox) as session:
        task = asyncio.create_task(
            run(session, ["A red fox"] * 2, journal, max_in_flight=2)
        )
        await until(lambda: session.jobs)
    with suppress(SessionClosedError):
        await task
    sandbox.release()
    unknown = [job_id is None for _, job_id, _ in rows(journal)]
    assert sorted(unknown) == [False, True]
    async with connect(sandbox) as another:
        outcomes = await run(
            another, ["A red fox"] * 2, journal, on_unknown="reconcile"
        )
    assert [o.error is None for o in outcomes] == [not lost for lost in unknown]


async def test_unknown_can_be_paid_again(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """On request; both payments count against a ceiling."""
    await lose_the_answer(session, sandbox, journal)
    options: dict[str, Any] = {"on_unknown": "resubmit", "max_credits": 5}
    (outcome, _) = await run(session, ["A red fox"] * 2, journal, **options)
    assert isinstance(outcome.error, BudgetExceededError)
    sandbox.add_fault(Fault.answer(400, on="submit"))
    options["max_credits"] = 6
    (outcome, _) = await run(session, ["A red fox"] * 2, journal, **options)
    assert type(outcome.error).__name__ == "BadRequestError"
    (outcome, _) = await run(session, ["A red fox"] * 2, journal)
    assert isinstance(outcome.error, SubmissionUnknownError)  # it still is
    batch = session.generate_many(["A red fox"] * 2, journal=journal, **options)
    (outcome, _) = await batch.results()
    assert outcome.unwrap().job_id in sandbox.jobs
    assert batch.progress.credits_used + batch.progress.credits_reserved == 6
    assert len(sandbox.submitted) == 3
    batch = session.generate_many(["A red fox"] * 2, journal=journal)
    await batch.results()
    assert batch.progress.credits_used == 6


async def test_an_intent_of_a_killed_run_ends_when_its_post_must_have(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """Its end was not recorded: attempts, their time-outs and throttling bound it."""
    request = ImageRequest("A red fox")
    long_ago = datetime.now(UTC) - timedelta(days=2)
    just_now = datetime.now(UTC) - timedelta(seconds=1)
    intents = [
        Record(
            index=index,
            fingerprint=fingerprint(request),
            started_at=began,
            credits=Decimal(2),
        )
        for index, began in enumerate((long_ago, just_now))
    ]

    def leave() -> None:
        file = JournalFile(journal)
        file.open()
        file.write([intent.row() for intent in intents], [])
        file.close()

    await asyncio.to_thread(leave)
    old, new = await run(session, [request] * 2, journal)
    for outcome, began in ((old, long_ago), (new, just_now)):
        assert isinstance(outcome.error, SubmissionUnknownError)
        assert outcome.error.started_at == began
    assert isinstance(old.error, SubmissionUnknownError)
    assert old.error.ended_at == long_ago + timedelta(seconds=5 * (30 + 20) + 300)
    assert isinstance(new.error, SubmissionUnknownError)
    assert new.error.ended_at
    assert new.error.ended_at <= datetime.now(UTC)
    assert posts(sandbox) == 0


async def test_an_image_that_was_found_is_saved_as_well(
    session: PictorySession, sandbox: Sandbox, journal: Path, tmp_path: Path
) -> None:
    """It has no job to be polled for a fresh URL, nor to name the file by."""
    (tmp_path / "000000.png").write_text(
        "mine"
    )  # also another batch could have made it
    sandbox.add_fault(Fault.drop(on="submit", handled=True))
    await run(session, prompts(1), journal)
    await until(lambda: sandbox.images)
    sandbox.add_fault(Fault.answer(403, on="file"))
    for error in (DownloadError, type(None)):
        (outcome,) = await run(
            session, prompts(1), journal, save_to=tmp_path, on_unknown="reconcile"
        )
        assert outcome.image is not None
        assert type(outcome.error) is error
    assert outcome.image is not None
    assert outcome.path == tmp_path / f"000000-{outcome.image.extra['id']}.png"
    assert (tmp_path / "000000.png").read_text() == "mine"
    assert len(sandbox.submitted) == 1


# --- cancelled ------------------------------------------------------------------------


async def test_the_id_of_a_cancelled_post_reaches_the_journal(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """Leaving waits for what is on the wire, so that it is not unknown."""
    sandbox.hold()
    sandbox.add_fault(Fault.slow(0.2, on="submit", times=None))
    batch = session.generate_many(prompts(9), journal=journal, max_in_flight=3)
    task = asyncio.create_task(anext(aiter(batch)))
    await until(lambda: posts(sandbox) == 3)
    await batch.aclose()
    with pytest.raises(StopAsyncIteration):
        await task
    assert [job_id for _, job_id, _ in rows(journal)] == list(sandbox.jobs)
    assert len(sandbox.jobs) == 3


async def test_cancelled_at_any_step_nothing_is_unknown(
    sandbox: Sandbox, journal: Path
) -> None:
    """An intent whose POST has not gone out is taken back."""
    sandbox.hold()
    async with connect(sandbox) as session:
        for steps in range(60):
            batch = session.generate_many(prompts(3), journal=journal)
            iterator = aiter(batch)
            task = asyncio.ensure_future(anext(iterator))
            for _ in range(steps):
                await asyncio.sleep(0)
            await batch.aclose()
            await asyncio.gather(task, return_exceptions=True)
            if steps % 10 == 9:
                assert all(job_id for _, job_id, _ in rows(journal))
    recorded = [job_id for _, job_id, _ in rows(journal)]
    assert None not in recorded
    assert set(recorded) == set(sandbox.jobs)


async def test_a_batch_that_was_left_can_be_begun_again_at_once(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """The next one on the same journal waits until the last one has closed it."""
    async for _ in session.generate_many(prompts(20), journal=journal):
        break
    outcomes = await run(session, prompts(20), journal)
    assert all(o.error is None for o in outcomes)
    assert len(sandbox.submitted) == 20


async def test_left_twice_it_can_be_begun_again_at_once(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """Left while it still waits for the one before: the third waits as well."""
    sandbox.add_fault(Fault.slow(0.2, on="submit"))  # keeps the first one closing
    first = asyncio.create_task(run(session, prompts(20), journal))
    await until(lambda: posts(sandbox))
    first.cancel()
    await asyncio.sleep(0)
    second = asyncio.create_task(run(session, prompts(20), journal))
    await asyncio.sleep(0.01)
    second.cancel()
    outcomes = await run(session, prompts(20), journal)
    assert all(o.error is None for o in outcomes)
    assert len(sandbox.submitted) == 20
    await asyncio.wait([first, second])


async def test_left_in_one_session_it_can_be_begun_again_in_another(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """A journal that is closing belongs to the loop, not to the session."""
    sandbox.add_fault(Fault.slow(0.2, on="submit"))  # keeps the first one closing
    first = asyncio.create_task(run(session, prompts(20), journal))
    await until(lambda: posts(sandbox))
    first.cancel()
    await asyncio.sleep(0)
    async with connect(sandbox) as another:
        outcomes = await run(another, prompts(20), journal)
    assert all(o.error is None for o in outcomes)
    assert len(sandbox.submitted) == 20
    await asyncio.wait([first])


async def test_a_session_closed_during_a_commit_sends_nothing(
    sandbox: Sandbox, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intents are taken back: nothing is unknown, and no credits are kept."""
    commit = journal_module.Journal.commit
    session = connect(sandbox)
    closing: list[asyncio.Task[None]] = []

    async def commit_late(self: journal_module.Journal, record: Record) -> None:
        await commit(self, record)
        if not closing:
            closing.append(asyncio.create_task(session.aclose()))
            await asyncio.sleep(0)

    monkeypatch.setattr(journal_module.Journal, "commit", commit_late)
    batch = session.generate_many(prompts(3), journal=journal, max_in_flight=1)
    with pytest.raises(SessionClosedError):
        await batch.results()
    await asyncio.wait(closing)
    assert posts(sandbox) == 0
    assert rows(journal) == []
    assert batch.progress.credits_reserved == 0


async def test_two_batches_on_one_journal(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """The second is refused before anything is sent; the first goes on."""
    iterator = aiter(session.generate_many(prompts(20), journal=journal))
    await anext(iterator)
    async with connect(sandbox) as another:
        with pytest.raises(JournalError, match="in use"):
            await run(another, ["Another picture"], journal)
    assert len([o async for o in iterator]) == 19
    assert len(sandbox.submitted) == 20


# --- the file -------------------------------------------------------------------------


async def test_the_file_holds_no_secret(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """No key, no prompt, no answer's body."""
    secret = "the page of a firewall"
    sandbox.add_fault(Fault.answer(502, on="submit", body=secret))
    sandbox.fail_next(message="y" * 5000)
    await run(session, prompts(6), journal)
    content = b"".join(p.read_bytes() for p in journal.parent.iterdir())
    assert len(content) > 4096
    for text in (sandbox.api_key, "Picture number", secret, "y" * 200):
        assert text.encode() not in content


async def test_a_disk_that_fails_later_stops_the_sending(
    sandbox: Sandbox, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready outcomes are given first, then the error; with room again none is lost."""
    write, full = JournalFile.write, [False]

    def write_if_there_is_room(file: JournalFile, *rows: Any) -> None:
        if full[0]:
            raise JournalError(path=str(journal), reason="the disk is full")
        write(file, *rows)

    monkeypatch.setattr(JournalFile, "write", write_if_there_is_room)
    outcomes: list[BatchOutcome] = []
    async with connect(sandbox) as session:
        with pytest.raises(JournalError, match="full"):
            async for outcome in session.generate_many(
                prompts(100), journal=journal, max_in_flight=5
            ):
                outcomes.append(outcome)
                full[0] = len(outcomes) >= 10
        sent = posts(sandbox)
        assert len(outcomes) <= sent < 30
        await asyncio.sleep(0.1)
        assert posts(sandbox) == sent
    full[0] = False
    async with connect(sandbox) as session:
        again = await run(session, prompts(100), journal)
    given = {o.index: o.unwrap().url for o in outcomes}
    kept = {o.index: o.unwrap().url for o in again if o.error is None}
    unknown = [o.index for o in again if o.error is not None]
    assert all(isinstance(again[i].error, SubmissionUnknownError) for i in unknown)
    assert len(unknown) <= 5  # were on the wire when the disk was full
    assert all(kept[i] == url for i, url in given.items() if i in kept)
    names = [body["prompt"] for body in sandbox.submitted]
    assert len(names) == len(set(names)) <= 100


async def test_room_at_the_end_is_enough(
    session: PictorySession,
    sandbox: Sandbox,
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Records that could not be written are tried once more as the batch ends."""
    write, failures = JournalFile.write, [0]

    def fail_once(file: JournalFile, *rows: Any) -> None:
        if len(sandbox.jobs) == 2 and not failures[0]:
            failures[0] += 1
            raise JournalError(path=str(journal), reason="the disk is full")
        write(file, *rows)

    monkeypatch.setattr(JournalFile, "write", fail_once)
    with pytest.raises(JournalError):
        await run(session, prompts(2), journal)
    assert [job_id for _, job_id, _ in rows(journal)] == list(sandbox.jobs)


async def test_damage_in_an_outcome_is_an_error(
    session: PictorySession, sandbox: Sandbox, journal: Path
) -> None:
    """A value that cannot be read is not taken for an image."""
    await run(session, prompts(2), journal)
    change(journal, "UPDATE prompts SET outcome = '{}' WHERE position = 1")
    with pytest.raises(JournalError, match="damaged"):
        await run(session, prompts(2), journal)
    change(journal, "UPDATE prompts SET started_at = 'x' WHERE position = 1")
    with pytest.raises(JournalError, match="damaged"):
        await run(session, iter(prompts(2)), journal)
    assert posts(sandbox) == 2


async def test_a_journal_that_cannot_be_opened_sends_nothing(
    session: PictorySession, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The error comes from the first step."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 100)
    with pytest.raises(JournalError) as caught:
        await run(session, prompts(2), path)
    assert caught.value.path == str(path)
    assert sandbox.requests == []
