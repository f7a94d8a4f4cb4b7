"""Many jobs through a service that fails one request in three."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.promises import chaos


def figures(printed: str) -> dict[str, int]:
    """Return the figures that a run printed."""
    rows = (line.split() for line in printed.splitlines())
    return {name: int(value.replace(",", "")) for name, value in rows}


@pytest.mark.timeout(240)
def test_nothing_is_lost_or_paid_twice_in_twenty_seeds() -> None:
    """Each of 200 jobs a seed gives its image or an error that says what is known.

    In processes of its own, which nobody traces: it is much work.
    """
    command = [sys.executable, "-m", "tests.promises.chaos", "--seeds", "20"]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = figures(done.stdout)
    assert found["lost"] == found["tasks"] == 0
    assert found["most_posts"] == 1
    assert found["faults"] > 2000
    ends = found["completed"] + found["unknown"] + found["refused"]
    assert ends == found["jobs"] == 4000
    assert found["completed"] > 2000


@pytest.mark.parametrize("seed", [1, 2])
def test_outcomes_of_a_seed_add_up(seed: int) -> None:
    """Every job has one outcome, and something went wrong."""
    tally = chaos.run_seed(seed, jobs=40)

    assert tally.sound
    assert tally.completed + tally.unknown + tally.refused == tally.jobs == 40
    assert tally.faults > 10


def test_run_says_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    """The long run prints its figures, and succeeds if nothing was lost."""
    assert chaos.main(["--seeds", "1", "--jobs", "20", "--first", "7"]) == 0
    found = figures(capsys.readouterr().out)
    assert found["jobs"] == 20
    assert found["lost"] == 0


def test_run_fails_if_something_was_lost() -> None:
    """A lost image, a second payment or a task left is not sound."""
    assert chaos.Tally(most_posts=1).sound
    assert not chaos.Tally(most_posts=2).sound
    assert not chaos.Tally(lost=1).sound
    assert not chaos.Tally(tasks=1).sound
