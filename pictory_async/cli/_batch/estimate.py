"""What a batch would do, found out before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import attrs

from pictory_async import ImageRequest
from pictory_async.cli._batch.prompts import BadRow, Row
from pictory_async.cli._text import count, plain

# What a request without a model is counted under.
NO_MODEL = "(the service's default)"


@attrs.define
class Share:
    """The prompts of one model.

    Attributes:
        prompts: How many.
        credits: What they cost by the price list; None if the model is not on it.
    """

    prompts: int = 0
    credits: Decimal | None = Decimal(0)

    def add(self, request: ImageRequest) -> None:
        """Count one more."""
        price = request.estimated_credits
        self.prompts += 1
        self.credits = None if price is None else (self.credits or 0) + price


@attrs.define
class Plan:
    """What a prompt file comes to.

    Attributes:
        prompts: How many can be sent.
        bad: How many lines are no prompt.
        shares: The prompts by model, in the order in which the models occur.
    """

    prompts: int = 0
    bad: int = 0
    shares: dict[str, Share] = attrs.field(factory=dict)

    @property
    def credits(self) -> Decimal:
        """What the prompts of models with a price cost by the price list."""
        known = (share.credits for share in self.shares.values())
        return sum((each for each in known if each is not None), Decimal(0))

    @property
    def unpriced(self) -> int:
        """How many prompts are of models without a price."""
        return sum(s.prompts for s in self.shares.values() if s.credits is None)

    def add(self, request: ImageRequest) -> None:
        """Count a prompt."""
        self.prompts += 1
        name = request.model or NO_MODEL
        self.shares.setdefault(name, Share()).add(request)


def make_plan(
    rows: Iterable[Row | BadRow],
    tell: Callable[[BadRow], None],
    *,
    max_credits: Decimal | None = None,
) -> Plan:
    """Count the rows of a prompt file; nothing of them is kept.

    Args:
        rows: All of them.
        tell: Called with each row that cannot be sent, as soon as it is read.
        max_credits: The ceiling, if there is one: then every model needs a price.
    """
    plan = Plan()
    for row in rows:
        if isinstance(row, Row) and max_credits is not None:
            row = _priced(row)  # noqa: PLW2901 - one that has no price is a bad one
        if isinstance(row, BadRow):
            plan.bad += 1
            tell(row)
        else:
            plan.add(row.request)
    return plan


def _priced(row: Row) -> Row | BadRow:
    if row.request.estimated_credits is not None:
        return row
    model = plain(row.request.model, limit=60)
    problem = f"model: {model!r} has no known price, which --max-credits needs"
    return BadRow(row.line, problem)


def plan_lines(plan: Plan) -> Iterator[str]:
    """Give the lines that tell a plan to a person."""
    yield _line("prompts", plan.prompts)
    for name, share in plan.shares.items():
        cost = "no known price" if share.credits is None else _credits(share.credits)
        yield _line(f"  {plain(name, limit=30)}", share.prompts, cost)
    yield _line("bad lines", plan.bad)
    least = "at least " if plan.unpriced else ""
    yield f"estimated cost: {least}{_credits(plan.credits)}; nothing was sent"


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON can have it."""
    return {
        "prompts": plan.prompts,
        "bad_lines": plan.bad,
        "estimated_credits": plan.credits,
        "unpriced_prompts": plan.unpriced,
        "models": {
            name: {"prompts": share.prompts, "estimated_credits": share.credits}
            for name, share in plan.shares.items()
        },
    }


def _line(name: str, number: int, text: str = "") -> str:
    return f"{name:<32}{number:>9,}  {text}".rstrip()


def _credits(number: Decimal) -> str:
    return count(number, "credit")
