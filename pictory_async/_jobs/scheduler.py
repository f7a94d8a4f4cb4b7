"""One scheduler for all jobs of a session: a queue of due times and a few workers."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from typing import Any

from pictory_async._core.catalogue import DEFAULT_MODEL
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
    logs_jobs,
    logs_polls,
)
from pictory_async._core.text import shorten
from pictory_async._core.wire import JobReport
from pictory_async._http.sender import Sender
from pictory_async._jobs.job import Job
from pictory_async._policy.polling import Backoff, Settle, judge
from pictory_async._tasks import TaskOwner


class Scheduler:
    """Polls each job when it is due, until it has ended or its time is over.

    There is one timer for the next poll and one for the next deadline, and a worker
    task only while it has something to ask: timers and tasks follow the requests in
    flight, not the jobs in flight.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        tasks: TaskOwner,
        workers: int,
        job_timeout: float | None,
        on_end: Callable[[Job[Any]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sender = sender
        self._tasks = tasks
        self._idle_workers = workers
        self._job_timeout = math.inf if job_timeout is None else job_timeout
        self._on_end = on_end
        self._numbers = itertools.count()
        self._queue: list[tuple[float, int, Job[Any]]] = []
        self._ready: deque[Job[Any]] = deque()
        # In order of their start, and so of their deadline: it is the same for all.
        self._jobs: dict[Job[Any], None] = {}
        # Not a task or timer of whoever came first: it would keep that one's context
        # variables (a request, a span) and run everybody's polls under them.
        self._context = contextvars.Context()
        self._poll_timer: asyncio.TimerHandle | None = None
        self._poll_timer_due = math.inf  # uvloop's handles do not always know it
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._odd_words: set[str] = set()

    def follow(self, job: Job[Any]) -> None:
        """Poll *job* from now on; at once if it was started elsewhere."""
        self._jobs[job] = None
        now = self._loop.time()
        self._put(job, now if job.attached else now + self._delay(job))
        if self._deadline_timer is None:
            self._watch_deadlines()

    def poll_now(self, job: Job[Any]) -> None:
        """Ask for *job* at once; again if the present poll may be too old to know."""
        if job.polling:
            job.poll_again = True
        elif job.due is not None and job.due > self._loop.time():
            self._put(job, self._loop.time())

    def close(self) -> None:
        """Stop the timers and drop what is queued; workers belong to their owner."""
        for timer in (self._poll_timer, self._deadline_timer):
            if timer is not None:
                timer.cancel()
        self._queue.clear()
        self._ready.clear()

    # --- when ---------------------------------------------------------------------

    def _put(self, job: Job[Any], due: float) -> None:
        job.due = due
        heapq.heappush(self._queue, (due, next(self._numbers), job))
        self._set_poll_timer()

    def _set_poll_timer(self) -> None:
        """Have one timer, for the head of the queue."""
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
            if job.due == due and not job.done:  # else it was put elsewhere since
                job.due = None
                self._ready.append(job)
        self._set_poll_timer()
        for _ in range(min(self._idle_workers, len(self._ready))):
            self._idle_workers -= 1
            self._tasks.spawn(
                self._work(), name="pictory-poll", context=self._context.copy()
            )

    def _watch_deadlines(self) -> None:
        """End the jobs whose time is over, and wait for the next deadline."""
        self._deadline_timer = None
        now = self._loop.time()
        while job := next(iter(self._jobs), None):
            deadline = job.started_at + self._job_timeout
            if deadline > now:
                if deadline < math.inf:
                    self._deadline_timer = self._loop.call_at(
                        deadline, self._watch_deadlines, context=self._context.copy()
                    )
                return
            self._end(job, JobTimeoutError(job_id=job.job_id))

    def _delay(self, job: Job[Any]) -> float:
        """Return what the job's policy says; a broken one is replaced for this job."""
        model = _model(job)
        try:
            delay = float(
                job.policy.delay(polls=job.polls, elapsed=job.elapsed, model=model)
            )
            if not 0 <= delay < math.inf:
                raise ValueError(f"delay must be seconds from 0, not {delay!r}")
        except Exception:  # noqa: BLE001 - told to the log
            text = "poll policy failed for job %s; Backoff instead"
            log_broken(text, job.job_id, job_id=job.job_id)
            job.policy = Backoff()
            return self._delay(job)
        return delay

    # --- what ---------------------------------------------------------------------

    async def _work(self) -> None:
        """Poll what is ready, until nothing is."""
        try:
            while self._ready:
                job = self._ready.popleft()
                if not job.done:
                    await self._poll_and_survive(job)
        finally:
            self._idle_workers += 1

    async def _poll_and_survive(self, job: Job[Any]) -> None:
        """Poll *job*; a mistake of ours is logged and does not end the polling."""
        try:
            await self._poll(job)
        except Exception:  # noqa: BLE001 - told to the log
            text = "a poll of job %s broke; asking again"
            log_broken(text, job.job_id, job_id=job.job_id)
            if not job.done:
                self._put_again(job, at_least=Backoff().first)

    async def _poll(self, job: Job[Any]) -> None:
        asked_at = job.elapsed
        job.polling = True
        heard: JobReport[Any] | PictoryError
        try:
            # One job that gets 503 again and again is not the session's problem.
            heard = await self._sender.once(job.call(), sick=job.problem is not None)
        except SessionClosedError:
            return  # whoever closes the session tells the job
        except PictoryError as error:
            heard = error
        finally:
            job.polling = False
        if not job.done:  # its time may be over meanwhile
            self._hear(job, heard, asked_at)

    def _hear(
        self, job: Job[Any], heard: JobReport[Any] | PictoryError, asked_at: float
    ) -> None:
        """Act on the answer to a poll that went out *asked_at* seconds of the job."""
        running = isinstance(heard, JobReport) and heard.error is None
        job.hear(heard)
        verdict = judge(heard, elapsed=job.elapsed, attached=job.attached)
        if isinstance(verdict, Settle):
            self._learn(job, verdict.outcome)
            if isinstance(heard, JobReport) and logs_polls():
                _tell_of_poll(job, None)
            self._end(job, verdict.outcome)
            return
        if running:
            job.last_running = asked_at
        delay = self._put_again(job, verdict.at_least)
        if isinstance(heard, PictoryError):
            self._tell_of_failed_poll(job, heard, delay)
            return
        if logs_polls():
            _tell_of_poll(job, delay)
        if not heard.state.documented:
            self._warn_of_odd_word(job)

    def _put_again(self, job: Job[Any], at_least: float) -> float:
        """Poll *job* when its policy says, or later; return in how many seconds."""
        at_least = min(at_least, self._sender.retries.max_retry_after)
        delay = max(0.0 if job.poll_again else self._delay(job), at_least)
        job.poll_again = False
        self._put(job, self._loop.time() + delay)
        return delay

    def _learn(self, job: Job[Any], outcome: object) -> None:
        """Tell the policy how long a job took that ended in its own way."""
        own_end = not isinstance(outcome, PictoryError)
        if job.attached or not (own_end or isinstance(outcome, JobFailedError)):
            return
        try:
            job.policy.ended(
                model=_model(job), earliest=job.last_running, latest=job.elapsed
            )
        except Exception:  # noqa: BLE001 - told to the log
            text = "poll policy failed to learn from job %s"
            log_broken(text, job.job_id, job_id=job.job_id)

    def _end(self, job: Job[Any], outcome: object) -> None:
        del self._jobs[job]
        job.due = None
        job.settle(outcome)
        if isinstance(outcome, PictoryError):
            log_failed(job.job_id, outcome, polls=job.polls, elapsed=job.elapsed)
        elif logs_jobs():
            _tell_of_completion(job)
        self._on_end(job)

    def _tell_of_failed_poll(
        self, job: Job[Any], error: PictoryError, delay: float
    ) -> None:
        self._sender.counters.retry(error, after=delay)
        log_retried(
            error,
            kind=Kind.POLL.value,
            delay=delay,
            attempt=job.polls,
            job_id=job.job_id,
        )

    def _warn_of_odd_word(self, job: Job[Any]) -> None:
        word = shorten(job.state)
        if job.state not in self._odd_words:
            self._odd_words.add(job.state)
            log_undocumented(
                "job %s is in state %r, which this release does not know; still "
                "polling",
                job.job_id,
                word,
                field="state",
                value=word,
                job_id=job.job_id,
            )


def _tell_of_poll(job: Job[Any], delay: float | None) -> None:
    log_polled(
        job.job_id,
        state=job.state.value,
        polls=job.polls,
        elapsed=job.elapsed,
        delay=delay,
    )


def _tell_of_completion(job: Job[Any]) -> None:
    log_completed(
        job.job_id,
        polls=job.polls,
        elapsed=job.elapsed,
        credits_used=getattr(job.result, "credits_used", None),
    )


def _model(job: Job[Any]) -> str:
    named = job.request.model if job.request else None
    return named or DEFAULT_MODEL
