"""Jobs and credits, with time passed in by hand."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from pictory_async.sandbox._state import Failure, Job, Studio

REQUEST = {"prompt": "A red bicycle"}
BROKEN = Failure("BROKEN", "It broke")


class Account(Studio):
    """A studio that records its callbacks."""

    def __init__(self, **options: Any) -> None:
        self.accepted: list[Job] = []
        self.ended: list[Job] = []
        plain = {"seed": 1, "duration": 10.0, "balance": None}
        super().__init__(
            **{**plain, **options},
            on_submit=self.accepted.append,
            on_end=self.ended.append,
        )


def test_job_ends_when_due() -> None:
    """A job is in progress until it is due; then its image is in the history."""
    account = Account()
    job = account.submit(REQUEST, 5.0)
    account.advance(14.9)
    assert (job.state, list(account.history)) == ("in-progress", [])
    account.advance(40.0)
    assert (job.state, job.ended_at) == ("completed", 15.0)
    assert [image.id for image in account.history] == [job.image_id]
    assert (account.accepted, account.ended) == ([job], [job])


def test_rounding_does_not_delay() -> None:
    """A job is done after its duration, however floats are rounded."""
    account = Account(duration=0.1)
    job = account.submit(REQUEST, 0.2)
    account.advance(0.3)
    assert job.due_at > 0.3
    assert job.state == "completed"


def test_jobs_end_in_the_order_of_their_times() -> None:
    """A short job overtakes a long one submitted before it."""
    account = Account(duration=lambda request: request["seconds"])
    slow = account.submit({**REQUEST, "seconds": 20.0}, 0.0)
    quick = account.submit({**REQUEST, "seconds": 1.0}, 5.0)
    account.advance(100.0)
    assert account.ended == [quick, slow]
    assert [image.created_at for image in account.history] == [20.0, 6.0]


def test_seed_repeats_everything() -> None:
    """Equal seeds give equal ids and durations; without one they differ."""

    def run(seed: int | None) -> list[tuple[str, str, float]]:
        account = Account(seed=seed, duration=(1.0, 2.0))
        jobs = [account.submit(REQUEST, 0.0) for _ in range(3)]
        return [(job.job_id, job.image_id, job.due_at) for job in jobs]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert run(None) != run(None)
    assert all(1 <= due_at <= 2 for _, _, due_at in run(None))


def test_ids_look_like_uuids() -> None:
    """Job and image have different ids, both random UUIDs of version 4."""
    job = Account().submit(REQUEST, 0.0)
    assert job.job_id != job.image_id
    assert uuid.UUID(job.job_id).version == uuid.UUID(job.image_id).version == 4


def test_planned_failures() -> None:
    """The next jobs fail as planned, and the one after them does not."""
    account = Account(duration=0.0)
    account.fail_next(2, BROKEN)
    jobs = [account.submit(REQUEST, 0.0) for _ in range(3)]
    account.advance(0.0)
    assert [job.state for job in jobs] == ["failed", "failed", "completed"]
    assert jobs[0].failure == BROKEN
    assert len(list(account.history)) == 1


def test_hold_and_release() -> None:
    """Held jobs that were due end at the release, the others when they are due."""
    account = Account()
    before = account.submit(REQUEST, 0.0)
    account.hold(10.0)
    early, late = account.submit(REQUEST, 10.0), account.submit(REQUEST, 25.0)
    account.advance(29.0)
    assert (before.state, early.state) == ("completed", "in-progress")
    account.release(30.0)
    account.release(31.0)
    account.advance(50.0)
    assert (early.ended_at, late.ended_at) == (30.0, 35.0)


def test_finish_is_idempotent() -> None:
    """A job ended by hand ends only once."""
    account = Account()
    job = account.submit(REQUEST, 0.0)
    account.finish(job, 3.0)
    account.finish(job, 4.0)
    account.advance(100.0)
    assert job.ended_at == 3.0
    assert account.ended == [job]
    assert account.credits_used == 2


def test_fail_by_hand() -> None:
    """A job failed by hand costs nothing, and cannot fail twice."""
    account = Account(balance=Decimal(10))
    job = account.submit(REQUEST, 0.0)
    account.fail(job, 1.0, BROKEN)
    assert (job.state, account.credits_left) == ("failed", Decimal(10))
    with pytest.raises(ValueError, match="already"):
        account.fail(job, 2.0, BROKEN)


def test_clean() -> None:
    """A cleaned job keeps the time of its end, or ends then, and frees its credits."""
    account = Account(balance=Decimal(10))
    done, running = account.submit(REQUEST, 0.0), account.submit(REQUEST, 8.0)
    account.advance(10.0)
    account.clean(done, 12.0)
    account.clean(running, 12.0)
    account.advance(100.0)
    assert {done.state, running.state} == {"cleaned"}
    assert (done.ended_at, running.ended_at) == (10.0, 12.0)
    assert account.credits_left == 8
    assert len(list(account.history)) == 1


def test_odd_state() -> None:
    """A job in an undocumented state stays in it until ended by hand."""
    account = Account()
    job = account.submit(REQUEST, 0.0)
    account.set_state(job, "paused")
    account.advance(100.0)
    assert job.state == "paused"
    account.finish(job, 101.0)
    assert job.state == "completed"


@pytest.mark.parametrize("word", ["completed", "failed", "cleaned"])
def test_final_states_are_not_set(word: str) -> None:
    """Final states are reached by their own methods."""
    account = Account()
    with pytest.raises(ValueError, match="finish"):
        account.set_state(account.submit(REQUEST, 0.0), word)


def test_ended_job_stays_ended() -> None:
    """A completed job cannot be put in another state."""
    account = Account()
    job = account.submit(REQUEST, 0.0)
    account.finish(job, 1.0)
    with pytest.raises(ValueError, match="ended"):
        account.set_state(job, "paused")


def test_credits_are_reserved_and_settled() -> None:
    """A job in progress reserves its price; a failed one releases it."""
    account = Account(balance=Decimal(5))
    flux: Mapping[str, Any] = {**REQUEST, "model": "flux-schnell"}
    account.fail_next(1, BROKEN)
    account.submit(REQUEST, 0.0)
    account.submit(flux, 0.0)
    assert account.credits_left == Decimal("4.4")
    assert account.affords({**REQUEST, "model": "nanobanana"})
    assert not account.affords({**REQUEST, "model": "nanobanana-pro"})
    account.advance(10.0)
    assert account.credits_used == Decimal("0.6")
    assert account.credits_left == Decimal("4.4")


def test_no_balance_is_no_limit() -> None:
    """Without a balance everything can be paid for."""
    account = Account()
    assert account.credits_left is None
    assert account.affords({**REQUEST, "model": "nanobanana-pro"})


def test_image_from_elsewhere() -> None:
    """An image that no job made can be added to the history."""
    account = Account()
    image = account.add_image({**REQUEST, "model": "nanobanana"}, 3.0)
    assert list(account.history) == [image]
    assert (image.job_id, image.created_at, image.width) == (None, 3.0, 1024)


def test_a_share_of_jobs_fails() -> None:
    """They cost nothing; planned failures are not counted, ids are as without."""
    account, without = Account(failure_rate=0.25), Account()
    account.fail_next(1, BROKEN)
    jobs = [account.submit(REQUEST, 0.0) for _ in range(401)]
    ids = [without.submit(REQUEST, 0.0).job_id for _ in range(401)]
    account.advance(10.0)

    assert jobs[0].failure == BROKEN
    failed = sum(job.state == "failed" for job in jobs[1:])
    assert 80 <= failed <= 120
    assert account.credits_used == 2 * (400 - failed)
    assert [job.job_id for job in jobs] == ids


@pytest.mark.parametrize(("rate", "state"), [(0.0, "completed"), (1.0, "failed")])
def test_the_ends_of_the_failure_rate_are_exact(rate, state) -> None:
    """None fails, or all do."""
    account = Account(failure_rate=rate)
    jobs = [account.submit(REQUEST, 0.0) for _ in range(100)]
    account.advance(10.0)

    assert {job.state for job in jobs} == {state}
