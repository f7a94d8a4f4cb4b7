"""The pace of a batch."""

from __future__ import annotations

import pytest

from pictory_async.cli._batch.rate import Rate, duration


def test_is_that_of_the_last_minute() -> None:
    """A faster pace before that is forgotten."""
    rate = Rate(100.0)
    assert rate.per_second(100.0) is None
    for second in range(101, 131):
        for _ in range(4):
            rate.add(second)
        early = rate.per_second(second)
    for second in range(131, 331):
        rate.add(second)
        late = rate.per_second(second)

    assert early == 4
    assert late == pytest.approx(1, rel=0.05)


def test_outcomes_from_a_journal_do_not_count() -> None:
    """The burst at the start of a resumed run is left out."""
    rate = Rate(0.0, resumed=True)
    for number in range(1000):
        rate.add(number / 1000)
    assert rate.per_second(1.0) is None

    for second in range(2, 12):
        rate.add(second)

    assert rate.per_second(11) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (750, "12:30"), (11_100, "3:05:00")],
)
def test_durations_are_written_as_people_do(seconds, text) -> None:
    """Hours are shown only if there are any."""
    assert duration(seconds) == text
