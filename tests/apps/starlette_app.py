"""Images from a Starlette application: awaited, by job id, and as events.

Run it with ``uvicorn starlette_app:app --timeout-graceful-shutdown 10``.
"""

import json
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
    job = await request.state.pictory.submit(request.query_params["prompt"])
    while not job.done():  # the handler of a client that has left is not cancelled
        if await request.is_disconnected():
            return Response(status_code=499)
        await job.wait(timeout=1)
    return JSONResponse({"url": (await job).url})


async def start(request: Request) -> Response:
    """Answer with the id of the job, without waiting for its end."""
    job = await request.state.pictory.submit(request.query_params["prompt"])
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
    """Stream each new status of the job, as server-sent events."""
    job = request.state.pictory.job(request.path_params["job_id"])

    async def events() -> AsyncIterator[str]:
        async for status in job.updates():
            data = {"state": status.state, "seconds": status.elapsed}
            yield f"data: {json.dumps(data)}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


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
