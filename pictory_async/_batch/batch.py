"""Many prompts as one object: iterated, watched, left, resumed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from pictory_async._batch.outcomes import BatchOutcome, BatchResults
from pictory_async._batch.progress import BatchProgress
from pictory_async._batch.run import BatchRun


class Batch:
    """The images of many prompts: ``async for outcome in batch``.

    ```python
    async with session.generate_many(prompts, save_to="pictures/") as batch:
        async for outcome in batch:
            print(outcome.path or outcome.error)
    ```

    Each prompt has exactly one `BatchOutcome`, and one that fails does not hurt the
    others. A batch is iterated once. Leaving the loop (by ``break``, an exception or a
    cancellation), leaving ``async with``, and closing the session all stop it:
    nothing more is pulled or sent, jobs in flight stay in ``session.jobs``. A POST
    that is on the wire is finished in the background, and its id recorded if it comes
    within 5 seconds. Cancelling one step, as a time-out around ``anext`` does, loses
    nothing: ask again.

    **With a journal** each prompt's intent is on disk before its POST goes out, then
    the job's id, the outcome and the file. The same call with the same file goes on:
    images and failures that the service has told are given from the journal without a
    request; jobs with an id are followed on; an image without its file is downloaded;
    a prompt whose POST may have gone out is unknown, see *on_unknown*; and all others
    are sent. Failed is final and so is expired. What certainly created nothing
    (refused, not sent, over the ceiling) is tried again, and so is waiting for a job
    after a `JobTimeoutError`. Prompts are recognised by place and content, without
    the webhook; those that were never paid for may be changed, and more may be
    appended. The file holds no prompt, no key and no answer's body, but the signed
    URLs of the images; only its owner can read it. One batch has it at a time.

    Iterating over it is what raises.

    Raises:
        JournalError: The journal cannot be used. Before anything is sent; if the
            disk fails later, after the outcomes that are there.
        JournalMismatchError: The journal was made for other prompts. A list is
            compared in full before anything is sent; of any other iterable each
            prompt before it is sent itself.
        InvalidRequestError: *save_to* takes no files; before anything is sent.
        SessionClosedError: The session was closed before the end.
        Exception: What the iterable of prompts raised, after the outcomes of the
            prompts that were taken from it.
        RuntimeError: The batch was iterated over before.
    """

    def __init__(self, run: BatchRun) -> None:
        self._run = run
        self._begun = False

    @property
    def progress(self) -> BatchProgress:
        """How far it is now. Costs nothing, and may be asked at any time."""
        return self._run.progress

    def __aiter__(self) -> AsyncIterator[BatchOutcome]:
        """Return the only iterator; the batch begins with its first step."""
        if self._begun:
            raise RuntimeError(
                "a batch is iterated once; call generate_many again, with the same "
                "journal to go on where this one ended"
            )
        self._begun = True
        return Outcomes(self._run)

    async def results(self) -> list[BatchOutcome]:
        """Wait for all outcomes and return them in the order of the prompts.

        A notebook shows the list, and slices of it, as a gallery.

        Cancelling this stops the batch.

        Raises:
            Exception: As the iteration does; *journal* keeps what was done by then.
        """
        iterator = aiter(self)
        try:
            outcomes = [outcome async for outcome in iterator]
        finally:
            await self.aclose()
        outcomes.sort(key=lambda outcome: outcome.index)
        return BatchResults(outcomes)

    async def aclose(self) -> None:
        """Stop the batch and wait until no task of it is left. Idempotent.

        Cancelling this leaves the rest to the background.
        """
        self._begun = True
        await self._run.aclose()

    async def __aenter__(self) -> Self:
        """Return itself; leaving stops the batch. Nothing is sent yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop; see `aclose`."""
        await self.aclose()

    def __repr__(self) -> str:
        """Show how far it is."""
        now = self.progress
        ended = now.completed + now.failed + now.unknown
        total = "?" if now.total is None else f"{now.total:,}"
        return (
            f"<Batch {ended:,} of {total} completed={now.completed:,} "
            f"failed={now.failed:,} unknown={now.unknown:,}>"
        )

    def _repr_html_(self) -> str:
        return self.progress._repr_html_()


class Outcomes(AsyncIterator[BatchOutcome]):
    """The iterator of a batch. Whoever drops it stops the batch.

    Not a generator: one is dead after its first cancellation, and what follows would
    look like the end of the batch.
    """

    def __init__(self, run: BatchRun) -> None:
        self._run = run

    async def __anext__(self) -> BatchOutcome:
        """Return the next outcome. Cancelling this loses nothing."""
        outcome = await self._run.next()
        if outcome is None:
            raise StopAsyncIteration
        return outcome

    async def aclose(self) -> None:
        """Stop the batch, as its `Batch.aclose` does."""
        await self._run.aclose()

    def __del__(self) -> None:
        """Stop the batch, from whatever thread collects the garbage."""
        self._run.abandon()
