"""Arguments are refused before anything is sent, by the name the user knows."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from pictory_async._core.arguments import (
    checked_job_id,
    checked_limit,
    checked_since,
    checked_start,
    checked_timeout,
)
from pictory_async._core.errors import InvalidRequestError

MOMENT = datetime(2026, 4, 4, 6, tzinfo=UTC)
ELSEWHERE = datetime(2026, 4, 4, 6, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checked_job_id, "4d82d040-4394-4371-867d-72ae1dd62b6d"),
        (checked_job_id, "20260409185104635ec00b33280fc451f"),
        (checked_job_id, "a/../b c.é"),
        (checked_timeout, None),
        (checked_timeout, 0),
        (checked_timeout, 0.0),
        (checked_timeout, 1e9),
        (checked_since, None),
        (checked_since, MOMENT),
        (checked_since, ELSEWHERE),
        (checked_limit, None),
        (checked_limit, 0),
        (checked_limit, 10**9),
        (checked_start, None),
        (checked_start, "eyJw=="),
    ],
)
def test_what_is_allowed_is_returned(check: Callable[[Any], Any], value: Any) -> None:
    """A usable value comes back as it is."""
    assert check(value) is value


@pytest.mark.parametrize(
    ("check", "field", "value"),
    [
        *(
            (checked_job_id, "job_id", bad)
            for bad in (
                None,
                7,
                b"j1",
                "",
                "  ",
                ".",
                "..",
                ". .",
                "a\nb",
                "a\x00",
                "a\u200b",
                "a\ud800",
            )
        ),
        *(
            (checked_timeout, "timeout", bad)
            for bad in (-1, -0.5, math.inf, -math.inf, math.nan, True, "5", [])
        ),
        *(
            (checked_since, "since", bad)
            for bad in (datetime(2026, 4, 4), date(2026, 4, 4), "2026-04-04", 0)  # noqa: DTZ001
        ),
        *((checked_limit, "limit", bad) for bad in (-1, 1.0, True, "5")),
        *((checked_start, "start", bad) for bad in ("", 5, b"eyJw")),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(
    check: Callable[[Any], Any], field: str, value: object
) -> None:
    """The error names the argument and what it must be."""
    with pytest.raises(InvalidRequestError) as caught:
        check(value)

    assert caught.value.field == field
    assert caught.value.reason.startswith("must be ")


def test_the_field_of_a_timeout_can_be_named() -> None:
    """A time-out under another name is refused by that name."""
    with pytest.raises(InvalidRequestError) as caught:
        checked_timeout(-1, field="job_timeout")

    assert caught.value.field == "job_timeout"
    assert str(caught.value) == (
        "job_timeout: must be seconds (0 or more), or None for no limit, not -1 "
        "(nothing was sent)"
    )


def test_a_long_value_is_cut_in_the_text() -> None:
    """Of a refused value 60 characters are shown at most."""
    with pytest.raises(InvalidRequestError) as caught:
        checked_job_id("\n" * 500)

    assert len(caught.value.reason) == len("must be the id of a job, not ") + 60
