"""The clients that are compared, and what each of them needs.

Each module has ``connect(setup)``, an asynchronous context manager that yields the
coroutine function which submits one prompt, waits, and returns the image's URL.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import attrs


@attrs.frozen(kw_only=True)
class Setup:
    """What a client is told.

    Attributes:
        base_url: Of the mock server, without a path.
        poll: Seconds between two polls of a job.
        connections: The most connections, for those clients that are written here;
            the SDKs keep their own default.
    """

    base_url: str
    poll: float
    connections: int = 100


RunJob = Callable[[str], Coroutine[Any, Any, str]]
Connect = Callable[[Setup], AbstractAsyncContextManager[RunJob]]
Walk = Callable[[Setup], Coroutine[Any, Any, int]]


@attrs.frozen(kw_only=True)
class Client:
    """One client.

    Attributes:
        title: As the tables name it.
        module: Of `benchmarks.clients`, that has ``connect``, ``walk`` or both.
        needs: The packages it imports, beside our own dependencies.
        hides: Packages it must do without, even if they are installed.
        on_aiohttp: Whether its HTTP is aiohttp's.
        walks: Whether it can list what was made, item by item.
    """

    title: str
    module: str
    needs: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    on_aiohttp: bool = False
    walks: bool = False

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.needs if not importlib.util.find_spec(name)]

    def load(self) -> Any:
        """Return its module."""
        return importlib.import_module(f"benchmarks.clients.{self.module}")


OURS: Final = "pictory"
BASELINE: Final = "aiohttp"

CLIENTS: Final = {
    BASELINE: Client(
        title="aiohttp, written by hand",
        module="aiohttp_loop",
        on_aiohttp=True,
        walks=True,
    ),
    OURS: Client(
        title="pictory_async",
        module="pictory",
        hides=("orjson",),
        on_aiohttp=True,
        walks=True,
    ),
    "pictory+orjson": Client(
        title="pictory_async with orjson",
        module="pictory",
        needs=("orjson",),
        on_aiohttp=True,
        walks=True,
    ),
    "httpx": Client(
        title="httpx, written by hand", module="httpx_loop", needs=("httpx",)
    ),
    "replicate": Client(
        title="replicate", module="replicate_sdk", needs=("replicate", "httpx")
    ),
    "fal": Client(title="fal", module="fal_sdk", needs=("fal_client",)),
    "runway": Client(title="runway", module="runway_sdk", needs=("runwayml",)),
    "runway+aiohttp": Client(
        title="runway with aiohttp",
        module="runway_aiohttp_sdk",
        needs=("runwayml", "httpx_aiohttp"),
        on_aiohttp=True,
    ),
    "openai": Client(
        title="openai", module="openai_sdk", needs=("openai",), walks=True
    ),
    "openai+aiohttp": Client(
        title="openai with aiohttp",
        module="openai_aiohttp_sdk",
        needs=("openai",),
        on_aiohttp=True,
        walks=True,
    ),
}

SDKS: Final = tuple(
    name for name, client in CLIENTS.items() if client.module.endswith("_sdk")
)
