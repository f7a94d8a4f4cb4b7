"""Send webhooks: each in a task of its own, held here, ended here."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs

from pictory_async.sandbox._recording import WebhookDelivery

if TYPE_CHECKING:
    from collections.abc import Mapping


class WebhookSender:
    """POSTs what a poll would tell to the address in the request (row 34).

    One attempt: whether the service tries again is not documented. Nothing that
    goes wrong is raised; it is written down in `deliveries`.
    """

    def __init__(self, *, copies: int, timeout: float) -> None:
        self.deliveries: list[WebhookDelivery] = []
        self._copies = copies
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None

    def send(self, url: str, payload: Mapping[str, Any]) -> None:
        """Start sending *payload*; needs a running loop."""
        name = f"sandbox webhook {payload['job_id']}"
        now = asyncio.get_running_loop().time()
        told = WebhookDelivery(
            job_id=payload["job_id"], url=url, payload=payload, at=now
        )
        for _ in range(self._copies):
            task = asyncio.create_task(self._deliver(told), name=name)
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._ended, told))

    async def aclose(self) -> None:
        """Give up what is still being sent."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _deliver(self, told: WebhookDelivery) -> None:
        try:
            status = await self._post(told.url, told.payload)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            self.deliveries.append(attrs.evolve(told, error=repr(exc)))
        else:
            self.deliveries.append(attrs.evolve(told, status=status))

    def _ended(self, told: WebhookDelivery, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():  # perhaps before its first step, so not written down there
            self.deliveries.append(attrs.evolve(told, error="the sandbox was closed"))

    async def _post(self, url: str, payload: Mapping[str, Any]) -> int:
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        http = self._http = self._http or aiohttp.ClientSession(timeout=timeout)
        # No signature: the documents know of none.
        async with http.post(url, json=payload, allow_redirects=False) as answer:
            await answer.read()
            return answer.status
