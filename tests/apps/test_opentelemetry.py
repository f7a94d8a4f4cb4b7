"""Traces: `opentelemetry-instrumentation-aiohttp-client` sees what users expect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pictory_async import FixedInterval, PictorySession
from pictory_async.sandbox import Sandbox

pytestmark = pytest.mark.looptime

PROMPT = "A lighthouse at dawn"


class Traces:
    """The spans that have ended, and a tracer for those of an application."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.span = self.provider.get_tracer("app").start_as_current_span

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All of them."""
        return self._exporter.get_finished_spans()

    def requests(self, method: str, path: str) -> list[ReadableSpan]:
        """Return the spans of the requests to a path that begins so."""
        return [
            span
            for span in self.spans
            if span.name == method and path in str(dict(span.attributes or {}))
        ]

    def named(self, name: str) -> ReadableSpan:
        """Return the application's span of that name."""
        [found] = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def traces() -> Iterator[Traces]:
    """Instrument aiohttp for one test."""
    made, instrumentor = Traces(), AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=made.provider)
    yield made
    instrumentor.uninstrument()


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    """Return whether *parent* is the parent of *span*."""
    return span.parent is not None and span.parent.span_id == parent.context.span_id


@pytest.fixture
async def session(traces: Traces, sandbox: Sandbox) -> PictorySession:
    """A session that is opened after aiohttp was instrumented; tests close it."""
    return PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(10)
    )


async def test_a_request_belongs_to_the_span_that_asked_for_it(
    traces: Traces, session: PictorySession, tmp_path: Path
) -> None:
    """A submit, a page and a download are children of their caller's span."""
    async with session:
        with traces.span("submits"):
            job = await session.submit(PROMPT)
        with traces.span("waits"):
            image = await job
        with traces.span("reads"):
            assert [found.url async for found in session.history()] == [image.url]
        with traces.span("saves"):
            await session.download(image, tmp_path / "a.png")
    [submit] = traces.requests("POST", "/v1/aistudio/images")
    [page] = traces.requests("GET", "/v1/aistudio/images")
    [file] = traces.requests("GET", ".png")
    assert is_child(submit, traces.named("submits"))
    assert is_child(page, traces.named("reads"))
    assert is_child(file, traces.named("saves"))
    assert (submit.attributes or {})["http.status_code"] == 200


async def test_polls_belong_to_nobody(traces: Traces, session: PictorySession) -> None:
    """One scheduler polls for all, so no waiter's span gets the polls of others."""

    async def handler(number: int) -> None:
        with traces.span(f"handler {number}"):
            await session.generate(PROMPT)

    async with session:
        await asyncio.gather(*(handler(number) for number in range(3)))
        with traces.span("caller"):
            job = session.job("another")
            await job.wait()
            job.poll_now()
    polls = traces.requests("GET", "/v1/jobs/")
    assert len(polls) == 7
    assert all(poll.parent is None for poll in polls)
    submits = traces.requests("POST", "/v1/aistudio/images")
    parents = {submit.parent.span_id for submit in submits if submit.parent}
    handlers = {traces.named(f"handler {n}").context.span_id for n in range(3)}
    assert parents == handlers


async def test_the_key_is_in_no_span(
    traces: Traces, session: PictorySession, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nor is the prompt: more people read traces than own the account."""
    async with session:
        with traces.span("everything"):
            image = await session.generate(PROMPT)
            await session.download(image, tmp_path / "a.png")
            assert [found.url async for found in session.history()] == [image.url]
    assert len(traces.spans) == 6
    for span in traces.spans:
        assert sandbox.api_key not in span.to_json()
        assert PROMPT not in span.to_json()


async def test_captured_headers_can_leave_the_key_out(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """Those who have all headers captured can keep the key from it, as documented."""
    capture = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
    monkeypatch.setenv(f"{capture}CLIENT_REQUEST", ".*")
    monkeypatch.setenv(f"{capture}SANITIZE_FIELDS", "authorization")
    made, instrumentor = Traces(), AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=made.provider)
    try:
        async with PictorySession(
            sandbox.api_key, base_url=sandbox.base_url
        ) as session:
            await session.submit(PROMPT)
    finally:
        instrumentor.uninstrument()
    [submit] = made.requests("POST", "/v1/aistudio/images")
    attributes = dict(submit.attributes or {})
    assert attributes["http.request.header.authorization"] == ("[REDACTED]",)
    assert sandbox.api_key not in submit.to_json()
