"""What goes on in a session, and how it ends: the part that sends nothing itself."""

from __future__ import annotations

import asyncio
import warnings
from types import TracebackType
from typing import Self

from pictory_async._checks import checked_job_id, checked_timeout
from pictory_async._handle import JobHandle
from pictory_async._models import GeneratedImage
from pictory_async._runtime import Runtime
from pictory_async._stats import SessionStats


class Lifetime:
    """The jobs and the figures of a session, its opening and its closing."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    # --- jobs ---------------------------------------------------------------------

    def job(self, job_id: str) -> JobHandle[GeneratedImage]:
        """Follow a job that was started anywhere, by its id. Needs a running loop.

        A job that this session follows already keeps its handle; any other is asked
        for at once.

        Raises:
            InvalidRequestError: This cannot be an id.
            SessionClosedError: The session is closed.
        """
        self._runtime.use()
        return self._runtime.follow(checked_job_id(job_id), None)

    @property
    def jobs(self) -> tuple[JobHandle[GeneratedImage], ...]:
        """The handles still in progress, oldest first."""
        return tuple(self._runtime.handles.values())

    def poll_now(self, job_id: str) -> bool:
        """Ask at once for a job in progress, instead of when the policy says.

        For those who hear of jobs from elsewhere, such as from a webhook, and must
        not take the word for it. An id that this session does not follow costs no
        request. As it may be that of a submission under way, whose answer has not
        arrived yet, it is remembered as long as there is one (the last 1,000 such
        ids), and asked for when it turns out to be.

        Returns:
            Whether the job is in progress here. Returns immediately; asked for again
            while a poll is in flight, there is one more poll after it.

        Raises:
            InvalidRequestError: This cannot be an id.
            SessionClosedError: The session is closed.
            WrongLoopError: Another loop, which is still alive, has the session.
        """
        return self._runtime.hint(checked_job_id(job_id))

    async def drain(self, timeout: float | None = None) -> None:
        """Wait until no job and no submission is in progress.

        Cancelling this disturbs nothing.

        Raises:
            TimeoutError: *timeout* seconds were not enough; nothing was stopped.
        """
        checked_timeout(timeout)
        try:
            async with asyncio.timeout(timeout):
                await self._runtime.drain()
        except TimeoutError:
            left = len(self._runtime.handles)
            raise TimeoutError(f"{left} jobs are still in progress") from None

    @property
    def stats(self) -> SessionStats:
        """The figures of the session so far. Costs no request; at any time, anywhere.

        A picture of this moment that does not change any more; take two and subtract
        to see what happened between them.
        """
        return self._runtime.counters.snapshot(jobs_in_flight=len(self.jobs))

    # --- life ---------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that the session is open on, and is to be closed on.

        None before its first use, after `aclose`, and after that loop was closed.
        """
        return self._runtime.loop

    async def __aenter__(self) -> Self:
        """Open; leaving closes."""
        self._runtime.use()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; see `aclose`."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the session for good. Idempotent.

        A request for an image that is on the wire gets 5 seconds to answer, so that
        its job's id is known. Handles in progress end with `SessionClosedError`; the
        jobs go on at the service. No task and no socket stays behind.

        Cancelling this leaves the closing to go on in the background.

        Raises:
            WrongLoopError: Another loop, which is still alive, has the session.
        """
        await self._runtime.aclose()

    def __del__(self) -> None:
        """Warn of a session that was not closed."""
        runtime = getattr(self, "_runtime", None)  # none if the constructor raised
        if runtime is not None and runtime.loop is not None:
            warnings.warn(
                f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self
            )

    def __repr__(self) -> str:
        """Show the base URL and what is going on; never the key."""
        jobs = f"{len(self._runtime.handles)} jobs in progress"
        state = "closed" if self._runtime.closed else jobs
        return f"<PictorySession {self._runtime.settings.base_url} {state}>"
