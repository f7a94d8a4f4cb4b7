"""A batch under way: one task that owns the others, and the outcomes not yet taken."""

from __future__ import annotations

import asyncio
import enum
import heapq
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Sequence,
    Sized,
)
from typing import Any, Final

from pictory_async._batch.budget import Reservations
from pictory_async._batch.journal import journal_at
from pictory_async._batch.options import BatchOptions
from pictory_async._batch.outcomes import BatchOutcome
from pictory_async._batch.progress import BatchProgress, Counts, Display
from pictory_async._batch.records import Record
from pictory_async._batch.work import PromptWorker
from pictory_async._core.arguments import Prompt, Prompts
from pictory_async._core.errors import (
    InvalidRequestError,
    JournalMismatchError,
    SessionClosedError,
    WrongLoopError,
)
from pictory_async._core.models import ImageRequest
from pictory_async._runtime import Runtime
from pictory_async._tasks import Signal, TaskOwner, uncancelled

# A prompt's place, request and record; or the outcome of a prompt that is not valid.
Pulled = tuple[int, ImageRequest, Record | None] | BatchOutcome

NO_MORE: Final = object()


class Phase(enum.Enum):
    """Where a batch stands; see the table of `BatchRun`."""

    NEW = enum.auto()
    PULLING = enum.auto()
    FINISHING = enum.auto()
    COMPLETE = enum.auto()
    ABORTED = enum.auto()
    STOPPED = enum.auto()
    ENDED = enum.auto()


