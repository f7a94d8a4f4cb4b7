"""The arguments of a batch, checked before anything is sent."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from pictory_async._batch.progress import Progress
from pictory_async._core.arguments import (
    Prompt,
    checked_credits,
    checked_max_in_flight,
    checked_path,
)
from pictory_async._core.errors import InvalidRequestError
from pictory_async._core.models import ImageRequest

OnUnknown: TypeAlias = Literal["report", "reconcile", "resubmit"]

ON_UNKNOWN: Final = ("report", "reconcile", "resubmit")


@attrs.frozen(kw_only=True)
class BatchOptions:
    """The checked arguments of `PictorySession.generate_many`."""

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
            InvalidRequestError: The prompt is not valid.
        """
        if not isinstance(prompt, ImageRequest):
            # From a template, so that an undocumented option is logged only once.
            return self.template.override(prompt=prompt)
        missing = {
            name: value
            for name, value in self.options.items()
            if getattr(prompt, name) is None
        }
        return prompt.override(**missing) if missing else prompt


def batch_options(
    *,
    options: Mapping[str, str | None],
    max_in_flight: int,
    ordered: bool,
    journal: str | os.PathLike[str] | None,
    save_to: str | os.PathLike[str] | None,
    max_credits: Decimal | float | str | None,
    on_unknown: OnUnknown,
    progress: Progress,
) -> BatchOptions:
    """Check the arguments and return them.

    Raises:
        InvalidRequestError: An argument is not allowed; the error names it.
    """
    given: dict[str, Any] = {
        name: value for name, value in options.items() if value is not None
    }
    if on_unknown not in ON_UNKNOWN:
        reason = f"must be one of {', '.join(ON_UNKNOWN)}, not {on_unknown!r:.60}"
        raise InvalidRequestError(field="on_unknown", reason=reason)
    allowed = isinstance(progress, bool) or callable(progress)
    if not allowed or inspect.iscoroutinefunction(progress):
        reason = (
            "must be True, False or a function of a BatchProgress, not an async one"
        )
        raise InvalidRequestError(field="progress", reason=reason)
    return BatchOptions(
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
