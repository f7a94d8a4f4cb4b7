"""One attempt at one request: the only place that speaks aiohttp to the API.

No name of aiohttp leaves it: its exceptions carry the request's headers, and with
them the key, so they are not even the cause or context of ours.
"""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import attrs
from aiohttp.payload import BytesPayload
from multidict import CIMultiDict
from yarl import URL

from pictory_async._core.endpoints import Call
from pictory_async._core.errors import (
    ConfigurationError,
    RequestTimeoutError,
    TransportError,
)
from pictory_async._core.text import shorten
from pictory_async._core.wire import Answer
from pictory_async._policy.pace import Limits
from pictory_async._policy.retry import read_date, read_retry_after
from pictory_async._settings import ApiKey
from pictory_async._version import __version__

# A page has up to 100 items with prompts of up to 5,000 characters: 2 MB if each
# character takes four bytes. What is larger is no answer of this service.
LARGEST_ANSWER: Final = 16 * 2**20

# Bytes a second, over the whole of a download.
SLOWEST_DOWNLOAD: Final = 16 * 2**10

USER_AGENT: Final = f"pictory-async/{__version__}"

CREDENTIALS: Final = (
    "the ClientSession given as http sends credentials of its own (auth=, or a netrc "
    "file by trust_env=True); the API key would replace them"
)

# For downloads, whose time-out depends on what has arrived.
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(
    total=None, connect=None, sock_connect=None, sock_read=None
)

# No request has reached anybody when one of these is raised.
_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.ServerFingerprintMismatch,
)


class Permit:
    """Says whether a paid request may go out, and whether it has gone.

    A submit that is cancelled takes the permit back; it cannot once the body has
    begun to leave. The body itself asks (see `_PaidBody`), so there is no moment
    between the two.
    """

    __slots__ = ("last", "sent", "withdrawn")

    def __init__(self) -> None:
        self.sent: bool = False
        self.withdrawn: bool = False
        self.last: bool = False  # whether no further attempt is wanted by anybody

    def withdraw(self) -> bool:
        """Forbid sending; return False if it is too late."""
        self.withdrawn = self.withdrawn or not self.sent
        return self.withdrawn

    def renew(self) -> None:
        """Permit one more attempt: nothing of the last one is open."""
        self.sent = self.withdrawn = False

    def use(self) -> None:
        """Note that the request leaves now.

        Raises:
            RuntimeError: The permit was withdrawn, or used already: something
                between us and the network wants to send a paid request again.
        """
        if self.withdrawn:
            raise RuntimeError("withdrawn before it was sent")
        if self.sent:
            raise RuntimeError("a paid request is sent once")
        self.sent = True


class _PaidBody(BytesPayload):
    """A request body that asks before it goes out.

    Without its body no POST is complete, so a job cannot exist before this is
    written, whatever became of the headers.
    """

    def __init__(self, body: bytes, permit: Permit) -> None:
        super().__init__(body, content_type="application/json")
        self._permit = permit

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        self._leave_through(writer.transport)
        await super().write_with_length(writer, content_length)

    async def write(self, writer: Any) -> None:
        self._leave_through(writer.transport)
        await super().write(writer)

    def _leave_through(self, connection: asyncio.WriteTransport | None) -> None:
        # A kept connection that the server has closed meanwhile carries nothing.
        if connection is None or connection.is_closing():
            raise ConnectionResetError("closed before the request was written")
        self._permit.use()


class FileStream:
    """The body of a file that is being downloaded.

    The time it may take grows with what has arrived, so a large file on a slow line
    comes through and a server that sends a byte a second does not.
    """

    def __init__(self, response: aiohttp.ClientResponse, *, timeout: float) -> None:
        self._response = response
        self._timeout = timeout
        self._received = 0
        self._opened = asyncio.get_running_loop().time()
        self.status = response.status
        self.content_type = response.headers.get("Content-Type", "")
        self.retry_after = _retry_after(response)

    async def read(self) -> bytes:
        """Return the next piece; empty at the end.

        Raises:
            TransportError: It broke off, or came too slowly.
        """
        allowed = self._timeout + self._received / SLOWEST_DOWNLOAD
        problem: TransportError
        try:
            async with asyncio.timeout_at(self._opened + allowed):
                piece = await self._response.content.readany()
                self._received += len(piece)
                return piece
        except TimeoutError:
            problem = RequestTimeoutError(f"only {self._received:,} bytes came in time")
        except (aiohttp.ClientError, OSError) as exc:
            text = f"broke off after {self._received:,} bytes ({type(exc).__name__})"
            problem = TransportError(text)
        problem.method = "GET"
        raise problem

    def close(self) -> None:
        """End it; what was not read is not waited for."""
        self._response.close()


