"""The estimate of a batch."""

from __future__ import annotations

from decimal import Decimal

from pictory_async import ImageRequest, JournalSummary
from pictory_async.cli._batch.estimate import (
    estimate_data,
    estimate_lines,
    make_estimate,
)
from pictory_async.cli._batch.prompts import BadRow, Row

ROWS = [
    Row(1, ImageRequest("A lighthouse")),
    Row(2, ImageRequest("A cat", model="flux-schnell")),
    BadRow(3, "prompt: is missing"),
    Row(4, ImageRequest("A dog", model="flux-schnell")),
    Row(5, ImageRequest("A fox", model="tomorrow's")),
]


def test_counts_prompts_and_credits_by_model() -> None:
    """Sums are exact; a model without a price makes the total a lower bound."""
    bad: list[BadRow] = []

    estimate = make_estimate(ROWS, bad.append)

    assert bad == [ROWS[2]]
    assert (estimate.prompts, estimate.bad, estimate.unpriced) == (4, 1, 1)
    assert estimate.credits == Decimal("3.2")
    lines = [" ".join(line.split()) for line in estimate_lines(estimate)]
    assert lines == [
        "prompts 4",
        "(the service's default) 1 2 credits",
        "flux-schnell 2 1.2 credits",
        "tomorrow's 1 no known price",
        "bad lines 1",
        "estimated cost: at least 3.2 credits; nothing was sent",
    ]
    assert estimate_data(estimate)["models"]["tomorrow's"]["estimated_credits"] is None


def test_what_is_recorded_is_not_to_be_paid_again() -> None:
    """It is counted by the place among the prompts; unknown ones may be charged."""
    journal = JournalSummary(
        indices=frozenset({0, 2}),
        credits_used=Decimal(2),
        credits_reserved=Decimal("0.6"),
    )

    estimate = make_estimate(ROWS[:4], lambda _: None, recorded=journal.indices)

    assert (estimate.recorded, estimate.left) == (2, Decimal("0.6"))
    lines = [" ".join(line.split()) for line in estimate_lines(estimate, journal)]
    total = "estimated cost: 3.2 credits, of which 0.6 credits are still to pay"
    assert lines[-3:] == [
        "sent by earlier runs 2 2 credits, and 0.6 credits that may be charged",
        "left to send 1 0.6 credits",
        f"{total}; nothing was sent",
    ]
    assert estimate_data(estimate, journal)["credits_reserved"] == Decimal("0.6")


def test_a_ceiling_needs_prices() -> None:
    """A prompt whose price is not known is a bad line, before anything is sent."""
    bad: list[BadRow] = []

    estimate = make_estimate(ROWS, bad.append, max_credits=Decimal(5))

    assert [row.line for row in bad] == [3, 5]
    assert '"tomorrow\'s" has no known price, which --max-credits' in bad[1].problem
    assert estimate.prompts == 3


def test_keeps_nothing() -> None:
    """The estimate of any number of prompts has the same size."""
    estimate = make_estimate((ROWS[i % 2] for i in range(10_000)), lambda _: None)

    assert estimate.prompts == 10_000
    assert len(estimate.models) == 2
