"""Many jobs through a service that fails one request in three."""

from __future__ import annotations

import pytest

from benchmarks import chaos


@pytest.mark.parametrize("seed", range(1, 21))
def test_nothing_is_lost_or_paid_twice(seed: int) -> None:
    """Of 200 jobs each gives its image or is told as unknown, after one POST."""
    tally = chaos.run_seed(seed)

    assert tally.lost == 0
    assert tally.most_posts == 1
    assert tally.tasks == 0
    assert tally.faults > 100
    assert tally.completed + tally.unknown + tally.refused == tally.jobs == 200
    assert tally.completed > 100


def test_run_says_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    """The long run prints its figures, and succeeds if nothing was lost."""
    assert chaos.main(["--seeds", "1", "--jobs", "20", "--first", "7"]) == 0
    printed = capsys.readouterr().out
    assert "jobs  20" in printed
    assert "lost  0" in printed


def test_run_fails_if_something_was_lost() -> None:
    """A lost image, a second payment or a task left is not sound."""
    assert chaos.Tally(most_posts=1).sound
    assert not chaos.Tally(most_posts=2).sound
    assert not chaos.Tally(lost=1).sound
    assert not chaos.Tally(tasks=1).sound
