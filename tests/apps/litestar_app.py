"""Images from a Litestar application: awaited, by job id, and as events.

Needs Litestar 2.25 or newer; run it with
``uvicorn tests.apps.litestar_app:app --timeout-graceful-shutdown 10``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from pictory_async import (
    InvalidRequestError,
    JobNotFoundError,
    JobTimeoutError,
    PictoryError,
    PictorySession,
)

from .events import HEADERS, LAST_ID, job_events

AnyRequest = Request[Any, Any, State]


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Open one session for the whole application."""
    async with PictorySession() as app.state.pictory:
        yield


def refuse(request: AnyRequest, error: PictoryError) -> Response[dict[str, str]]:
    """Answer with the reason why there is no image."""
    status = {InvalidRequestError: 422, JobNotFoundError: 404}.get(type(error), 502)
    return Response({"detail": str(error)}, status_code=status)


@post("/images", status_code=200)
async def draw(
    request: AnyRequest, state: State, prompt: FromQuery[str] = ""
) -> Response[dict[str, str] | None]:
    """Answer with the image."""
    job = await state.pictory.submit(prompt)
    await request.body()  # after it, the only message is that the client has left
    leaving = asyncio.ensure_future(request.receive())
    try:
        while not job.done():  # the handler of a client that has left is not cancelled
            if leaving.done():
                return Response(None, status_code=499)
            await job.wait(timeout=1)
    finally:
        leaving.cancel()
    return Response({"url": (await job).url})


@post("/jobs", status_code=202)
async def start(state: State, prompt: FromQuery[str] = "") -> dict[str, str]:
    """Answer with the id of the job, without waiting for its end."""
    return {"job_id": (await state.pictory.submit(prompt)).job_id}


@get("/jobs/{job_id:str}")
async def show(state: State, job_id: FromPath[str]) -> dict[str, str]:
    """Answer with the image if it is there within a second."""
    job = state.pictory.job(job_id)
    try:
        return {"state": "completed", "url": (await job.result(timeout=1)).url}
    except JobTimeoutError:
        return {"state": job.status.state}


@get("/jobs/{job_id:str}/events")
async def watch(
    request: AnyRequest, state: State, job_id: FromPath[str]
) -> Response[None] | Stream:
    """Stream the status of the job and how it ends, as server-sent events."""
    if request.headers.get("Last-Event-ID") == LAST_ID:
        return Response(None, status_code=204)
    events = await job_events(state.pictory.job(job_id))
    return Stream(events, media_type=HEADERS["Content-Type"], headers=HEADERS)


app = Litestar(
    [draw, start, show, watch],
    lifespan=[lifespan],
    exception_handlers={PictoryError: refuse},
)
