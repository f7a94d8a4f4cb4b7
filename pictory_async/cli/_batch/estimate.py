"""The estimate of a batch: its prompts and their price, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import attrs

from pictory_async import ImageRequest, JournalSummary
from pictory_async.cli._batch.prompts import BadRow, Row
from pictory_async.cli._text import cost, count, one_line

# The name under which requests without a model are counted.
NO_MODEL: Final = "(the service's default)"


@attrs.define
class ModelEstimate:
    """The prompts for one model.

    Attributes:
        prompts: How many there are.
        credits: What they cost at list price; None if the model has no known price.
    """

    prompts: int = 0
    credits: Decimal | None = Decimal(0)

    def add(self, request: ImageRequest) -> None:
        """Count one more prompt."""
        price = request.estimated_credits
        self.prompts += 1
        self.credits = None if price is None else (self.credits or 0) + price


@attrs.define
class Estimate:
    """What the prompts of a file come to.

    Attributes:
        prompts: How many can be sent.
        bad: How many lines are not valid prompts.
        models: The prompts by model, in the order in which the models occur.
        recorded: How many a journal has, so that they are not sent again.
        left: What the others cost at list price, as far as it is known.
    """

    prompts: int = 0
    bad: int = 0
    models: dict[str, ModelEstimate] = attrs.field(factory=dict)
    recorded: int = 0
    left: Decimal = Decimal(0)

    @property
    def credits(self) -> Decimal:
        """What the prompts for models with a known price cost at list price."""
        known = (model.credits for model in self.models.values())
        return sum((each for each in known if each is not None), Decimal(0))

    @property
    def unpriced(self) -> int:
        """The number of prompts for models without a known price."""
        return sum(m.prompts for m in self.models.values() if m.credits is None)

    def add(self, request: ImageRequest, *, recorded: bool = False) -> None:
        """Count a prompt."""
        self.prompts += 1
        name = request.model or NO_MODEL
        self.models.setdefault(name, ModelEstimate()).add(request)
        self.recorded += recorded
        if not recorded:
            self.left += request.estimated_credits or 0


def make_estimate(
    rows: Iterable[Row | BadRow],
    report: Callable[[BadRow], None],
    *,
    max_credits: Decimal | None = None,
    recorded: Container[int] = (),
) -> Estimate:
    """Count the rows of a prompt file; keep none of them.

    Args:
        rows: All of them.
        report: Called with each row that cannot be sent, as soon as it is read.
        max_credits: The ceiling, if there is one: then every model needs a price.
        recorded: The places of the prompts, from 0, that a journal has.
    """
    estimate = Estimate()
    for row in rows:
        if isinstance(row, Row) and max_credits is not None:
            row = _priced(row)  # noqa: PLW2901 - without a price it is a bad one
        if isinstance(row, BadRow):
            estimate.bad += 1
            report(row)
        else:
            estimate.add(row.request, recorded=estimate.prompts in recorded)
    return estimate


def _priced(row: Row) -> Row | BadRow:
    if row.request.estimated_credits is not None:
        return row
    model = one_line(row.request.model, limit=60)
    problem = f"model: {model!r} has no known price, which --max-credits needs"
    return BadRow(row.line, problem)


def estimate_lines(
    estimate: Estimate, journal: JournalSummary | None = None
) -> Iterator[str]:
    """Yield the lines of an estimate, for people.

    Args:
        estimate: What the prompts come to.
        journal: What earlier runs have recorded, if there were any.
    """
    yield _line("prompts", estimate.prompts)
    for name, model in estimate.models.items():
        price = "no known price"
        if model.credits is not None:
            price = cost(model.credits, exact=True)
        yield _line(f"  {one_line(name, limit=30)}", model.prompts, price)
    yield _line("bad lines", estimate.bad)
    total = cost(estimate.credits, exact=not estimate.unpriced)
    if journal is None:
        yield f"estimated cost: {total}; nothing was sent"
        return
    paid = count(journal.credits_used, "credit")
    if journal.credits_reserved:
        paid += f", and {count(journal.credits_reserved, 'credit')} that may be charged"
    yield _line("sent by earlier runs", estimate.recorded, paid)
    left = cost(estimate.left, exact=not estimate.unpriced)
    new = estimate.prompts - estimate.recorded
    yield _line("left to send", new, left)
    yield f"estimated cost: {total}, of which {left} are still to pay; nothing was sent"


def estimate_data(
    estimate: Estimate, journal: JournalSummary | None = None
) -> dict[str, Any]:
    """Return an estimate for JSON; the arguments are those of `estimate_lines`."""
    return {
        "prompts": estimate.prompts,
        "bad_lines": estimate.bad,
        "estimated_credits": estimate.credits,
        "unpriced_prompts": estimate.unpriced,
        "sent_prompts": estimate.recorded,
        "credits_used": journal.credits_used if journal else Decimal(0),
        "credits_reserved": journal.credits_reserved if journal else Decimal(0),
        "credits_left_to_pay": estimate.left,
        "models": {
            name: {"prompts": model.prompts, "estimated_credits": model.credits}
            for name, model in estimate.models.items()
        },
    }


def _line(name: str, number: int, text: str = "") -> str:
    return f"{name:<32}{number:>9,}  {text}".rstrip()
