"""One job: its state, and the handle to wait for it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any, Generic, Protocol

from pictory_async._core import html
from pictory_async._core.arguments import checked_timeout
from pictory_async._core.endpoints import Call, Product
from pictory_async._core.errors import JobTimeoutError, PictoryError
from pictory_async._core.models import ImageRequest, JobState, JobStatus, ResultT
from pictory_async._core.text import shorten
from pictory_async._core.wire import JobReport
from pictory_async._policy.polling import PollPolicy
from pictory_async._tasks import Signal


class Poller(Protocol):
    """The session, as far as a handle knows it."""

    def enter(self) -> None:
        """Check that the running loop may wait for the session's jobs."""
        ...

    def poll_now(self, job_id: str) -> bool:
        """Poll the job immediately."""
        ...

    def now(self) -> float:
        """Return the present time of the session's event loop."""
        ...


class JobHandle(Generic[ResultT]):
    """One job, polled in the background by its session.

    ``await job`` gives the result, or raises what became of it:

    ```python
    job = await session.submit("A lighthouse at dawn")
    image = await job
    ```

    Any number of tasks may await it, at any time, before or after the end. Cancelling
    one of them disturbs neither the job nor the others, and costs no poll.

    Awaiting it is what raises.

    Raises:
        JobFailedError: The service says that the job failed.
        JobNotFoundError: The service does not know the job.
        JobExpiredError: The job's data was cleaned.
        JobTimeoutError: The session's *job_timeout* is over; nobody polls any more.
        SessionClosedError: The session was closed; the job goes on at the service.
        APIError: The service refused to say, as with a wrong key.
        WrongLoopError: Another event loop, which is still alive, has the session.
    """

    # A plain class with slots: ten thousand of these are in flight at once. The names
    # with an underscore belong to the scheduler, which is the only one to change them.
    __slots__ = (
        "__weakref__",
        "_attached",
        "_changed",
        "_due",
        "_ended",
        "_ended_at",
        "_error",
        "_job_id",
        "_last_running",
        "_policy",
        "_poll_again",
        "_poller",
        "_polling",
        "_polls",
        "_problem",
        "_product",
        "_request",
        "_result",
        "_started_at",
        "_state",
        "_version",
    )

    def __init__(
        self,
        job_id: str,
        *,
        product: Product[ResultT],
        request: ImageRequest | None,
        policy: PollPolicy,
        poller: Poller,
    ) -> None:
        self._job_id = job_id
        self._product = product
        self._request = request
        self._attached = request is None
        self._policy = policy
        self._poller = poller
        self._started_at = poller.now()
        self._ended_at: float | None = None
        self._state = JobState.IN_PROGRESS
        self._result: ResultT | None = None
        self._error: PictoryError | None = None
        self._problem: PictoryError | None = None  # of the last poll
        self._polls = 0
        self._version = 0  # grows with each change
        # Made when somebody waits: most jobs of a big batch have no waiter.
        self._changed: Signal | None = None
        self._ended: Signal | None = None
        self._due: float | None = None  # None while it is ready, or being polled
        self._polling = False
        self._poll_again = False
        self._last_running = 0.0  # seconds from the start to that poll

    @property
    def job_id(self) -> str:
        """The service's id; ``session.job(job_id)`` finds the job from anywhere."""
        return self._job_id

    @property
    def request(self) -> ImageRequest | None:
        """What was asked for; None if the job was attached to by its id."""
        return self._request

    @property
    def status(self) -> JobStatus:
        """How the job stands, as far as is known now. Costs no request."""
        return JobStatus(
            job_id=self._job_id,
            state=self._state,
            polls=self._polls,
            elapsed=self._elapsed,
            # A final word says how it ended; an error tells of all other ends.
            error=None if self._state.final else self._error,
            problem=self._problem,
        )

    def done(self) -> bool:
        """Say whether the handle has its result or its error."""
        return self._ended_at is not None

    def __await__(self) -> Generator[Any, None, ResultT]:
        """Wait for the result."""
        # Not by way of `result`: 0.5 KB less for each job that is awaited.
        self._enter()
        while self._ended_at is None:
            yield from self._end().__await__()
        return self._outcome()

    async def result(self, timeout: float | None = None) -> ResultT:
        """Wait for the result, for *timeout* seconds at most.

        Cancelling this disturbs nothing.

        Raises:
            JobTimeoutError: On its own time-out with *still_running* true: the
                polling goes on, and the job can be waited for again.
            PictoryError: What became of the job; see the class.
        """
        if not await self._ended_within(timeout):
            raise JobTimeoutError(job_id=self._job_id, still_running=True)
        return self._outcome()

    async def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait for the end, for *timeout* seconds at most; return the status.

        Never raises for a failed job: the status says how it ended, or how it stands
        if the time was over first. Cancelling this disturbs nothing.
        """
        await self._ended_within(timeout)
        return self.status

    async def updates(self) -> AsyncIterator[JobStatus]:
        """Yield the present status, then each new one; the last one is final.

        A slow consumer sees the latest; nothing piles up. Leaving or cancelling the
        loop disturbs nothing.
        """
        while True:
            seen, last = self._version, self.done()
            yield self.status
            if last:
                return
            self._enter()
            while self._version == seen:
                self._changed = self._changed or Signal()
                await self._changed.wait()

    def poll_now(self) -> None:
        """Poll the job immediately instead of when the policy says.

        For callers who have heard of a change elsewhere, such as from a webhook.
        Returns at once; nothing happens if the job has ended. Needs the session's
        running loop.
        """
        if not self.done():
            self._poller.poll_now(self._job_id)

    def __repr__(self) -> str:
        """Show the id, the state and how the handle ended."""
        how = type(self._error).__name__ if self._error else self._state.value
        return f"<JobHandle {shorten(self._job_id)} {shorten(how)} polls={self._polls}>"

    def _repr_html_(self) -> str:
        status = self.status
        how = "ended" if status.error is not None else status.state.value
        time = f"{'after' if self.done() else 'for'} {html.seconds(status.elapsed)}"
        heading = (
            f"<strong>{html.text(how)}</strong> {time} · "
            f"{html.count(status.polls, 'poll')} · job {html.text(self._job_id)}"
        )
        if self._result is not None:
            picture = html.figure(self._result._tile())
            return html.page(html.paragraph(heading), picture)
        prompt = html.text(self._request.prompt) if self._request else ""
        reason = html.why(self._error) if self._error else ""
        if not reason and status.problem:
            reason = f"The last poll failed. {html.why(status.problem)}"
        return html.page(*map(html.paragraph, (heading, prompt, reason)))

    # --- waiting --------------------------------------------------------------------

    async def _ended_within(self, timeout: float | None) -> bool:
        checked_timeout(timeout)
        self._enter()
        try:
            async with asyncio.timeout(timeout):
                while not self.done():
                    await self._end()
        except TimeoutError:
            return self.done()
        return True

    def _enter(self) -> None:
        if not self.done():
            self._poller.enter()  # on a new loop this may end an overdue job

    def _end(self) -> Any:
        """Return what waits for the end."""
        self._ended = self._ended or Signal()
        return self._ended.wait()

    def _outcome(self) -> ResultT:
        if self._error is not None:
            # Without this the traceback would grow with each waiter.
            raise self._error.with_traceback(None)
        return self._result  # type: ignore[return-value]  # settled without error

    # --- for the scheduler ----------------------------------------------------------

    @property
    def _elapsed(self) -> float:
        """Seconds since the submission or attachment, up to the end."""
        end = self._poller.now() if self._ended_at is None else self._ended_at
        return end - self._started_at

    @property
    def _model(self) -> str:
        """The model that makes the result, as the policy is to know it."""
        return self._product.model(self._request)

    def _call(self) -> Call[JobReport[ResultT]]:
        """Return the call that asks how the job stands."""
        return self._product.job(self._job_id, self._request)

    def _record(self, report: JobReport[ResultT] | PictoryError) -> None:
        """Count a poll; keep the service's word, or why there was none."""
        self._polls += 1
        if isinstance(report, PictoryError):
            self._problem = report
        else:
            self._problem, self._state = None, report.state
        self._notify()

    def _settle(self, outcome: ResultT | PictoryError) -> None:
        """End the job with a result or an error."""
        if isinstance(outcome, PictoryError):
            self._error = outcome
        else:
            self._result = outcome
        self._ended_at = self._poller.now()
        if self._ended is not None:
            self._ended.fire()
        self._notify()

    def _notify(self) -> None:
        self._version += 1
        if self._changed is not None:
            self._changed.fire()
