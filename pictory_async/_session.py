"""The session: where users begin."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from pictory_async._batch.batch import Batch
from pictory_async._batch.options import OnUnknown, batch_options
from pictory_async._batch.progress import Progress
from pictory_async._batch.run import BatchRun
from pictory_async._core.arguments import (
    checked_image,
    checked_job_id,
    checked_limit,
    checked_prompts,
    checked_since,
    checked_start,
    checked_timeout,
    given_options,
    requested,
)
from pictory_async._core.endpoints import product_of
from pictory_async._core.errors import SessionClosedError
from pictory_async._core.models import GeneratedImage, HistoryImage, ImageRequest
from pictory_async._core.unknown import SubmissionUnknownError
from pictory_async._http.stats import SessionStats
from pictory_async._jobs.handle import JobHandle
from pictory_async._jobs.submit import Submission
from pictory_async._media.history import ImageHistory
from pictory_async._policy.pace import Limits
from pictory_async._policy.polling import PollPolicy
from pictory_async._policy.retry import RetryPolicy
from pictory_async._runtime import Runtime
from pictory_async._settings import settings_for


class PictorySession:
    """A client of the image API: submits, follows, lists and downloads.

    ```python
    async with PictorySession() as session:
        image = await session.generate("A lighthouse at dawn")
    ```

    The constructor does no I/O and needs no event loop. The session opens on first
    use and belongs to the loop of that use; opening, using and closing may happen in
    different tasks, such as the cells of a notebook. After its loop was closed it
    opens anew on the next one, and goes on with its jobs there.

    Args:
        api_key: The key, as it is (no "Bearer"); else ``$PICTORY_API_KEY``.
        base_url: Else ``$PICTORY_API_BASE_URL``, else the service's own.
        polling: When jobs are asked for; by default a new `Adaptive`, which learns how
            long the jobs of each model take.
        retries: What is tried again, and how often.
        limits: How much is sent at once, and how fast.
        request_timeout: Seconds for one attempt, from its turn to its last byte.
        job_timeout: Seconds from the submission until a handle fails with
            `JobTimeoutError`; None to follow jobs for ever.
        http: Your own `aiohttp.ClientSession`, such as one with a proxy. It is used
            as it is and never closed.

    Raises:
        ConfigurationError: There is no usable key or base URL.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | URL | None = None,
        polling: PollPolicy | None = None,
        retries: RetryPolicy | None = None,
        limits: Limits | None = None,
        request_timeout: float = 30.0,
        job_timeout: float | None = 900.0,
        http: aiohttp.ClientSession | None = None,
    ) -> None:
        settings = settings_for(
            api_key=api_key,
            base_url=base_url,
            polling=polling,
            retries=retries,
            limits=limits,
            request_timeout=request_timeout,
            job_timeout=job_timeout,
            http=http,
        )
        self._runtime = Runtime(settings)

    # --- images -------------------------------------------------------------------

    async def submit(
        self,
        prompt: str | ImageRequest,
        *,
        model: str | None = None,
        aspect_ratio: str | None = None,
        style: str | None = None,
        reference_image_url: str | None = None,
        webhook: str | None = None,
    ) -> JobHandle[GeneratedImage]:
        """Ask for an image; return its handle once the service accepted the job.

        Args:
            prompt: What to draw, in 5 to 5,000 characters, or an `ImageRequest`,
                whose fields the options override.
            model: A name of `MODELS`; the service's default is ``seedream3.0``.
            aspect_ratio: Such as ``"16:9"``; the model's first by default.
            style: Such as ``"photorealistic"``; none by default.
            reference_image_url: A publicly accessible picture to go by.
            webhook: A URL that gets a POST when the job ends.

        Cancelling this before the request goes out sends nothing. Once it is on the
        wire it is finished in the background, and an accepted job is in `jobs`.

        Raises:
            InvalidRequestError: A value is not allowed; nothing was sent.
            APIError: The service refused; nothing was created.
            TransportError: Nothing was sent (*sent* is false).
            SubmissionUnknownError: A job may have been created; not sent again.
            SessionClosedError: The session is closed; nothing was sent.
        """
        given = given_options(model, aspect_ratio, style, reference_image_url, webhook)
        return await self._runtime.submit(_submission(requested(prompt, given)))

    async def generate(
        self,
        prompt: str | ImageRequest,
        *,
        model: str | None = None,
        aspect_ratio: str | None = None,
        style: str | None = None,
        reference_image_url: str | None = None,
        webhook: str | None = None,
        timeout: float | None = None,
    ) -> GeneratedImage:
        """Ask for an image and wait for it: `submit`, then ``await`` the handle.

        Args:
            prompt: As for `submit`, like the options.
            model: As for `submit`.
            aspect_ratio: As for `submit`.
            style: As for `submit`.
            reference_image_url: As for `submit`.
            webhook: As for `submit`.
            timeout: Seconds from this call; None leaves it to *job_timeout*.

        Cancelling this is as for `submit`; an accepted job goes on, in `jobs`.

        Raises:
            JobTimeoutError: *timeout* is over; the job is followed on, in `jobs`.
            RequestTimeoutError: *timeout* was over before anything was sent.
            SubmissionUnknownError: *timeout* was over while the request was on the
                wire. It is finished in the background; an accepted job is in `jobs`.
            PictoryError: As for `submit` and for awaiting a `JobHandle`.
        """
        checked_timeout(timeout)
        given = given_options(model, aspect_ratio, style, reference_image_url, webhook)
        request = requested(prompt, given)
        del given, prompt  # not kept for as long as the job takes
        if timeout is None:
            return await (await self._runtime.submit(_submission(request)))
        now = asyncio.get_running_loop().time
        until = now() + timeout
        handle = await self._runtime.submit(_submission(request), until=until)
        return await handle.result(timeout=max(until - now(), 0))

    def generate_many(
        self,
        prompts: Iterable[str | ImageRequest] | AsyncIterable[str | ImageRequest],
        *,
        model: str | None = None,
        aspect_ratio: str | None = None,
        style: str | None = None,
        reference_image_url: str | None = None,
        webhook: str | None = None,
        max_in_flight: int = 50,
        ordered: bool = False,
        journal: str | os.PathLike[str] | None = None,
        save_to: str | os.PathLike[str] | None = None,
        max_credits: Decimal | float | str | None = None,
        on_unknown: OnUnknown = "report",
        progress: Progress = False,
    ) -> Batch:
        """Ask for many images; return a `Batch` to iterate over.

        ```python
        async for outcome in session.generate_many(prompts, journal="run.sqlite"):
            print(outcome.index, outcome.path or outcome.error)
        ```

        Nothing is read or sent before the iteration begins.

        Args:
            prompts: Texts or `ImageRequest` objects, from any iterable or async
                iterable of any length. They are pulled when it is their turn, never
                more than *max_in_flight* ahead of the outcomes you have taken. An
                iterable is asked on the event loop; one that is slow to answer should
                be an async one.
            model: As for `submit`; like the other options it fills what a request
                leaves open.
            aspect_ratio: As for `submit`.
            style: As for `submit`.
            reference_image_url: As for `submit`.
            webhook: As for `submit`.
            max_in_flight: Prompts that are worked on at once. All that a batch keeps
                in memory follows this number.
            ordered: Give the outcomes in the order of the prompts, not as they end.
            journal: A file that makes the batch durable, in SQLite; None for none.
                The same call with the same journal goes on where the last one was
                interrupted, even by a power cut: see `Batch`.
            save_to: A folder to download the images to, as
                ``000012-<job id>.png`` (the image's own id if `reconcile` found it);
                made if it is not there.
            max_credits: A ceiling in AI credits. The price of `MODELS` is reserved
                before each request and settled with what was used. A prompt that does
                not fit waits while jobs in flight could still make room, and is then
                a `BudgetExceededError`; nothing is sent for it. With a journal the
                credits of earlier runs count as well. The service may charge more
                than its price list says, and so pass the ceiling.
            on_unknown: What to do with a prompt of the journal whose earlier POST may
                or may not have created a job: "report" it as an outcome with a
                `SubmissionUnknownError`; "reconcile": look for its image in the
                history, else report it; "resubmit": pay a second time, perhaps.
            progress: True shows a bar (extra ``[progress]``); a function is called
                with a `BatchProgress` after each change, on the event loop.

        Raises:
            InvalidRequestError: An argument is not allowed; nothing was sent.
            ImportError: *progress* is True and tqdm is not installed.
            SessionClosedError: The session is closed.
        """
        given = given_options(model, aspect_ratio, style, reference_image_url, webhook)
        options = batch_options(
            options=given,
            max_in_flight=max_in_flight,
            ordered=ordered,
            journal=journal,
            save_to=save_to,
            max_credits=max_credits,
            on_unknown=on_unknown,
            progress=progress,
        )
        if self._runtime.closed:
            raise SessionClosedError
        checked = checked_prompts(prompts)
        run = BatchRun(prompts=checked, options=options, runtime=self._runtime)
        return Batch(run)

    def history(
        self,
        *,
        start: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> ImageHistory:
        """Return the account's images, newest first, as an async iterator.

        Args:
            start: The `ImageHistory.next_page_key` to go on from; None for the newest.
            since: Aware; images created before it end the iteration. Those without a
                readable date do not.
            limit: How many images at most.

        Nothing is fetched until it is iterated over.

        Raises:
            InvalidRequestError: A value is not allowed.
        """
        return self._runtime.history(
            start=checked_start(start),
            since=checked_since(since),
            limit=checked_limit(limit),
        )

    async def download(
        self,
        image: GeneratedImage | HistoryImage,
        to: str | os.PathLike[str],
        *,
        overwrite: bool = False,
    ) -> Path:
        """Save an image to disk and return the file's path.

        Args:
            image: What to download. Its host never gets the API key.
            to: A file, or a folder if it exists or ends in a separator; then the
                name is made from the image's id and its type. Folders are made.
            overwrite: Whether an existing file is replaced.

        The file appears when it is complete. Cancelling this leaves no part of it
        behind.

        Raises:
            DownloadError: It cannot be had; nothing was left on disk.
            FileExistsError: There is a file already.
            SessionClosedError: The session is closed.
        """
        url, image_id = checked_image(image)
        return await self._runtime.save(
            url=url, image_id=image_id, to=to, overwrite=overwrite
        )

    async def reconcile(self, error: SubmissionUnknownError) -> HistoryImage | None:
        """Look in the history for the image of a submission whose outcome is unknown.

        Args:
            error: As `submit` or `generate` raised it.

        Returns:
            The oldest image with the same prompt and, where the request named them,
            model, ratio, style and reference, made from 2 minutes before the POST to
            *job_timeout* after it, that belongs to no other call of this session.
            None if there is none; as an image appears only when it is finished, that
            does not prove that nothing was created. The same error gets the same
            image again.

        Reads the history from the newest back to the POST, and asks for jobs in
        progress with the same prompt. Cancelling this disturbs nothing.

        Raises:
            InvalidRequestError: This is not such an error.
            PictoryError: The history, or one of those jobs, could not be read.
        """
        return await self._runtime.reconcile(error)

    # --- jobs ---------------------------------------------------------------------

    def job(self, job_id: str) -> JobHandle[GeneratedImage]:
        """Follow a job that was started anywhere, by its id. Needs a running loop.

        A job that this session follows already keeps its handle; any other is asked
        for at once.

        Raises:
            InvalidRequestError: This cannot be an id.
            SessionClosedError: The session is closed.
        """
        return self._runtime.attach(checked_job_id(job_id))

    @property
    def jobs(self) -> tuple[JobHandle[GeneratedImage], ...]:
        """The handles still in progress, oldest first."""
        return tuple(self._runtime.jobs)

    def poll_now(self, job_id: str) -> bool:
        """Ask at once for a job in progress, instead of when the policy says.

        For those who hear of jobs from elsewhere, such as from a webhook, and must
        not take the word for it. An id that this session does not follow costs no
        request. As it may be that of a submission under way, whose answer has not
        arrived yet, it is remembered as long as there is one (the last 1,000 such
        ids), and asked for when it turns out to be.

        Returns:
            Whether the job is in progress here. Returns immediately; asked for again
            while a poll is in flight, there is one more poll after it.

        Raises:
            InvalidRequestError: This cannot be an id.
            SessionClosedError: The session is closed.
            WrongLoopError: Another loop, which is still alive, has the session.
        """
        return self._runtime.poll_now(checked_job_id(job_id))

    async def drain(self, timeout: float | None = None) -> None:
        """Wait until no job and no submission is in progress.

        Cancelling this disturbs nothing.

        Raises:
            TimeoutError: *timeout* seconds were not enough; nothing was stopped.
        """
        checked_timeout(timeout)
        try:
            async with asyncio.timeout(timeout):
                self._runtime.use()
                await self._runtime.jobs.idle()
        except TimeoutError:
            left = len(self._runtime.jobs)
            raise TimeoutError(f"{left} jobs are still in progress") from None

    @property
    def stats(self) -> SessionStats:
        """The figures of the session so far. Costs no request; at any time, anywhere.

        A picture of this moment that does not change any more; take two and subtract
        to see what happened between them.
        """
        return self._runtime.jobs.counters.snapshot(
            jobs_in_flight=len(self._runtime.jobs)
        )

    # --- life ---------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that the session is open on, and is to be closed on.

        None before its first use, after `aclose`, and after that loop was closed.
        """
        return self._runtime.loop

    async def __aenter__(self) -> Self:
        """Open; leaving closes."""
        self._runtime.use()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; see `aclose`."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the session for good. Idempotent.

        A request for an image that is on the wire gets 5 seconds to answer, so that
        its job's id is known. Handles in progress end with `SessionClosedError`; the
        jobs go on at the service. No task and no socket stays behind.

        Cancelling this leaves the closing to go on in the background.

        Raises:
            WrongLoopError: Another loop, which is still alive, has the session.
        """
        await self._runtime.aclose()

    def __del__(self) -> None:
        """Warn of a session that was not closed."""
        runtime = getattr(self, "_runtime", None)  # none if the constructor raised
        if runtime is not None and runtime.loop is not None:
            warnings.warn(
                f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self
            )

    def __repr__(self) -> str:
        """Show the base URL and what is going on; never the key."""
        jobs = f"{len(self._runtime.jobs)} jobs in progress"
        state = "closed" if self._runtime.closed else jobs
        return f"<PictorySession {self._runtime.settings.base_url} {state}>"


def _submission(request: ImageRequest) -> Submission:
    """Return *request* as it is to be sent.

    Raises:
        InvalidRequestError: It cannot be written as JSON.
    """
    return Submission(product_of(request).submit(request))
