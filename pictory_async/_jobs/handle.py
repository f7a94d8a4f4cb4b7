"""One job: its state, and the handle that users wait for it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Generator
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
    """The part of a session that a handle uses; a protocol, as the session is above."""

    def check_loop(self) -> None:
        """Raise `WrongLoopError` unless the running loop may wait for jobs."""
        ...

    def poll_now(self, job_id: str) -> bool:
        """Poll the job immediately."""
        ...

    def now(self) -> float:
        """Return the present time of the session's event loop."""
        ...


class JobHandle(Generic[ResultT]):
    """One job, polled in the background by its session.

    ``await job`` returns the result of the job, or raises the error it ended with:

    ```python
    job = await session.submit("A lighthouse at dawn")
    image = await job
    ```

    There are four ways to wait:

    | | on a result | on an error | on its own time-out |
    |---|---|---|---|
    | ``await job`` | returns it | raises it | |
    | `result` | returns it | raises it | raises `JobTimeoutError` |
    | `wait` | returns the status | returns the status | returns the status |
    | `updates` | yields the last status | yields the last status | |

    Any number of tasks may wait, at any time, before or after the end. Cancelling one
    of them disturbs neither the job nor the others, and costs no poll.

    The errors below are raised by waiting, not by the constructor.

    Raises:
        JobFailedError: The service says that the job failed.
        JobNotFoundError: The service does not know the job.
        JobExpiredError: The data of the job was cleaned.
        JobTimeoutError: The session's *job_timeout* is over; the job is no longer
            polled.
        SessionClosedError: The session was closed; the job continues at the service.
        APIError: The service refused the poll, for example because of a wrong key.
        WrongLoopError: The session belongs to another loop that is not closed.
    """

    # A plain class with slots, as ten thousand jobs may be in flight. Only the
    # scheduler and the registry change a handle, by the methods of the last section and
    # `_due`, `_polling`, `_poll_again`, `_last_running` and `_policy`.
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
        self._problem: PictoryError | None = None  # why the last poll failed
        self._polls = 0
        self._version = 0  # grows with each change
        # Made for the first waiter: most jobs of a large batch have none.
        self._changed: Signal | None = None
        self._ended: Signal | None = None
        # Loop time of the next poll; None while the job is ready for it, or polled.
        self._due: float | None = None
        self._polling = False
        self._poll_again = False
        # Seconds from the start to the last poll that found the job running.
        self._last_running = 0.0

    @property
    def job_id(self) -> str:
        """The service's id; ``session.job(job_id)`` finds the job from anywhere."""
        return self._job_id

    @property
    def request(self) -> ImageRequest | None:
        """The request; None if the job was attached by its id."""
        return self._request

    @property
    def status(self) -> JobStatus:
        """A snapshot of the job, as far as is known now. Costs no request."""
        return JobStatus(
            job_id=self._job_id,
            state=self._state,
            polls=self._polls,
            elapsed=self._elapsed,
            # A final state says how the job ended; an error is for all other ends.
            error=None if self._state.final else self._error,
            problem=self._problem,
        )

    def done(self) -> bool:
        """Return whether the handle has its result or its error."""
        return self._ended_at is not None

    def __await__(self) -> Generator[Any, None, ResultT]:
        """Wait for the result."""
        # Not through `result`: that would take 0.5 KB more for each job awaited.
        self._check_loop()
        while self._ended_at is None:
            yield from self._wait_for_end().__await__()
        return self._outcome()

    async def result(self, timeout: float | None = None) -> ResultT:
        """Wait for the result, for *timeout* seconds at most.

        Cancelling this disturbs nothing.

        Raises:
            JobTimeoutError: With *still_running* true: *timeout* is over. The job is
                still polled and can be waited for again.
            PictoryError: The error that the job ended with; see the class.
        """
        if not await self._ended_within(timeout):
            raise JobTimeoutError(job_id=self._job_id, still_running=True)
        return self._outcome()

    async def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait for the end, for *timeout* seconds at most; return the status.

        The status says how the job ended, or that it is in progress if the time was
        over first. Does not raise for a failed job. Cancelling this disturbs nothing.
        """
        await self._ended_within(timeout)
        return self.status

    async def updates(self) -> AsyncIterator[JobStatus]:
        """Yield the present status, then each new one; the last one is final.

        A slow consumer gets the latest status only; nothing piles up. Leaving or
        cancelling the loop disturbs nothing.
        """
        while True:
            seen, last = self._version, self.done()
            yield self.status
            if last:
                return
            self._check_loop()
            while self._version == seen:
                self._changed = self._changed or Signal()
                await self._changed.wait()

    def poll_now(self) -> None:
        """Poll the job immediately instead of when the policy says.

        For callers who know of a change from elsewhere, such as a webhook. Does not
        wait for the poll. Does nothing if the job has ended. Must be called on the
        session's event loop.
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
        self._check_loop()
        try:
            async with asyncio.timeout(timeout):
                while not self.done():
                    await self._wait_for_end()
        except TimeoutError:
            return self.done()
        return True

    def _check_loop(self) -> None:
        if not self.done():
            # On a new loop this resumes the polling, and may end an overdue job.
            self._poller.check_loop()

    def _wait_for_end(self) -> Coroutine[Any, Any, None]:
        self._ended = self._ended or Signal()
        return self._ended.wait()

    def _outcome(self) -> ResultT:
        if self._error is not None:
            # Otherwise the traceback would grow with each waiter.
            raise self._error.with_traceback(None)
        return self._result  # type: ignore[return-value]  # settled without error

    # --- for the scheduler and the registry -----------------------------------------

    @property
    def _elapsed(self) -> float:
        """Seconds since the submission or attachment, until now or until the end."""
        end = self._poller.now() if self._ended_at is None else self._ended_at
        return end - self._started_at

    @property
    def _model(self) -> str:
        """The model to name to the policy."""
        return self._product.model(self._request)

    def _call(self) -> Call[JobReport[ResultT]]:
        """Return the call that polls the job."""
        return self._product.job(self._job_id, self._request)

    def _record(self, report: JobReport[ResultT] | PictoryError) -> None:
        """Count a poll; keep the state it reported, or the error it raised."""
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
