"""Images from an aiohttp.web application: awaited, by job id, and as events.

Run it with ``python aiohttp_app.py``.
"""

import json
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
    image = await request.app[PICTORY].generate(request.query["prompt"])
    return web.json_response({"url": image.url})


@routes.post("/jobs")
async def start(request: web.Request) -> web.Response:
    """Answer with the id of the job, without waiting for its end."""
    job = await request.app[PICTORY].submit(request.query["prompt"])
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
    """Stream each new status of the job, as server-sent events."""
    job = request.app[PICTORY].job(request.match_info["job_id"])
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async for status in job.updates():
        data = {"state": status.state, "seconds": status.elapsed}
        await response.write(f"data: {json.dumps(data)}\n\n".encode())
    return response


app = web.Application(middlewares=[refuse])
app.add_routes(routes)
app.cleanup_ctx.append(pictory)

if __name__ == "__main__":
    # A client that leaves cancels its handler.
    web.run_app(app, handler_cancellation=True, shutdown_timeout=10)
