"""Images whose end the service announces to the application by webhook.

Run it with ``PUBLIC_URL=https://example.com/pictory uvicorn webhooks_app:app``: the URL
of what is mounted at ``/pictory``, as the service sees it.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from pictory_async import FixedInterval, PictorySession
from pictory_async.webhook import WebhookReceiver


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open one session for the whole application, and receive its webhooks."""
    async with PictorySession(polling=FixedInterval(60)) as session:
        receiver = WebhookReceiver(session, public_url=os.environ["PUBLIC_URL"])
        app.mount("/pictory", receiver.asgi)
        app.state.pictory, app.state.receiver = session, receiver
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/images")
async def draw(prompt: str) -> dict[str, str]:
    """Answer with the image, as soon as its webhook arrives."""
    url = app.state.receiver.url
    return {"url": (await app.state.pictory.generate(prompt, webhook=url)).url}
