"""How a batch is to run: its arguments, checked before anything is sent."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from pictory_async._batch.outcomes import BatchProgress
from pictory_async._core.arguments import (
    Prompt,
    checked_credits,
    checked_max_in_flight,
    checked_path,
)
from pictory_async._core.errors import InvalidRequestError
from pictory_async._core.models import ImageRequest

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
        max_in_flight=checked_max_in_flight(max_in_flight),
        ordered=bool(ordered),
        journal=checked_path(journal, field="journal"),
        save_to=checked_path(save_to, field="save_to"),
        max_credits=checked_credits(max_credits),
        on_unknown=on_unknown,
        progress=progress,
    )
