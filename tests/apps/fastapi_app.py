"""Images from a FastAPI application: awaited, by job id, and as events.

Run it with ``uvicorn tests.apps.fastapi_app:app --timeout-graceful-shutdown 10``.
Without that option uvicorn waits for its last client before it shuts the application
down, and a client that watches a job may stay for minutes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from pictory_async import (
    InvalidRequestError,
    JobNotFoundError,
    JobTimeoutError,
    PictoryError,
    PictorySession,
)

from .events import HEADERS, LAST_ID, job_events


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open one session for the whole application."""
    async with PictorySession() as app.state.pictory:
        yield


def pictory(request: Request) -> PictorySession:
    """Return the application's session."""
    session: PictorySession = request.app.state.pictory
    return session


app = FastAPI(lifespan=lifespan)
Pictory = Annotated[PictorySession, Depends(pictory)]


@app.exception_handler(PictoryError)
async def refuse(request: Request, error: PictoryError) -> JSONResponse:
    """Answer with the reason why there is no image."""
    status = {InvalidRequestError: 422, JobNotFoundError: 404}.get(type(error), 502)
    return JSONResponse({"detail": str(error)}, status)


@app.post("/images", response_model=None)
async def draw(
    request: Request, pictory: Pictory, prompt: str
) -> Response | dict[str, str]:
    """Answer with the image."""
    job = await pictory.submit(prompt)
    while not job.done():  # the handler of a client that has left is not cancelled
        if await request.is_disconnected():
            return Response(status_code=499)
        await job.wait(timeout=1)
    return {"url": (await job).url}


@app.post("/jobs", status_code=202)
async def start(pictory: Pictory, prompt: str) -> dict[str, str]:
    """Answer with the id of the job, without waiting for its end."""
    return {"job_id": (await pictory.submit(prompt)).job_id}


@app.get("/jobs/{job_id}")
async def show(pictory: Pictory, job_id: str) -> dict[str, str]:
    """Answer with the image if it is there within a second."""
    job = pictory.job(job_id)
    try:
        return {"state": "completed", "url": (await job.result(timeout=1)).url}
    except JobTimeoutError:
        return {"state": job.status.state}


@app.get("/jobs/{job_id}/events", response_model=None)
async def watch(
    pictory: Pictory, job_id: str, last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """Stream the status of the job and how it ends, as server-sent events."""
    if last_event_id == LAST_ID:
        return Response(status_code=204)
    events = await job_events(pictory.job(job_id))
    return StreamingResponse(events, headers=HEADERS)
