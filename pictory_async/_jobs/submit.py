"""Paid requests: sent once, and finished even if their caller is cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import attrs

from pictory_async._core.endpoints import Call
from pictory_async._core.errors import (
    RequestTimeoutError,
    SessionClosedError,
    TransportError,
)
from pictory_async._core.log import log_abandoned, log_submitted, logger
from pictory_async._core.models import ImageRequest
from pictory_async._core.unknown import SubmissionUnknownError
from pictory_async._http.clock import utc_now
from pictory_async._http.sender import Sender
from pictory_async._http.transport import Permit
from pictory_async._jobs.handle import JobHandle
from pictory_async._jobs.jobs import Jobs
from pictory_async._tasks import TaskOwner, ended

SubmitTask: TypeAlias = asyncio.Task[JobHandle[Any]]
# Returns the handle of a job that the service accepted, and polls it from then on.
Accept: TypeAlias = Callable[[str, ImageRequest], JobHandle[Any]]

# Seconds that a POST on the wire has to be answered when the session closes.
GRACE = 5.0


@attrs.define(eq=False)
class Submission:
    """One paid request under way.

    Attributes:
        call: The paid call.
        on_end: Called once with the task when it has ended, even if the caller was
            cancelled; with None if the submission never got a turn.
        permit: The permission to send the body.
        started_at: When the submission began (aware, UTC).
        abandoned: Whether the caller was cancelled.
        begun: Whether the task has run its first step, and so releases the turn.
    """

    call: Call[str]
    on_end: Callable[[SubmitTask | None], None] | None = None
    permit: Permit = attrs.field(factory=Permit, init=False)
    started_at: datetime = attrs.field(factory=utc_now, init=False)
    abandoned: bool = attrs.field(default=False, init=False)
    begun: bool = attrs.field(default=False, init=False)

    @property
    def request(self) -> ImageRequest:
        """The user's request."""
        assert self.call.request is not None  # noqa: S101 - a paid call has its request
        return self.call.request


