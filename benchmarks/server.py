"""The mock server: HTTP/1.1 on a bare asyncio protocol, so that it is never in the way.

``python -m benchmarks.server`` prints its port and serves on the loopback until it is
ended. ``POST /control/reset?duration=2&latency=0.1&items=100`` begins a measurement,
``GET /control/stats`` tells what was seen since.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import time
from typing import Any
from urllib.parse import parse_qs

from benchmarks import shapes
from benchmarks.processes import pin

# What a gateway behind a content delivery network adds: clients read them all.
HEAD = b"""\
HTTP/1.1 200 OK
Content-Type: application/json; charset=utf-8
Date: Tue, 03 Nov 2026 10:00:00 GMT
Connection: keep-alive
x-amzn-RequestId: 7b7f2f6e-6a54-4f3a-9f5b-0d7f6f0e2d11
access-control-allow-origin: *
x-amz-apigw-id: Qx1yZH0joAMEbSQ=
X-Amzn-Trace-Id: Root=1-65a1b2c3-0123456789abcdef01234567;Sampled=0
X-Cache: Miss from cloudfront
Via: 1.1 0123456789abcdef0123456789abcdef.cloudfront.net (CloudFront)
X-Amz-Cf-Pop: FRA60-P1
X-Amz-Cf-Id: aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789aBcDeFgHiJkLmNoPqRsTuVw==
Content-Length: %d

""".replace(b"\n", b"\r\n")


class Service:
    """The jobs and the counts of one measurement."""

    def __init__(self) -> None:
        self.host = ""
        self.open = 0
        self.pages: dict[str, bytes] = {}
        self.duration, self.latency, self.items = 0.0, 0.0, 100
        self.reset()

    def reset(self, *, duration: float = 0, latency: float = 0, items: int = 0) -> None:
        """Begin anew: jobs take *duration*, each answer *latency* seconds longer."""
        self.duration, self.latency = duration, latency
        if items and items != self.items:
            self.items = items
            self.pages.clear()
        self.requests = self.unknown = self.opened = 0
        self.most_open = self.open
        self.ends: list[float] = []
        self.seen: dict[int, float] = {}
        self.cpu, self.began = time.process_time(), time.monotonic()

    def start(self) -> int:
        """Begin a job; return its number."""
        self.ends.append(time.monotonic() + self.duration)
        return len(self.ends) - 1

    def poll(self, number: int) -> bool:
        """Return whether the job has ended; note when that was first seen."""
        late = time.monotonic() - self.ends[number]
        if late < 0:
            return False
        self.seen.setdefault(number, late)
        return True

    def stats(self) -> dict[str, Any]:
        """Return what was seen since the reset."""
        delays = sorted(self.seen.values())
        return {
            "requests": self.requests,
            "unknown": self.unknown,
            "jobs": len(self.ends),
            "seen": len(delays),
            "delay_mean": sum(delays) / len(delays) if delays else None,
            "delay_p95": delays[int(0.95 * (len(delays) - 1))] if delays else None,
            "connections": self.opened,
            "most_open": self.most_open,
            "cpu": time.process_time() - self.cpu,
            "wall": time.monotonic() - self.began,
        }

    def answer(self, method: str, target: str) -> bytes:
        """Return the body for a request."""
        self.requests += 1
        if (page := self.pages.get(target)) and method == "GET":
            return page
        path, _, query = target.partition("?")
        respond = shapes.find(path)
        if respond is None:
            self.unknown += 1
            return b'{"message":"Missing Authentication Token"}'
        body = respond(self, method, path, query)
        if method == "GET" and path in shapes.LISTS:
            self.pages[target] = body
        return body

    def control(self, target: str) -> bytes:
        """Reset, or tell the counts."""
        path, _, query = target.partition("?")
        if path == "/control/reset":
            given = {name: float(values[0]) for name, values in parse_qs(query).items()}
            self.reset(
                duration=given.get("duration", 0),
                latency=given.get("latency", 0),
                items=int(given.get("items", 0)),
            )
            return b"{}"
        return json.dumps(self.stats()).encode()


class Connection(asyncio.Protocol):
    """Reads requests, pipelined or in pieces, and writes the answers."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._loop = loop
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._transport = transport
        service = self._service
        service.opened += 1
        service.open += 1
        service.most_open = max(service.most_open, service.open)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Count it."""
        self._service.open -= 1

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        buffer = self._buffer + data if self._buffer else data
        while buffer:
            size = _size(buffer)
            if size is None or size > len(buffer):
                break
            method, target, _ = buffer.split(b" ", 2)
            self._answer(method.decode(), target.decode())
            buffer = buffer[size:]
        self._buffer = buffer

    def _answer(self, method: str, target: str) -> None:
        if target.startswith("/control/"):
            body = self._service.control(target)
            self._write(HEAD % len(body) + body)
            return
        body = self._service.answer(method, target)
        reply = HEAD % len(body) + body
        if self._service.latency:
            self._loop.call_later(self._service.latency, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


def _size(buffer: bytes) -> int | None:
    """Return how long the first request is; None if that cannot be said yet."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0 or buffer.startswith(b"GET "):
        return None if head < 0 else head + 4
    lower = buffer[:head].lower()
    place = lower.find(b"\r\ncontent-length:")
    if place >= 0:
        return head + 4 + int(lower[place + 17 :].split(b"\r\n", 1)[0])
    if b"transfer-encoding: chunked" in lower:
        end = buffer.find(b"0\r\n\r\n", head + 4)
        return None if end < 0 else end + 5
    return head + 4


async def listen(service: Service) -> asyncio.Server:
    """Serve *service* on a free port of the loopback."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(service, loop), "127.0.0.1", 0, backlog=4096
    )
    service.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return server


async def _serve() -> None:
    service = Service()
    server = await listen(service)
    print(service.host, flush=True)  # noqa: T201
    await server.serve_forever()


def main() -> None:
    """Serve until the process is ended; on uvloop if that is installed."""
    pin("server")
    fast = importlib.util.find_spec("uvloop") is not None
    factory = importlib.import_module("uvloop").new_event_loop if fast else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve())


if __name__ == "__main__":
    main()
