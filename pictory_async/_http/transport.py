"""One attempt at one request: the only module that sends requests by aiohttp.

The API key is kept here, and is a header of each request to the API (`_exchange`),
never a default of the session: a download (`open`) is sent without it. No exception of
aiohttp leaves this module. They refer to the request's headers, and so to the key, and
are not even the cause or context of ours. If an answer or the text of an error repeats
the key, it is masked there.
"""

from __future__ import annotations

import asyncio
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
from pictory_async._http.clock import ServiceClock
from pictory_async._http.deadlines import Deadlines
from pictory_async._policy.pace import Limits
from pictory_async._policy.retry import read_date, read_retry_after
from pictory_async._settings import ApiKey, Proxies
from pictory_async._version import __version__

# Bytes. A page has up to 100 items with prompts of up to 5,000 characters: 2 MB if each
# character takes four bytes.
LARGEST_ANSWER: Final = 16 * 2**20

# Bytes, of one header or of the status line.
LARGEST_HEADER: Final = 256 * 2**10

# Bytes a second, on average over a whole download.
SLOWEST_DOWNLOAD: Final = 16 * 2**10

USER_AGENT: Final = f"pictory-async/{__version__}"

CREDENTIALS: Final = (
    "the ClientSession given as http sends credentials of its own (auth=, or a netrc "
    "file by trust_env=True); the API key would replace them"
)

# What each request says for itself, as a session that the user gives may have been made
# for something else. 8 KB for a header, the HTTP library's own limit, is less than the
# cookies and policies that proxies add.
_ANY_SESSION: Final[dict[str, Any]] = {
    "auto_decompress": True,
    "max_field_size": LARGEST_HEADER,
    "max_line_size": LARGEST_HEADER,
    "raise_for_status": False,
}

# Requests have their own time-outs: see `Deadlines`, and `FileStream` for downloads.
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(
    total=None, connect=None, sock_connect=None, sock_read=None
)

# When one of these is raised, the request has not reached any server.
_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    aiohttp.ServerFingerprintMismatch,
)


class Permit:
    """Permission to send the body of one paid request.

    A submit that is cancelled withdraws it, which fails once the body has begun to
    leave. The body itself uses the permit (see `_PaidBody`), so nothing can happen
    between the check and the sending.

    Attributes:
        sent: Whether the body has begun to leave.
        withdrawn: Whether sending is forbidden.
        no_retry: Whether nobody wants a further attempt.
    """

    __slots__ = ("no_retry", "sent", "withdrawn")

    def __init__(self) -> None:
        self.sent: bool = False
        self.withdrawn: bool = False
        self.no_retry: bool = False

    def withdraw(self) -> bool:
        """Forbid sending; return False if it is too late."""
        self.withdrawn = self.withdrawn or not self.sent
        return self.withdrawn

    def renew(self) -> None:
        """Permit another attempt, as the last one certainly created nothing."""
        self.sent = self.withdrawn = False

    def use(self) -> None:
        """Record that the body leaves now.

        Raises:
            RuntimeError: The permit was withdrawn or is used: something between us and
                the network tries to send a paid request a second time.
        """
        if self.withdrawn:
            raise RuntimeError("withdrawn before it was sent")
        if self.sent:
            raise RuntimeError("a paid request is sent once")
        self.sent = True


class _PaidBody(BytesPayload):
    """A request body that uses the permit at the moment when it is written.

    No POST is complete without its body, so no job can exist before this is written,
    even if the headers have left.
    """

    def __init__(self, body: bytes, permit: Permit) -> None:
        super().__init__(body, content_type="application/json")
        self._permit = permit

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        self._use_permit(writer.transport)
        await super().write_with_length(writer, content_length)

    async def write(self, writer: Any) -> None:
        self._use_permit(writer.transport)
        await super().write(writer)

    def _use_permit(self, connection: asyncio.WriteTransport | None) -> None:
        # A pooled connection that the server has closed since carries nothing.
        if connection is None or connection.is_closing():
            raise ConnectionResetError("closed before the request was written")
        self._permit.use()


class FileStream:
    """The body of a file that is being downloaded.

    The time allowed grows with the bytes received: a large file over a slow line is
    downloaded, and a server that sends one byte a second is given up.
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
        """Return the next piece; an empty one at the end.

        Raises:
            TransportError: The connection broke, or was too slow.
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
        """Close the connection, without waiting for what was not read."""
        self._response.close()


