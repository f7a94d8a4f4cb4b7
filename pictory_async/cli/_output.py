"""Lines to standard output and standard error."""

from __future__ import annotations

import json
import os
import sys
from decimal import Decimal
from typing import Any, TextIO


class Lines:
    """Writes whole lines to a stream; goes quiet once nobody reads it any more."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.closed = False

    def write(self, line: str) -> None:
        """Write a line at once; a closed pipe is noted, not raised."""
        if self.closed:
            return
        try:
            self.stream.write(f"{line}\n")
            self.stream.flush()
        except BrokenPipeError:
            self.closed = True
            _forget(self.stream)

    def write_json(self, data: dict[str, Any]) -> None:
        """Write an object as a line of JSON in ASCII, harmless to a terminal."""
        self.write(to_json(data))


def to_json(data: dict[str, Any]) -> str:
    """Return an object as one line of JSON in ASCII, with exact numbers."""
    return json.dumps(data, default=_number)


def results() -> Lines:
    """Return the way to standard output: what was asked for."""
    return Lines(sys.stdout)


def remarks() -> Lines:
    """Return the way to standard error: everything else."""
    return Lines(sys.stderr)


def is_screen(stream: TextIO) -> bool:
    """Say whether *stream* is a terminal on which lines can be rewritten."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def _forget(stream: TextIO) -> None:
    """Lead what is still buffered nowhere, or Python complains at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _number(value: object) -> int | float | str:
    """Return a `Decimal` as a JSON number if that loses nothing, else as text."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not for JSON")
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)
