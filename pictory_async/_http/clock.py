"""How far the service's clock is ahead of this machine's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pictory_async._policy.retry import read_date


def utc_now() -> datetime:
    """Return the time by this machine's clock, which may be wrong."""
    return datetime.now(UTC)


class ServiceClock:
    """Compares the ``Date`` of the latest answer with this machine's clock.

    The service dates its images by its own clock, so times of this machine have to be
    corrected before they are compared with those of the history.
    """

    def __init__(self) -> None:
        self._date: str | None = None
        self._received_at = utc_now()

    def note(self, date: str | None) -> None:
        """Keep the ``Date`` of an answer that has just arrived."""
        if date is not None:
            self._date, self._received_at = date, utc_now()

    @property
    def offset(self) -> timedelta | None:
        """By how much the service is ahead; None while no answer has said."""
        date = read_date(self._date)  # 10 us: only when somebody asks
        return None if date is None else date - self._received_at
