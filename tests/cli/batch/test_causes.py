"""Failures by cause."""

from __future__ import annotations

from pictory_async.cli._batch.causes import Causes


def failure(kind: str = "JobFailedError", **details: object) -> dict[str, object]:
    """An error as an entry has it."""
    return {"type": kind, "message": f"about {kind}", **details}


def test_groups_by_kind_and_code() -> None:
    """The most frequent first, with the lines of the first few."""
    causes = Causes()
    for line in range(1, 8):
        causes.add(line, failure(code="CONTENT_POLICY"))
    causes.add(9, failure(code="TOO_ODD"))
    causes.add(10, failure("ServerError", status=500, code="5000"))
    causes.add(11, failure("ServerError", status=500, code="5000"))

    assert [(each.name, each.where) for each in causes] == [
        ("JobFailedError CONTENT_POLICY", "lines 1, 2, 3, 4, 5 and 2 more"),
        ("ServerError 500 5000", "lines 10 and 11"),
        ("JobFailedError TOO_ODD", "line 9"),
    ]


def test_a_service_that_invents_codes_fills_no_screen() -> None:
    """From some number on they are one cause, and a code is harmless."""
    causes = Causes()
    for line in range(1000):
        causes.add(line, failure(code=f"\x1b[31m{line}"))

    assert len(list(causes)) == 21
    assert next(iter(causes)).name == "other causes"
    assert sum(each.prompts for each in causes) == 1000
    assert not any("\x1b" in each.name for each in causes)
