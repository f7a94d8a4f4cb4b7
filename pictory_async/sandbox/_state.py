"""Jobs, credits and the history. Pure: each call is given the loop time."""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from pictory_async.sandbox import _catalogue as catalogue
from pictory_async.sandbox._history import History, ImageView

Duration = float | tuple[float, float] | Callable[[Mapping[str, Any]], float]

IN_PROGRESS: Final = "in-progress"
ENDED: Final = frozenset({"completed", "failed", "cleaned"})
# A caller that sleeps until a job is due may wake a rounding error too early.
_TOLERANCE: Final = 1e-6


@attrs.frozen
class Failure:
    """Why a job ended without an image."""

    code: str
    message: str


# [I] Real codes for images are not documented.
FAILED: Final = Failure("IMAGE_GENERATION_FAILED", "The image could not be generated")
# [O] The name is known from renders; [I] that a job can fail with it here.
UNPAID: Final = Failure("INSUFFICIENT_CREDITS", "There are not enough AI credits")


@attrs.define(eq=False, kw_only=True)
class Job:
    """An accepted request and its progress."""

    job_id: str
    image_id: str
    request: Mapping[str, Any]
    submitted_at: float
    due_at: float
    failure: Failure | None = None  # the one it will end with
    state: str = IN_PROGRESS
    ended_at: float | None = None

    @property
    def model(self) -> catalogue.Model:
        """The requested model, or the documented default."""
        return catalogue.MODELS[self.request.get("model", catalogue.DEFAULT_MODEL)]

    @property
    def ratio(self) -> str:
        """The requested ratio, or the first of the model, the documented default."""
        return str(self.request.get("aspectRatio", self.model.ratios[0]))


@attrs.frozen(kw_only=True)
class JobView:
    """An accepted job at one moment.

    Attributes:
        job_id: The id in the answer to the request.
        image_id: The id of its image in the history, once it is completed.
        request: The body that was accepted, including unknown fields.
        state: The status word that a poll returns.
        polls: Polls so far, answered or not.
        submitted_at: Loop time, in seconds.
        ended_at: Loop time, in seconds; None while it is in progress.
    """

    job_id: str
    image_id: str
    request: Mapping[str, Any] = attrs.field(repr=False)
    state: str
    polls: int
    submitted_at: float
    ended_at: float | None


