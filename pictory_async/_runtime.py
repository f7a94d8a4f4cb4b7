"""What stands behind a session: the engine of the present loop, and the jobs."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pictory_async._core.endpoints import Call, image_job, image_page
from pictory_async._core.errors import SessionClosedError, WrongLoopError
from pictory_async._core.log import log_closed
from pictory_async._core.models import (
    GeneratedImage,
    HistoryImage,
    HistoryPage,
    ImageRequest,
)
from pictory_async._core.unknown import (
    Claims,
    Search,
    SubmissionUnknownError,
    search_for,
)
from pictory_async._http.sender import Sender
from pictory_async._http.stats import Counters
from pictory_async._http.transport import Transport, fitting
from pictory_async._http.turns import Turns
from pictory_async._jobs.handle import JobHandle
from pictory_async._jobs.job import Job
from pictory_async._jobs.scheduler import Scheduler
from pictory_async._jobs.submit import Accept, Submission, Submitter
from pictory_async._media.download import save
from pictory_async._media.history import Cursor, ImageHistory
from pictory_async._settings import Settings
from pictory_async._tasks import Signal, TaskOwner

ValueT = TypeVar("ValueT")

# Ids heard of before their submission was answered; more means that they are made up.
_MOST_EARLY = 1000


class Runtime:
    """Opens an engine on first use, and keeps the jobs, which may outlive it.

    A job that was in progress when its loop was closed is followed on by the engine
    of the next one.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self.counters: Counters = Counters()
        self.closed: bool = False
        self.handles: dict[str, JobHandle[GeneratedImage]] = {}
        self._jobs: dict[str, Job[GeneratedImage]] = {}
        self._engine: Engine | None = None
        self.claims: Claims = Claims()
        self._early: dict[str, None] = {}  # in the order of hearing; see `hint`
        self._quieter = Signal()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop on which something would be left open if this were forgotten now."""
        engine = self._engine
        if self.closed or engine is None or engine.loop.is_closed():
            return None
        return engine.loop

    def use(self) -> Engine:
        """Return the engine of the running loop; open it if there is none.

        Raises:
            SessionClosedError: Closed is closed.
            WrongLoopError: Another loop, still alive, has it; or another process.
        """
        if self.closed:
            raise SessionClosedError
        if self._engine is None or self._engine.loop.is_closed():
            self._engine = Engine(
                self.settings,
                counters=self.counters,
                accept=self.attach,
                on_submit_end=self._on_submit_end,
                on_job_end=self._on_job_end,
            )
            for job in list(self._jobs.values()):  # some may be overdue, and end here
                self._engine.scheduler.follow(job)
        _check(self._engine)
        return self._engine

    def enter(self) -> None:
        """Check that the running loop may wait for these jobs.

        While the session closes it may: they are told how that ends.
        """
        if self.closed and self._engine and not self._engine.loop.is_closed():
            _check(self._engine)
        else:
            self.use()

    async def submit(
        self, submission: Submission, *, until: float | None = None
    ) -> JobHandle[GeneratedImage]:
        """Send a paid request; see `Submitter.submit` and `Submitter.submit_before`."""
        submitter = self.use().submitter
        if until is None:
            return await submitter.submit(submission)
        return await submitter.submit_before(until, submission)

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
        return self.use().tasks.spawn(coro, name=name)

    def poll_now(self, job: Job[Any]) -> None:
        """Ask for *job* at once."""
        self.use().scheduler.poll_now(job)

    def hint(self, job_id: str) -> bool:
        """Ask for *job_id* at once if it is in progress here, and say so.

        Any other id costs no request. While a submission is under way it may be the
        id that the answer will bring, so it is kept until then.
        """
        engine = self.use()
        if job_id in self._jobs:
            engine.scheduler.poll_now(self._jobs[job_id])
            return True
        if engine.submitter.busy:
            self._early[job_id] = None
            if len(self._early) > _MOST_EARLY:
                del self._early[next(iter(self._early))]
        return False

    def attach(
        self, job_id: str, request: ImageRequest | None = None
    ) -> JobHandle[GeneratedImage]:
        """Return the handle of *job_id*, and have it polled.

        Nothing is awaited here, so an id that is known cannot be lost. While the
        session closes, the last ids come in too, and are told like the others.
        """
        if job_id in self.handles:
            return self.handles[job_id]
        engine = self._engine
        assert engine is not None  # noqa: S101 - ids come from an open engine
        job = Job(
            job_id,
            endpoint=image_job,
            request=request,
            policy=self.settings.polling,
            now=engine.turns.now,
        )
        handle = JobHandle(job, follower=self)
        self._jobs[job_id], self.handles[job_id] = job, handle
        engine.scheduler.follow(job)
        if job_id in self._early:
            del self._early[job_id]
            engine.scheduler.poll_now(job)
        return handle

    async def reconcile(self, error: SubmissionUnknownError) -> HistoryImage | None:
        """Look in the history for what *error* left open."""
        search = search_for(error, job_timeout=self.settings.job_timeout)
        history = self.history(since=search.earliest)
        matching = [image async for image in history if search.matches(image)]
        # After the history: a job that made one of these has completed by now.
        others = await self._made_by_rivals(search) if matching else ()
        return self.claims.choose(search, matching, others=others)

    def history(
        self,
        *,
        start: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> ImageHistory:
        """Return the images from *start* on; nothing is fetched yet."""
        return ImageHistory(self._fetch_page, Cursor(start, since, limit))

    async def _fetch_page(self, key: str | None) -> HistoryPage:
        return await self.fetch(image_page(key))

    async def _made_by_rivals(self, search: Search) -> set[str]:
        """Return the URLs of jobs in progress that could have made the same image."""
        rivals = [job for job in self._jobs.values() if search.rivals(job.request)]
        sender = self.use().sender
        reports = [await sender.fetch(job.call()) for job in rivals]
        return {report.result.url for report in reports if report.result is not None}

    async def drain(self) -> None:
        """Wait until no job and no submission is in progress."""
        engine = self.use()
        while self._jobs or engine.submitter.busy:
            await self._quieter.wait()

    async def aclose(self) -> None:
        """Close for good; see `PictorySession.aclose`."""
        engine = self._engine
        if engine is None or engine.loop.is_closed():
            if not self.closed:
                self.closed = True
                self._tell_jobs()
            return
        _check(engine)
        self.closed = True
        await engine.aclose(tell_jobs=self._tell_jobs)

    def _on_submit_end(self, error: BaseException | None) -> None:
        if isinstance(error, SubmissionUnknownError):
            self.claims.keep(search_for(error, job_timeout=self.settings.job_timeout))
        if self._engine is None or not self._engine.submitter.busy:
            self._early.clear()  # no answer can bring one of these any more
        self._quieter.fire()

    def _on_job_end(self, job: Job[GeneratedImage]) -> None:
        del self._jobs[job.job_id], self.handles[job.job_id]
        self.counters.job_ended(polls=job.polls, result=job.result)
        if job.result is not None:
            self.claims.take(job.result.url, now=datetime.now(UTC))
        self._quieter.fire()

    def _tell_jobs(self) -> None:
        log_closed(list(self._jobs))
        for job_id, job in self._jobs.items():
            job.settle(SessionClosedError(job_id=job_id))
        self._jobs.clear()
        self.handles.clear()
        self._quieter.fire()


def _check(engine: Engine) -> None:
    if engine.process != os.getpid():
        raise WrongLoopError(
            "the session was opened before this process was forked off; make a new "
            "one here"
        )
    if engine.loop is not asyncio.get_running_loop():
        raise WrongLoopError(
            "the session belongs to another event loop, which is still alive; use one "
            "session a loop, or close this one there first"
        )


class Engine:
    """The transport, queues and background tasks of a session on the running loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        counters: Counters,
        accept: Accept,
        on_submit_end: Callable[[BaseException | None], None],
        on_job_end: Callable[[Job[GeneratedImage]], None],
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.process: int = os.getpid()
        self.tasks: TaskOwner = TaskOwner()
        self.turns: Turns = Turns(fitting(settings.limits, settings.http), self.loop)
        self.transport: Transport = Transport(
            base_url=settings.base_url,
            api_key=settings.api_key,
            timeout=settings.request_timeout,
            http=settings.http,
        )
        self.sender: Sender = Sender(
            transport=self.transport,
            turns=self.turns,
            retries=settings.retries,
            counters=counters,
        )
        self.scheduler: Scheduler = Scheduler(
            sender=self.sender,
            tasks=self.tasks,
            workers=self.turns.at_once,
            job_timeout=settings.job_timeout,
            on_end=on_job_end,
        )
        self.submitter: Submitter = Submitter(
            sender=self.sender,
            tasks=self.tasks,
            accept=accept,
            on_end=on_submit_end,
        )
        self._at_loop_end = _close_at_loop_end(self.transport)
        # Up to its yield, so that the loop knows the generator; nothing is awaited.
        _start(self._at_loop_end)
        self._closing: asyncio.Task[None] | None = None

    async def aclose(self, *, tell_jobs: Callable[[], None]) -> None:
        """Close everything once; further callers wait for the same closing.

        Cancelling this leaves the closing to go on in the background.

        Args:
            tell_jobs: Called when no further job id can become known.
        """
        if self._closing is None:
            self._closing = self.tasks.spawn(
                self._close(tell_jobs),
                name="pictory-close",
                context=contextvars.Context(),
            )
        await asyncio.wait([self._closing])
        self._closing.result()

    async def _close(self, tell_jobs: Callable[[], None]) -> None:
        self.turns.close()
        try:
            await self.submitter.aclose()
        finally:
            self.scheduler.close()
            tell_jobs()
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
