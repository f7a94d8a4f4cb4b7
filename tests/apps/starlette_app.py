"""Images from a Starlette application: awaited, by job id, and as events.

Run it with ``uvicorn tests.apps.starlette_app:app --timeout-graceful-shutdown 10``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pictory_async import (
    InvalidRequestError,
    JobNotFoundError,
    JobTimeoutError,
    PictoryError,
    PictorySession,
)

from .events import HEADERS, LAST_ID, job_events


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, PictorySession]]:
    """Open one session for the whole application."""
    async with PictorySession() as session:
        yield {"pictory": session}


async def refuse(request: Request, error: Exception) -> Response:
    """Answer with the reason why there is no image."""
    status = {InvalidRequestError: 422, JobNotFoundError: 404}.get(type(error), 502)
    return JSONResponse({"detail": str(error)}, status)


async def draw(request: Request) -> Response:
    """Answer with the image."""
    job = await request.state.pictory.submit(request.query_params.get("prompt", ""))
    while not job.done():  # the handler of a client that has left is not cancelled
        if await request.is_disconnected():
            return Response(status_code=499)
        await job.wait(timeout=1)
    return JSONResponse({"url": (await job).url})


async def start(request: Request) -> Response:
    """Answer with the id of the job, without waiting for its end."""
    job = await request.state.pictory.submit(request.query_params.get("prompt", ""))
    return JSONResponse({"job_id": job.job_id}, 202)


async def show(request: Request) -> Response:
    """Answer with the image if it is there within a second."""
    job = request.state.pictory.job(request.path_params["job_id"])
    try:
        image = await job.result(timeout=1)
    except JobTimeoutError:
        return JSONResponse({"state": job.status.state})
    return JSONResponse({"state": "completed", "url": image.url})


async def watch(request: Request) -> Response:
    """Stream the status of the job and how it ends, as server-sent events."""
    if request.headers.get("Last-Event-ID") == LAST_ID:
        return Response(status_code=204)
    job = request.state.pictory.job(request.path_params["job_id"])
    return StreamingResponse(await job_events(job), headers=HEADERS)


app = Starlette(
    lifespan=lifespan,
    exception_handlers={PictoryError: refuse},
    routes=[
        Route("/images", draw, methods=["POST"]),
        Route("/jobs", start, methods=["POST"]),
        Route("/jobs/{job_id}", show),
        Route("/jobs/{job_id}/events", watch),
    ],
)