class Studio:
    """All jobs of one account.

    Jobs end lazily: `advance` ends those that are due, and is called before anything
    reads jobs or images. What happens to a job:

    ============== ======================= ===================== ===============
    event          in progress             completed or failed   cleaned
    ============== ======================= ===================== ===============
    `advance`      ends if it is due [1]_  nothing               nothing
    `finish`       ends                    nothing               nothing
    `fail`         is failed               ``ValueError``        ``ValueError``
    `clean`        is cleaned, no image    is cleaned [2]_       nothing
    `set_state`    has the given state     ``ValueError``        ``ValueError``
    ============== ======================= ===================== ===============

    A job that ends is failed if it has a `Failure`, else completed: its credits are
    used and its image is in the history. However it leaves "in progress", the credits
    reserved for it are released.

    .. [1] Not between `hold` and `release`, nor in another state than "in-progress".
    .. [2] Its image stays in the history.

    Args:
        seed: Makes ids and durations repeat; None makes them differ.
        duration: See `Sandbox`.
        failure_rate: See `Sandbox`.
        balance: The credits that may be spent; None is no limit.
        on_submit: Called with each accepted job.
        on_end: Called with each job that completed or failed, in that order.
    """

    def __init__(
        self,
        *,
        seed: int | None,
        duration: Duration,
        failure_rate: float = 0.0,
        balance: Decimal | None,
        on_submit: Callable[[Job], None],
        on_end: Callable[[Job], None],
    ) -> None:
        # Three sources, so that a change of durations does not change the ids.
        self._ids = random.Random(seed)
        self._durations = random.Random(seed)
        self._failures = random.Random(seed)
        self._failure_rate = failure_rate
        self._duration = duration
        self._balance = balance
        self._on_submit = on_submit
        self._on_end = on_end
        self._order = itertools.count()
        self._due: list[tuple[float, int, Job]] = []
        self._held = False
        self._released_at = float("-inf")
        self._planned: deque[Failure] = deque()
        self._reserved = Decimal(0)
        self.credits_used = Decimal(0)
        self.jobs: dict[str, Job] = {}
        self.owner = self._new_id()
        self.history = History(self.owner)

    def restore(self, owner: str, jobs: Iterable[Job]) -> None:
        """Go on with the account and the jobs of an earlier process."""
        self.owner, self.history = owner, History(owner)
        for job in sorted(jobs, key=lambda job: job.submitted_at):
            for _ in range(2):  # or a seed would give their ids to the next jobs
                self._new_id()
            self.jobs[job.job_id] = job
            if job.state not in ENDED:
                self._reserved += self._price(job)
                heapq.heappush(self._due, (job.due_at, next(self._order), job))
        ended = [job for job in self.jobs.values() if job.ended_at is not None]
        for job in sorted(ended, key=lambda job: job.ended_at or 0):
            if job.failure is None:
                self.credits_used += job.model.credits
                self.history.add(_image(job, job.ended_at or 0))

    @property
    def credits_left(self) -> Decimal | None:
        """The balance less what was used and what jobs in progress will use."""
        if self._balance is None:
            return None
        return self._balance - self.credits_used - self._reserved

    def affords(self, request: Mapping[str, Any]) -> bool:
        """Return whether the balance is enough for *request*."""
        model = catalogue.MODELS[request.get("model", catalogue.DEFAULT_MODEL)]
        return self.credits_left is None or model.credits <= self.credits_left

    def submit(
        self, request: Mapping[str, Any], now: float, failure: Failure | None = None
    ) -> Job:
        """Accept *request*; its job will end with *failure*, or as planned before."""
        if failure is None:
            failure = self._next_failure()
        job = Job(
            job_id=self._new_id(),
            image_id=self._new_id(),
            request=request,
            submitted_at=now,
            due_at=now + self._seconds(request),
            failure=failure,
        )
        self.jobs[job.job_id] = job
        self._reserved += self._price(job)
        heapq.heappush(self._due, (job.due_at, next(self._order), job))
        self._on_submit(job)
        return job

    def _next_failure(self) -> Failure | None:
        if self._planned:
            return self._planned.popleft()
        return FAILED if self._failures.random() < self._failure_rate else None

    def fail_next(self, times: int, failure: Failure) -> None:
        """Make the next *times* jobs end with *failure*."""
        self._planned.extend([failure] * times)

    def advance(self, now: float) -> None:
        """End every job that is due, the earliest first."""
        while not self._held and self._due and self._due[0][0] <= now + _TOLERANCE:
            due_at, _, job = heapq.heappop(self._due)
            if job.state == IN_PROGRESS:
                self._end(job, max(due_at, self._released_at))

    def hold(self, now: float) -> None:
        """Let no job end by itself from now on."""
        self.advance(now)
        self._held = True

    def release(self, now: float) -> None:
        """Undo `hold`; jobs that became due in the meantime end now."""
        if self._held:
            self._held, self._released_at = False, now
        self.advance(now)

    def finish(self, job: Job, now: float) -> None:
        """End *job* now as it would have ended; do nothing if it has ended."""
        if job.state not in ENDED:
            self._end(job, now)

    def fail(self, job: Job, now: float, failure: Failure) -> None:
        """End *job* now with *failure*.

        Raises:
            ValueError: It has ended already.
        """
        if job.state in ENDED:
            msg = f"job {job.job_id} is {job.state} already"
            raise ValueError(msg)
        self._reserved -= self._price(job)
        job.failure = failure
        self._reserved += self._price(job)
        self._end(job, now)

    def clean(self, job: Job, now: float) -> None:
        """Clean *job*; its image stays in the history."""
        self._release_credits(job)
        job.state = "cleaned"
        job.ended_at = now if job.ended_at is None else job.ended_at

    def set_state(self, job: Job, word: str) -> None:
        """Put *job* into the state *word* until it is ended by hand.

        Raises:
            ValueError: *word* is a final state, or *job* is in one.
        """
        if word in ENDED or job.state in ENDED:
            raise ValueError("use finish, fail or clean; an ended job stays ended")
        job.state = word

    def _end(self, job: Job, at: float) -> None:
        self._release_credits(job)
        job.ended_at = at
        job.state = "failed" if job.failure else "completed"
        if job.failure is None:
            self.credits_used += job.model.credits
            self.history.add(_image(job, at))
        self._on_end(job)

    def _release_credits(self, job: Job) -> None:
        """Release the credits reserved for *job*, once."""
        if job.ended_at is None:
            self._reserved -= self._price(job)

    def _price(self, job: Job) -> Decimal:
        # [O] A failed render is not charged; [I] nor is a failed image.
        return Decimal(0) if job.failure else job.model.credits

    def _seconds(self, request: Mapping[str, Any]) -> float:
        if callable(self._duration):
            return self._duration(request)
        if isinstance(self._duration, tuple):
            return self._durations.uniform(*self._duration)
        return self._duration

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    def add_image(self, request: Mapping[str, Any], now: float) -> ImageView:
        """Add an image that no job here made to the history."""
        job = Job(
            job_id="",
            image_id=self._new_id(),
            request=request,
            submitted_at=now,
            due_at=now,
        )
        image = attrs.evolve(_image(job, now), job_id=None)
        self.history.add(image)
        return image


def _image(job: Job, at: float) -> ImageView:
    width, height = catalogue.size(job.model.name, job.ratio)
    return ImageView(
        id=job.image_id,
        job_id=job.job_id,
        prompt=job.request["prompt"],
        model=job.model.name,
        aspect_ratio=job.ratio,
        style=job.request.get("style"),
        reference_image_url=job.request.get("referenceImageUrl"),
        created_at=at,
        width=width,
        height=height,
    )
