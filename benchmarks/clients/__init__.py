"""The clients that are compared; one that is not installed fails, and is left out.

A client's function takes the URL of the mock server, the seconds between two polls, and
the most connections, which an SDK leaves at its own default. It yields the coroutine
function that submits a prompt, waits, and returns the image's URL.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs

# As long as a real key: what a client does with it must not cost more or less.
KEY: Final = "fake-key-for-benchmarks-00000001"

RunJob = Callable[[str], Awaitable[str]]


@attrs.frozen
class Client:
    """One client; a place is ``module:name``, in this package."""

    title: str  # as the tables name it
    place: str  # of its function
    walk: str | None = None  # of the one that reads a history and returns its length
    uses: tuple[str, ...] = ()  # packages that it must have loaded in the end
    hides: tuple[str, ...] = ()  # packages it must do without, even if installed
    options: dict[str, Any] = attrs.field(factory=dict)  # of both functions

    def load(self, place: str) -> Any:
        """Import what is at *place*, in a process that needs no other client."""
        return pkgutil.resolve_name(f"{__name__}.{place}")


OURS: Final = "pictory"
BASELINE: Final = "aiohttp"

_HTTP: Final = {"on_aiohttp": True}

CLIENTS: Final = {
    BASELINE: Client("aiohttp, written by hand", "loops:on_aiohttp", "loops:walk"),
    OURS: Client("pictory_async", "pictory:connect", "pictory:walk", hides=("orjson",)),
    "pictory+orjson": Client(
        "pictory_async with orjson", "pictory:connect", "pictory:walk", ("orjson",)
    ),
    "httpx": Client("httpx, written by hand", "loops:on_httpx"),
    "replicate": Client("replicate", "sdks:replicate"),
    "fal": Client("fal", "sdks:fal"),
    "runway": Client("runway", "sdks:runway"),
    "runway+aiohttp": Client("runway with aiohttp", "sdks:runway", options=_HTTP),
    "openai": Client("openai", "sdks:openai", "sdks:walk_openai"),
    "openai+aiohttp": Client(
        "openai with aiohttp", "sdks:openai", "sdks:walk_openai", options=_HTTP
    ),
}

SDKS: Final = [name for name in CLIENTS if CLIENTS[name].place.startswith("sdks:")]
