"""``pictory check``: what a request for help has to say, found out without credits.

Nothing here is secret: no key, no password of a proxy. Every request is free.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import platform
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
import attrs
from rich.table import Table
from rich.text import Text
from yarl import URL

from pictory_async import (
    AuthenticationError,
    HistoryImage,
    PictoryError,
    PictorySession,
    RetryPolicy,
    __version__,
)
from pictory_async.cli._errors import DONE, FAILED, explain
from pictory_async.cli._log import capture_log
from pictory_async.cli._output import LineWriter, can_redraw, stderr, stdout
from pictory_async.cli._screen import make_console
from pictory_async.cli._text import one_line

# As `PictorySession` uses if $PICTORY_API_BASE_URL is not set.
_BASE_URL: Final = "https://api.pictory.ai/pictoryapis"
# Seconds for one answer.
_PATIENCE: Final = 10.0
# Seconds by which clocks may differ. Dates of the service are whole seconds, and what
# expires, such as the URL of an image, does so after minutes.
_TOLERANCE: Final = 30.0
# Days before the end of a certificate that are worth a word.
_EXPIRES_SOON: Final = timedelta(days=7)
# Other settings that decide where connections go and what they trust.
_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@attrs.frozen
class Finding:
    """The result of one step.

    Attributes:
        name: What was looked at.
        text: What was found.
        ok: Whether it is as it should be; None if there is nothing to judge.
        facts: What was found, for programs.
    """

    name: str
    text: str
    ok: bool | None = None
    facts: Mapping[str, Any] = attrs.field(factory=dict)


async def check(*, json: bool, proxy: str | None = None) -> int:
    """Look at one thing after another and report on it; return the exit code.

    Args:
        json: Whether to write JSON.
        proxy: The proxy for the service; None leaves it to the environment.
    """
    out, failed = stdout(), False
    async for finding in _findings(proxy):
        failed = failed or finding.ok is False
        if json:
            out.write_json(_data(finding))
        else:
            _show(finding, out)
    return FAILED if failed else DONE


async def _findings(given: str | None) -> AsyncIterator[Finding]:
    yield _versions()
    url = _url(os.environ.get("PICTORY_API_BASE_URL") or _BASE_URL)
    proxy = _proxy_for(url, given) if url else None
    yield _service(url)
    yield _proxies(proxy)
    if url is not None:
        yield await _names(proxy or url)
        if proxy is None:
            yield await _tls(url)
        yield await _clock(url, proxy)
    yield await _key(given)


def _url(text: str) -> URL | None:
    """Return an absolute URL; None if *text* is none."""
    try:
        url = URL(text)
    except ValueError:  # whose text would repeat a password
        return None
    return url if url.host and url.port else None


def _service(url: URL | None) -> Finding:
    if url is None:
        text = "PICTORY_API_BASE_URL is not an absolute URL"
        return Finding("service", text, ok=False)
    shown = _without_user(url)
    return Finding("service", shown, facts={"base_url": shown})


# --- this machine -----------------------------------------------------------------


def _versions() -> Finding:
    facts = {
        "pictory_async": __version__,
        "python": platform.python_version(),
        "aiohttp": aiohttp.__version__,
        "openssl": ssl.OPENSSL_VERSION.removeprefix("OpenSSL ").split()[0],
        "system": platform.platform(terse=True),
        "machine": platform.machine(),
    }
    text = (
        f"pictory_async {__version__}, Python {facts['python']}, "
        f"aiohttp {facts['aiohttp']}, OpenSSL {facts['openssl']}, {facts['system']} "
        f"({facts['machine']})"
    )
    return Finding("versions", text, facts=facts)


def _proxy_for(url: URL, given: str | None) -> URL | None:
    """Return the proxy for *url*, with its password, as `PictorySession` finds it."""
    host = str(url.host)
    if given is None and (_is_loopback(host) or proxy_bypass(f"{host}:{url.port}")):
        return None
    proxies = getproxies()
    found = given or proxies.get(url.scheme) or proxies.get("all")
    return _url(found if "://" in found else f"http://{found}") if found else None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _proxies(proxy: URL | None) -> Finding:
    """Report the variables that are set, and which proxy they come to."""
    named = {
        name: _harmless(name, value)
        for name, value in sorted(os.environ.items())
        if name.lower().endswith("_proxy") or name in _VARIABLES
    }
    shown = ", ".join(f"{name}={value}" for name, value in named.items())
    used = (
        f"for the service: {_without_user(proxy)}" if proxy else "none for the service"
    )
    text = f"{used} ({shown or 'no variable is set'})"
    facts = {"used": _without_user(proxy) if proxy else None, "variables": named}
    return Finding("proxy", one_line(text), facts=facts)


def _harmless(name: str, value: str) -> str:
    """Return the value of a variable without a user's name or password."""
    if name.lower() == "no_proxy" or not name.lower().endswith("_proxy"):
        return value
    url = _url(value if "://" in value else f"http://{value}")
    return "(not a readable URL)" if url is None else _without_user(url)


def _without_user(url: URL) -> str:
    """Return a URL as it can be shown to anybody."""
    return one_line(url.with_user(None).with_query(None).with_fragment(None))


# --- the way to the service -------------------------------------------------------


