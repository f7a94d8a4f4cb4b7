"""How a batch is to run: its arguments, checked before anything is sent."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from pictory_async._errors import InvalidRequestError
from pictory_async._models import ImageRequest
from pictory_async._outcomes import BatchProgress

Prompt: TypeAlias = str | ImageRequest
Prompts: TypeAlias = Iterable[Prompt] | AsyncIterable[Prompt]
OnUnknown: TypeAlias = Literal["report", "reconcile", "resubmit"]
Progress: TypeAlias = bool | Callable[[BatchProgress], object]

ON_UNKNOWN: Final = ("report", "reconcile", "resubmit")


@attrs.frozen(kw_only=True)
class Plan:
    """The arguments of `PictorySession.generate_many`."""

    template: ImageRequest
    options: Mapping[str, str]
    max_in_flight: int
    ordered: bool
    journal: Path | None
    save_to: Path | None
    max_credits: Decimal | None
    on_unknown: OnUnknown
    progress: Progress

    def request(self, prompt: Prompt) -> ImageRequest:
        """Return the request for *prompt*; options fill what it leaves open.

        Raises:
            InvalidRequestError: It cannot be asked for.
        """
        if not isinstance(prompt, ImageRequest):
            # Of a template, so that an odd option is logged once, not for each prompt.
            return self.template.override(prompt=prompt)
        missing = {
            name: value
            for name, value in self.options.items()
            if getattr(prompt, name) is None
        }
        return prompt.override(**missing) if missing else prompt


def plan(
    *,
    options: Mapping[str, str | None],
    max_in_flight: int,
    ordered: bool,
    journal: str | os.PathLike[str] | None,
    save_to: str | os.PathLike[str] | None,
    max_credits: Decimal | float | str | None,
    on_unknown: OnUnknown,
    progress: Progress,
) -> Plan:
    """Return the plan.

    Raises:
        InvalidRequestError: An argument is not allowed; names it.
    """
    given: dict[str, Any] = {
        name: value for name, value in options.items() if value is not None
    }
    if on_unknown not in ON_UNKNOWN:
        reason = f"must be one of {', '.join(ON_UNKNOWN)}, not {on_unknown!r:.60}"
        raise InvalidRequestError(field="on_unknown", reason=reason)
    shown = isinstance(progress, bool) or callable(progress)
    if not shown or inspect.iscoroutinefunction(progress):
        reason = (
            "must be True, False or a function of a BatchProgress, not an async one"
        )
        raise InvalidRequestError(field="progress", reason=reason)
    return Plan(
        template=ImageRequest("a template that is never sent", **given),
        options=given,
        max_in_flight=_checked_max_in_flight(max_in_flight),
        ordered=bool(ordered),
        journal=_checked_path(journal, field="journal"),
        save_to=_checked_path(save_to, field="save_to"),
        max_credits=checked_credits(max_credits),
        on_unknown=on_unknown,
        progress=progress,
    )


def checked_prompts(requests: Any) -> Prompts:
    """Return *requests* if it is something that prompts can come from.

    Raises:
        InvalidRequestError: It is not, or it is a single one.
    """
    alone = isinstance(requests, str | bytes | ImageRequest)
    if alone or not isinstance(requests, Iterable | AsyncIterable):
        reason = (
            "must be a list, or any other iterable or async iterable, of prompts or "
            f"ImageRequests, not a single {type(requests).__name__}"
        )
        raise InvalidRequestError(field="requests", reason=reason)
    return requests


def checked_credits(credits: Any) -> Decimal | None:  # noqa: A002 - the API's word
    """Return *credits* exactly if it is None or an amount above 0.

    Raises:
        InvalidRequestError: It is not.
    """
    if credits is None:
        return None
    try:
        # By its text, so that 0.6 is 0.6.
        amount = Decimal("NaN" if isinstance(credits, bool) else str(credits))
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount.is_finite() and amount > 0:
        return amount
    reason = f"must be AI credits above 0, or None for no limit, not {credits!r:.60}"
    raise InvalidRequestError(field="max_credits", reason=reason)


def _checked_max_in_flight(number: Any) -> int:
    if type(number) is int and number >= 1:
        return number
    reason = f"must be a whole number from 1, not {number!r:.60}"
    raise InvalidRequestError(field="max_in_flight", reason=reason)


def _checked_path(path: Any, *, field: str) -> Path | None:
    if path is None:
        return None
    if isinstance(path, str | os.PathLike) and os.fspath(path):
        return Path(path).absolute()  # where it is now, wherever the program goes
    reason = f"must be a path or None, not {path!r:.60}"
    raise InvalidRequestError(field=field, reason=reason)
