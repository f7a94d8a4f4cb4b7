"""Webhooks: see the end of a job immediately, instead of by the next poll.

The service can announce the end of a job by a POST to a URL of yours. A
`WebhookReceiver` takes these POSTs in any ASGI application, and has the job polled
immediately:

```python
@asynccontextmanager
async def lifespan(app: FastAPI):
    async with PictorySession(polling=FixedInterval(60)) as session:
        receiver = WebhookReceiver(session, public_url="https://example.com/pictory")
        app.mount("/pictory", receiver.asgi)
        app.state.pictory, app.state.receiver = session, receiver
        yield
```

Then give its URL to each request: ``await session.submit(prompt,
webhook=receiver.url)``. The whole application is ``tests/apps/webhooks_app.py``. In
aiohttp.web it is ``app.router.add_post("/pictory/{token}", receiver.aiohttp_handler)``;
anywhere else ``status = await receiver.receive(token, body)`` returns the status to
answer with.

The service signs no delivery, and documents no redelivery. So nothing in a delivery is
trusted: it only causes a poll.

- `WebhookReceiver.url` ends in a secret of 256 bits, compared in constant time.
- A body of more than 64 KiB is not read.
- The result comes from a poll with the API key, never from the delivery.
- A delivery for a job that is not in progress in this session, such as a repeated one,
  is answered, changes nothing and costs no request. If it arrives before the answer to
  its own ``submit``, the job is polled as soon as its id is known.
- A delivery that never arrives costs only time: the session polls as well, and may do
  so as rarely as above.

If your server logs URLs, exclude this one; the access log of uvicorn shows it without
the secret. Give ``secret=`` if deliveries are to reach any of several processes, or the
same process after a restart.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import secrets
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    MutableMapping,
)
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from pictory_async import InvalidRequestError, PictorySession, SessionClosedError

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["WebhookReceiver"]

logger: Final = logging.getLogger("pictory_async")

BODY_LIMIT: Final = 64 * 1024  # bytes; a delivery has a few hundred
_BODY_SECONDS: Final = 10.0  # for a body to arrive
# A job ends once. More deliveries than one may come from a service that repeats them or
# reports progress; after this many, the scheduler alone polls the job.
_POLLS_A_JOB: Final = 10
_JOBS_REMEMBERED: Final = 1000  # whose deliveries are counted

ACCEPTED, MALFORMED, UNKNOWN_PATH = 204, 400, 404
WRONG_METHOD, TOO_SLOW, TOO_LARGE, CLOSED = 405, 408, 413, 503

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Message, Receive, Send], Awaitable[None]]
Respond = Callable[[str, str, bytes, AsyncIterator[bytes]], Awaitable[int]]


class WebhookReceiver:
    """A receiver of the webhooks of a session's jobs, for any web framework.

    Make one for each session, serve it at *public_url*, and submit with
    ``webhook=receiver.url``. There is nothing to close. Cancelling the handling of a
    delivery disturbs no job.

    Args:
        session: The session of the jobs. Deliveries must arrive on its event loop.
        public_url: The URL at which the service reaches `asgi` or `aiohttp_handler`;
            http or https, without query and fragment.
        secret: The last part of the path of `url`: at least 32 letters, digits,
            ``-`` and ``_``. Random by default; pass your own if deliveries are
            to arrive after a restart, or at any of several processes.

    | delivery | answer |
    |---|---|
    | accepted; the job is polled if it is in progress here | 204 |
    | not a JSON object with a job id | 400 |
    | wrong secret; the body was not read | 404 |
    | not a POST | 405 |
    | the body takes more than 10 seconds | 408 |
    | the body is over 64 KiB; the rest was not read | 413 |
    | the session is closed | 503 |

    However often a delivery is repeated, there is one poll at a time and at most one
    more after it. After ten deliveries for a job, further ones cause no poll.

    Raises:
        InvalidRequestError: *public_url* or *secret* cannot be used.

    Source: https://docs.pictory.ai/api-reference/ai-studio/generate-image ("will
    receive a notification when the job completes"). The body is not documented; it is
    assumed to be that of ``GET /v1/jobs/{id}``, and only its id is used.
    """

    def __init__(
        self, session: PictorySession, *, public_url: str, secret: str | None = None
    ) -> None:
        self._session = session
        self._root = _checked_public_url(public_url)
        self._secret = secrets.token_urlsafe(32)
        if secret is not None:
            self._secret = _checked_secret(secret)
        self._deliveries: dict[str, int] = {}  # by job id, the latest job last

    @property
    def url(self) -> str:
        """The URL to pass as ``webhook=``. Anybody who knows it can cause polls."""
        return f"{self._root}/{self._secret}"

    def __repr__(self) -> str:
        """Show where it listens, without the secret."""
        return f"<WebhookReceiver {self._root}/...>"

    async def receive(self, token: str, body: bytes) -> int:
        """Handle one delivery; return the HTTP status to answer it with.

        Args:
            token: The last part of the request's path.
            body: The body as received. Read no more than 64 KiB and one byte.

        The job is polled in the background. Nothing is awaited here, so cancelling this
        undoes nothing. No content of a delivery makes this raise.

        Raises:
            WrongLoopError: This is not the session's event loop.
        """
        if not self._admits(token):
            return UNKNOWN_PATH
        if len(body) > BODY_LIMIT:
            return TOO_LARGE
        job_id = _job_id(body)
        return MALFORMED if job_id is None else self._poll(job_id)

    @property
    def asgi(self) -> ASGIApplication:
        """An ASGI 3 application that receives deliveries, to be mounted at any path.

        It removes the secret from the path in the scope, so that servers that write
        their access log from the scope, such as uvicorn, do not log it.
        """
        return _ASGI(self._status_for, secret=self._secret)

    async def aiohttp_handler(self, request: web.Request) -> web.StreamResponse:
        """Receive deliveries in aiohttp.web: a handler for ``"/any/path/{token}"``.

        Cancelling this, for example because the client disconnects, loses a body that
        was not read.
        """
        # Other frameworks need not import it.
        from aiohttp import web  # noqa: PLC0415
        from aiohttp.http import HttpProcessingError  # noqa: PLC0415

        token = _last_part(request.path)
        length = request.headers.get("Content-Length", "").encode()
        chunks = request.content.iter_any()
        try:
            status = await self._status_for(token, request.method, length, chunks)
        except (ConnectionError, web.RequestPayloadError, HttpProcessingError):
            status = MALFORMED  # the client disconnected, or did not send HTTP
        headers = {"Allow": "POST"} if status == WRONG_METHOD else {}
        response = web.Response(status=status, headers=headers)
        if status != ACCEPTED:
            response.force_close()  # the rest of the body is not read
        return response

    async def _status_for(
        self, token: str, method: str, length: bytes, chunks: AsyncIterator[bytes]
    ) -> int:
        """Return the status for a request; read its body only if necessary."""
        if not self._admits(token):
            return UNKNOWN_PATH
        if method != "POST":
            return WRONG_METHOD
        if length.isdigit() and int(length[:20]) > BODY_LIMIT:
            return TOO_LARGE
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _read(chunks)
        except TimeoutError:
            return TOO_SLOW
        return await self.receive(token, body)

    def _admits(self, token: str) -> bool:
        given = token.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, self._secret.encode())

    def _poll(self, job_id: str) -> int:
        """Poll the job, unless it had too many deliveries; return the status."""
        times = self._deliveries.pop(job_id, 0)
        try:
            if times >= _POLLS_A_JOB:
                known = True
            elif known := self._session.poll_now(job_id):
                fields = {"pictory_event": "webhook", "pictory_job_id": job_id}
                logger.debug("webhook: job %s", job_id, extra=fields)
        except InvalidRequestError:
            return MALFORMED
        except SessionClosedError:
            return CLOSED
        if known:
            self._deliveries[job_id] = times + 1
            if len(self._deliveries) > _JOBS_REMEMBERED:
                del self._deliveries[next(iter(self._deliveries))]
        return ACCEPTED


class _ASGI:
    """The ASGI application. Not a method, which servers would take for ASGI 2."""

    def __init__(self, respond: Respond, *, secret: str) -> None:
        self._respond = respond
        self._secret = secret

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            token = _last_part(scope["path"])
            _hide_secret(self._secret, scope)
            length = dict(scope["headers"]).get(b"content-length", b"")
            chunks = _chunks(receive)
            status = await self._respond(token, scope["method"], length, chunks)
            await _send_status(send, status, version=scope.get("http_version", "1.1"))


def _hide_secret(secret: str, scope: Message) -> None:
    """Remove the secret from the parts of *scope* that go into an access log."""
    scope["path"] = scope["path"].replace(secret, "...")
    if scope.get("raw_path"):
        scope["raw_path"] = scope["raw_path"].replace(secret.encode(), b"...")


def _checked_public_url(public_url: object) -> str:
    """Return *public_url* without a slash at its end.

    Raises:
        InvalidRequestError: It is not an absolute http(s) URL to which a path can be
            appended.
    """
    url = _url(public_url)
    if (
        url is None
        or url.scheme not in {"http", "https"}
        or not url.host
        or any((url.query_string, url.fragment, url.user, url.password))
    ):
        # Not shown: it may hold a password.
        reason = "must be an absolute http(s) URL without user, query and fragment"
        raise InvalidRequestError(field="public_url", reason=reason)
    return str(url).rstrip("/")


def _url(text: object) -> URL | None:
    try:
        return URL(str(text))
    except ValueError:
        return None


def _checked_secret(secret: object) -> str:
    if isinstance(secret, str) and re.fullmatch(r"[A-Za-z0-9_-]{32,}", secret):
        return secret
    reason = "must be at least 32 letters, digits, - and _ (secrets.token_urlsafe(32))"
    raise InvalidRequestError(field="secret", reason=reason)


def _last_part(path: str) -> str:
    """Return the last part of *path*.

    Frameworks differ in what they leave before it, and Litestar appends a slash.
    """
    return path.rstrip("/").rpartition("/")[2]


def _job_id(body: bytes) -> str | None:
    """Return the job id in *body*; None if there is none."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    # [I] As in the answer to a poll; documentation and clients differ about its name
    # and place.
    inner = payload.get("data") if isinstance(payload, dict) else None
    for job_id in _ids(payload, inner):
        if type(job_id) is int or (isinstance(job_id, str) and job_id):
            return str(job_id)
    return None


def _ids(*places: object) -> Iterable[object]:
    for place in places:
        if isinstance(place, dict):
            yield from (place.get("job_id"), place.get("jobId"))


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the body; of one that is too large, a little more than `BODY_LIMIT`."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > BODY_LIMIT:
            break
    return bytes(body)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        yield message.get("body", b"")
        more = message.get("more_body", False)  # absent if the client disconnected


async def _send_status(send: Send, status: int, *, version: str) -> None:
    headers = [(b"content-length", b"0")] if status != ACCEPTED else []
    if status == WRONG_METHOD:
        headers.append((b"allow", b"POST"))
    if status != ACCEPTED and version.startswith("1"):
        headers.append((b"connection", b"close"))  # the body may not have been read
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Answer the lifespan events of a server, if served without a framework."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
