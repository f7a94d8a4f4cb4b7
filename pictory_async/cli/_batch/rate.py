"""How fast things end, and how long the rest will take."""

from __future__ import annotations

from collections import deque
from typing import Final

# Seconds looked back on: long enough for jobs that take half a minute.
_WINDOW: Final = 60.0
_SAMPLES: Final = 60
# An outcome that comes sooner after the one before is one that a journal had.
_PAUSE: Final = 0.2


class Rate:
    """Counts how many end in a second, over the last minute.

    Args:
        now: The time it begins, in seconds of a monotonic clock.
        resumed: Whether a journal gives earlier outcomes first; they come in one
            rush, which says nothing about what follows.
    """

    def __init__(self, now: float, *, resumed: bool = False) -> None:
        self._began = self._last = now
        self._rush = resumed
        self._ended = 0
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def add(self, now: float) -> None:
        """Count one that has ended now."""
        if self._rush and now - self._last > _PAUSE:
            self._rush = False
            self._samples = deque([(self._last, 0)])
        self._last = now
        if not self._rush:
            self._ended += 1

    def per_second(self, now: float) -> float | None:
        """Return how many end in a second; None while that cannot be said."""
        then, before = self._samples[0]
        if now - self._samples[-1][0] >= _WINDOW / _SAMPLES:
            self._samples.append((now, self._ended))
        while now - self._samples[0][0] > _WINDOW and len(self._samples) > 1:
            self._samples.popleft()
        ended = self._ended - before
        return ended / (now - then) if ended and now > then else None


def duration(seconds: float) -> str:
    """Return a time as people write it, such as 0:07, 12:30 and 3:05:00."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
