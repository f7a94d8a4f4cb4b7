"""The sending of webhooks: each in a task of its own, held and ended here."""

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
    """The sender of webhooks, whose body is that of a poll.

    There is one attempt: whether the service retries is not documented. Failures are
    not raised but recorded in `deliveries`.
    """

    def __init__(self, *, copies: int, timeout: float) -> None:
        self.deliveries: list[WebhookDelivery] = []
        self._copies = copies
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None

    def send(self, url: str, payload: Mapping[str, Any]) -> None:
        """Start to send *payload*; needs a running loop."""
        name = f"sandbox webhook {payload['job_id']}"
        now = asyncio.get_running_loop().time()
        delivery = WebhookDelivery(
            job_id=payload["job_id"], url=url, payload=payload, at=now
        )
        for _ in range(self._copies):
            task = asyncio.create_task(self._deliver(delivery), name=name)
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._ended, delivery))

    async def aclose(self) -> None:
        """Cancel what is still being sent."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _deliver(self, delivery: WebhookDelivery) -> None:
        try:
            status = await self._post(delivery.url, delivery.payload)
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            self.deliveries.append(attrs.evolve(delivery, error=repr(exc)))
        else:
            self.deliveries.append(attrs.evolve(delivery, status=status))

    def _ended(self, delivery: WebhookDelivery, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():  # perhaps before its first step, so not recorded there
            self.deliveries.append(
                attrs.evolve(delivery, error="the sandbox was closed")
            )

    async def _post(self, url: str, payload: Mapping[str, Any]) -> int:
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        http = self._http = self._http or aiohttp.ClientSession(timeout=timeout)
        # No signature: none is documented.
        async with http.post(url, json=payload, allow_redirects=False) as answer:
            await answer.read()
            return answer.status
