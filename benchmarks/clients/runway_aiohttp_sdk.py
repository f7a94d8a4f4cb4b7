"""Runway's SDK on its optional aiohttp transport."""

from __future__ import annotations

import importlib
from contextlib import AbstractAsyncContextManager

from benchmarks.clients import RunJob, Setup, runway_sdk


def connect(setup: Setup) -> AbstractAsyncContextManager[RunJob]:
    """Yield what runs one job."""
    runwayml = importlib.import_module("runwayml")
    return runway_sdk.connect(setup, runwayml.DefaultAioHttpClient())
