"""The pace of a batch, and how long the rest will take."""

from __future__ import annotations

from collections import deque
from typing import Final

# Seconds over which the rate is taken: long enough for jobs of half a minute.
_WINDOW: Final = 60.0
_SAMPLES: Final = 60
# Outcomes from a journal follow each other within this many seconds.
_PAUSE: Final = 0.2


class Rate:
    """The number of prompts that end per second, over the last minute.

    Args:
        now: The present time, in seconds of a monotonic clock.
        resumed: Whether a journal yields earlier outcomes first. They arrive in one
            burst, which says nothing about the pace of the rest.
    """

    def __init__(self, now: float, *, resumed: bool = False) -> None:
        self._last = now
        self._replaying = resumed
        self._ended = 0
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def add(self, now: float) -> None:
        """Count a prompt that has ended now."""
        if self._replaying and now - self._last > _PAUSE:
            self._replaying = False
            self._samples = deque([(self._last, 0)])
        self._last = now
        if not self._replaying:
            self._ended += 1

    def per_second(self, now: float) -> float | None:
        """Return the rate; None while it is not known."""
        then, before = self._samples[0]
        if now - self._samples[-1][0] >= _WINDOW / _SAMPLES:
            self._samples.append((now, self._ended))
        while now - self._samples[0][0] > _WINDOW and len(self._samples) > 1:
            self._samples.popleft()
        ended = self._ended - before
        return ended / (now - then) if ended and now > then else None


def duration(seconds: float) -> str:
    """Return a duration such as 0:07, 12:30 and 3:05:00."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