class Transport:
    """Sends requests through one `aiohttp.ClientSession` of the running loop."""

    def __init__(
        self,
        *,
        base_url: URL,
        api_key: ApiKey,
        timeout: float,
        proxies: Proxies,
        http: aiohttp.ClientSession | None,
    ) -> None:
        self._base = str(base_url).rstrip("/")
        self._key = api_key
        self._key_bytes = api_key.encode()
        self._timeout = timeout
        self._deadlines = Deadlines(timeout)
        self._proxies = proxies
        self.clock: ServiceClock = ServiceClock()
        # Passed with each request to the API, so that a download cannot have them.
        self._headers = CIMultiDict({
            "Authorization": api_key,  # raw, without "Bearer" [D]
            "Accept": "application/json",
            # Cloudflare refuses some default agents (403, error 1010) [O].
            "User-Agent": USER_AGENT,
        })
        self._proxy = proxies.for_url(base_url)
        if http is not None and http.auth is not None:
            raise ConfigurationError(CREDENTIALS)
        self._owned = http is None
        self._http = http or _new_http()

    async def send(self, call: Call[Any], *, permit: Permit | None = None) -> Answer:
        """Make one attempt at *call*.

        Cancelling this ends the attempt; *permit* tells whether it was sent.

        Raises:
            TransportError: There is no answer; *sent* tells whether the request may
                have arrived.
        """
        permit = permit or Permit()
        problem: TransportError | ConfigurationError
        try:
            with self._deadlines.start():
                return await self._exchange(call, permit)
        except ConfigurationError:
            raise
        except TimeoutError:
            sent = not (call.paid and permit.withdraw())
            text = f"no answer within {self._timeout:g} s"
            problem = RequestTimeoutError(
                text, sent=sent, method=call.method, path=_without_query(call.path)
            )
        except Exception as exc:  # noqa: BLE001 - also what a user's middleware raises
            problem = self._translate(exc, call, permit)
        # Outside the except blocks, so that aiohttp's error is not its context.
        raise problem

    async def open(self, url: str) -> FileStream:
        """Request a file from any host, without the key. Redirects are followed.

        Raises:
            TransportError: There is no answer.
            ConfigurationError: The proxy that the environment names cannot be used.
        """
        # Unchanged where possible: a signature may cover the exact spelling.
        target = URL(url, encoded=True) if url.isascii() else URL(url)
        self._refuse_if_closed()
        proxy = self._proxies.for_url(target)
        problem: TransportError
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.get(
                    target,
                    headers={"User-Agent": USER_AGENT, "Accept": "image/*"},
                    proxy=proxy,
                    timeout=_NO_TIMEOUT,
                    max_redirects=5,
                    **_ANY_SESSION,
                )
                return FileStream(response, timeout=self._timeout)
        except TimeoutError:
            problem = RequestTimeoutError(f"no answer within {self._timeout:g} s")
        except Exception as exc:  # noqa: BLE001 - also what a user's middleware raises
            sent = not isinstance(exc, _NOT_SENT)
            problem = TransportError(self._describe(exc), sent=sent)
        problem.method = "GET"
        raise problem

    async def aclose(self) -> None:
        """Close the HTTP session, unless the user passed it in."""
        self._deadlines.close()
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
            proxy=self._proxy,
            timeout=_NO_TIMEOUT,
            **_ANY_SESSION,
        )
        self.clock.note(response.headers.get("Date"))
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
        if self._key_bytes in body:  # an error page of a proxy may repeat the headers
            body = body.replace(self._key_bytes, b"<API key>")
        return Answer(
            status=response.status,
            body=body,
            method=call.method,
            path=_without_query(call.path),
            retry_after=_retry_after(response),
            cut=cut,
        )

    def _translate(
        self, exc: Exception, call: Call[Any], permit: Permit
    ) -> TransportError | ConfigurationError:
        sent = not (permit.withdraw() if call.paid else isinstance(exc, _NOT_SENT))
        # With trust_env aiohttp reads a netrc file for each request, and raises a
        # ValueError if it has credentials beside ours.
        if type(exc) is ValueError and self._http.trust_env and not permit.sent:
            return ConfigurationError(CREDENTIALS)
        path = _without_query(call.path)
        return TransportError(
            self._describe(exc), sent=sent, method=call.method, path=path
        )

    def _describe(self, exc: Exception) -> str:
        text = _error_text(exc).replace(self._key, "<API key>")
        return shorten(text, limit=200)


def _error_text(exc: Exception) -> str:
    """Return what an error of aiohttp says, without the URLs that are in its text.

    One may be signed, and that of a proxy may have a password.
    """
    match exc:
        case aiohttp.ClientProxyConnectionError():
            return f"cannot connect to the proxy {exc.host}:{exc.port} ({exc.strerror})"
        case aiohttp.ClientConnectorError():  # its own text always mentions TLS
            reason = exc.strerror or "no reason given"
            return f"cannot connect to {exc.host}:{exc.port} ({reason})"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refused to connect ({exc.status} {exc.message})"
        case aiohttp.ClientResponseError():
            return f"{type(exc).__name__}: {exc.message}"
        case aiohttp.InvalidURL():
            return f"{type(exc).__name__}: the URL cannot be used"
        case _:
            return f"{type(exc).__name__}: {exc}"


def _new_http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # `Turns` limits the requests, so the pool need not; waiting in the queue of the
        # pool would count as time of the request.
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
    """Return a body, and whether it was cut at `LARGEST_ANSWER`."""
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


def _without_query(path: str) -> str:
    """Return *path* without its query: a page key does not belong in logs."""
    return path.partition("?")[0]


def limits_for(limits: Limits, http: aiohttp.ClientSession | None) -> Limits:
    """Return *limits*, reduced to what the connection pool of *http* allows.

    In the queue of the pool, a request would spend its time-out without a connection.
    """
    connector = http.connector if http is not None else None
    if connector is None:
        return limits
    pool = [n for n in (connector.limit, connector.limit_per_host) if n > 0]
    at_once = min([limits.concurrent_requests, *pool])
    return attrs.evolve(limits, concurrent_requests=at_once)
