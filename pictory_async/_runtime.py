"""Behind a session: what outlives its event loop, and what is open on one loop."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncGenerator, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pictory_async._core.endpoints import IMAGES, Call, image_page, product_of
from pictory_async._core.errors import SessionClosedError, WrongLoopError
from pictory_async._core.models import GeneratedImage, HistoryImage, ImageRequest
from pictory_async._core.unknown import Claims, SubmissionUnknownError, search_for
from pictory_async._http.sender import Sender
from pictory_async._http.transport import Transport, limits_for
from pictory_async._http.turns import Turns
from pictory_async._jobs.handle import JobHandle
from pictory_async._jobs.jobs import Jobs
from pictory_async._jobs.scheduler import Scheduler
from pictory_async._jobs.submit import Accept, Submission, Submitter
from pictory_async._media.download import save
from pictory_async._media.history import Cursor, ImageHistory
from pictory_async._settings import Settings
from pictory_async._tasks import TaskOwner

ValueT = TypeVar("ValueT")


class Runtime:
    """The jobs of a session, and what it has open on the event loop that it belongs to.

    It opens on first use. If that loop is closed, it opens anew on the loop of its next
    use, and polls the jobs still in progress there.

    Attributes:
        settings: The settings of the session.
        jobs: The jobs and submissions in progress.
        closed: Whether the session was closed for good.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self.jobs: Jobs = Jobs(job_timeout=settings.job_timeout)
        self.closed: bool = False
        self._open: OpenLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop on which something is open; None if there is none."""
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
            SessionClosedError: The session was closed.
            WrongLoopError: It belongs to another loop that is not closed, or to another
                process.
        """
        if self.closed:
            raise SessionClosedError
        if self._open is None or self._open.loop.is_closed():
            self.jobs.forget_submissions()
            self._open = OpenLoop(self.settings, jobs=self.jobs, accept=self._accept)
            self._open.scheduler.resume(self.jobs)
        _check_owner(self._open)
        return self._open

    # --- for handles: the methods of `Poller` ---------------------------------------

    def check_loop(self) -> None:
        """Raise `WrongLoopError` unless the running loop may wait for jobs.

        Waiting is allowed while the session closes, as closing ends the jobs.
        """
        if self.closed and self._open and not self._open.loop.is_closed():
            _check_owner(self._open)
        else:
            self.use()

    def now(self) -> float:
        """Return the present time of the loop that the session was last open on.

        A job keeps times of its first loop; all loops use the monotonic clock.
        """
        assert self._open is not None  # noqa: S101 - jobs come from an open session
        return self._open.loop.time()

    def poll_now(self, job_id: str) -> bool:
        """Poll *job_id* immediately if it is in progress here; return whether it is.

        Any other id costs no request. It may turn out to be that of a submission under
        way, whose job is then polled immediately.
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
        """Return the handle of a job that was submitted anywhere, and poll it."""
        self.use()
        return self._handle(job_id, None)

    async def fetch(self, call: Call[ValueT]) -> ValueT:
        """Send a free call and return its value; see `Sender.fetch`."""
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
        """Start a background task, which is cancelled when the session closes."""
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
        """Return the images from *start* on; see `PictorySession.history`."""
        return ImageHistory(
            lambda key: self.fetch(image_page(key)), Cursor(start, since, limit)
        )

    async def reconcile(self, error: SubmissionUnknownError) -> HistoryImage | None:
        """Look for the image of *error*; see `PictorySession.reconcile`."""
        clock = self.use().sender.transport.clock
        if clock.offset is None:  # any answer says how far the clocks are apart
            await self.fetch(image_page(None))
        search = search_for(
            error, job_timeout=self.settings.job_timeout, clock_offset=clock.offset
        )
        history = self.history(since=search.earliest)
        matching = [image async for image in history if search.matches(image)]
        if not matching:
            return None
        # After reading the history: a job that made one of these has completed by now.
        reports = [await self.fetch(call) for call in self.jobs.polls_matching(search)]
        others = {report.result.url for report in reports if report.result is not None}
        return self.claims.choose(search, matching, others=others)

    async def aclose(self) -> None:
        """Close for good; see `PictorySession.aclose`."""
        here = self._open
        if here is None or here.loop.is_closed():
            if not self.closed:
                self.closed = True
                self.jobs.end_all()
            return
        _check_owner(here)
        self.closed = True
        await here.aclose()

    def _accept(self, job_id: str, request: ImageRequest) -> JobHandle[Any]:
        return self._handle(job_id, request)

    def _handle(self, job_id: str, request: ImageRequest | None) -> JobHandle[Any]:
        """Return the handle of *job_id*; make it and poll it if it is new.

        Nothing is awaited here, so a known id cannot be lost. The ids that are accepted
        while the session closes are added as well, and ended with all others.
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


def _check_owner(here: OpenLoop) -> None:
    """Raise `WrongLoopError` unless *here* belongs to this process and running loop."""
    if here.process != os.getpid():
        raise WrongLoopError(
            "the session was opened before this process was forked off; make a new "
            "one here"
        )
    if here.loop is not asyncio.get_running_loop():
        raise WrongLoopError(
            "the session belongs to another event loop that is not closed; use one "
            "session for each loop, or close this one there first"
        )


class OpenLoop:
    """What a session has open on one event loop: transport, turns, background tasks.

    Attributes:
        loop: The event loop.
        process: The id of the process, as a fork must not use its sockets.
        tasks: The background tasks.
        sender: Sends calls.
        scheduler: Polls jobs.
        submitter: Sends paid requests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: Jobs,
        accept: Accept,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.process: int = os.getpid()
        self.tasks: TaskOwner = TaskOwner()
        self._jobs = jobs
        self._turns = Turns(limits_for(settings.limits, settings.http), self.loop)
        self._transport = Transport(
            base_url=settings.base_url,
            api_key=settings.api_key,
            timeout=settings.request_timeout,
            proxies=settings.proxies,
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
        _start(self._at_loop_end)
        self._closing: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        """Close everything, once; further callers wait for the same closing.

        Cancelling this does not stop the closing, which goes on in the background.
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
            self._jobs.end_all()  # no further job can be accepted now
            await self.tasks.aclose()
            await self._at_loop_end.aclose()


async def _close_at_loop_end(transport: Transport) -> AsyncGenerator[None, None]:
    """Close *transport* when this generator is closed: by us, or as the loop ends.

    ``asyncio.run`` closes every async generator before it closes its loop. For a
    session that is used in two runs, and that is not closed in between, this is the
    only moment at which its sockets can be closed.
    """
    try:
        yield
    finally:
        await transport.aclose()


def _start(generator: AsyncGenerator[None, None]) -> None:
    """Run *generator* to its yield, so that the loop knows it; nothing is awaited."""
    try:
        generator.asend(None).send(None)
    except StopIteration:
        return