class Transport:
    """Sends requests through one `aiohttp.ClientSession` of the running loop."""

    def __init__(
        self,
        *,
        base_url: URL,
        api_key: ApiKey,
        timeout: float,
        http: aiohttp.ClientSession | None,
    ) -> None:
        self._base = str(base_url).rstrip("/")
        self._key = api_key
        self._key_bytes = api_key.encode()
        self._timeout = timeout
        self._limit = aiohttp.ClientTimeout(
            total=timeout,
            connect=None,
            sock_connect=None,
            sock_read=None,
            ceil_threshold=math.inf,  # else it is rounded up to a whole second
        )
        # Given with each request, so that a download cannot have them by accident.
        self._headers = CIMultiDict({
            "Authorization": api_key,  # raw, without "Bearer" [D]
            "Accept": "application/json",
            # Cloudflare refuses some default agents (403, error 1010) [O].
            "User-Agent": USER_AGENT,
        })
        if http is not None and http.auth is not None:
            raise ConfigurationError(CREDENTIALS)
        self._owned = http is None
        self._http = http or _new_http()

    async def send(self, call: Call[Any], *, permit: Permit | None = None) -> Answer:
        """Make one attempt at *call*.

        Cancelling this ends the attempt; *permit* then says whether it was sent.

        Raises:
            TransportError: No answer; *sent* says whether it may have arrived.
        """
        permit = permit or Permit()
        problem: TransportError | ConfigurationError
        try:
            return await self._exchange(call, permit)
        except ConfigurationError:
            raise
        except TimeoutError:
            sent = not (call.paid and permit.withdraw())
            text = f"no answer within {self._timeout:g} s"
            problem = RequestTimeoutError(
                text, sent=sent, method=call.method, path=_shown(call.path)
            )
        except Exception as exc:  # noqa: BLE001 - also what a user's middleware raises
            problem = self._translate(exc, call, permit)
        # Outside of the except block, so that aiohttp's error is not its context.
        raise problem

    async def open(self, url: str) -> FileStream:
        """Request a file from any host: without the key. Redirects are followed.

        Raises:
            TransportError: No answer.
        """
        # As it is where possible: a signature may cover the exact spelling.
        target = URL(url, encoded=True) if url.isascii() else URL(url)
        self._refuse_if_closed()
        problem: TransportError
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.get(
                    target,
                    headers={"User-Agent": USER_AGENT, "Accept": "image/*"},
                    timeout=_NO_TIMEOUT,
                    max_redirects=5,
                    raise_for_status=False,
                )
                return FileStream(response, timeout=self._timeout)
        except TimeoutError:
            problem = RequestTimeoutError(f"no answer within {self._timeout:g} s")
        except Exception as exc:  # noqa: BLE001 - also what a user's middleware raises
            sent = not isinstance(exc, _NOT_SENT)
            problem = TransportError(self._words(exc), sent=sent)
        problem.method = "GET"
        raise problem

    async def aclose(self) -> None:
        """Close what was opened here; a session that the user gave stays open."""
        if self._owned:
            await self._http.close()

    async def _exchange(self, call: Call[Any], permit: Permit) -> Answer:
        self._refuse_if_closed()
        response = await self._http.request(
            call.method,
            URL(self._base + call.path, encoded=True),
            headers=self._headers,
            data=None if call.body is None else _PaidBody(call.body, permit),
            allow_redirects=False,
            raise_for_status=False,
            timeout=self._limit,
        )
        try:
            body, cut = await _read(response.content)
        except BaseException:
            response.close()
            raise
        if cut:
            response.close()
        return self._answer(call, response, body, cut=cut)

    def _refuse_if_closed(self) -> None:
        if self._http.closed:
            raise ConfigurationError("the ClientSession given as http is closed")

    def _answer(
        self,
        call: Call[Any],
        response: aiohttp.ClientResponse,
        body: bytes,
        *,
        cut: bool,
    ) -> Answer:
        if self._key_bytes in body:  # a proxy's page may repeat the request's headers
            body = body.replace(self._key_bytes, b"<API key>")
        return Answer(
            status=response.status,
            body=body,
            method=call.method,
            path=_shown(call.path),
            retry_after=_retry_after(response),
            cut=cut,
        )

    def _translate(
        self, exc: Exception, call: Call[Any], permit: Permit
    ) -> TransportError | ConfigurationError:
        sent = not (permit.withdraw() if call.paid else isinstance(exc, _NOT_SENT))
        # aiohttp reads a netrc file for each request, and refuses a second credential.
        if type(exc) is ValueError and self._http.trust_env and not permit.sent:
            return ConfigurationError(CREDENTIALS)
        path = _shown(call.path)
        return TransportError(
            self._words(exc), sent=sent, method=call.method, path=path
        )

    def _words(self, exc: Exception) -> str:
        text = f"{type(exc).__name__}: {exc}"
        if isinstance(exc, aiohttp.ClientConnectorError):  # its text speaks of TLS
            why = exc.strerror or "no reason given"
            text = f"cannot connect to {exc.host}:{exc.port} ({why})"
        return shorten(text.replace(self._key, "<API key>"), limit=200)


def _new_http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # Turns are given before a request gets here, so the pool needs no limit; in
        # aiohttp time spent in the pool's queue would count as request time.
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    wait = response.headers.get("Retry-After")
    if wait is None:
        return None
    now = read_date(response.headers.get("Date")) or datetime.now(UTC)
    return read_retry_after(wait, now=now)


async def _read(content: aiohttp.StreamReader) -> tuple[bytes, bool]:
    """Read a body to its end, or until it is larger than any answer."""
    body = await content.readany()
    if content.at_eof():  # most answers are one piece
        return body, False
    pieces, size = [body], len(body)
    while piece := await content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER:
            return b"".join(pieces)[:LARGEST_ANSWER], True
    return b"".join(pieces), False


def _shown(path: str) -> str:
    """Return *path* without its query: a page key is not for logs."""
    return path.partition("?")[0]


def fitting(limits: Limits, http: aiohttp.ClientSession | None) -> Limits:
    """Return *limits* that the connection pool of *http* can keep.

    In a pool's queue the time of a request would run without a connection.
    """
    connector = http.connector if http is not None else None
    if connector is None:
        return limits
    pool = [n for n in (connector.limit, connector.limit_per_host) if n > 0]
    at_once = min([limits.concurrent_requests, *pool])
    return attrs.evolve(limits, concurrent_requests=at_once)