class Submitter:
    """Sends paid requests, each in a task of its own.

    A web handler that is cancelled stops waiting, but its request is not stopped: what
    is on the wire is finished, so that the id of a paid job is never lost.

    | State | the caller is cancelled | the session closes | the caller's time ends |
    |---|---|---|---|
    | waiting | leaves the queue | `SessionClosedError` | `RequestTimeoutError` |
    | started | withdrawn | withdrawn, `SessionClosedError` | `RequestTimeoutError` |
    | on the wire | abandoned | 5 s to be answered, else unknown | unknown, abandoned |
    | accepted | abandoned | the handle, which has ended | unknown, abandoned |

    - *waiting*: For its turn. There is no task yet.
    - *started*: The task runs and nothing is on the wire: before the first attempt
      leaves, or between two attempts.
    - *accepted*: The task has ended, but its caller has not been woken yet.
    - *withdrawn*: The permit is withdrawn and the task cancelled. Nothing is sent.
    - *abandoned*: The task goes on without its caller, but does not retry. A job that
      is accepted is in ``session.jobs``; one log record (`abandoned`) has the outcome.
    - *unknown*: The caller gets a `SubmissionUnknownError`. A `RequestTimeoutError`
      here always says *not sent*.

    A submission has its task only from its turn on. Ten thousand that wait for theirs
    are just the coroutines of their callers: with a task each, memory for a job would
    be 0.61 instead of 0.36 times that of a hand-written loop.
    """

    def __init__(
        self, *, jobs: Jobs, sender: Sender, tasks: TaskOwner, accept: Accept
    ) -> None:
        self._jobs = jobs
        self._sender = sender
        self._tasks = tasks
        self._accept = accept
        self._under_way: dict[SubmitTask, Submission] = {}

    async def submit(self, submission: Submission) -> JobHandle[Any]:
        """Send the request; return the handle of the job once the service accepts it.

        Cancelling this before the request is on the wire sends nothing; after that it
        is finished in the background. See the table of the class.

        Raises:
            SubmissionUnknownError: The request may have created a job.
            SessionClosedError: The session was closed before anything was sent.
            PictoryError: The request created nothing.
        """
        self._jobs.submission_began(submission)
        if not self._sender.turns.try_acquire():
            await self._take_turn(submission)
        # Nothing is awaited between the turn and the task, so the turn cannot be lost.
        task = self._tasks.spawn(self._send(submission), name="pictory-submit")
        self._under_way[task] = submission
        task.add_done_callback(self._on_end)
        try:
            await ended(task)
        except asyncio.CancelledError:
            self._abandon(task, submission)
            raise
        if not task.cancelled():
            return task.result()
        # `aclose` cancelled it: nothing else cancels a task whose caller still waits.
        if submission.permit.sent:
            raise self._unknown(submission, TransportError("the session was closed"))
        raise SessionClosedError

    async def submit_before(
        self, until: float, submission: Submission
    ) -> JobHandle[Any]:
        """Do as `submit`, until the time *until* of the event loop.

        Raises:
            RequestTimeoutError: The time was over before anything was sent.
            SubmissionUnknownError: The time was over while the request was on the wire;
                it is finished in the background. Or as for `submit`.
            PictoryError: As for `submit`.
        """
        scope = asyncio.timeout_at(until)
        try:
            async with scope:
                return await self.submit(submission)
        except TimeoutError:
            if not scope.expired():
                raise  # the time-out of an attempt
        sent = not submission.permit.withdraw()
        cause = RequestTimeoutError("not accepted in time", sent=sent, method="POST")
        if sent:
            raise self._unknown(submission, cause) from cause
        raise cause

    async def aclose(self) -> None:
        """Withdraw what is not on the wire; wait `GRACE` for answers to the rest."""
        for task, submission in list(self._under_way.items()):
            submission.permit.no_retry = True
            if submission.permit.withdraw():
                task.cancel()
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=GRACE)
        for task in self._under_way:
            task.cancel()

    def _unknown(
        self, submission: Submission, cause: TransportError
    ) -> SubmissionUnknownError:
        return self._sender.unknown(submission.request, submission.started_at, cause)

    async def _take_turn(self, submission: Submission) -> None:
        try:
            await self._sender.turns.acquire(submission.call.kind)
        except BaseException as error:
            self._jobs.submission_ended(submission, error)
            if submission.on_end is not None:
                submission.on_end(None)
            raise

    async def _send(self, submission: Submission) -> JobHandle[Any]:
        submission.begun = True
        job_id = await self._sender.fetch(
            submission.call, permit=submission.permit, has_turn=True
        )
        # No await from here on, so that a known id is always in session.jobs.
        job = self._accept(job_id, submission.request)
        if logger.isEnabledFor(logging.INFO):
            elapsed = (utc_now() - submission.started_at).total_seconds()
            log_submitted(job_id, model=submission.request.model, elapsed=elapsed)
        return job

    def _abandon(self, task: SubmitTask, submission: Submission) -> None:
        """Withdraw a submission, or let it go on without its caller if on the wire."""
        submission.abandoned = True
        submission.permit.no_retry = True
        if task.done():  # at the very moment of the cancelling
            _log_abandoned(task, submission)
        elif submission.permit.withdraw():
            task.cancel()

    def _on_end(self, task: SubmitTask) -> None:
        submission = self._under_way.pop(task)
        if not submission.begun:  # cancelled before its first step: it holds the turn
            self._sender.turns.release()
        error = None if task.cancelled() else task.exception()  # marks it as retrieved
        self._jobs.submission_ended(submission, error)
        if submission.on_end is not None:
            submission.on_end(task)
        if submission.abandoned:
            _log_abandoned(task, submission)


def _log_abandoned(task: SubmitTask, submission: Submission) -> None:
    """Log the outcome of a submission whose caller was cancelled."""
    began = f"{submission.started_at:%Y-%m-%d %H:%M:%SZ}"
    what = f"{submission.request!r}, begun at {began}"
    if task.cancelled():
        if submission.permit.sent:
            log_abandoned(what)
    elif error := task.exception():
        log_abandoned(what, error=error)
    else:
        log_abandoned(what, job_id=task.result().job_id)
