"""The registry of everything that a session has in progress."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pictory_async._core.endpoints import Call
from pictory_async._core.errors import PictoryError, SessionClosedError
from pictory_async._core.log import log_closed
from pictory_async._core.unknown import (
    Claims,
    Search,
    SubmissionUnknownError,
    search_for,
)
from pictory_async._core.wire import JobReport
from pictory_async._http.stats import Counters
from pictory_async._jobs.handle import JobHandle
from pictory_async._tasks import Signal

# Ids announced before the answer to their submission. More than these are made up.
MAX_ANNOUNCED = 1000


class Jobs:
    """The jobs in progress by id, oldest first, and the submissions under way.

    It outlives event loops: a job that was in progress when its loop was closed is
    polled on the next one.

    Attributes:
        counters: The counters behind `PictorySession.stats`.
        claims: The images that are known to belong to a job of the session.
    """

    def __init__(self, *, job_timeout: float | None) -> None:
        self.counters: Counters = Counters()
        self.claims: Claims = Claims()
        self._job_timeout = job_timeout
        self._by_id: dict[str, JobHandle[Any]] = {}
        self._submissions: set[object] = set()
        self._announced: dict[str, None] = {}  # in order; see `announce`
        self._ended = Signal()

    def __len__(self) -> int:
        """Return the number of jobs in progress."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[JobHandle[Any]]:
        """Iterate over a copy, as jobs may end meanwhile."""
        return iter(tuple(self._by_id.values()))

    def get(self, job_id: str) -> JobHandle[Any] | None:
        """Return the handle of a job in progress; None if there is no such job."""
        return self._by_id.get(job_id)

    def add(self, job: JobHandle[Any]) -> bool:
        """Add a job; return whether its id was announced before."""
        self._by_id[job.job_id] = job
        announced = job.job_id in self._announced
        self._announced.pop(job.job_id, None)
        return announced

    def announce(self, job_id: str) -> None:
        """Remember an id that may turn out to be that of a submission under way."""
        if self._submissions:
            self._announced[job_id] = None
            if len(self._announced) > MAX_ANNOUNCED:
                del self._announced[next(iter(self._announced))]

    def polls_matching(self, search: Search) -> list[Call[JobReport[Any]]]:
        """Return calls that poll the jobs whose image *search* could match."""
        return [job._call() for job in self if search.could_be(job.request)]

    def end(self, job: JobHandle[Any], outcome: Any) -> None:
        """End a job with its result or its error."""
        del self._by_id[job.job_id]
        job._settle(outcome)
        succeeded = not isinstance(outcome, PictoryError)
        result = outcome if succeeded else None
        self.counters.job_ended(polls=job._polls, result=result)
        if succeeded:
            self.claims.take(outcome.url, now=datetime.now(UTC))
        self._ended.fire()

    def submission_began(self, submission: object) -> None:
        """Add a submission, at the moment when it begins to wait for its turn."""
        self._submissions.add(submission)

    def submission_ended(self, submission: object, error: BaseException | None) -> None:
        """Remove a submission; *error* is None if a job was accepted."""
        self._submissions.discard(submission)
        if isinstance(error, SubmissionUnknownError):
            self.claims.keep_for(search_for(error, job_timeout=self._job_timeout))
        if not self._submissions:
            self._announced.clear()  # no answer is left that could contain one
        self._ended.fire()

    def forget_submissions(self) -> None:
        """Remove all submissions: their event loop was closed."""
        self._submissions.clear()

    async def idle(self) -> None:
        """Wait until no job and no submission is in progress."""
        while self._by_id or self._submissions:
            await self._ended.wait()

    def end_all(self) -> None:
        """End all jobs here, as the session is closed; they continue at the service."""
        log_closed(list(self._by_id))
        for job_id, job in self._by_id.items():
            job._settle(SessionClosedError(job_id=job_id))
        self._by_id.clear()
        self._ended.fire()
