"""The session: where users begin.

Over 500 lines, as each public method says here what it does, raises and costs.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from pictory_async._batch.batch import Batch
from pictory_async._batch.options import OnUnknown, batch_options
from pictory_async._batch.progress import Progress
from pictory_async._batch.run import BatchRun
from pictory_async._core.arguments import (
    Prompt,
    checked_image,
    checked_job_id,
    checked_limit,
    checked_prompts,
    checked_since,
    checked_start,
    checked_timeout,
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
    """A client of the image API: submits and polls jobs, lists and downloads images.

    ```python
    async with PictorySession() as session:
        image = await session.generate("A lighthouse at dawn")
    ```

    The constructor does no I/O and needs no event loop. The session opens on first use
    and belongs to the loop of that use; opening, using and closing may happen in
    different tasks, such as the cells of a notebook. If its loop is closed, it opens
    anew on the loop of its next use, and polls its jobs there.

    Args:
        api_key: The key, as it is (no "Bearer"); else ``$PICTORY_API_KEY``.
        base_url: Else ``$PICTORY_API_BASE_URL``, else the service's own.
        polling: When jobs are polled; by default a new `Adaptive`, which learns how
            long the jobs of each model take.
        retries: How failed requests are retried.
        limits: How many requests are in flight, and how fast they are started.
        request_timeout: Seconds for one attempt, from its turn to its last byte.
        job_timeout: Seconds from the submission until a job is polled for the last
            time. If it still runs, its handle fails with `JobTimeoutError`. None to
            poll jobs for ever.
        proxy: The http(s) URL of a proxy for all requests. By default
            ``$HTTPS_PROXY``, ``$HTTP_PROXY``, ``$ALL_PROXY`` and ``$NO_PROXY`` decide
            when the session is made; this machine is always reached directly.
        http: Your own `aiohttp.ClientSession`, such as one with other certificates. It
            is used as it is and never closed.

    Raises:
        ConfigurationError: There is no usable key, base URL or proxy.
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
        proxy: str | URL | None = None,
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
            proxy=proxy,
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
        """Request an image; return the handle of its job once the service accepts it.

        Args:
            prompt: What to draw, in 5 to 5,000 characters, or an `ImageRequest`,
                whose fields the options override.
            model: A name of `MODELS`; the service's default is ``seedream3.0``.
            aspect_ratio: Such as ``"16:9"``; the model's default if None.
            style: Such as ``"photorealistic"``; none by default.
            reference_image_url: The URL of a publicly accessible reference image.
            webhook: A URL that gets a POST when the job ends.

        Cancelling this before the request is on the wire sends nothing. After that it
        is finished in the background, and an accepted job is in `jobs`.

        Raises:
            InvalidRequestError: A value is not allowed; nothing was sent.
            APIError: The service refused the request; nothing was created.
            TransportError: Nothing was sent (*sent* is false).
            SubmissionUnknownError: A job may have been created. The request is not sent
                again.
            SessionClosedError: The session is closed; nothing was sent.
        """
        request = _image_request(
            prompt,
            model=model,
            aspect_ratio=aspect_ratio,
            style=style,
            reference_image_url=reference_image_url,
            webhook=webhook,
        )
        return await self._runtime.submit(_submission(request))

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
        """Request an image and wait for it: `submit`, then ``await`` the handle.

        Args:
            prompt: As for `submit`, like the options.
            model: As for `submit`.
            aspect_ratio: As for `submit`.
            style: As for `submit`.
            reference_image_url: As for `submit`.
            webhook: As for `submit`.
            timeout: Seconds from this call; None leaves it to *job_timeout*.

        Cancelling this is as for `submit`; an accepted job is polled on, and in `jobs`.

        Raises:
            JobTimeoutError: *timeout* is over; the job is polled on, and in `jobs`.
            RequestTimeoutError: *timeout* was over before anything was sent.
            SubmissionUnknownError: *timeout* was over while the request was on the
                wire. It is finished in the background; an accepted job is in `jobs`.
            PictoryError: As for `submit` and for awaiting a `JobHandle`.
        """
        checked_timeout(timeout)
        request = _image_request(
            prompt,
            model=model,
            aspect_ratio=aspect_ratio,
            style=style,
            reference_image_url=reference_image_url,
            webhook=webhook,
        )
        del prompt  # not kept for as long as the job takes
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
        """Request many images; return a `Batch` to iterate over.

        ```python
        async for outcome in session.generate_many(prompts, journal="run.sqlite"):
            print(outcome.index, outcome.path or outcome.error)
        ```

        Nothing is read or sent before the iteration begins.

        Args:
            prompts: Texts or `ImageRequest` objects, from any iterable or async
                iterable of any length. They are read when needed, never more than
                *max_in_flight* ahead of the outcomes you have taken. An iterable is
                read on the event loop; a slow one should be an async iterable.
            model: As for `submit`; like the other options it applies to requests that
                do not set it.
            aspect_ratio: As for `submit`.
            style: As for `submit`.
            reference_image_url: As for `submit`.
            webhook: As for `submit`.
            max_in_flight: The number of prompts in progress at the same time. The
                memory of a batch depends on this number only.
            ordered: Whether to yield the outcomes in the order of the prompts, instead
                of as they end.
            journal: A file that makes the batch durable, in SQLite; None for none.
                The same call with the same journal continues where the last one was
                interrupted, even by a power cut: see `Batch`.
            save_to: A folder to download the images to, as
                ``000012-<job id>.png`` (the image's own id if `reconcile` found it);
                created if it does not exist.
            max_credits: A ceiling in AI credits. The price in `MODELS` is reserved
                before each request and settled with the credits used. A prompt that
                does not fit waits while jobs in flight may still release credits, and
                then ends with a `BudgetExceededError`; nothing is sent for it. With a
                journal the credits of earlier runs count as well. The ceiling can be
                exceeded if the service charges more than its price list.
            on_unknown: What to do with a prompt of the journal whose earlier POST may
                or may not have created a job. "report": its outcome has a
                `SubmissionUnknownError`. "reconcile": look for its image in the
                history, else report it. "resubmit": send it again, and perhaps pay
                twice.
            progress: True shows a bar (extra ``[progress]``); a function is called
                with a `BatchProgress` after each change, on the event loop.

        Raises:
            InvalidRequestError: An argument is not allowed; nothing was sent.
            ImportError: *progress* is True and tqdm is not installed.
            SessionClosedError: The session is closed.
        """
        given = {
            "model": model,
            "aspect_ratio": aspect_ratio,
            "style": style,
            "reference_image_url": reference_image_url,
            "webhook": webhook,
        }
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
            start: The `ImageHistory.next_page_key` to continue from; None for the
                newest.
            since: An aware datetime; the first image created before it ends the
                iteration. Images without a readable date do not.
            limit: The maximum number of images.

        Nothing is fetched before the iteration begins.

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
            to: The path of a file; or of a folder, if it exists or ends in a separator.
                In a folder the name is made from the image's id and its type. Missing
                folders are created.
            overwrite: Whether to replace an existing file.

        The file appears only when it is complete. Cancelling this leaves no partial
        file behind.

        Raises:
            DownloadError: The image could not be saved; nothing was left on disk.
            FileExistsError: The file exists already.
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
            The oldest image that belongs to no other call of this session and has the
            same prompt and, if the request named them, the same model, ratio, style and
            reference. It was made between 2 minutes before the POST and *job_timeout*
            after it. None if there is none; as an image appears only when it is
            finished, that does not prove that nothing was created. The same error gets
            the same image again.

        Reads the history from the newest image back to the POST, and polls jobs in
        progress with the same prompt. Cancelling this disturbs nothing.

        Raises:
            InvalidRequestError: *error* is not a `SubmissionUnknownError` as raised.
            PictoryError: The history, or one of those jobs, could not be read.
        """
        return await self._runtime.reconcile(error)

    # --- jobs ---------------------------------------------------------------------

    def job(self, job_id: str) -> JobHandle[GeneratedImage]:
        """Return the handle of a job that was submitted anywhere. Needs a running loop.

        A job in progress here has one handle, which is returned; any other job is
        attached and polled immediately.

        Raises:
            InvalidRequestError: *job_id* cannot be an id.
            SessionClosedError: The session is closed.
        """
        return self._runtime.attach(checked_job_id(job_id))

    @property
    def jobs(self) -> tuple[JobHandle[GeneratedImage], ...]:
        """The handles still in progress, oldest first."""
        return tuple(self._runtime.jobs)

    def poll_now(self, job_id: str) -> bool:
        """Poll a job in progress immediately, instead of when the policy says.

        For callers who know of a change from elsewhere, such as a webhook, and must not
        trust it. Does not wait for the poll; if one is in flight, there is one more
        after it. An id that is not in progress here costs no request. As it may be that
        of a submission under way, it is remembered while there is one (the last 1,000
        such ids), and its job is polled as soon as it is accepted.

        Returns:
            Whether the job is in progress here.

        Raises:
            InvalidRequestError: *job_id* cannot be an id.
            SessionClosedError: The session is closed.
            WrongLoopError: The session belongs to another loop that is not closed.
        """
        return self._runtime.poll_now(checked_job_id(job_id))

    async def drain(self, timeout: float | None = None) -> None:
        """Wait until no job and no submission is in progress.

        Cancelling this disturbs nothing.

        Raises:
            TimeoutError: *timeout* seconds were not enough; no job was stopped.
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
        """The figures of the session so far: a snapshot. Costs no request.

        Available at any time and on any thread or loop. Take two snapshots and subtract
        to see what happened between them.
        """
        return self._runtime.jobs.counters.snapshot(
            jobs_in_flight=len(self._runtime.jobs)
        )

    # --- life ---------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that the session is open on, and must be closed on.

        None before its first use, after `aclose`, and after that loop was closed.
        """
        return self._runtime.loop

    async def __aenter__(self) -> Self:
        """Open the session; leaving the block closes it."""
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

        A submission on the wire has 5 seconds to be answered, so that the id of its job
        becomes known. Handles in progress end with `SessionClosedError`; their jobs
        continue at the service. No task and no socket stays behind.

        Cancelling this does not stop the closing, which goes on in the background.

        Raises:
            WrongLoopError: The session belongs to another loop that is not closed.
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
        """Show the base URL and the number of jobs; never the key."""
        jobs = f"{len(self._runtime.jobs)} jobs in progress"
        state = "closed" if self._runtime.closed else jobs
        return f"<PictorySession {self._runtime.settings.base_url} {state}>"


def _image_request(prompt: Prompt, **options: str | None) -> ImageRequest:
    """Return the request for *prompt*, with the options that are not None."""
    given: dict[str, Any] = {
        name: value for name, value in options.items() if value is not None
    }
    if isinstance(prompt, ImageRequest):
        return prompt.override(**given) if given else prompt
    return ImageRequest(prompt, **given)


def _submission(request: ImageRequest) -> Submission:
    """Return the submission of *request*.

    Raises:
        InvalidRequestError: It cannot be encoded as JSON.
    """
    return Submission(product_of(request).submit(request))
