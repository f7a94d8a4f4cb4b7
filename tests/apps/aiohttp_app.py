"""Images from an aiohttp.web application: awaited, by job id, and as events.

Run it with ``python -m tests.apps.aiohttp_app``.
"""

from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Handler

from pictory_async import (
    InvalidRequestError,
    JobNotFoundError,
    JobTimeoutError,
    PictoryError,
    PictorySession,
)

from .events import HEADERS, LAST_ID, job_events

PICTORY = web.AppKey("pictory", PictorySession)
routes = web.RouteTableDef()


async def pictory(app: web.Application) -> AsyncIterator[None]:
    """Open one session for the whole application."""
    async with PictorySession() as app[PICTORY]:
        yield  # noqa: ASYNC119 - aiohttp finishes it


@web.middleware
async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with the reason why there is no image."""
    try:
        return await handler(request)
    except PictoryError as error:
        status = {InvalidRequestError: 422, JobNotFoundError: 404}.get(type(error), 502)
        return web.json_response({"detail": str(error)}, status=status)


@routes.post("/images")
async def draw(request: web.Request) -> web.Response:
    """Answer with the image."""
    image = await request.app[PICTORY].generate(request.query.get("prompt", ""))
    return web.json_response({"url": image.url})


@routes.post("/jobs")
async def start(request: web.Request) -> web.Response:
    """Answer with the id of the job, without waiting for its end."""
    job = await request.app[PICTORY].submit(request.query.get("prompt", ""))
    return web.json_response({"job_id": job.job_id}, status=202)


@routes.get("/jobs/{job_id}")
async def show(request: web.Request) -> web.Response:
    """Answer with the image if it is there within a second."""
    job = request.app[PICTORY].job(request.match_info["job_id"])
    try:
        image = await job.result(timeout=1)
    except JobTimeoutError:
        return web.json_response({"state": job.status.state})
    return web.json_response({"state": "completed", "url": image.url})


@routes.get("/jobs/{job_id}/events")
async def watch(request: web.Request) -> web.StreamResponse:
    """Stream the status of the job and how it ends, as server-sent events."""
    if request.headers.get("Last-Event-ID") == LAST_ID:
        return web.Response(status=204)
    job = request.app[PICTORY].job(request.match_info["job_id"])
    events = await job_events(job)
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    async for event in events:
        await response.write(event)
    return response


app = web.Application(middlewares=[refuse])
app.add_routes(routes)
app.cleanup_ctx.append(pictory)

if __name__ == "__main__":
    # A client that leaves cancels its handler.
    web.run_app(app, handler_cancellation=True, shutdown_timeout=10)
