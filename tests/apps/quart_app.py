"""Images from a Quart application: awaited, by job id, and as events.

Run it with ``uvicorn tests.apps.quart_app:app --timeout-graceful-shutdown 10``.
"""

from collections.abc import AsyncGenerator

from quart import Quart, Response, request

from pictory_async import (
    InvalidRequestError,
    JobNotFoundError,
    JobTimeoutError,
    PictoryError,
    PictorySession,
)

from .events import HEADERS, LAST_ID, job_events


class App(Quart):
    """An application with a session."""

    pictory: PictorySession


app = App(__name__)


@app.while_serving
async def lifespan() -> AsyncGenerator[None, None]:
    """Open one session for the whole application."""
    async with PictorySession() as app.pictory:
        yield  # noqa: ASYNC119 - Quart finishes it


@app.errorhandler(PictoryError)
async def refuse(error: PictoryError) -> tuple[dict[str, str], int]:
    """Answer with the reason why there is no image."""
    status = {InvalidRequestError: 422, JobNotFoundError: 404}.get(type(error), 502)
    return {"detail": str(error)}, status


@app.post("/images")
async def draw() -> dict[str, str]:
    """Answer with the image."""
    return {"url": (await app.pictory.generate(request.args.get("prompt", ""))).url}


@app.post("/jobs")
async def start() -> tuple[dict[str, str], int]:
    """Answer with the id of the job, without waiting for its end."""
    job = await app.pictory.submit(request.args.get("prompt", ""))
    return {"job_id": job.job_id}, 202


@app.get("/jobs/<job_id>")
async def show(job_id: str) -> dict[str, str]:
    """Answer with the image if it is there within a second."""
    job = app.pictory.job(job_id)
    try:
        return {"state": "completed", "url": (await job.result(timeout=1)).url}
    except JobTimeoutError:
        return {"state": job.status.state}


@app.get("/jobs/<job_id>/events")
async def watch(job_id: str) -> Response:
    """Stream the status of the job and how it ends, as server-sent events."""
    if request.headers.get("Last-Event-ID") == LAST_ID:
        return Response(status=204)
    events = await job_events(app.pictory.job(job_id))
    response = Response(events, headers=HEADERS)
    response.timeout = None  # the default ends it after a minute
    return response
