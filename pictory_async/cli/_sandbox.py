"""``pictory sandbox``: a service of one's own."""

from __future__ import annotations

import asyncio

from pictory_async.cli._connect import start_sandbox
from pictory_async.cli._output import remarks, results
from pictory_async.cli._run import DONE


async def run_sandbox(port: int) -> int:
    """Run a sandbox until it is interrupted; return the exit code."""
    out, err = results(), remarks()
    async with start_sandbox(port=port) as sandbox:
        err.write(f"The sandbox listens on {sandbox.base_url}")
        err.write(f"and takes the key {sandbox.api_key}. In another terminal:\n")
        out.write(f"export PICTORY_API_BASE_URL={sandbox.base_url}")
        out.write(f"export PICTORY_API_KEY={sandbox.api_key}")
        err.write("\nCtrl-C ends it, and its jobs and pictures with it.")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            err.write("\nThe sandbox has ended.")
    return DONE
