"""The process in which one client is measured: ``python -m benchmarks.worker TASK``.

*TASK* is a `benchmarks.task.Task` as JSON, with the server's *host*. The figures are
printed as one line of JSON.
"""

from __future__ import annotations

import asyncio
import cProfile
import importlib
import json
import sys

from benchmarks import profiles
from benchmarks.clients import CLIENTS
from benchmarks.measure import Meter
from benchmarks.processes import UNUSABLE, Control, pin
from benchmarks.task import Task


def main(argument: str) -> None:
    """Run one task and print its figures."""
    pin("client")
    given = json.loads(argument)
    control = Control(given.pop("host"))
    task = Task(**given)
    client = CLIENTS[task.client]
    for name in client.hides:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    part = importlib.import_module(f"benchmarks.parts.{task.part}")
    if task.profile:
        Meter.profile = cProfile.Profile()
    figures = asyncio.run(part.run(task, control))
    if Meter.profile:
        print(profiles.say(Meter.profile), file=sys.stderr)  # noqa: T201
    for name in client.needs:
        if name not in sys.modules:
            print(f"it does not use {name}", file=sys.stderr)  # noqa: T201
            sys.exit(UNUSABLE)
    print(json.dumps(figures))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
