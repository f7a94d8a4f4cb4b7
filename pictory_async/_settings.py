"""The settings of a session: arguments, environment variables and their checks."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
import attrs
from yarl import URL

from pictory_async._core.arguments import checked_timeout
from pictory_async._core.errors import ConfigurationError, InvalidRequestError
from pictory_async._policy.adaptive import Adaptive
from pictory_async._policy.pace import Limits
from pictory_async._policy.polling import PollPolicy
from pictory_async._policy.retry import RetryPolicy

# [D] https://docs.pictory.ai/api-reference
DEFAULT_BASE_URL: Final = "https://api.pictory.ai/pictoryapis"


class ApiKey(str):
    """An API key that can be used as a header and that its representation hides."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Hide the key: somebody may log a dict that contains it."""
        return "<API key>"


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of a session, checked; see `PictorySession`."""

    api_key: ApiKey
    base_url: URL
    polling: PollPolicy
    retries: RetryPolicy
    limits: Limits
    request_timeout: float
    job_timeout: float | None
    proxies: Proxies
    http: aiohttp.ClientSession | None = attrs.field(repr=False)


def settings_for(
    *,
    api_key: str | None,
    base_url: str | URL | None,
    polling: PollPolicy | None,
    retries: RetryPolicy | None,
    limits: Limits | None,
    request_timeout: float,
    job_timeout: float | None,
    proxy: str | URL | None,
    http: aiohttp.ClientSession | None,
) -> Settings:
    """Return the settings of a session; see `PictorySession`.

    Raises:
        ConfigurationError: There is no usable key, base URL or proxy.
        InvalidRequestError: A time is not allowed.
    """
    if not checked_timeout(request_timeout, field="request_timeout"):
        reason = "must be seconds above 0"
        raise InvalidRequestError(field="request_timeout", reason=reason)
    url = find_base_url(base_url, os.environ)
    given = None if proxy is None else readable_proxy(proxy, "proxy")
    proxies = Proxies(given, environment=http is None)
    proxies.check(url)
    return Settings(
        api_key=find_api_key(api_key, os.environ),
        base_url=url,
        polling=polling or Adaptive(),
        retries=retries or RetryPolicy(),
        limits=limits or Limits(),
        request_timeout=request_timeout,
        job_timeout=checked_timeout(job_timeout, field="job_timeout"),
        proxies=proxies,
        http=http,
    )


@attrs.frozen
class Proxies:
    """Which requests go through which proxy.

    Attributes:
        given: The proxy for all requests; None for those of the environment.
        environment: Whether to look there. Not for an HTTP session that is given: that
            has its own way to do so (``trust_env``).
    """

    given: URL | None = attrs.field(default=None, repr=False)  # may have a password
    environment: bool = True

    def for_url(self, url: URL) -> URL | None:
        """Return the proxy for *url*; None to connect directly.

        Raises:
            ConfigurationError: The one that the environment names cannot be used.
        """
        if self.given is not None:
            return self.given
        # Not for this machine: plain http, and the key with it, would leave it.
        if not self.environment or not url.host or is_loopback(url.host):
            return None
        named = getproxies()
        found = named.get(url.scheme) or named.get("all")
        if not found or proxy_bypass(f"{url.host}:{url.port}"):
            return None
        return readable_proxy(found, f"${url.scheme.upper()}_PROXY")

    def check(self, base_url: URL) -> None:
        """Check that the key is safe on its way.

        Raises:
            ConfigurationError: The key would be sent to a proxy unencrypted.
        """
        proxy = self.for_url(base_url)
        if proxy and base_url.scheme == "http" and not is_loopback(proxy.host or ""):
            raise ConfigurationError(
                "an http base_url is for this machine only; through a proxy elsewhere "
                "the API key could be read"
            )


def readable_proxy(given: str | URL, name: str) -> URL:
    """Return the URL of a proxy.

    Raises:
        ConfigurationError: It cannot be used; *name* says where it comes from.
    """
    try:
        url = URL(str(given) if "://" in str(given) else f"http://{given}")
    except ValueError:  # its text would contain the password
        url = URL()
    if url.scheme in {"http", "https"} and url.host:
        return url
    reason = "must be an http:// or https:// URL"
    if url.scheme.startswith("socks"):
        reason = (
            "is a SOCKS proxy, which needs another connector: pass http= with a "
            "ClientSession of the package aiohttp-socks"
        )
    raise ConfigurationError(f"{name} {reason}")


def find_api_key(given: object, environment: Mapping[str, str]) -> ApiKey:
    """Return the key to use: *given*, else ``$PICTORY_API_KEY``.

    Raises:
        ConfigurationError: There is no key, or it cannot be the value of a header.
    """
    source = "api_key" if given is not None else "$PICTORY_API_KEY"
    key = environment.get("PICTORY_API_KEY", "") if given is None else given
    if not isinstance(key, str) or not key:
        raise ConfigurationError(
            "no API key: pass api_key= or set $PICTORY_API_KEY; "
            "https://app.pictory.ai/api-access shows yours"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        # The usual causes are a line break from a file, and a "Bearer " in front, which
        # the service refuses [D] ("raw, do NOT use a Bearer prefix").
        raise ConfigurationError(
            f"{source} must be visible ASCII characters only: no spaces, no line "
            "break, no 'Bearer' in front"
        )
    return ApiKey(key)


def find_base_url(given: str | URL | None, environment: Mapping[str, str]) -> URL:
    """Return the API's base URL, without a slash at its end.

    Raises:
        ConfigurationError: It is not https (http is allowed for loopback only), is not
            absolute, or contains a user, query or fragment.
    """
    text = given or environment.get("PICTORY_API_BASE_URL") or DEFAULT_BASE_URL
    try:
        url = URL(str(text))
    except ValueError:  # its text could contain a password
        raise ConfigurationError("base_url is not a readable URL") from None
    if url.scheme not in {"https", "http"} or not url.host:
        raise ConfigurationError("base_url must be an absolute https:// URL")
    if url.user or url.password or url.query_string or url.fragment:
        raise ConfigurationError("base_url must have no user, query or fragment")
    if url.scheme == "http" and not is_loopback(url.host):
        raise ConfigurationError(
            "base_url must be https: over plain http the API key could be read on "
            "the way (http is accepted for this machine only)"
        )
    return url.with_path(url.path.rstrip("/"))


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