class BatchRun:
    """One run of a batch.

    It pulls prompts, works on up to *max_in_flight* of them, and keeps the outcomes
    that nobody has taken yet. A *supervisor* task owns all others. Each worker takes
    one prompt after another; another worker is started when all are busy. A prompt is
    pulled only while fewer than *max_in_flight* are pulled and not yet taken by the
    consumer, so memory follows that number and a slow consumer stops the pulling.

    | Phase     | Event                      | What happens                           |
    |-----------|----------------------------|----------------------------------------|
    | NEW       | first step of the consumer | PULLING: the supervisor opens the      |
    |           |                            | journal and starts the first worker    |
    | NEW       | consumer stops             | ENDED: nothing was read or sent        |
    | PULLING   | source ends, or raises     | FINISHING: workers end their prompts,  |
    |           |                            | then its error is raised               |
    | PULLING   | a recorded prompt differs  | FINISHING, likewise                    |
    | FINISHING | last worker ends           | COMPLETE                               |
    | PULLING,  | journal fails, source is   | ABORTED: workers are cancelled; the    |
    | FINISHING | cancelled, a defect        | error is raised after the outcomes     |
    | PULLING,  | session or loop closes     | ABORTED, with `SessionClosedError`     |
    | FINISHING |                            |                                        |
    | not ENDED | consumer stops             | STOPPED: all tasks are cancelled       |
    | COMPLETE, | workers have ended, POSTs  | ENDED: the consumer gets what is left, |
    | ABORTED,  | answered or overdue, and   | then the error or the end              |
    | STOPPED   | the journal is closed      |                                        |
    """

    def __init__(
        self, *, prompts: Prompts, options: BatchOptions, runtime: Runtime
    ) -> None:
        self._options = options
        self._runtime = runtime
        self._source = _each(prompts)
        # All prompts, if they are known in full; forgotten once they are compared.
        self._known: Sequence[Any] = prompts if isinstance(prompts, Sequence) else ()
        self._display = Display(options.progress)
        self._counts = Counts(
            credits_=Reservations(options.max_credits),
            display=self._display,
            total=len(prompts) if isinstance(prompts, Sized) else None,
        )
        self._journal = journal_at(options.journal)
        self._worker = PromptWorker(
            options=options,
            runtime=runtime,
            journal=self._journal,
            counts=self._counts,
        )
        self._phase = Phase.NEW
        self._error: BaseException | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._workers = TaskOwner()
        self._busy = self._alive = 0
        self._pulled = self._taken = 0
        self._turn = asyncio.Lock()  # to pull
        # Outcomes that nobody has taken: by their end, or by their place if *ordered*.
        self._ready: deque[BatchOutcome] = deque()
        self._held: list[tuple[int, BatchOutcome]] = []
        self._changed = Signal()  # for the consumer
        self._room = Signal()  # for the worker whose turn it is to pull
        self._worker_left = Signal()  # for the supervisor

    # --- for the consumer -----------------------------------------------------------

    @property
    def progress(self) -> BatchProgress:
        """How far the batch is now."""
        return self._counts.progress

    async def next(self) -> BatchOutcome | None:
        """Return the next outcome; None at the end. The first call starts the batch.

        Cancelling this loses nothing.

        Raises:
            Exception: The error that ended the batch early, after all outcomes.
        """
        if self._phase is Phase.NEW:
            self._start()
        self._check_loop()
        while (outcome := self._take()) is None:
            if self._phase is Phase.ENDED:
                self._raise_error()
                return None
            await self._changed.wait()
        return outcome

    def stop(self) -> None:
        """Pull and send nothing more; end all tasks soon. Idempotent."""
        if self._supervisor is None:
            self._phase = Phase.ENDED
        elif self._phase is not Phase.ENDED:
            self._phase = Phase.STOPPED
            self._journal.begin_closing(self._supervisor)
            self._workers.cancel()
            self._supervisor.cancel()

    def abandon(self) -> None:
        """Stop, called from any thread: nobody will take an outcome any more."""
        if self._supervisor is None or self._phase is Phase.ENDED:
            return
        loop = self._supervisor.get_loop()
        if loop is _running_loop():
            self.stop()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(self.stop)

    async def aclose(self) -> None:
        """Stop, and wait until no task is left and the journal is closed.

        Cancelling this leaves the rest to the background.
        """
        self.stop()
        if self._supervisor is not None and not self._supervisor.done():
            await asyncio.wait([self._supervisor])

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._supervisor is not None and self._supervisor.get_loop() is not loop:
            raise WrongLoopError("a batch belongs to the event loop that began it")

    def _take(self) -> BatchOutcome | None:
        ended = self._phase is Phase.ENDED
        if self._ready:
            outcome = self._ready.popleft()
        elif self._held and (ended or self._held[0][0] == self._taken):
            outcome = heapq.heappop(self._held)[1]
        else:
            return None
        self._taken += 1
        self._room.fire()
        return outcome

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error.with_traceback(None)

    # --- the supervisor ---------------------------------------------------------------

    def _start(self) -> None:
        self._supervisor = self._runtime.spawn(self._supervise(), name="pictory-batch")
        self._phase = Phase.PULLING
        # A callback is called even if the task is cancelled before its first step.
        self._supervisor.add_done_callback(self._end)

    async def _supervise(self) -> None:
        try:
            await self._open()
            self._add_worker()
            while self._alive:
                await self._worker_left.wait()
            if self._phase is Phase.FINISHING:
                self._phase = Phase.COMPLETE
        except Exception as exc:  # noqa: BLE001 - raised to the consumer
            self._abort(exc)
        finally:
            if self._phase in (Phase.PULLING, Phase.FINISHING):
                self._phase = Phase.ABORTED  # the session is closing
            closing = asyncio.create_task(self._close(), name="pictory-batch")
            self._journal.begin_closing(closing)
            await uncancelled(closing)

    async def _open(self) -> None:
        await self._display.open()
        await self._journal.open(self._abort)
        contents = self._journal.contents
        self._counts.credits.used = contents.used
        self._counts.credits.kept = contents.kept
        if self._known:
            await self._compare(self._known)
            self._known = ()
        await self._worker.open()
        self._counts.show()

    async def _compare(self, prompts: Sequence[Any]) -> None:
        """Compare the whole batch with the journal, before anything is sent."""
        requests = map(self._request, prompts)
        await self._journal.compare(
            request if isinstance(request, ImageRequest) else None
            for request in requests
        )

    def _abort(self, error: BaseException) -> None:
        """End the batch early; the outcomes that are ready are given first."""
        if self._phase is not Phase.STOPPED:
            self._phase = Phase.ABORTED
            self._error = self._error or error
        self._workers.cancel()

    async def _close(self) -> None:
        await self._workers.aclose()
        await self._worker.wait_for_answers()
        await self._close_one(self._journal.aclose)
        self._counts.show()
        self._display.close()
        await self._close_one(self._source.aclose)  # last: it may run the caller's code

    async def _close_one(self, aclose: Callable[[], Awaitable[None]]) -> None:
        try:
            await aclose()
        except Exception as exc:  # noqa: BLE001 - raised to the consumer
            self._abort(exc)

    def _end(self, supervisor: asyncio.Task[None]) -> None:
        if self._phase not in (Phase.COMPLETE, Phase.STOPPED) and self._error is None:
            self._error = SessionClosedError(
                "the session, or its event loop, was closed before the batch had ended"
            )
        if not supervisor.cancelled() and supervisor.exception() is not None:
            self._error = supervisor.exception()
        self._phase = Phase.ENDED
        self._changed.fire()

    # --- the workers ------------------------------------------------------------------

    def _add_worker(self) -> None:
        self._alive += 1
        task = self._workers.spawn(self._take_prompts(), name="pictory-batch-prompt")
        task.add_done_callback(self._worker_ended)

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        self._alive -= 1
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._abort(error)
        elif self._phase is Phase.PULLING:  # not by us: by the source itself
            self._abort(asyncio.CancelledError())
        self._worker_left.fire()

    async def _take_prompts(self) -> None:
        """Take one prompt after another."""
        while (pulled := await self._pull()) is not None:
            self._busy += 1
            if self._busy == self._alive < self._options.max_in_flight:
                self._add_worker()
            if isinstance(pulled, BatchOutcome):
                self._deliver(pulled)
            else:
                self._deliver(await self._worker.outcome(*pulled))
            self._busy -= 1

    async def _pull(self) -> Pulled | None:
        """Return the next prompt; None if nothing more is to be pulled."""
        async with self._turn:
            while self._pulled - self._taken >= self._options.max_in_flight:
                await self._room.wait()
            if self._phase is not Phase.PULLING or self._runtime.closed:
                return None
            try:
                prompt = await anext(self._source, NO_MORE)
            except Exception as exc:  # noqa: BLE001 - raised to the consumer
                self._finish(exc)
                return None
            if self._phase is not Phase.PULLING:  # the source ignored its cancellation
                return None
            try:
                return await self._recall(prompt)
            except JournalMismatchError as exc:
                self._finish(exc)
                return None

    async def _recall(self, prompt: Any) -> Pulled | None:
        """Return *prompt* with its place and its record; None after the last one."""
        if prompt is NO_MORE:
            self._counts.total = self._pulled
            self._journal.check_end(self._pulled)
            self._finish(None)
            return None
        index, self._pulled = self._pulled, self._pulled + 1
        request = self._request(prompt)
        if isinstance(request, InvalidRequestError):
            await self._journal.recall(index, None)
            asked = prompt if isinstance(prompt, ImageRequest) else None
            return BatchOutcome(index=index, request=asked, error=request)
        return index, request, await self._journal.recall(index, request)

    def _request(self, prompt: Prompt) -> ImageRequest | InvalidRequestError:
        try:
            return self._options.request(prompt)
        except InvalidRequestError as error:
            return error

    def _finish(self, error: Exception | None) -> None:
        """Pull nothing more; *error* is raised after the outcomes of pulled prompts."""
        if self._phase is Phase.PULLING:
            self._phase = Phase.FINISHING
            self._error = error

    def _deliver(self, outcome: BatchOutcome) -> None:
        if self._options.ordered:
            heapq.heappush(self._held, (outcome.index, outcome))
        else:
            self._ready.append(outcome)
        self._counts.ended(outcome)
        self._changed.fire()


async def _each(prompts: Prompts) -> AsyncGenerator[Any, None]:
    """Yield the prompts of an iterable or async iterable.

    Closing this closes a generator that the iterable made for us. A generator that
    was passed in stays open: its owner may go on with it.
    """
    if not isinstance(prompts, AsyncIterable):
        for prompt in prompts:
            yield prompt
        return
    iterator = aiter(prompts)
    try:
        async for prompt in iterator:
            yield prompt
    finally:
        if iterator is not prompts and isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
