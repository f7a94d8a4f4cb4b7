"""What becomes of one prompt of a batch: from the ceiling to the file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import attrs

from pictory_async._batch.budget import Purse
from pictory_async._batch.files import Saver, outcome_of
from pictory_async._batch.journal import Journal, NoJournal
from pictory_async._batch.options import Plan
from pictory_async._batch.outcomes import BatchOutcome, Tally
from pictory_async._batch.records import (
    MICROSECOND,
    Record,
    UnreadableRecord,
    error_text,
    fingerprint,
    image_text,
    read_outcome,
)
from pictory_async._core.endpoints import product_of
from pictory_async._core.errors import (
    InvalidRequestError,
    JobError,
    JobFailedError,
    JournalError,
    PictoryError,
    TransportError,
)
from pictory_async._core.models import GeneratedImage, HistoryImage, ImageRequest
from pictory_async._core.unknown import SubmissionUnknownError
from pictory_async._jobs.handle import JobHandle
from pictory_async._jobs.submit import Submission
from pictory_async._runtime import OpenLoop, Runtime
from pictory_async._tasks import Signal

NOTHING: Final = Decimal(0)


class Work:
    """Takes prompts through the service, one call of `outcome` for each.

    Attributes:
        on_the_wire: Paid requests that went out, or may go out, and have not ended.
        quieter: Fires when one of them ended.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        runtime: Runtime,
        engine: OpenLoop,
        journal: Journal | NoJournal,
        tally: Tally,
        on_accepted: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._engine = engine
        self._journal = journal
        self._durable = isinstance(journal, Journal)
        self._tally = tally
        self._purse = Purse(tally.budget)
        self._on_accepted = on_accepted
        self._saver = (
            None
            if plan.save_to is None
            else Saver(folder=plan.save_to, sender=engine.sender, journal=journal)
        )
        self._last_stamp = datetime.min.replace(tzinfo=UTC)
        self.on_the_wire = 0
        self.quieter = Signal()

    async def outcome(
        self, index: int, request: ImageRequest, found: Record | None
    ) -> BatchOutcome:
        """Return what became of *request*.

        Args:
            index: Its place in the batch.
            request: What is asked for.
            found: What the journal has of it.

        Cancelling this leaves a job in flight to its session. What has not gone out
        does not go out any more.

        Raises:
            JournalError: The journal failed; nothing more is to be sent.
        """
        try:
            image, record = await self._image(index, request, found)
        except JournalError:
            raise
        except PictoryError as error:
            job_id = error.job_id or None
            return BatchOutcome(
                index=index, request=request, job_id=job_id, error=error
            )
        if self._saver is not None and record.path is None:
            return await self._saver.outcome(image, record)
        return outcome_of(image, record)

    async def _image(
        self, index: int, request: ImageRequest, found: Record | None
    ) -> tuple[GeneratedImage, Record]:
        if found is None:
            return await self._generate(index, request, None)
        if found.outcome is not None:
            self._tally.submitted += 1
            return self._recall(found, request), found
        if found.job_id is not None:
            self._tally.submitted += 1
            price = self._price_of(found, request)
            self._purse.budget.take_up(price)
            handle = self._runtime.attach(found.job_id)
            return await self._follow(handle, request, found, price), found
        if self._plan.on_unknown == "resubmit":
            return await self._generate(index, request, found)
        error = self._unknown(request, found)
        if self._plan.on_unknown == "report":
            raise error
        return await self._reconcile(error, request, found), found

    # --- sending ------------------------------------------------------------------

    async def _generate(
        self, index: int, request: ImageRequest, before: Record | None
    ) -> tuple[GeneratedImage, Record]:
        """Send and follow; *before* is an unknown record that this one replaces."""
        call = product_of(request).submit(request)
        price = self._price(request)
        await self._purse.reserve(price, index=index)
        earlier = NOTHING if before is None else before.credits
        record = Record(
            index=index,
            fingerprint=fingerprint(request) if self._durable else b"",
            started_at=self._stamp(),
            credits=earlier + price,
        )
        try:
            await self._journal.commit(record)
        except BaseException:  # nothing was sent, and nothing will be
            self._undo(record, before, price)
            raise
        submission = Submission(call)
        submission.on_end = partial(self._posted, submission, record, before, price)
        self.on_the_wire += 1
        handle = await self._engine.submitter.submit(submission)
        return await self._follow(handle, request, record, price), record

    def _posted(
        self,
        submission: Submission,
        record: Record,
        before: Record | None,
        price: Decimal,
        task: asyncio.Task[JobHandle[GeneratedImage]] | None,
    ) -> None:
        """Note how a POST ended, also one that nobody waits for any more."""
        self.on_the_wire -= 1
        ended = task is not None and not task.cancelled()
        error = task.exception() if task is not None and ended else None
        if task is not None and ended and error is None:
            record.job_id = task.result().job_id
            self._journal.put(record)
            self._tally.submitted += 1
            self._on_accepted()
        elif _is_open(submission, error):
            record.ended_at = datetime.now(UTC)
            self._journal.put(record)
            self._purse.keep(price)
        else:
            self._undo(record, before, price)
        self.quieter.fire()

    def _undo(self, record: Record, before: Record | None, price: Decimal) -> None:
        """Forget an intent: nothing was created for it."""
        self._purse.free(price)
        if before is None:
            self._journal.remove(record)
        else:
            self._journal.put(before)

    def _price(self, request: ImageRequest) -> Decimal:
        """Return what to reserve for *request*.

        Raises:
            InvalidRequestError: There is a ceiling, and nobody knows the price.
        """
        price = request.estimated_credits
        if price is None and self._plan.max_credits is not None:
            reason = (
                f"{request.model!r:.60} has no known price, so max_credits could not "
                "be kept: take a name of MODELS, or no max_credits"
            )
            raise InvalidRequestError(field="model", reason=reason)
        return NOTHING if price is None else price

    def _price_of(self, found: Record, request: ImageRequest) -> Decimal:
        """Return what the recorded job may cost; what was lost before it stays kept."""
        price = request.estimated_credits
        return found.credits if price is None else min(price, found.credits)

    def _stamp(self) -> datetime:
        """Return the time; never the same twice, so that no two are taken for one."""
        self._last_stamp = max(datetime.now(UTC), self._last_stamp + MICROSECOND)
        return self._last_stamp

    # --- following ----------------------------------------------------------------

    async def _follow(
        self,
        handle: JobHandle[GeneratedImage],
        request: ImageRequest,
        record: Record,
        price: Decimal,
    ) -> GeneratedImage:
        """Wait for the job and settle its *price*."""
        earlier = record.credits - price
        try:
            image = await handle.result()
        except JobFailedError as error:
            self._purse.free(price)
            self._end(record, error, credits_=earlier)
            raise
        except PictoryError as error:
            self._purse.keep(price)
            self._end(record, error, credits_=record.credits)
            raise
        used = self._purse.settle(price, image.credits_used)
        self._end(record, image, credits_=earlier + used)
        return image if image.request else attrs.evolve(image, request=request)

    def _end(
        self,
        record: Record,
        ended: GeneratedImage | PictoryError,
        *,
        credits_: Decimal,
    ) -> None:
        """Record how a prompt ended, if that is final."""
        if not self._durable:
            return
        if isinstance(ended, GeneratedImage):
            text: str | None = image_text(ended)
        else:
            text = error_text(ended)
        if text is not None:
            record.outcome, record.credits = text, credits_
            self._journal.put(record)

    # --- going on with an earlier run -----------------------------------------------

    def _recall(self, found: Record, request: ImageRequest) -> GeneratedImage:
        """Return the recorded image, or raise the recorded error."""
        text = found.outcome or ""
        try:
            recalled = read_outcome(text, job_id=found.job_id, request=request)
        except UnreadableRecord as exc:
            raise self._journal.damaged(found.index, exc) from exc
        if isinstance(recalled, GeneratedImage):
            return recalled
        raise recalled

    def _unknown(self, request: ImageRequest, found: Record) -> SubmissionUnknownError:
        """Return the error for an intent whose POST may have gone out."""
        return SubmissionUnknownError(
            request=request,
            started_at=found.started_at,
            ended_at=found.ended_at or self._latest_end(found.started_at),
            cause=TransportError("an earlier run ended without the answer", sent=True),
        )

    def _latest_end(self, started_at: datetime) -> datetime:
        """Return when a POST whose process was killed was over at the latest."""
        retries = self._runtime.settings.retries
        attempt = self._runtime.settings.request_timeout + retries.maximum
        longest = retries.attempts * attempt + retries.throttled_for
        return min(datetime.now(UTC), started_at + timedelta(seconds=longest))

    async def _reconcile(
        self, error: SubmissionUnknownError, request: ImageRequest, found: Record
    ) -> GeneratedImage:
        """Look in the history for what an unknown POST has made.

        Raises:
            SubmissionUnknownError: It is not there, or the history cannot be read.
        """
        await self._claim_for_others(request, found.index)
        try:
            image = await self._runtime.reconcile(error)
        except PictoryError as exc:
            error.cause = exc
            raise error from exc
        if image is None:
            raise error
        made = _as_generated(image, request)
        self._purse.budget.take_up(found.credits)
        used = self._purse.settle(found.credits, None)
        self._end(found, made, credits_=used)
        return made

    async def _claim_for_others(self, request: ImageRequest, index: int) -> None:
        """Let no image be found that belongs to another prompt of this journal."""
        for other in await self._journal.with_prompt(request):
            if other.index == index:
                continue
            if other.outcome is not None:
                image = self._other_image(other, request)
                if image is not None:
                    self._runtime.claims.take(image.url, now=datetime.now(UTC))
            elif other.job_id is not None:  # whose image may be in the history by now
                self._runtime.attach(other.job_id)

    def _other_image(
        self, other: Record, request: ImageRequest
    ) -> GeneratedImage | None:
        try:
            return self._recall(other, request)
        except JobError:
            return None


def _as_generated(image: HistoryImage, request: ImageRequest) -> GeneratedImage:
    # The documents do not relate the id of a picture to that of a job.
    return GeneratedImage(
        job_id="",
        url=image.url,
        width=image.width,
        height=image.height,
        request=request,
        extra={"id": image.id},
    )


def _is_open(submission: Submission, error: BaseException | None) -> bool:
    """Say whether a POST that gave no id may have created a job.

    An error of ours says so; anything else that ended it on the wire leaves it open.
    """
    if isinstance(error, PictoryError):
        return isinstance(error, SubmissionUnknownError)
    return submission.permit.sent
