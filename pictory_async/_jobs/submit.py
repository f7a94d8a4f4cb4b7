"""Paid requests: sent once, and not lost when nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import attrs

from pictory_async._core.endpoints import Call, submit_image
from pictory_async._core.errors import (
    RequestTimeoutError,
    SessionClosedError,
    TransportError,
)
from pictory_async._core.log import log_abandoned, log_submitted, logs_jobs
from pictory_async._core.models import GeneratedImage, ImageRequest
from pictory_async._core.unknown import unknown
from pictory_async._http.sender import Sender
from pictory_async._http.transport import Permit
from pictory_async._jobs.handle import JobHandle
from pictory_async._tasks import TaskOwner

ImageHandle = JobHandle[GeneratedImage]
Accept = Callable[[str, ImageRequest], ImageHandle]

# Seconds that a POST on the wire gets to answer when the session closes.
GRACE = 5.0


@attrs.define(eq=False)
class Submission:
    """One paid request under way.

    Attributes:
        call: What is sent.
        permit: Whether it may go out, and whether it has gone.
        started_at: When it began (aware, UTC).
        abandoned: Whether nobody waits for it any more.
        begun: Whether its task has run, and so gives the turn back.
        waiter: Told of the end; None before there is a task.
        on_end: Told when it is over, also if nobody waits: its task has ended, or its
            turn never came (None).
    """

    call: Call[str]
    permit: Permit = attrs.field(factory=Permit)
    started_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    abandoned: bool = False
    begun: bool = False
    waiter: asyncio.Future[None] | None = None
    on_end: Callable[[asyncio.Task[ImageHandle] | None], None] | None = None


class Submitter:
    """Sends paid requests, each in a task of its own.

    A web handler that is cancelled takes its waiting along, not the request: what is
    on the wire is finished, so that the id of a paid job is never lost.

    It has its task only from its turn on. Ten thousand that wait for theirs are just
    the coroutines of those who called: 3.5 KB less for each.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        tasks: TaskOwner,
        accept: Accept,
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._sender = sender
        self._tasks = tasks
        self._accept = accept
        self._on_end = on_end
        self._waiting = 0  # for their turn
        self._under_way: dict[asyncio.Task[ImageHandle], Submission] = {}

    @property
    def busy(self) -> bool:
        """Whether a submission is under way, or waits for its turn."""
        return bool(self._waiting or self._under_way)

    async def submit(self, submission: Submission) -> ImageHandle:
        """Send the request; return the handle once the service accepted it.

        Cancelling this before the request goes out sends nothing. Once it is on the
        wire it is finished in the background.

        Raises:
            SubmissionUnknownError: It may have created a job.
            SessionClosedError: The session was closed before it went out.
            PictoryError: It created nothing.
        """
        if not self._sender.turns.try_acquire():
            await self._take_turn(submission)
        # From the turn to the task nothing is awaited, so the turn is not lost.
        task = self._tasks.spawn(self._send(submission), name="pictory-submit")
        self._under_way[task] = submission
        task.add_done_callback(self._ended)
        submission.waiter = task.get_loop().create_future()
        try:
            await submission.waiter  # not the task: that would be cancelled with us
        except asyncio.CancelledError:
            self._abandon(task, submission)
            raise
        if not task.cancelled():
            return task.result()
        # Cancelled by `aclose`: nobody else has the task.
        if submission.permit.sent:
            cause = TransportError("the session was closed", sent=True)
            raise unknown(submission.call.request, submission.started_at, cause)
        raise SessionClosedError

    async def submit_before(self, until: float, submission: Submission) -> ImageHandle:
        """Do as `submit`, until that time of the loop.

        Raises:
            RequestTimeoutError: It was over before anything was sent.
            SubmissionUnknownError: It was over while the request was on the wire,
                where it is finished; or as for `submit`.
            PictoryError: As for `submit`.
        """
        scope = asyncio.timeout_at(until)
        try:
            async with scope:
                return await self.submit(submission)
        except TimeoutError:
            if not scope.expired():
                raise  # an attempt's own time-out
        sent = not submission.permit.withdraw()
        cause = RequestTimeoutError("not accepted in time", sent=sent, method="POST")
        if sent:
            request, started_at = submission.call.request, submission.started_at
            raise unknown(request, started_at, cause) from cause
        raise cause

    async def aclose(self) -> None:
        """Withdraw what has not gone out, and wait a little for the rest."""
        for task, submission in list(self._under_way.items()):
            submission.permit.last = True
            if submission.permit.withdraw():
                task.cancel()
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=GRACE)
        for task in self._under_way:
            task.cancel()

    async def _take_turn(self, submission: Submission) -> None:
        self._waiting += 1
        try:
            await self._sender.turns.acquire(submission.call.kind)
        except BaseException as error:
            self._waiting -= 1
            self._on_end(error)
            if submission.on_end is not None:
                submission.on_end(None)
            raise
        self._waiting -= 1

    async def _send(self, submission: Submission) -> ImageHandle:
        submission.begun = True
        call = submission.call
        job_id = await self._sender.fetch(call, permit=submission.permit, has_turn=True)
        assert call.request is not None  # noqa: S101 - a paid call has its request
        # No await from here on: an id that is known is in session.jobs.
        handle = self._accept(job_id, call.request)
        if logs_jobs():
            _tell_of_acceptance(job_id, call.request, submission.started_at)
        return handle

    def _abandon(self, task: asyncio.Task[ImageHandle], submission: Submission) -> None:
        """Note that nobody waits any more; withdraw what has not gone out."""
        submission.abandoned = True
        submission.permit.last = True
        if task.done():  # in the moment of the cancelling
            _tell(task, submission)
        elif submission.permit.withdraw():
            task.cancel()

    def _ended(self, task: asyncio.Task[ImageHandle]) -> None:
        submission = self._under_way.pop(task)
        if not submission.begun:  # cancelled before its first step
            self._sender.turns.release()
        self._on_end(None if task.cancelled() else task.exception())  # marks it as seen
        if submission.waiter is not None and not submission.waiter.done():
            submission.waiter.set_result(None)
        if submission.on_end is not None:
            submission.on_end(task)
        if submission.abandoned:
            _tell(task, submission)


def _tell_of_acceptance(
    job_id: str, request: ImageRequest, started_at: datetime
) -> None:
    elapsed = (datetime.now(UTC) - started_at).total_seconds()
    log_submitted(job_id, model=request.model, elapsed=elapsed)


def _tell(task: asyncio.Task[ImageHandle], submission: Submission) -> None:
    """Tell the log what became of a submission that nobody waits for."""
    began = f"{submission.started_at:%Y-%m-%d %H:%M:%SZ}"
    what = f"{submission.call.request!r}, begun at {began}"
    if task.cancelled():
        if submission.permit.sent:
            log_abandoned(what)
    elif error := task.exception():
        log_abandoned(what, error=error)
    else:
        log_abandoned(what, job_id=task.result().job_id)


def submission_for(request: ImageRequest) -> Submission:
    """Return what it takes to send *request*.

    Raises:
        InvalidRequestError: It cannot be written as JSON.
    """
    return Submission(submit_image(request))
