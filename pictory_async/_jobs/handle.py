"""The awaitable handle of one job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any, Generic, Protocol, TypeVar

from pictory_async._core import html
from pictory_async._core.arguments import checked_timeout
from pictory_async._core.errors import JobTimeoutError
from pictory_async._core.models import ImageRequest, JobStatus, Result
from pictory_async._core.text import shorten
from pictory_async._jobs.job import Job

ResultT = TypeVar("ResultT", bound=Result)


class Follower(Protocol):
    """Whoever polls for a handle."""

    def enter(self) -> None:
        """Check that the running loop may wait for the session's jobs."""
        ...

    def poll_now(self, job: Job[Any]) -> None:
        """Ask for the job at once."""
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

    __slots__ = ("__weakref__", "_follower", "_job")

    def __init__(self, job: Job[ResultT], *, follower: Follower) -> None:
        self._job = job
        self._follower = follower

    @property
    def job_id(self) -> str:
        """The service's id; ``session.job(job_id)`` finds the job from anywhere."""
        return self._job.job_id

    @property
    def request(self) -> ImageRequest | None:
        """What was asked for; None if the job was attached to by its id."""
        return self._job.request

    @property
    def status(self) -> JobStatus:
        """How the job stands, as far as is known now. Costs no request."""
        return self._job.status

    def done(self) -> bool:
        """Say whether the handle has its result or its error."""
        return self._job.done

    def __await__(self) -> Generator[Any, None, ResultT]:
        """Wait for the result."""
        # Not by way of `result`: 0.5 KB less for each job that is awaited.
        self._enter()
        while not self._job.done:
            yield from self._job.ends().__await__()
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
            raise JobTimeoutError(job_id=self.job_id, still_running=True)
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
            seen, last = self._job.version, self._job.done
            yield self.status
            if last:
                return
            self._enter()
            while self._job.version == seen:
                await self._job.changes()

    def poll_now(self) -> None:
        """Ask for the job at once instead of when the policy says.

        For those who know more, such as from a webhook. Returns immediately; nothing
        happens if the job has ended. Needs the session's running loop.
        """
        if not self._job.done:
            self._follower.poll_now(self._job)

    def __repr__(self) -> str:
        """Show the id, the state and how the handle ended."""
        job = self._job
        how = type(job.error).__name__ if job.error else job.state.value
        return f"<JobHandle {shorten(job.job_id)} {shorten(how)} polls={job.polls}>"

    def _repr_html_(self) -> str:
        job, status = self._job, self.status
        how = "ended" if status.error is not None else status.state.value
        time = f"{'after' if job.done else 'for'} {html.seconds(status.elapsed)}"
        polls = html.count(status.polls, "poll")
        heading = (
            f"<strong>{html.text(how)}</strong> {time} · {polls} · "
            f"job {html.text(job.job_id)}"
        )
        if job.result is not None:
            picture = html.figure(job.result._tile())
            return html.page(html.paragraph(heading), picture)
        prompt = html.text(job.request.prompt) if job.request else ""
        reason = html.why(job.error) if job.error else ""
        if not reason and status.problem:
            reason = f"The last poll failed. {html.why(status.problem)}"
        return html.page(*map(html.paragraph, (heading, prompt, reason)))

    async def _ended_within(self, timeout: float | None) -> bool:
        checked_timeout(timeout)
        self._enter()
        try:
            async with asyncio.timeout(timeout):
                while not self._job.done:
                    await self._job.ends()
        except TimeoutError:
            return self._job.done
        return True

    def _enter(self) -> None:
        if not self._job.done:
            self._follower.enter()  # on a new loop this may end an overdue job

    def _outcome(self) -> ResultT:
        if self._job.error is not None:
            # Without this the traceback would grow with each waiter.
            raise self._job.error.with_traceback(None)
        return self._job.result  # type: ignore[return-value]  # settled without error
