"""The one registry of what a session has in progress."""

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

# Ids announced before their submission was answered; more means that they are made up.
MOST_EARLY = 1000


class Jobs:
    """The jobs in progress by id, oldest first, and the submissions under way.

    It outlives event loops: a job that was in progress when its loop was closed is
    polled on the next one.

    Attributes:
        counters: The figures of the session.
        claims: The images that are known to belong to a job of the session.
    """

    def __init__(self, *, job_timeout: float | None) -> None:
        self.counters: Counters = Counters()
        self.claims: Claims = Claims()
        self._job_timeout = job_timeout
        self._by_id: dict[str, JobHandle[Any]] = {}
        self._submissions: set[object] = set()
        self._early: dict[str, None] = {}  # in order; see `announce`
        self._ended = Signal()

    def __len__(self) -> int:
        """Return the number of jobs in progress."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[JobHandle[Any]]:
        """Iterate over a copy: jobs may end meanwhile."""
        return iter(tuple(self._by_id.values()))

    def get(self, job_id: str) -> JobHandle[Any] | None:
        """Return the handle of a job in progress."""
        return self._by_id.get(job_id)

    def oldest(self) -> JobHandle[Any] | None:
        """Return the job that started first; its deadline is the first as well."""
        return next(iter(self._by_id.values()), None)

    def add(self, job: JobHandle[Any]) -> bool:
        """Add a job; return whether it was announced before."""
        self._by_id[job.job_id] = job
        announced = job.job_id in self._early
        self._early.pop(job.job_id, None)
        return announced

    def announce(self, job_id: str) -> None:
        """Remember an id that may be that of a submission under way."""
        if self._submissions:
            self._early[job_id] = None
            if len(self._early) > MOST_EARLY:
                del self._early[next(iter(self._early))]

    def polls_like(self, search: Search) -> list[Call[JobReport[Any]]]:
        """Return polls of the jobs that could have made what is searched for."""
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
        """Note a submission, from the moment at which it waits for its turn."""
        self._submissions.add(submission)

    def submission_ended(self, submission: object, error: BaseException | None) -> None:
        """Note the end of a submission; *error* is None if a job was accepted."""
        self._submissions.discard(submission)
        if isinstance(error, SubmissionUnknownError):
            self.claims.keep(search_for(error, job_timeout=self._job_timeout))
        if not self._submissions:
            self._early.clear()  # no answer can bring one of these any more
        self._ended.fire()

    def forget_submissions(self) -> None:
        """Wait for none of those whose event loop is gone."""
        self._submissions.clear()

    async def idle(self) -> None:
        """Wait until no job and no submission is in progress."""
        while self._by_id or self._submissions:
            await self._ended.wait()

    def abandon(self) -> None:
        """End all jobs, which go on at the service: the session is closed."""
        log_closed(list(self._by_id))
        for job_id, job in self._by_id.items():
            job._settle(SessionClosedError(job_id=job_id))
        self._by_id.clear()
        self._ended.fire()
