"""Jobs, credits and the history they fill. Pure: loop time comes in with each call."""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from pictory_async.sandbox import _catalogue as catalogue
from pictory_async.sandbox._history import History, ImageView

Duration = float | tuple[float, float] | Callable[[Mapping[str, Any]], float]

IN_PROGRESS: Final = "in-progress"
ENDED: Final = frozenset({"completed", "failed", "cleaned"})
# Somebody who sleeps until a job is due may wake up a rounding error too early.
_TOLERANCE: Final = 1e-6


@attrs.frozen
class Failure:
    """Why a job ended without an image."""

    code: str
    message: str


# [O] The name is known from renders; [I] that a job can fail with it here.
UNPAID: Final = Failure("INSUFFICIENT_CREDITS", "There are not enough AI credits")


@attrs.define(eq=False, kw_only=True)
class Job:
    """One accepted request and what becomes of it."""

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
        """The one asked for, or the documented default."""
        return catalogue.MODELS[self.request.get("model", catalogue.DEFAULT_MODEL)]

    @property
    def ratio(self) -> str:
        """The one asked for, or the first of the model, the documented default."""
        return str(self.request.get("aspectRatio", self.model.ratios[0]))


@attrs.frozen(kw_only=True)
class JobView:
    """One accepted job as it stood when it was looked at.

    Attributes:
        job_id: As answered to the request.
        image_id: Of its image, in the history once it is completed.
        request: The body that was accepted, unknown fields included.
        state: The status word a poll is told.
        polls: Requests for its state so far, answered or not.
        submitted_at: Loop time, in seconds.
        ended_at: Loop time; None while it goes on.
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

    Jobs end lazily: `advance` ends those that are due, and everything that looks at
    jobs or images calls it first. *on_submit* is told of each accepted job, *on_end*
    of each that completed or failed, in the order in which they ended.
    """

    def __init__(
        self,
        *,
        seed: int | None,
        duration: Duration,
        balance: Decimal | None,
        on_submit: Callable[[Job], None],
        on_end: Callable[[Job], None],
    ) -> None:
        # Two sources, so that a change of durations changes no id.
        self._ids = random.Random(seed)
        self._durations = random.Random(seed)
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

    @property
    def credits_left(self) -> Decimal | None:
        """The balance less what is used and what jobs in progress will use."""
        if self._balance is None:
            return None
        return self._balance - self.credits_used - self._reserved

    def affords(self, request: Mapping[str, Any]) -> bool:
        """Whether the balance is enough for *request*."""
        model = catalogue.MODELS[request.get("model", catalogue.DEFAULT_MODEL)]
        return self.credits_left is None or model.credits <= self.credits_left

    def submit(
        self, request: Mapping[str, Any], now: float, failure: Failure | None = None
    ) -> Job:
        """Accept *request*; the job ends with *failure* or as planned before."""
        if failure is None and self._planned:
            failure = self._planned.popleft()
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

    def plan_failures(self, times: int, failure: Failure) -> None:
        """Let the next *times* jobs end with *failure*."""
        self._planned.extend([failure] * times)

    def advance(self, now: float) -> None:
        """End every job that is due, the earliest first."""
        while not self._held and self._due and self._due[0][0] <= now + _TOLERANCE:
            due_at, _, job = heapq.heappop(self._due)
            if job.state == IN_PROGRESS:
                self._end(job, max(due_at, self._released_at))

    def hold(self, now: float) -> None:
        """End no job by itself from now on."""
        self.advance(now)
        self._held = True

    def release(self, now: float) -> None:
        """Undo `hold`; jobs that became due meanwhile end now."""
        if self._held:
            self._held, self._released_at = False, now
        self.advance(now)

    def finish(self, job: Job, now: float) -> None:
        """End *job* now as it would have ended; nothing if it has ended."""
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
        """Forget the result of *job*; its image stays in the history."""
        self._settle(job)
        job.state = "cleaned"
        job.ended_at = now if job.ended_at is None else job.ended_at

    def set_state(self, job: Job, word: str) -> None:
        """Let *job* be in the state *word* until it is ended by hand.

        Raises:
            ValueError: *word* is a final state, or *job* is in one.
        """
        if word in ENDED or job.state in ENDED:
            raise ValueError("use finish, fail or clean; an ended job stays ended")
        job.state = word

    def _end(self, job: Job, at: float) -> None:
        self._settle(job)
        job.ended_at = at
        job.state = "failed" if job.failure else "completed"
        if job.failure is None:
            self.credits_used += job.model.credits
            self.history.add(_image(job, at))
        self._on_end(job)

    def _settle(self, job: Job) -> None:
        """Give back what was set aside for *job*, once."""
        if job.ended_at is None:
            self._reserved -= self._price(job)

    def _price(self, job: Job) -> Decimal:
        # [O] says of renders that what fails is not charged; [I] so here.
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
        """Put an image into the history that no job here made."""
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
