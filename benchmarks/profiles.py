"""Where the time of a measurement goes: by part of the program, and by function."""

from __future__ import annotations

import cProfile
import io
import pstats
import re
from collections import Counter
from typing import Any, Final

OURS: Final = re.compile(r"(pictory_async/\w+)\.py$")
PACKAGE: Final = re.compile(r".*(?:site-packages|lib/python[\d.]+)/([^/.]+)")
WAITING: Final = ("poll", "select")


def say(profile: cProfile.Profile, *, functions: int = 30) -> str:
    """Return the shares of the time that was not spent waiting."""
    text = io.StringIO()
    stats = pstats.Stats(profile, stream=text)
    rows: dict[tuple[str, int, str], Any] = stats.stats  # type: ignore[attr-defined]
    shares = Counter[str]()
    for (file, _, name), (_, _, own, *_) in rows.items():
        if not any(f"'{word}'" in name for word in WAITING):
            shares[_part(file)] += own
    total = shares.total() or 1
    lines = [
        f"{own / total:6.1%}  {part}"
        for part, own in shares.most_common()
        if own > 0.005 * total
    ]
    stats.strip_dirs().sort_stats("tottime").print_stats(functions)
    return "\n".join([*lines, text.getvalue()])


def _part(file: str) -> str:
    if ours := OURS.search(file):
        return ours[1]
    package = PACKAGE.search(file)
    return package[1] if package else "built in (sockets, JSON, heaps and so on)"
