"""The parts of the sandbox put together: jobs, API, gate, server and timers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pictory_async.sandbox import _replies as replies
from pictory_async.sandbox._api import FILES, Api
from pictory_async.sandbox._replies import Reply, Site
from pictory_async.sandbox._server import HOST, Server
from pictory_async.sandbox._state import IN_PROGRESS, Duration, Job, JobView, Studio

if TYPE_CHECKING:
    from decimal import Decimal

    from pictory_async.sandbox._drawing.gallery import Gallery
    from pictory_async.sandbox._faults import Fault
    from pictory_async.sandbox._gate import Gate
    from pictory_async.sandbox._options import Behavior
    from pictory_async.sandbox._recording import SeenRequest
    from pictory_async.sandbox._store import Store
    from pictory_async.sandbox._webhooks import WebhookSender

logger = logging.getLogger("pictory_async.sandbox")

_NOT_STARTED: Final = "start the sandbox first"


class Service:
    """The service behind `Sandbox`, which gives its parts their public names."""

    def __init__(
        self,
        *,
        api_key: str,
        port: int,
        seed: int | None,
        duration: Duration,
        failure_rate: float,
        page_size: int,
        balance: Decimal | None,
        behavior: Behavior,
        gate: Gate,
        gallery: Gallery,
        sender: WebhookSender,
        record: bool,
        keepalive_timeout: float,
        started_at: datetime | None,
        store: Store | None,
    ) -> None:
        self.gate = gate
        self.sender = sender
        self.requests: list[SeenRequest] = []
        self.polls: Counter[str] = Counter()
        self.studio = Studio(
            seed=seed,
            duration=duration,
            failure_rate=failure_rate,
            balance=balance,
            on_submit=self._submitted,
            on_end=self._ended,
        )
        self.api = Api(
            api_key=api_key, behavior=behavior, studio=self.studio, page_size=page_size
        )
        self._gallery = gallery
        self._port = port
        self._record = record
        self._keepalive_timeout = keepalive_timeout
        self._started_at = started_at
        self._store = store
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._site: Site | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        self.now()  # raises if there is no port yet
        return f"http://{HOST}:{self._port}"

    @property
    def site(self) -> Site:
        """The addresses and dates in the bodies of jobs and images.

        Raises:
            RuntimeError: It has not been started.
        """
        if self._site is None:
            raise RuntimeError(_NOT_STARTED)
        return self._site

    def now(self) -> float:
        """Return the time of the loop in which the service was started.

        Raises:
            RuntimeError: It has not been started.
        """
        if self._loop is None:
            raise RuntimeError(_NOT_STARTED)
        return self._loop.time()

    async def start(self) -> None:
        """Listen; see `Sandbox.start`."""
        loop = asyncio.get_running_loop()
        if self._server is not None:
            raise RuntimeError("the sandbox is running already")
        if self._loop not in {None, loop}:
            raise RuntimeError("a sandbox stays in its loop: make a new one")
        await self._gallery.load()
        if self._store is not None and self._site is None:
            await self._store.load()
        await self._listen()
        self._begin(loop)
        await self._flush()

    async def _listen(self) -> None:
        """Listen, where the stored URLs of images lead if that port is free."""
        if not self._port and self._store is not None and self._store.port:
            with contextlib.suppress(OSError):
                return await self._listen_on(self._store.port)
        await self._listen_on(self._port)
        return None

    async def _listen_on(self, port: int) -> None:
        self._server = Server(
            fault_for=self._receive,
            respond=self._respond,
            keepalive_timeout=self._keepalive_timeout,
        )
        try:
            self._port = await self._server.start(port)
        except BaseException:
            self._server = None
            raise

    async def aclose(self) -> None:
        """Stop timers, server and webhooks."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        server, self._server = self._server, None
        if server is not None:
            await server.aclose()
        await self.sender.aclose()
        await self._flush()

    def job(self, job_id: str) -> Job:
        """Return the job with this id as it is now."""
        self.catch_up()
        return self.studio.jobs[job_id]

    def view(self, job: Job) -> JobView:
        """Return the public view of *job*."""
        return JobView(
            job_id=job.job_id,
            image_id=job.image_id,
            request=job.request,
            state=job.state,
            polls=self.polls[job.job_id],
            submitted_at=job.submitted_at,
            ended_at=job.ended_at,
        )

    def catch_up(self) -> None:
        """End the jobs that are due."""
        self.studio.advance(self.now())

    def keep(self, job: Job) -> None:
        """Have a job stored as it is now, if this sandbox has a file for that."""
        if self._store is not None and self._site is not None:
            self._store.add(job, self._site)

    async def _flush(self) -> None:
        if self._store is None:
            return
        try:
            await self._store.flush()
        except OSError as exc:  # jobs go on; another process will not find them
            logger.warning("the state of the sandbox cannot be written: %s", exc)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        if self._site is None:
            self._site = self._first_site(loop.time())
        for job in self.studio.jobs.values():  # from before an outage
            if job.state == IN_PROGRESS:
                self._set_timer(job)

    def _first_site(self, now: float) -> Site:
        """Return the addresses and dates; take up the jobs that are stored."""
        owner = self.studio.owner
        if self._store is not None and self._store.owner is not None:
            owner = self._store.owner
        site = Site(
            image_root=f"{self.origin}{FILES}{owner}",
            started_at=(self._started_at or datetime.now(UTC)).astimezone(UTC),
            origin=now,
        )
        if self._store is not None:
            self.studio.restore(owner, self._store.jobs(site))
            self._store.begin(owner, self._port, self.studio.jobs.values(), site)
        return site

    def _receive(self, seen: SeenRequest) -> Fault:
        """Record a request and return its fault."""
        if self._record:
            self.requests.append(seen)
        if seen.kind == "job" and seen.target:
            self.polls[seen.target] += 1
        return self.gate.fault_for(seen)

    async def _respond(self, seen: SeenRequest) -> Reply:
        if seen.kind != "file":
            reply = self.api.answer(seen, self.site, self.now())
            await self._flush()  # whoever knows of a job must find it after a kill
            return reply
        self.catch_up()
        image = self.studio.history.find(seen.target or "")
        if image is None:
            return replies.no_such_file()
        body = await self._gallery.png(image)
        return Reply(status=200, body=body, content_type="image/png")

    def _submitted(self, job: Job) -> None:
        self.keep(job)
        self._set_timer(job)

    def _ended(self, job: Job) -> None:
        self.keep(job)
        self._send_webhook(job)

    def _set_timer(self, job: Job) -> None:
        """Make sure that a webhook is sent on time, even if nobody polls."""
        if "webhook" in job.request and not math.isinf(job.due_at):
            loop = asyncio.get_running_loop()
            self._timers[job.job_id] = loop.call_at(job.due_at, self.catch_up)

    def _send_webhook(self, job: Job) -> None:
        if timer := self._timers.pop(job.job_id, None):
            timer.cancel()
        url = job.request.get("webhook")
        if url and self._server is not None:
            self.sender.send(url, replies.job_body(job, self.site))
