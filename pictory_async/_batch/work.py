"""The work on one prompt of a batch: from its reservation to its file."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import attrs

from pictory_async._batch.files import Saver, outcome_of
from pictory_async._batch.journal import AnyJournal
from pictory_async._batch.options import BatchOptions
from pictory_async._batch.outcomes import BatchOutcome
from pictory_async._batch.progress import Counts
from pictory_async._batch.records import Record
from pictory_async._core.endpoints import product_of
from pictory_async._core.errors import (
    InvalidRequestError,
    JobError,
    JobFailedError,
    JournalError,
    PictoryError,
    SessionClosedError,
    TransportError,
)
from pictory_async._core.models import GeneratedImage, HistoryImage, ImageRequest
from pictory_async._core.unknown import SubmissionUnknownError
from pictory_async._jobs.handle import JobHandle
from pictory_async._jobs.submit import Submission
from pictory_async._runtime import Runtime
from pictory_async._tasks import Signal

NOTHING: Final = Decimal(0)

# Seconds that POSTs on the wire get when the batch ends, as when a session closes.
GRACE: Final = 5.0


class PromptWorker:
    """Takes prompts through the service, one call of `outcome` for each.

    | The journal has   | What happens                                              |
    |-------------------|-----------------------------------------------------------|
    | no record         | credits are reserved, the intent is recorded, the POST is |
    |                   | sent, the job awaited, the image saved                    |
    | an image          | it is given again; saved, if its file is not there        |
    | an error          | it is raised again                                        |
    | a job             | it is awaited on; no request is paid for                  |
    | an intent only    | unknown: by *on_unknown* it is reported, looked for in    |
    |                   | the history, or sent again                                |
    """

    def __init__(
        self,
        *,
        options: BatchOptions,
        runtime: Runtime,
        journal: AnyJournal,
        counts: Counts,
    ) -> None:
        self._options = options
        self._runtime = runtime
        self._journal = journal
        self._counts = counts
        self._credits = counts.credits
        self._saver = (
            None
            if options.save_to is None
            else Saver(folder=options.save_to, runtime=runtime, journal=journal)
        )
        self._on_the_wire = 0
        self._answered = Signal()

    async def open(self) -> None:
        """Check that images can be saved.

        Raises:
            InvalidRequestError: *save_to* cannot be written to.
        """
        if self._saver is not None:
            await self._saver.open()

    async def wait_for_answers(self) -> None:
        """Wait a little for POSTs on the wire, so that their ids are recorded."""
        if not self._journal.durable:
            return  # the session finishes them
        try:
            async with asyncio.timeout(GRACE):
                while self._on_the_wire:
                    await self._answered.wait()
        except TimeoutError:
            return  # unknown to the journal; the session still waits for them

    async def outcome(
        self, index: int, request: ImageRequest, found: Record | None
    ) -> BatchOutcome:
        """Work on a prompt and return its outcome.

        Args:
            index: The place of the prompt in the batch.
            request: The request for it.
            found: The record of an earlier run; None if there is none.

        Cancelling this leaves a job in flight to its session. A request that has not
        gone out is not sent.

        Raises:
            JournalError: The journal failed; nothing more must be sent.
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
            return await self._saver.save(image, record)
        return outcome_of(image, record)

    async def _image(
        self, index: int, request: ImageRequest, found: Record | None
    ) -> tuple[GeneratedImage, Record]:
        if found is None:
            return await self._generate(index, request, None)
        if found.result is not None:
            self._counts.accepted()
            return _unwrapped(found.result), found
        if found.job_id is not None:
            return await self._resume(found.job_id, request, found), found
        if self._options.on_unknown == "resubmit":
            return await self._generate(index, request, found)
        error = self._unknown(request, found)
        if self._options.on_unknown == "report":
            raise error
        return await self._reconcile(error, request, found), found

    # --- sending ------------------------------------------------------------------

    async def _generate(
        self, index: int, request: ImageRequest, before: Record | None
    ) -> tuple[GeneratedImage, Record]:
        """Send and await; *before* is an unknown record that this one replaces."""
        call = product_of(request).submit(request)
        price = self._price(request)
        await self._credits.reserve(price, index=index)
        earlier = NOTHING if before is None else before.credits
        record = self._journal.intent(index, request, price=earlier + price)
        try:
            await self._journal.commit(record)
            if self._runtime.closed:
                raise SessionClosedError
        except BaseException:  # nothing was sent, and nothing will be
            self._undo(record, before, price)
            raise
        submission = Submission(
            call,
            on_end=lambda task: self._post_ended(
                submission, task, record, before, price
            ),
        )
        self._on_the_wire += 1
        handle = await self._runtime.submit(submission)
        return await self._follow(handle, request, record, price), record

    def _post_ended(
        self,
        submission: Submission,
        task: asyncio.Task[JobHandle[GeneratedImage]] | None,
        record: Record,
        before: Record | None,
        price: Decimal,
    ) -> None:
        """Record how a POST ended, even if nobody waits for it any more."""
        self._on_the_wire -= 1
        ended = task is not None and not task.cancelled()
        error = task.exception() if task is not None and ended else None
        if task is not None and ended and error is None:
            record.job_id = task.result().job_id
            self._journal.put(record)
            self._counts.accepted()
        elif _may_have_created(submission, error):
            record.ended_at = datetime.now(UTC)
            self._journal.put(record)
            self._credits.keep(price)
        else:
            self._undo(record, before, price)
        self._answered.fire()

    def _undo(self, record: Record, before: Record | None, price: Decimal) -> None:
        """Take back an intent: no job was created for it."""
        self._credits.free(price)
        if before is None:
            self._journal.remove(record)
        else:
            self._journal.put(before)

    def _price(self, request: ImageRequest) -> Decimal:
        """Return the credits to reserve for *request*.

        Raises:
            InvalidRequestError: There is a ceiling, and the price is not known.
        """
        price = request.estimated_credits
        if price is None and self._options.max_credits is not None:
            reason = (
                f"{request.model!r:.60} has no known price, so max_credits could not "
                "be kept: take a name of MODELS, or no max_credits"
            )
            raise InvalidRequestError(field="model", reason=reason)
        return NOTHING if price is None else price

    # --- waiting for the job ------------------------------------------------------

    async def _resume(
        self, job_id: str, request: ImageRequest, found: Record
    ) -> GeneratedImage:
        """Wait for a job of an earlier run."""
        self._counts.accepted()
        price = request.estimated_credits
        # The record may include credits of an unknown POST before it; they stay kept.
        price = found.credits if price is None else min(price, found.credits)
        self._credits.take_up(price)
        return await self._follow(self._runtime.attach(job_id), request, found, price)

    async def _follow(
        self,
        handle: JobHandle[GeneratedImage],
        request: ImageRequest,
        record: Record,
        price: Decimal,
    ) -> GeneratedImage:
        """Wait for the job, and end the reservation of its *price*."""
        earlier = record.credits - price
        try:
            image = await handle
        except JobFailedError as error:
            self._credits.free(price)
            self._journal.put_result(record, error, charged=earlier)
            raise
        except PictoryError as error:
            self._credits.keep(price)
            self._journal.put_result(record, error, charged=record.credits)
            raise
        used = self._credits.settle(price, image.credits_used)
        self._journal.put_result(record, image, charged=earlier + used)
        return image if image.request else attrs.evolve(image, request=request)

    # --- unknown submissions of an earlier run ------------------------------------

    def _unknown(self, request: ImageRequest, found: Record) -> SubmissionUnknownError:
        """Return the error for an intent whose POST may have gone out."""
        return SubmissionUnknownError(
            request=request,
            started_at=found.started_at,
            ended_at=found.ended_at or self._latest_end(found.started_at),
            cause=TransportError("an earlier run ended without the answer", sent=True),
        )

    def _latest_end(self, started_at: datetime) -> datetime:
        """Return the latest end of a POST whose process was killed."""
        retries = self._runtime.settings.retries
        attempt = self._runtime.settings.request_timeout + retries.maximum
        longest = retries.attempts * attempt + retries.throttled_for
        return min(datetime.now(UTC), started_at + timedelta(seconds=longest))

    async def _reconcile(
        self, error: SubmissionUnknownError, request: ImageRequest, found: Record
    ) -> GeneratedImage:
        """Return the image in the history that an unknown POST has made.

        Raises:
            SubmissionUnknownError: It is not there, or the history cannot be read.
        """
        await self._claim_others(request, found.index)
        try:
            image = await self._runtime.reconcile(error)
        except PictoryError as exc:
            error.cause = exc
            raise error from exc
        if image is None:
            raise error
        made = _as_generated(image, request)
        self._credits.take_up(found.credits)
        used = self._credits.settle(found.credits, None)
        self._journal.put_result(found, made, charged=used)
        return made

    async def _claim_others(self, request: ImageRequest, index: int) -> None:
        """Claim the images of the journal's other records with the same prompt."""
        for other in await self._journal.with_prompt(request):
            if other.index == index:
                continue
            if isinstance(other.result, GeneratedImage):
                self._runtime.claims.take(other.result.url, now=datetime.now(UTC))
            elif other.result is None and other.job_id is not None:
                self._runtime.attach(other.job_id)  # its image may be in the history


def _unwrapped(result: GeneratedImage | JobError) -> GeneratedImage:
    if isinstance(result, JobError):
        raise result
    return result


def _as_generated(image: HistoryImage, request: ImageRequest) -> GeneratedImage:
    # The documents do not relate the id of an image to that of a job.
    return GeneratedImage(
        job_id="",
        url=image.url,
        width=image.width,
        height=image.height,
        request=request,
        extra={"id": image.id},
    )


def _may_have_created(submission: Submission, error: BaseException | None) -> bool:
    """Return whether a POST that gave no id may have created a job.

    Our own errors say so; anything else leaves it open once the POST was sent.
    """
    if isinstance(error, PictoryError):
        return isinstance(error, SubmissionUnknownError)
    return submission.permit.sent
