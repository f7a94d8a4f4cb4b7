"""A batch under way: one task that owns the others, and what they have ready."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence, Sized
from typing import Any

from pictory_async._batch.budget import Budget
from pictory_async._batch.files import make_folder
from pictory_async._batch.journal import Journal, NoJournal
from pictory_async._batch.options import Plan
from pictory_async._batch.outcomes import BatchOutcome, Tally
from pictory_async._batch.progress import Notifier
from pictory_async._batch.records import Record
from pictory_async._batch.work import Work
from pictory_async._core.arguments import Prompt, Prompts
from pictory_async._core.errors import (
    InvalidRequestError,
    JournalMismatchError,
    SessionClosedError,
    WrongLoopError,
)
from pictory_async._core.models import ImageRequest
from pictory_async._jobs.submit import GRACE
from pictory_async._runtime import OpenLoop, Runtime
from pictory_async._tasks import Signal, TaskOwner, uncancelled

# A prompt, its place and its record; or the outcome of one that cannot be asked for.
Pulled = tuple[int, ImageRequest, Record | None] | BatchOutcome

MISSING = "is missing"

# Prompts that are compared with the journal between two breaths of the loop.
COMPARED_AT_ONCE = 50


class Source:
    """Pulls prompts from any iterable or async iterable."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts: Prompts | None = prompts
        self._iterator: Iterator[Any] | AsyncIterator[Any] | None = None
        self.total: int | None = len(prompts) if isinstance(prompts, Sized) else None

    @property
    def known(self) -> Sequence[Any]:
        """All prompts, if they are known in full; else nothing."""
        prompts = self._prompts
        return prompts if isinstance(prompts, Sequence) else ()

    async def pull(self) -> Any:
        """Return the next prompt.

        Raises:
            StopAsyncIteration: There are no more.
            Exception: Whatever the iterable raises.
        """
        if self._iterator is None:
            self._iterator = self._begin()
        if isinstance(self._iterator, AsyncIterator):
            return await anext(self._iterator)
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Forget the prompts."""
        self._prompts = self._iterator = None

    def _begin(self) -> Iterator[Any] | AsyncIterator[Any]:
        prompts = self._prompts
        if prompts is None:
            raise StopAsyncIteration
        if isinstance(prompts, AsyncIterable):
            return aiter(prompts)
        return iter(prompts)


class Run:
    """Pulls prompts, works on up to *max_in_flight* of them, and keeps the outcomes.

    A *supervisor* task owns all others. Each worker takes one prompt after another; a
    worker more is started when all are busy. A prompt is pulled only while fewer than
    *max_in_flight* are pulled and not yet taken by the consumer, so memory follows
    that number and a slow consumer stops the pulling.
    """

    def __init__(self, *, source: Source, plan: Plan, runtime: Runtime) -> None:
        self._source = source
        self._plan = plan
        self._runtime = runtime
        self._notifier = Notifier(plan.progress)
        self.tally: Tally = Tally(Budget(limit=plan.max_credits), total=source.total)
        self._journal: Journal | NoJournal = NoJournal()
        self._work: Work | None = None
        self._workers = TaskOwner()
        self._busy = self._alive = 0
        self._pulled = self._taken = 0
        self._turn = asyncio.Lock()  # to pull
        self._exhausted = False  # nothing is pulled any more
        self._source_ended = False  # because there is nothing left, or it failed
        self._complete = False  # and all that was pulled has its outcome
        self._stopped = False  # by whoever iterates
        self._closing = False
        self._error: BaseException | None = None
        # Outcomes that nobody has taken: by their end, or by their place if *ordered*.
        self._ready: deque[BatchOutcome] = deque()
        self._held: list[tuple[int, BatchOutcome]] = []
        self._changed = Signal()  # for the consumer
        self._room = Signal()  # for the worker whose turn it is to pull
        self._ended_work = Signal()  # for the supervisor
        self._supervisor: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ended: bool = False

    # --- for the consumer -----------------------------------------------------------

    async def next(self) -> BatchOutcome | None:
        """Return the next outcome; None at the end. Begins with the first call.

        Cancelling this loses nothing.

        Raises:
            Exception: What ended the batch early, once all outcomes are taken.
        """
        if self._supervisor is None and not self.ended:
            self._start()
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise WrongLoopError("a batch belongs to the event loop that began it")
        while True:
            outcome = self._take()
            if outcome is not None:
                return outcome
            if self.ended:
                self._raise_error()
                return None
            await self._changed.wait()

    def stop(self) -> None:
        """Pull and send nothing more; end all tasks soon. Idempotent."""
        self._stopped = self._exhausted = True
        if self._supervisor is None:
            self.ended = True
        elif not self._supervisor.done():
            if self._plan.journal is not None:
                # If there is one already, we wait for it ourselves and opened nothing.
                self._runtime.closing_journals.setdefault(
                    self._journal_key, self._supervisor
                )
            self._workers.cancel()
            self._supervisor.cancel()

    def abandon(self) -> None:
        """Stop, called from any thread: nobody will take an outcome any more."""
        loop = self._loop
        if self.ended or loop is None or loop.is_closed():
            return
        if loop is _running_loop():
            self.stop()
        else:
            loop.call_soon_threadsafe(self.stop)

    async def aclose(self) -> None:
        """Stop, and wait until no task is left and the journal is closed.

        Cancelling this leaves the rest to the background.
        """
        self.stop()
        if self._supervisor is not None and not self._supervisor.done():
            await asyncio.wait([self._supervisor])

    def _take(self) -> BatchOutcome | None:
        if self._ready:
            outcome = self._ready.popleft()
        elif self._held and (self._held[0][0] == self._taken or self.ended):
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
        engine = self._runtime.use()
        self._loop = engine.loop
        self._supervisor = engine.tasks.spawn(
            self._supervise(engine), name="pictory-batch"
        )
        # Also if it is cancelled before its first step.
        self._supervisor.add_done_callback(self._over)

    async def _supervise(self, engine: OpenLoop) -> None:
        try:
            await self._open(engine)
            self._add_worker()
            while self._alive:
                await self._ended_work.wait()
            self._complete = self._source_ended
        except Exception as exc:  # noqa: BLE001 - raised where the batch is iterated
            self._fail(exc)
        finally:
            await uncancelled(asyncio.create_task(self._close(), name="pictory-batch"))

    async def _open(self, engine: OpenLoop) -> None:
        await self._notifier.open()
        if self._plan.journal is not None:
            await self._open_journal()
        if self._plan.save_to is not None:
            await make_folder(self._plan.save_to)
        self._work = Work(
            plan=self._plan,
            runtime=self._runtime,
            engine=engine,
            journal=self._journal,
            tally=self.tally,
            on_accepted=self._tell,
        )
        self._tell()

    async def _open_journal(self) -> None:
        closing = self._runtime.closing_journals.get(self._journal_key)
        if closing is not None:  # by a batch of this session that was left
            await asyncio.wait([closing])
        assert self._plan.journal is not None  # noqa: S101 - else this is not called
        journal = Journal(self._plan.journal)
        try:
            await journal.open(self._fail)
        finally:
            self._journal = journal  # to be closed, whatever happened
        self.tally.budget.used = journal.contents.used
        self.tally.budget.kept = journal.contents.kept
        await self._compare_all(journal)

    @property
    def _journal_key(self) -> str:
        return str(self._plan.journal)

    async def _compare_all(self, journal: Journal) -> None:
        """Compare what is known in full with the journal, before anything is sent."""
        known, end = self._source.known, journal.contents.end
        if not known:
            return
        for index in range(min(len(known), end)):
            request = self._request(index, known[index])
            await journal.find(
                index, request if isinstance(request, ImageRequest) else None
            )
            if index % COMPARED_AT_ONCE == 0:
                await asyncio.sleep(0)
        if len(known) < end:
            raise journal.mismatch(len(known), MISSING)
        journal.rewind()

    def _fail(self, error: BaseException) -> None:
        """End the batch early; outcomes that are there are given first."""
        if self._error is None and not self._stopped:
            self._error = error
        self._exhausted = True
        self._workers.cancel()

    async def _close(self) -> None:
        self._closing = True
        await self._workers.aclose()
        if self._work is not None:
            await self._answers(self._work)
        try:
            await self._journal.aclose()
        except Exception as exc:  # noqa: BLE001 - raised where the batch is iterated
            self._fail(exc)
        self._tell()
        self._notifier.close()
        self._source.close()

    async def _answers(self, work: Work) -> None:
        """Give POSTs on the wire a little time, so that their ids are recorded."""
        if self._plan.journal is None:
            return  # their session finishes them
        try:
            async with asyncio.timeout(GRACE):
                while work.on_the_wire:
                    await work.quieter.wait()
        except TimeoutError:
            return  # unknown to the journal; their session still waits

    def _over(self, supervisor: asyncio.Task[None]) -> None:
        key = self._journal_key
        if self._runtime.closing_journals.get(key) is supervisor:
            del self._runtime.closing_journals[key]
        if not (self._complete or self._stopped) and self._error is None:
            self._error = SessionClosedError(
                "the session, or its event loop, was closed before the batch had ended"
            )
        if not supervisor.cancelled() and supervisor.exception() is not None:
            self._error = supervisor.exception()
        self.ended = True
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
                self._fail(error)
        elif not (self._closing or self._exhausted):  # by the source itself
            self._fail(asyncio.CancelledError())
        self._ended_work.fire()

    async def _take_prompts(self) -> None:
        """Take one prompt after another."""
        while (pulled := await self._pull()) is not None:
            self._busy += 1
            if self._busy == self._alive < self._plan.max_in_flight:
                self._add_worker()
            self._deliver(await self._outcome(pulled))
            self._busy -= 1

    async def _pull(self) -> Pulled | None:
        """Return the next prompt; None if there is none, or none is wanted."""
        async with self._turn:
            while self._pulled - self._taken >= self._plan.max_in_flight:
                await self._room.wait()
            if self._exhausted or self._runtime.closed:
                return None
            try:
                prompt = await self._source.pull()
            except StopAsyncIteration:
                self._end_source()
                return None
            except Exception as exc:  # noqa: BLE001 - raised where it is iterated
                self._end_pulling(exc)
                return None
            index, self._pulled = self._pulled, self._pulled + 1
            return await self._compare(index, prompt)

    async def _compare(self, index: int, prompt: Prompt) -> Pulled | None:
        asked = self._request(index, prompt)
        request = asked if isinstance(asked, ImageRequest) else None
        try:
            found = await self._journal.find(index, request)
        except JournalMismatchError as exc:
            self._end_pulling(exc)
            return None
        return asked if isinstance(asked, BatchOutcome) else (index, asked, found)

    def _request(self, index: int, prompt: Prompt) -> ImageRequest | BatchOutcome:
        """Return the request for *prompt*, or why there can be none."""
        try:
            return self._plan.request(prompt)
        except InvalidRequestError as error:
            asked = prompt if isinstance(prompt, ImageRequest) else None
            return BatchOutcome(index=index, request=asked, error=error)

    def _end_source(self) -> None:
        """Note that there are no more prompts."""
        self.tally.total = self._pulled
        missing = self._pulled < self._journal.contents.end
        self._end_pulling(
            self._journal.mismatch(self._pulled, MISSING) if missing else None
        )

    def _end_pulling(self, error: Exception | None) -> None:
        """Pull nothing more; raise *error* after the outcomes of what was pulled."""
        self._exhausted = self._source_ended = True
        self._error = self._error or error

    async def _outcome(self, pulled: Pulled) -> BatchOutcome:
        if isinstance(pulled, BatchOutcome):
            return pulled
        assert self._work is not None  # noqa: S101 - made before the first worker
        return await self._work.outcome(*pulled)

    def _deliver(self, outcome: BatchOutcome) -> None:
        self.tally.count(outcome)
        if self._plan.ordered:
            heapq.heappush(self._held, (outcome.index, outcome))
        else:
            self._ready.append(outcome)
        self._tell()
        self._changed.fire()

    def _tell(self) -> None:
        if self._notifier.wanted:
            self._notifier.tell(self.tally.progress)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
