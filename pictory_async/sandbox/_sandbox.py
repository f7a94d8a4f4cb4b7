"""The public class: one object that stands in for the whole service."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pictory_async.sandbox import _replies as replies
from pictory_async.sandbox._api import PREFIX
from pictory_async.sandbox._drawing.gallery import Gallery
from pictory_async.sandbox._gate import Gate
from pictory_async.sandbox._options import Behavior, Throttle
from pictory_async.sandbox._service import Service
from pictory_async.sandbox._state import FAILED, Duration, Failure, JobView
from pictory_async.sandbox._store import Store
from pictory_async.sandbox._validation import problems
from pictory_async.sandbox._webhooks import WebhookSender

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from types import TracebackType

    from pictory_async.sandbox._faults import Chaos, Fault
    from pictory_async.sandbox._history import ImageView
    from pictory_async.sandbox._recording import SeenRequest, WebhookDelivery

_SEVERAL: Final = (0.1, 0.5)


class Sandbox:
    """A stand-in for the Pictory AI Studio image API, in this process.

    It listens on 127.0.0.1, answers as documented, serves real PNG files, and fails
    on demand:

    ```python
    async with Sandbox(seed=1) as sandbox:
        sandbox.add_fault(Fault.answer(503, on="submit"))
        async with PictorySession(
            sandbox.api_key, base_url=sandbox.base_url
        ) as session:
            image = await session.generate("A red bicycle")
    ```

    All times are seconds of the running loop's clock, so a loop with a fake clock
    drives it. It belongs to the loop in which it was started; starting, using and
    closing it may happen in different tasks. It may be started again after it was
    closed, on the same port and with all its jobs, to simulate an outage.

    Args:
        api_key: The only key it accepts.
        port: The port to listen on; 0 takes any free one.
        seed: Makes ids and durations the same in every run; None makes them differ.
        duration: Seconds a job takes: a number, the ends of a range to draw from, or
            a function of the request body. ``math.inf`` keeps it until `finish`.
        failure_rate: The share of jobs that fail, from 0 to 1; they cost nothing.
            Jobs that `fail_next` makes fail are not counted.
        page_size: Images on a page of the history; the service's is 100.
        credits: The AI credits that may be spent; None sets no limit.
        behavior: What to do where the documents are silent or disagree.
        throttle: A rate limit on the API; None sets no limit.
        chaos: Called with every request that no scripted fault hits; returns a fault
            for it, or None. The fault's `on`, `times` and `after` are ignored.
        pictures: Whether to draw the prompts, with Pillow; False serves files of one
            color and the same size, which needs neither Pillow nor time.
        record: Whether to keep `requests`; False suits very long runs.
        webhook_copies: How often each webhook is sent; 2 tests whether a receiver
            tolerates repeats.
        webhook_timeout: Seconds that a receiver has to answer.
        keepalive_timeout: Seconds until an idle connection is closed.
        started_at: The date at the first start (aware); None is now.
        state: A file in which the jobs are kept, with their images, so that a sandbox
            of another process goes on with them: give it the same file. It is made
            with the first job if it is not there, and survives a kill. The sandbox
            listens on the same port again, if that is free and *port* is 0. Faults,
            images that were added and the order to `hold` are not kept.

    Raises:
        ValueError: An option is invalid.
    """

    def __init__(
        self,
        *,
        api_key: str = "pictai_sandbox_not_a_real_key",
        port: int = 0,
        seed: int | None = None,
        duration: Duration = _SEVERAL,
        failure_rate: float = 0.0,
        page_size: int = 100,
        credits: Decimal | float | None = None,  # noqa: A002 - the API's word
        behavior: Behavior | None = None,
        throttle: Throttle | None = None,
        chaos: Chaos | None = None,
        pictures: bool = True,
        record: bool = True,
        webhook_copies: int = 1,
        webhook_timeout: float = 5.0,
        keepalive_timeout: float = 75.0,
        started_at: datetime | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        if not 1 <= page_size <= 100:
            raise ValueError("page_size must be 1 to 100, the maximum of the service")
        if not 0 <= failure_rate <= 1:
            raise ValueError(f"failure_rate must be 0 to 1, not {failure_rate!r}")
        if started_at is not None and started_at.tzinfo is None:
            raise ValueError("started_at must be aware: give it a tzinfo")
        self.api_key = api_key
        self._behavior = behavior or Behavior()
        self._service = Service(
            api_key=api_key,
            port=port,
            seed=seed,
            duration=duration,
            failure_rate=failure_rate,
            page_size=page_size,
            balance=None if credits is None else Decimal(str(credits)),
            behavior=self._behavior,
            gate=Gate(throttle=throttle, chaos=chaos),
            gallery=Gallery(pictures=pictures),
            sender=WebhookSender(copies=webhook_copies, timeout=webhook_timeout),
            record=record,
            keepalive_timeout=keepalive_timeout,
            started_at=started_at,
            store=None if state is None else Store(Path(state)),
        )

    # Lifetime

    async def start(self) -> Self:
        """Start listening. Cancelling this leaves it stopped.

        Raises:
            ImportError: Pictures are wanted and Pillow is not installed.
            OSError: The port is taken, or the file of its state cannot be used.
            ValueError: The file of its state is another kind of file.
            RuntimeError: It is running, or was started in another loop before.
        """
        await self._service.start()
        return self

    async def aclose(self) -> None:
        """Stop listening, drop requests in progress, end all tasks. Idempotent.

        Cancelling this leaves the rest open until its loop ends.
        """
        await self._service.aclose()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def base_url(self) -> str:
        """The base URL, in place of ``https://api.pictory.ai/pictoryapis``.

        Raises:
            RuntimeError: It has not been started.
        """
        return f"{self._service.origin}{PREFIX}"

    # Scripting

    def fail_next(
        self,
        times: int = 1,
        *,
        code: str = FAILED.code,
        message: str = FAILED.message,
    ) -> None:
        """Make the next *times* accepted jobs fail.

        Args:
            times: How many.
            code: The job's ``error_code``; real ones for images are not documented.
            message: The job's ``error_message``.
        """
        self._service.studio.fail_next(times, Failure(code, message))

    def hold(self) -> None:
        """Keep every job in progress, including new ones, until `release`."""
        self._service.studio.hold(self._service.now())

    def release(self) -> None:
        """Undo `hold`; jobs that became due in the meantime end now."""
        self._service.studio.release(self._service.now())

    def finish(self, job_id: str) -> None:
        """End a job now, as it would have ended; do nothing if it has ended.

        Raises:
            KeyError: There is no such job, as in all methods that take a job id.
        """
        self._service.studio.finish(self._service.job(job_id), self._service.now())

    def fail(
        self,
        job_id: str,
        *,
        code: str = FAILED.code,
        message: str = FAILED.message,
    ) -> None:
        """End a job now as failed.

        Raises:
            ValueError: It has ended already.
        """
        self._service.studio.fail(
            self._service.job(job_id), self._service.now(), Failure(code, message)
        )

    def clean(self, job_id: str) -> None:
        """Make a job ``cleaned``, as after the retention period."""
        job = self._service.job(job_id)
        self._service.studio.clean(job, self._service.now())
        self._service.keep(job)

    def set_state(self, job_id: str, word: str) -> None:
        """Put a job in progress into the state *word*, documented or not.

        It stays in it until `finish`, `fail` or `clean`; "in-progress" lets it end by
        itself again if it is not due yet.

        Raises:
            ValueError: The job has ended, or *word* is a final state.
        """
        job = self._service.job(job_id)
        self._service.studio.set_state(job, word)
        self._service.keep(job)

    def answer_job(
        self, job_id: str, body: object, *, status: int = 200, times: int | None = None
    ) -> None:
        """Answer polls of *job_id*, which need not exist, with *body*.

        Args:
            job_id: Any id.
            body: Text and bytes are sent as they are, anything else as JSON.
            status: The status of the answer.
            times: How many polls get it; None is all.
        """
        reply = replies.any_reply(status, body, replies.JSON)
        self._service.api.override(job_id, reply, times)

    def add_image(
        self,
        prompt: str,
        *,
        model: str = "seedream3.0",
        aspect_ratio: str = "1:1",
        style: str | None = None,
        reference_image_url: str | None = None,
    ) -> ImageView:
        """Add an image that was made elsewhere to the history, as the newest.

        Raises:
            ValueError: The service would not have made it.
        """
        fields = {
            "prompt": prompt,
            "model": model,
            "aspectRatio": aspect_ratio,
            "style": style,
            "referenceImageUrl": reference_image_url,
        }
        request = {name: value for name, value in fields.items() if value is not None}
        if found := problems(request, self._behavior):
            raise ValueError(str(found))
        self._service.studio.advance(self._service.now())
        return self._service.studio.add_image(request, self._service.now())

    def add_fault(self, *faults: Fault) -> None:
        """Add faults for coming requests; the first added hits first."""
        for fault in faults:
            self._service.gate.script.add(fault)

    def clear_faults(self) -> None:
        """Remove the faults that are still to come."""
        self._service.gate.script.clear()

    # Records

    @property
    def faults(self) -> list[Fault]:
        """The scripted faults that are still to come."""
        return self._service.gate.script.faults

    @property
    def requests(self) -> list[SeenRequest]:
        """All requests in the order of arrival; empty with ``record=False``."""
        return list(self._service.requests)

    @property
    def submitted(self) -> list[Mapping[str, Any]]:
        """The bodies of the accepted image requests, in order."""
        return [job.request for job in self._service.studio.jobs.values()]

    @property
    def jobs(self) -> dict[str, JobView]:
        """All accepted jobs as they are now, by id, in the order of acceptance."""
        self._service.catch_up()
        return {
            job_id: self._service.view(job)
            for job_id, job in self._service.studio.jobs.items()
        }

    def job(self, job_id: str) -> JobView:
        """Return a job as it is now."""
        self._service.catch_up()
        return self._service.view(self._service.job(job_id))

    @property
    def images(self) -> list[ImageView]:
        """The history, newest first."""
        self._service.catch_up()
        return list(self._service.studio.history)

    @property
    def webhooks(self) -> list[WebhookDelivery]:
        """The webhooks sent so far and their results, in the order of completion."""
        return list(self._service.sender.deliveries)

    @property
    def credits_used(self) -> Decimal:
        """The AI credits of all completed jobs."""
        self._service.catch_up()
        return self._service.studio.credits_used

    @property
    def credits_left(self) -> Decimal | None:
        """The credits that new jobs may use; None is no limit."""
        self._service.catch_up()
        return self._service.studio.credits_left

    @property
    def throttled(self) -> int:
        """How many requests the rate limit has refused."""
        return self._service.gate.throttled

    def polls(self, job_id: str) -> int:
        """Return how often *job_id*, known or not, was polled."""
        return self._service.polls[job_id]
