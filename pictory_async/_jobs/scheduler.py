"""One scheduler for all jobs of a session: a queue of due times and a few workers."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import logging
import math
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from pictory_async._core.endpoints import Kind
from pictory_async._core.errors import (
    JobFailedError,
    JobTimeoutError,
    PictoryError,
    SessionClosedError,
)
from pictory_async._core.log import (
    log_broken,
    log_completed,
    log_failed,
    log_polled,
    log_retried,
    log_undocumented,
    logger,
)
from pictory_async._core.text import shorten
from pictory_async._core.wire import JobReport
from pictory_async._http.sender import Sender
from pictory_async._jobs.handle import JobHandle
from pictory_async._jobs.jobs import Jobs
from pictory_async._policy.polling import Backoff, Settle, judge
from pictory_async._tasks import TaskOwner

# Seconds. A deadline that is noticed later finds an event loop that stood still.
LATE: Final = 1.0


class Scheduler:
    """Polls each job when it is due, until it ends.

    | Event | What happens to the job |
    |---|---|
    | it is accepted | polled after the policy's delay |
    | it is attached, or its id was announced | polled immediately |
    | a poll finds it in progress | polled again after the policy's delay |
    | a poll fails | the same, but not before Retry-After |
    | a poll finds it ended, or is refused | ends with its result or error |
    | `poll_now` | polled immediately; once more if a poll is in flight |
    | *job_timeout* is over | ends with `JobTimeoutError` |
    | the session closes | ends with `SessionClosedError`, by `Jobs.end_all` |
    | the loop is closed | stays in `Jobs`; the scheduler of the next loop resumes it |

    There is one timer for the next poll, one for the next deadline, and a worker task
    only while there is something to poll: the number of timers and tasks depends on the
    requests in flight, not on the jobs in flight.

    No deadline is stored. It is the start of the job plus *job_timeout*, which is the
    same for all, so the oldest job has the first one (`_watch_deadlines`).
    """

    def __init__(
        self,
        *,
        jobs: Jobs,
        sender: Sender,
        tasks: TaskOwner,
        job_timeout: float | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs = jobs
        self._sender = sender
        self._tasks = tasks
        self._idle_workers = sender.turns.concurrent_requests
        self._job_timeout = math.inf if job_timeout is None else job_timeout
        self._sequence = itertools.count()  # keeps the heap from comparing jobs
        self._queue: list[tuple[float, int, JobHandle[Any]]] = []
        self._ready: deque[JobHandle[Any]] = deque()
        # Tasks and timers would otherwise inherit the context variables (a request, a
        # span) of whoever came first, and run the polls of all jobs under them.
        self._context = contextvars.Context()
        self._poll_timer: asyncio.TimerHandle | None = None
        self._poll_timer_due = math.inf  # as uvloop's handles may not know it
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._last_polls: set[JobHandle[Any]] = set()  # of jobs that are overdue
        self._unknown_states: set[str] = set()

    def start(self, job: JobHandle[Any]) -> None:
        """Add *job* to those in progress, and poll it from now on."""
        announced = self._jobs.add(job)
        self.resume([job])
        if announced:
            self.poll_now(job)

    def resume(self, jobs: Iterable[JobHandle[Any]]) -> None:
        """Poll *jobs* from now on; at once those that were attached or are overdue."""
        now = self._loop.time()
        for job in jobs:
            job._polling = False  # a poll on an earlier loop ended with it
            overdue = job._started_at + self._job_timeout <= now
            if overdue:
                self._last_polls.add(job)
            first = 0.0 if job._attached or overdue else self._delay(job)
            self._schedule(job, now + first)
        if self._deadline_timer is None:
            self._watch_deadlines()

    def poll_now(self, job: JobHandle[Any]) -> None:
        """Poll *job* immediately, or once more after a poll in flight."""
        if job._polling:
            job._poll_again = True  # the answer on its way may be too old
        elif job._due is not None and job._due > self._loop.time():
            self._schedule(job, self._loop.time())

    def close(self) -> None:
        """Stop the timers and empty the queues; the `TaskOwner` ends the workers."""
        for timer in (self._poll_timer, self._deadline_timer):
            if timer is not None:
                timer.cancel()
        self._queue.clear()
        self._ready.clear()

    # --- due times ----------------------------------------------------------------

    def _schedule(self, job: JobHandle[Any], due: float) -> None:
        job._due = due
        heapq.heappush(self._queue, (due, next(self._sequence), job))
        self._set_poll_timer()

    def _set_poll_timer(self) -> None:
        """Set the timer to the head of the queue."""
        if not self._queue:
            return
        due = self._queue[0][0]
        if self._poll_timer is not None:
            if self._poll_timer_due <= due:
                return
            self._poll_timer.cancel()
        self._poll_timer_due = due
        self._poll_timer = self._loop.call_at(
            due, self._on_due, context=self._context.copy()
        )

    def _on_due(self) -> None:
        self._poll_timer = None
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            due, _, job = heapq.heappop(self._queue)
            if job._due == due and not job.done():  # else it was rescheduled since
                job._due = None
                self._ready.append(job)
        self._set_poll_timer()
        for _ in range(min(self._idle_workers, len(self._ready))):
            self._idle_workers -= 1
            self._tasks.spawn(
                self._work(), name="pictory-poll", context=self._context.copy()
            )

    def _watch_deadlines(self) -> None:
        """End the jobs whose time is over, and set the timer to the next deadline.

        If the loop stood still at that moment, nothing is known of the time since: the
        job is polled for the last time, and ends with that poll.
        """
        self._deadline_timer = None
        now = self._loop.time()
        for job in self._jobs:
            deadline = job._started_at + self._job_timeout
            if deadline > now:
                if deadline < math.inf:
                    self._deadline_timer = self._loop.call_at(
                        deadline, self._watch_deadlines, context=self._context.copy()
                    )
                return
            if job in self._last_polls:
                continue
            if now - deadline > LATE:
                self._last_polls.add(job)
                self.poll_now(job)
            else:
                self._end(job, JobTimeoutError(job_id=job.job_id))

    def _delay(self, job: JobHandle[Any]) -> float:
        """Return the delay that the policy chooses; replace a policy that raises."""
        model = job._model
        try:
            delay = float(
                job._policy.delay(polls=job._polls, elapsed=job._elapsed, model=model)
            )
            if not 0 <= delay < math.inf:
                raise ValueError(f"delay must be seconds (0 or more), not {delay!r}")
        except Exception:  # noqa: BLE001 - logged
            text = "poll policy failed for job %s; using Backoff instead"
            log_broken(text, job.job_id, job_id=job.job_id)
            job._policy = Backoff()
            return self._delay(job)
        return delay

    # --- polls --------------------------------------------------------------------

    async def _work(self) -> None:
        """Poll the jobs that are ready, until none is left."""
        try:
            while self._ready:
                job = self._ready.popleft()
                if not job.done():
                    await self._poll_safely(job)
        finally:
            self._idle_workers += 1

    async def _poll_safely(self, job: JobHandle[Any]) -> None:
        """Poll *job*; log an unexpected exception and go on polling."""
        try:
            await self._poll(job)
        except Exception:  # noqa: BLE001 - logged
            text = "a poll of job %s raised an unexpected error; polling again"
            log_broken(text, job.job_id, job_id=job.job_id)
            if not job.done():
                self._reschedule(job, at_least=Backoff().first)

    async def _poll(self, job: JobHandle[Any]) -> None:
        polled_at = job._elapsed
        job._polling = True
        report: JobReport[Any] | PictoryError
        try:
            # A job that gets one 503 after another must not slow the whole session.
            report = await self._sender.attempt(
                job._call(), already_failing=job._problem is not None
            )
        except SessionClosedError:
            return  # `Jobs.end_all` ends the job
        except PictoryError as error:
            report = error
        finally:
            job._polling = False
        if not job.done():  # its deadline may have passed meanwhile
            self._act_on(job, report, polled_at)

    def _act_on(
        self,
        job: JobHandle[Any],
        report: JobReport[Any] | PictoryError,
        polled_at: float,
    ) -> None:
        """Act on a poll that was sent when the job was *polled_at* seconds old."""
        running = isinstance(report, JobReport) and report.error is None
        job._record(report)
        verdict = judge(report, elapsed=job._elapsed, attached=job._attached)
        if isinstance(verdict, Settle):
            self._learn(job, verdict.outcome)
            if isinstance(report, JobReport) and logger.isEnabledFor(logging.DEBUG):
                _log_poll(job, None)
            self._end(job, verdict.outcome)
            return
        if job in self._last_polls:
            self._end(job, JobTimeoutError(job_id=job.job_id))
            return
        if running:
            job._last_running = polled_at
        delay = self._reschedule(job, verdict.at_least)
        if isinstance(report, PictoryError):
            self._log_failed_poll(job, report, delay)
            return
        if logger.isEnabledFor(logging.DEBUG):
            _log_poll(job, delay)
        if not report.state.documented:
            self._warn_of_unknown_state(job)

    def _reschedule(self, job: JobHandle[Any], at_least: float) -> float:
        """Poll *job* again after its policy's delay; return the seconds until then."""
        at_least = min(at_least, self._sender.retries.max_retry_after)
        delay = max(0.0 if job._poll_again else self._delay(job), at_least)
        job._poll_again = False
        self._schedule(job, self._loop.time() + delay)
        return delay

    def _learn(self, job: JobHandle[Any], outcome: object) -> None:
        """Pass the duration of a job that completed or failed to its policy."""
        completed = not isinstance(outcome, PictoryError)
        if job._attached or not (completed or isinstance(outcome, JobFailedError)):
            return
        try:
            job._policy.ended(
                model=job._model, earliest=job._last_running, latest=job._elapsed
            )
        except Exception:  # noqa: BLE001 - logged
            text = "poll policy failed to learn from job %s"
            log_broken(text, job.job_id, job_id=job.job_id)

    def _end(self, job: JobHandle[Any], outcome: object) -> None:
        job._due = None
        self._last_polls.discard(job)
        self._jobs.end(job, outcome)
        if isinstance(outcome, PictoryError):
            log_failed(job.job_id, outcome, polls=job._polls, elapsed=job._elapsed)
        elif logger.isEnabledFor(logging.INFO):
            _log_completion(job)

    def _log_failed_poll(
        self, job: JobHandle[Any], error: PictoryError, delay: float
    ) -> None:
        self._sender.counters.retry(error, after=delay)
        log_retried(
            error,
            kind=Kind.POLL.value,
            delay=delay,
            attempt=job._polls,
            job_id=job.job_id,
        )

    def _warn_of_unknown_state(self, job: JobHandle[Any]) -> None:
        state = shorten(job._state)
        if job._state not in self._unknown_states:
            self._unknown_states.add(job._state)
            log_undocumented(
                "job %s is in state %r, which this release does not know; "
                "polling goes on",
                job.job_id,
                state,
                field="state",
                value=state,
                job_id=job.job_id,
            )


def _log_poll(job: JobHandle[Any], delay: float | None) -> None:
    log_polled(
        job.job_id,
        state=job._state.value,
        polls=job._polls,
        elapsed=job._elapsed,
        delay=delay,
    )


def _log_completion(job: JobHandle[Any]) -> None:
    log_completed(
        job.job_id,
        polls=job._polls,
        elapsed=job._elapsed,
        credits_used=job._result.credits_used if job._result else None,
    )
