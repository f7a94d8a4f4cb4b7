"""Failures by their cause, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from pictory_async.cli._text import plain

_LINES_KEPT: Final = 5
# A service that puts an id into each code must not fill the memory, nor the screen.
_CAUSES_KEPT: Final = 20
_OTHER = "other causes"


@attrs.define
class Cause:
    """What several prompts failed of.

    Attributes:
        name: The kind of error, with the service's code if there is one.
        example: What the first of them was told.
        prompts: How many there are.
        lines: Where the first few stand in the prompt file.
    """

    name: str
    example: str
    prompts: int = 0
    lines: list[int] = attrs.field(factory=list)

    def add(self, line: int) -> None:
        """Count one more."""
        self.prompts += 1
        if len(self.lines) < _LINES_KEPT:
            self.lines.append(line)

    @property
    def where(self) -> str:
        """Where they stand, such as "lines 3, 8 and 12 more"."""
        shown = [str(line) for line in self.lines]
        if more := self.prompts - len(shown):
            shown.append(f"{more:,} more")
        *first, last = shown
        lines = f"{', '.join(first)} and {last}" if first else last
        return f"line {lines}" if self.prompts == 1 else f"lines {lines}"


class Causes:
    """Counts failures by cause; made of the errors of entries, see `entry_of`."""

    def __init__(self) -> None:
        self._causes: dict[str, Cause] = {}

    def add(self, line: int, error: dict[str, Any]) -> None:
        """Count the failure of a line."""
        name = _name(error)
        if name not in self._causes and len(self._causes) >= _CAUSES_KEPT:
            name = _OTHER
        cause = self._causes.setdefault(name, Cause(name, str(error["message"])))
        cause.add(line)

    def __iter__(self) -> Iterator[Cause]:
        """Give the causes, the most frequent first."""
        return iter(sorted(self._causes.values(), key=lambda each: -each.prompts))


def _name(error: dict[str, Any]) -> str:
    details = (error.get(key) for key in ("status", "code"))
    words = [str(error["type"]), *(str(each) for each in details if each)]
    return plain(" ".join(words), limit=80)
