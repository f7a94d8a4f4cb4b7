"""What the figures were made on, in words that name no host and no path."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

PACKAGES: Final = (
    "pictory-async",
    "aiohttp",
    "attrs",
    "cattrs",
    "anyio",
    "yarl",
    "multidict",
    "orjson",
    "uvloop",
    "httpx",
    "httpx2",
    "httpx-aiohttp",
    "pydantic",
    "replicate",
    "fal-client",
    "runwayml",
    "openai",
)


def describe() -> dict[str, str]:
    """Return the machine and the versions."""
    cores = os.cpu_count() or 1
    return {
        "machine": f"{cores} cores, {platform.machine()}, {_system()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(filter(None, map(_with_version, PACKAGES))),
    }


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
