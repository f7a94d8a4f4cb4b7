"""What a batch would do."""

from __future__ import annotations

from decimal import Decimal

from pictory_async import ImageRequest
from pictory_async.cli._batch.estimate import make_plan, plan_data, plan_lines
from pictory_async.cli._batch.prompts import BadRow, Row

ROWS = [
    Row(1, ImageRequest("A lighthouse")),
    Row(2, ImageRequest("A cat", model="flux-schnell")),
    BadRow(3, "prompt: is missing"),
    Row(4, ImageRequest("A dog", model="flux-schnell")),
    Row(5, ImageRequest("A fox", model="tomorrow's")),
]


def test_counts_prompts_and_credits_by_model() -> None:
    """Exactly; a model without a price makes the sum a least one."""
    bad: list[BadRow] = []

    plan = make_plan(ROWS, bad.append)

    assert bad == [ROWS[2]]
    assert (plan.prompts, plan.bad, plan.unpriced) == (4, 1, 1)
    assert plan.credits == Decimal("3.2")
    lines = [" ".join(line.split()) for line in plan_lines(plan)]
    assert lines == [
        "prompts 4",
        "(the service's default) 1 2 credits",
        "flux-schnell 2 1.2 credits",
        "tomorrow's 1 no known price",
        "bad lines 1",
        "estimated cost: at least 3.2 credits; nothing was sent",
    ]
    assert plan_data(plan)["models"]["tomorrow's"]["estimated_credits"] is None


def test_a_ceiling_needs_prices() -> None:
    """What cannot be held against it is a bad line, before anything is sent."""
    bad: list[BadRow] = []

    plan = make_plan(ROWS, bad.append, max_credits=Decimal(5))

    assert [row.line for row in bad] == [3, 5]
    assert '"tomorrow\'s" has no known price, which --max-credits' in bad[1].problem
    assert plan.prompts == 3


def test_keeps_nothing() -> None:
    """A plan of any length is as small."""
    plan = make_plan((ROWS[i % 2] for i in range(10_000)), lambda _: None)

    assert plan.prompts == 10_000
    assert len(plan.shares) == 2
