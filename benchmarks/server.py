"""The mock server: jobs that take a given time, in the words of each service.

``python -m benchmarks.server`` prints its URL and serves on the loopback until it is
ended. ``/control/reset?duration=2&latency=0.1&items=100`` begins a measurement,
``/control/stats`` says what was seen since.

What is answered is in samples.json, in the form of each service: ours as
https://docs.pictory.ai describes it, the others as their SDKs read it. ``$ID`` and
``$HOST`` stand for a job and the server; ``job`` is what the states are added to.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import importlib.util
import json
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from benchmarks.clients import KEY

SAMPLES: Final = json.loads(Path(__file__).with_name("samples.json").read_bytes())
# What a gateway behind a content delivery network adds: clients read them all.
HEADERS: Final = SAMPLES.pop("headers")
# Where each service takes a job, and where it says how it is.
PLACES: Final = {
    "pictory": ("/pictoryapis/v1/aistudio/images", "/pictoryapis/v1/jobs/{id}"),
    "replicate": ("/v1/predictions", "/v1/predictions/{id}"),
    "fal": ("/fal-ai/bench", "/fal-ai/bench/requests/{id}/status"),
    "runway": ("/v1/text_to_image", "/v1/tasks/{id}"),
    "openai": ("/v1/videos", "/v1/videos/{id}"),
}

PER_PAGE: Final = 100

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


dump: Final = partial(json.dumps, separators=(",", ":"))

TEXTS: Final = {
    (service, state): dump(samples.get("job", {}) | sample)
    for service, samples in SAMPLES.items()
    for state, sample in samples.items()
}


def job_id(number: int) -> str:
    """Return an id with the form of a UUID that begins with *number*."""
    return f"{number:08x}-5bad-4c0d-8e0a-{number:012x}"


def number_of(identifier: str) -> int:
    """Return the number that an id begins with."""
    return int(identifier[:8], 16)


def answer(service: str, state: str, identifier: str, host: str = "") -> str:
    """Return what *service* says of a job in that state."""
    return TEXTS[service, state].replace("$ID", identifier).replace("$HOST", host)


def page(service: str, items: int, query: Mapping[str, str]) -> str:
    """Return the page of a history of so many *items* to which *query* leads."""
    first, state = 0, "ended" if service == "openai" else "item"
    if "after" in query:
        first = number_of(query["after"]) + 1
    elif "nextPageKey" in query:
        first = json.loads(base64.b64decode(query["nextPageKey"]))["sortKey"]
    last = min(items, first + PER_PAGE)
    made = ",".join(answer(service, state, job_id(n)) for n in range(first, last))
    if service == "openai":
        rest: dict[str, Any] = {"first_id": job_id(first), "last_id": job_id(last - 1)}
        rest |= {"object": "list", "has_more": last < items}
        return f'{{"data":[{made}],{dump(rest)[1:]}'
    key = base64.b64encode(dump({"partitionKey": "user#1", "sortKey": last}).encode())
    following = f',"nextPageKey":"{key.decode()}"' if last < items else ""
    return f'{{"items":[{made}]{following}}}'


class Service:
    """The jobs and the counts of one measurement."""

    def __init__(self) -> None:
        self.pages: dict[tuple[int, str], str] = {}
        self.reset()

    def reset(
        self, *, duration: float = 0, latency: float = 0, items: float = 0
    ) -> None:
        """Begin anew: jobs take *duration*, each answer *latency* seconds longer."""
        self.duration, self.latency, self.items = duration, latency, int(items)
        self.requests = self.refused = 0
        self.ends: list[float] = []
        self.seen: dict[int, float] = {}
        self.cpu, self.began = time.process_time(), time.monotonic()

    def stats(self) -> dict[str, Any]:
        """Return what was seen since the reset."""
        delays = self.seen.values()
        return {
            "requests": self.requests,
            "refused": self.refused,
            "jobs": len(self.ends),
            "seen": len(delays),
            "delay_mean": sum(delays) / len(delays) if delays else None,
            "cpu": time.process_time() - self.cpu,
            "wall": time.monotonic() - self.began,
        }

    def app(self) -> web.Application:
        """Return the application that answers as all services do."""
        app = web.Application(middlewares=[self._gate])
        for service, (submit, poll) in PLACES.items():
            app.router.add_post(submit, partial(self._submit, service))
            app.router.add_get(poll, partial(self._poll, service))
        app.router.add_get("/fal-ai/bench/requests/{id}", self._fal_result)
        for service in ("pictory", "openai"):
            app.router.add_get(PLACES[service][0], partial(self._page, service))
        app.router.add_get("/control/{name}", self._control)
        return app

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request, refuse it without the key, and answer a little later."""
        if request.path.startswith("/control/"):
            return await handler(request)
        self.requests += 1
        key = request.headers.get("Authorization", "")
        if KEY not in key or request.match_info.http_exception:
            self.refused += 1
            raise web.HTTPForbidden
        response = await handler(request)
        if self.latency:
            await asyncio.sleep(self.latency)
        return response

    async def _submit(self, service: str, request: web.Request) -> web.Response:
        self.ends.append(time.monotonic() + self.duration)
        identifier = job_id(len(self.ends) - 1)
        return _respond(answer(service, "submitted", identifier, request.host))

    async def _poll(self, service: str, request: web.Request) -> web.Response:
        """Say how a job is; note when its end was first seen."""
        identifier = request.match_info["id"]
        number = number_of(identifier)
        late = time.monotonic() - self.ends[number]
        if late >= 0:
            self.seen.setdefault(number, late)
        state = "ended" if late >= 0 else "running"
        return _respond(answer(service, state, identifier, request.host))

    async def _fal_result(self, request: web.Request) -> web.Response:
        return _respond(answer("fal", "result", request.match_info["id"]))

    async def _page(self, service: str, request: web.Request) -> web.Response:
        """Answer with a page, which is made once."""
        place = self.items, request.path_qs
        if place not in self.pages:
            self.pages[place] = page(service, self.items, request.query)
        return _respond(self.pages[place])

    async def _control(self, request: web.Request) -> web.Response:
        """Reset, or say what was seen."""
        if request.match_info["name"] == "reset":
            self.reset(**{name: float(text) for name, text in request.query.items()})
        return web.json_response(self.stats())


def _respond(text: str) -> web.Response:
    return web.Response(text=text, headers=HEADERS)


def main() -> None:
    """Serve until the process is ended; on uvloop if that is installed."""
    fast = importlib.util.find_spec("uvloop") is not None
    loop = importlib.import_module("uvloop").new_event_loop() if fast else None
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)  # noqa: T201
        options: dict[str, Any] = {"access_log": None, "print": None}
        options |= {"keepalive_timeout": 3600, "backlog": 4096, "loop": loop}
        web.run_app(Service().app(), sock=listening, **options)


if __name__ == "__main__":
    main()
