"""All that a session has open on one event loop."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncGenerator, Callable

import aiohttp
import attrs
from yarl import URL

from pictory_async._configuration import ApiKey
from pictory_async._job import Job
from pictory_async._models import GeneratedImage
from pictory_async._pace import Limits
from pictory_async._polling import PollPolicy
from pictory_async._requests import Requests
from pictory_async._retry import RetryPolicy
from pictory_async._scheduler import Scheduler
from pictory_async._slots import Slots
from pictory_async._stats import Counters
from pictory_async._submit import Accept, Submitter
from pictory_async._tasks import TaskOwner
from pictory_async._transport import Transport


@attrs.frozen(kw_only=True)
class Settings:
    """What a session was set up with."""

    api_key: ApiKey
    base_url: URL
    polling: PollPolicy
    retries: RetryPolicy
    limits: Limits
    request_timeout: float
    job_timeout: float | None
    http: aiohttp.ClientSession | None = attrs.field(repr=False)


class Engine:
    """The transport, queues and background tasks of a session on the running loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        counters: Counters,
        accept: Accept,
        on_submit_end: Callable[[BaseException | None], None],
        on_job_end: Callable[[Job[GeneratedImage]], None],
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.process: int = os.getpid()
        self.tasks: TaskOwner = TaskOwner()
        self.slots: Slots = Slots(_fitting(settings.limits, settings.http), self.loop)
        self.transport: Transport = Transport(
            base_url=settings.base_url,
            api_key=settings.api_key,
            timeout=settings.request_timeout,
            http=settings.http,
        )
        self.requests: Requests = Requests(
            transport=self.transport,
            slots=self.slots,
            retries=settings.retries,
            counters=counters,
        )
        self.scheduler: Scheduler = Scheduler(
            requests=self.requests,
            tasks=self.tasks,
            workers=self.slots.at_once,
            job_timeout=settings.job_timeout,
            on_end=on_job_end,
        )
        self.submitter: Submitter = Submitter(
            requests=self.requests,
            tasks=self.tasks,
            accept=accept,
            on_end=on_submit_end,
        )
        self._at_loop_end = _close_at_loop_end(self.transport)
        # Up to its yield, so that the loop knows the generator; nothing is awaited.
        _start(self._at_loop_end)
        self._closing: asyncio.Task[None] | None = None

    async def aclose(self, *, tell_jobs: Callable[[], None]) -> None:
        """Close everything once; further callers wait for the same closing.

        Cancelling this leaves the closing to go on in the background.

        Args:
            tell_jobs: Called when no further job id can become known.
        """
        if self._closing is None:
            self._closing = self.tasks.spawn(
                self._close(tell_jobs),
                name="pictory-close",
                context=contextvars.Context(),
            )
        await asyncio.wait([self._closing])
        self._closing.result()

    async def _close(self, tell_jobs: Callable[[], None]) -> None:
        self.slots.close()
        try:
            await self.submitter.aclose()
        finally:
            self.scheduler.close()
            tell_jobs()
            await self.tasks.aclose()
            await self._at_loop_end.aclose()


def _fitting(limits: Limits, http: aiohttp.ClientSession | None) -> Limits:
    """Return *limits* that the connection pool of *http* can keep.

    In a pool's queue the time of a request would run without a connection.
    """
    connector = http.connector if http is not None else None
    if connector is None:
        return limits
    pool = [n for n in (connector.limit, connector.limit_per_host) if n > 0]
    at_once = min([limits.concurrent_requests, *pool])
    return attrs.evolve(limits, concurrent_requests=at_once)


async def _close_at_loop_end(transport: Transport) -> AsyncGenerator[None, None]:
    """Close *transport* when this is closed: by us, or by the loop as it ends.

    ``asyncio.run`` closes every async generator before it closes the loop. It is the
    one moment at which sockets can still be closed for somebody who uses one session
    in two runs, and who cannot close it in between.
    """
    try:
        yield
    finally:
        await transport.aclose()


def _start(generator: AsyncGenerator[None, None]) -> None:
    try:
        generator.asend(None).send(None)
    except StopIteration:
        return
