"""The live state of one job, shared by its handle and the scheduler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from pictory_async._core.endpoints import Call
from pictory_async._core.errors import PictoryError
from pictory_async._core.models import ImageRequest, JobState, JobStatus, Result
from pictory_async._core.wire import JobReport
from pictory_async._policy.polling import PollPolicy
from pictory_async._tasks import Signal

ResultT = TypeVar("ResultT", bound=Result)


class Endpoint(Protocol[ResultT]):
    """How to ask for a job of one kind."""

    def __call__(
        self, job_id: str, *, request: ImageRequest | None
    ) -> Call[JobReport[ResultT]]:
        """Return the call that asks for *job_id*."""
        ...


class Job(Generic[ResultT]):
    """What is known of one job. It has identity, and is changed in one place.

    A plain class with slots: ten thousand of these are in flight at once.
    """

    __slots__ = (
        "_changed",
        "_ended",
        "attached",
        "due",
        "ended_at",
        "endpoint",
        "error",
        "job_id",
        "last_running",
        "now",
        "policy",
        "poll_again",
        "polling",
        "polls",
        "problem",
        "request",
        "result",
        "started_at",
        "state",
        "version",
    )

    def __init__(
        self,
        job_id: str,
        *,
        endpoint: Endpoint[ResultT],
        request: ImageRequest | None,
        policy: PollPolicy,
        now: Callable[[], float],
    ) -> None:
        self.job_id: str = job_id
        self.endpoint: Endpoint[ResultT] = endpoint
        self.request: ImageRequest | None = request
        self.attached: bool = request is None
        self.now: Callable[[], float] = now
        self.started_at: float = now()
        self.ended_at: float | None = None
        self.state: JobState = JobState.IN_PROGRESS
        self.result: ResultT | None = None
        self.error: PictoryError | None = None
        self.problem: PictoryError | None = None  # of the last poll
        self.polls: int = 0
        self.version: int = 0  # grows with each change
        # Made when somebody waits: most jobs of a big batch have no waiter.
        self._changed: Signal | None = None
        self._ended: Signal | None = None
        # The scheduler's notes.
        self.policy: PollPolicy = policy
        self.due: float | None = None  # None while it is ready, or being polled
        self.polling: bool = False
        self.poll_again: bool = False
        self.last_running: float = 0.0  # seconds from the start to that poll

    @property
    def done(self) -> bool:
        """Whether the job has its result or its error."""
        return self.ended_at is not None

    @property
    def elapsed(self) -> float:
        """Seconds since the submission or attachment, up to the end."""
        end = self.now() if self.ended_at is None else self.ended_at
        return end - self.started_at

    @property
    def status(self) -> JobStatus:
        """A picture of this moment."""
        return JobStatus(
            job_id=self.job_id,
            state=self.state,
            polls=self.polls,
            elapsed=self.elapsed,
            # A final word says how it ended; an error tells of all other ends.
            error=None if self.state.final else self.error,
            problem=self.problem,
        )

    def changes(self) -> Awaitable[None]:
        """Return what waits for the next change."""
        self._changed = self._changed or Signal()
        return self._changed.wait()

    def ends(self) -> Awaitable[None]:
        """Return what waits for the end."""
        self._ended = self._ended or Signal()
        return self._ended.wait()

    def call(self) -> Call[JobReport[ResultT]]:
        """Return the call that asks how the job stands."""
        return self.endpoint(self.job_id, request=self.request)

    def hear(self, heard: JobReport[ResultT] | PictoryError) -> None:
        """Count a poll; note the service's word, or why there was none."""
        self.polls += 1
        if isinstance(heard, PictoryError):
            self.problem = heard
        else:
            self.problem, self.state = None, heard.state
        self._tell()

    def settle(self, outcome: Any) -> None:
        """End the job with a result or an error."""
        if isinstance(outcome, PictoryError):
            self.error = outcome
        else:
            self.result = outcome
        self.ended_at = self.now()
        if self._ended is not None:
            self._ended.fire()
        self._tell()

    def _tell(self) -> None:
        self.version += 1
        if self._changed is not None:
            self._changed.fire()
