"""Behind a session: what outlives its event loop, and what is open on one."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pictory_async._core.endpoints import IMAGES, Call, image_page, product_of
from pictory_async._core.errors import SessionClosedError, WrongLoopError
from pictory_async._core.models import GeneratedImage, HistoryImage, ImageRequest
from pictory_async._core.unknown import Claims, SubmissionUnknownError, search_for
from pictory_async._http.sender import Sender
from pictory_async._http.transport import Transport, fitting
from pictory_async._http.turns import Turns
from pictory_async._jobs.handle import JobHandle
from pictory_async._jobs.jobs import Jobs
from pictory_async._jobs.scheduler import Scheduler
from pictory_async._jobs.submit import Submission, Submitter
from pictory_async._media.download import save
from pictory_async._media.history import Cursor, ImageHistory
from pictory_async._settings import Settings
from pictory_async._tasks import TaskOwner

ValueT = TypeVar("ValueT")


class Runtime:
    """The jobs of a session, and what it has open on the loop that it belongs to.

    It opens on first use. A job that was in progress when its loop was closed is
    polled on the next one.

    Attributes:
        settings: What the session was set up with.
        jobs: Everything in progress.
        closed: Whether the session was closed for good.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self.jobs: Jobs = Jobs(job_timeout=settings.job_timeout)
        self.closed: bool = False
        self._open: OpenLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop on which something would be left open if this were forgotten now."""
        here = self._open
        if self.closed or here is None or here.loop.is_closed():
            return None
        return here.loop

    @property
    def claims(self) -> Claims:
        """The images that are known to belong to a job of this session."""
        return self.jobs.claims

    def use(self) -> OpenLoop:
        """Return what is open on the running loop; open it if nothing is.

        Raises:
            SessionClosedError: Closed is closed.
            WrongLoopError: Another loop, still alive, has it; or another process.
        """
        if self.closed:
            raise SessionClosedError
        if self._open is None or self._open.loop.is_closed():
            self.jobs.forget_submissions()
            self._open = OpenLoop(self.settings, jobs=self.jobs, accept=self._accept)
            for job in self.jobs:
                if not job.done():  # one that is overdue ends the others like it
                    self._open.scheduler.resume(job)
        _check(self._open)
        return self._open

    # --- for handles ----------------------------------------------------------------

    def enter(self) -> None:
        """Check that the running loop may wait for these jobs.

        While the session closes it may: closing ends the jobs.
        """
        if self.closed and self._open and not self._open.loop.is_closed():
            _check(self._open)
        else:
            self.use()

    def now(self) -> float:
        """Return the present time of the loop that the session was last open on."""
        assert self._open is not None  # noqa: S101 - jobs come from an open session
        return self._open.loop.time()

    def poll_now(self, job_id: str) -> bool:
        """Poll *job_id* immediately if it is in progress here; return whether it is.

        Any other id costs no request. While a submission is under way it may be the
        id that the answer will bring, so it is kept until then.
        """
        scheduler = self.use().scheduler
        job = self.jobs.get(job_id)
        if job is None:
            self.jobs.announce(job_id)
            return False
        scheduler.poll_now(job)
        return True

    # --- verbs ----------------------------------------------------------------------

    async def submit(
        self, submission: Submission, *, until: float | None = None
    ) -> JobHandle[GeneratedImage]:
        """Send a paid request; see `Submitter.submit` and `Submitter.submit_before`."""
        submitter = self.use().submitter
        if until is None:
            return await submitter.submit(submission)
        return await submitter.submit_before(until, submission)

    def attach(self, job_id: str) -> JobHandle[GeneratedImage]:
        """Return the handle of a job that was started anywhere, and have it polled."""
        self.use()
        return self._follow(job_id, None)

    async def fetch(self, call: Call[ValueT]) -> ValueT:
        """Send a free request as often as is worth while; return its value."""
        return await self.use().sender.fetch(call)

    async def save(
        self,
        *,
        url: str,
        image_id: str,
        to: str | os.PathLike[str],
        overwrite: bool,
    ) -> Path:
        """Download *url*; see `PictorySession.download`."""
        sender = self.use().sender
        return await save(
            sender, url=url, image_id=image_id, to=to, overwrite=overwrite
        )

    def spawn(
        self, coro: Coroutine[Any, Any, ValueT], *, name: str
    ) -> asyncio.Task[ValueT]:
        """Start a task that ends at the latest when the session closes."""
        try:
            tasks = self.use().tasks
        except BaseException:
            coro.close()  # or Python warns that it was never awaited
            raise
        return tasks.spawn(coro, name=name)

    def history(
        self,
        *,
        start: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> ImageHistory:
        """Return the images from *start* on; nothing is fetched yet."""
        return ImageHistory(
            lambda key: self.fetch(image_page(key)), Cursor(start, since, limit)
        )

    async def reconcile(self, error: SubmissionUnknownError) -> HistoryImage | None:
        """Look in the history for what *error* left open."""
        search = search_for(error, job_timeout=self.settings.job_timeout)
        history = self.history(since=search.earliest)
        matching = [image async for image in history if search.matches(image)]
        if not matching:
            return None
        # After the history: a job that made one of these has completed by now.
        reports = [await self.fetch(call) for call in self.jobs.polls_like(search)]
        others = {report.result.url for report in reports if report.result is not None}
        return self.claims.choose(search, matching, others=others)

    async def aclose(self) -> None:
        """Close for good; see `PictorySession.aclose`."""
        here = self._open
        if here is None or here.loop.is_closed():
            if not self.closed:
                self.closed = True
                self.jobs.abandon()
            return
        _check(here)
        self.closed = True
        await here.aclose()

    def _accept(self, job_id: str, request: ImageRequest) -> JobHandle[Any]:
        return self._follow(job_id, request)

    def _follow(self, job_id: str, request: ImageRequest | None) -> JobHandle[Any]:
        """Return the handle of *job_id*, and have it polled.

        Nothing is awaited here, so an id that is known cannot be lost. While the
        session closes, the last ids come in too, and end like the others.
        """
        job = self.jobs.get(job_id)
        if job is None:
            assert self._open is not None  # noqa: S101 - ids come from an open session
            job = JobHandle(
                job_id,
                product=IMAGES if request is None else product_of(request),
                request=request,
                policy=self.settings.polling,
                poller=self,
            )
            self._open.scheduler.start(job)
        return job


def _check(here: OpenLoop) -> None:
    if here.process != os.getpid():
        raise WrongLoopError(
            "the session was opened before this process was forked off; make a new "
            "one here"
        )
    if here.loop is not asyncio.get_running_loop():
        raise WrongLoopError(
            "the session belongs to another event loop, which is still alive; use one "
            "session a loop, or close this one there first"
        )


class OpenLoop:
    """The transport, queues and background tasks of a session on one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: Jobs,
        accept: Callable[[str, ImageRequest], JobHandle[Any]],
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.process: int = os.getpid()
        self.tasks: TaskOwner = TaskOwner()
        self._jobs = jobs
        self._turns = Turns(fitting(settings.limits, settings.http), self.loop)
        self._transport = Transport(
            base_url=settings.base_url,
            api_key=settings.api_key,
            timeout=settings.request_timeout,
            http=settings.http,
        )
        self.sender: Sender = Sender(
            transport=self._transport,
            turns=self._turns,
            retries=settings.retries,
            counters=jobs.counters,
        )
        self.scheduler: Scheduler = Scheduler(
            jobs=jobs,
            sender=self.sender,
            tasks=self.tasks,
            job_timeout=settings.job_timeout,
        )
        self.submitter: Submitter = Submitter(
            jobs=jobs, sender=self.sender, tasks=self.tasks, accept=accept
        )
        self._at_loop_end = _close_at_loop_end(self._transport)
        # Up to its yield, so that the loop knows the generator; nothing is awaited.
        _start(self._at_loop_end)
        self._closing: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        """Close everything once; further callers wait for the same closing.

        Cancelling this leaves the closing to go on in the background.
        """
        if self._closing is None:
            self._closing = self.tasks.spawn(
                self._close(), name="pictory-close", context=contextvars.Context()
            )
        await asyncio.wait([self._closing])
        self._closing.result()

    async def _close(self) -> None:
        self._turns.close()
        try:
            await self.submitter.aclose()
        finally:
            self.scheduler.close()
            self._jobs.abandon()  # no further job id can become known
            await self.tasks.aclose()
            await self._at_loop_end.aclose()


async def _close_at_loop_end(transport: Transport) -> AsyncGenerator[None, None]:
    """Close *transport* when this is closed: by us, or by the loop as it ends.

    ``asyncio.run`` closes every async generator before it closes the loop. It is the
    one moment at which sockets can still be closed for somebody who uses one session
    in two runs, and who cannot close it in between.
    """
    try:
        yield
    finally:
        await transport.aclose()


def _start(generator: AsyncGenerator[None, None]) -> None:
    try:
        generator.asend(None).send(None)
    except StopIteration:
        return