async def _names(url: URL) -> Finding:
    """Resolve the host that connections go to."""
    host, loop = str(url.host), asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await loop.getaddrinfo(host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Finding("DNS", f"{one_line(host)}: {_why(error)}", ok=False)
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    text = f"{one_line(host)} is {', '.join(addresses)}"
    return Finding("DNS", text, ok=True, facts={"addresses": addresses})


async def _tls(url: URL) -> Finding:
    """Connect, and look at the certificate."""
    context = ssl.create_default_context() if url.scheme == "https" else None
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        text = f"{error.verify_message}; is there a proxy of a company on the way?"
        return Finding("TLS", f"not trusted: {text}", ok=False)
    except OSError as error:
        return Finding("TLS", f"cannot connect: {_why(error)}", ok=False)
    try:
        session = writer.get_extra_info("ssl_object")
        return (
            Finding("TLS", "not used: http") if session is None else _trusted(session)
        )
    finally:
        writer.transport.abort()


def _trusted(session: ssl.SSLObject) -> Finding:
    certificate: Any = session.getpeercert()
    issuer = dict(pair for part in certificate["issuer"] for pair in part)
    by = issuer.get("organizationName") or issuer.get("commonName") or "?"
    seconds = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    until = datetime.fromtimestamp(seconds, UTC)
    facts = {
        "version": session.version(),
        "issuer": by,
        "valid_until": until.isoformat(),
    }
    text = f"{facts['version']}, certificate by {one_line(by)} until {until:%Y-%m-%d}"
    return Finding(
        "TLS", text, ok=until - datetime.now(UTC) > _EXPIRES_SOON, facts=facts
    )


async def _clock(url: URL, proxy: URL | None) -> Finding:
    """Compare this clock with the ``Date`` of an answer to a request without a key."""
    try:
        before = datetime.now(UTC)
        date = await _date(url, proxy)
        here = before + (datetime.now(UTC) - before) / 2
    # ValueError: a kind of proxy that aiohttp does not know.
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Finding("clock", f"no answer: {_why(error)}", ok=False)
    if date is None:
        return Finding("clock", "the service sends no date")
    # The date was cut to a whole second.
    ahead = (here - date).total_seconds() - 0.5
    facts = {"seconds_ahead": round(ahead, 1)}
    if abs(ahead) <= 1:
        return Finding("clock", "as that of the service", ok=True, facts=facts)
    text = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the service's"
    return Finding("clock", text, ok=abs(ahead) <= _TOLERANCE, facts=facts)


async def _date(url: URL, proxy: URL | None) -> datetime | None:
    """Return the date of an answer, whatever its status."""
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    headers = {"User-Agent": f"pictory-async/{__version__}"}
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as http,
        http.get(url, proxy=proxy, allow_redirects=False) as answer,
    ):
        try:
            return email.utils.parsedate_to_datetime(answer.headers["Date"])
        except (KeyError, ValueError):
            return None


async def _key(proxy: str | None) -> Finding:
    """Ask for one image of the history, as every other command asks: this is free."""
    name = "key"
    if not os.environ.get("PICTORY_API_KEY"):
        return Finding(name, "PICTORY_API_KEY is not set", ok=False)
    with capture_log(stderr(), verbose=False) as log:
        try:
            images = await _ask_history(proxy)
        except AuthenticationError as error:
            return Finding(name, f"refused: {explain(error)}", ok=False)
        except PictoryError as error:
            return Finding(name, explain(error), ok=False)
        except TimeoutError as error:  # it is throttled, which is waited for
            return Finding(name, log.recent_retry() or _why(error), ok=False)
    text = "accepted" if images else "accepted; the history is empty"
    return Finding(name, text, ok=True)


async def _ask_history(proxy: str | None) -> Sequence[HistoryImage]:
    once = RetryPolicy(attempts=1)
    async with (
        asyncio.timeout(2 * _PATIENCE),
        PictorySession(request_timeout=_PATIENCE, retries=once, proxy=proxy) as session,
    ):
        return [image async for image in session.history(limit=1)]


def _why(error: Exception) -> str:
    """Return why there is no connection.

    Texts of aiohttp are not used: some have the URL of a proxy, with its password.
    """
    if isinstance(error, TimeoutError):
        return f"nothing came for {_PATIENCE:.0f} s"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused to connect ({error.status})"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "the certificate is not trusted"
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return one_line(getattr(error, "strerror", None) or type(error).__name__)


# --- appearance -------------------------------------------------------------------

_MARKS: Final[Mapping[bool | None, Sequence[str]]] = {
    True: ("ok", "green"),
    False: ("problem", "red"),
    None: ("", ""),
}


def _show(finding: Finding, out: LineWriter) -> None:
    mark, style = _MARKS[finding.ok]
    if not can_redraw(sys.stdout):
        out.write(f"{finding.name}\t{mark}\t{finding.text}")
        return
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=8)
    row.add_column(width=7)
    row.add_column(overflow="fold")
    row.add_row(Text(finding.name, "dim"), Text(mark, style), Text(finding.text))
    make_console().print(row)


def _data(finding: Finding) -> dict[str, Any]:
    status = {True: "ok", False: "problem", None: "info"}[finding.ok]
    return {
        "check": finding.name,
        "status": status,
        "text": finding.text,
        **finding.facts,
    }
