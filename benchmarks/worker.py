"""The process in which one task is measured: a worker of pyperf.

`benchmarks.processes.work` starts it. pyperf pins it to its core, calls the measurement
as often as it is told, and collects what the machine was like. A measurement returns
its figures by name; ``value`` is the one that pyperf keeps as the value of the run.
Here are those of all clients: many jobs at once, a history, and imports.
"""

from __future__ import annotations

import asyncio
import json
import pkgutil
import sys
from statistics import median
from typing import Any

import pyperf  # type: ignore[import-untyped]

from benchmarks.clients import CLIENTS, OURS
from benchmarks.meter import Figures, measured, per_job
from benchmarks.plan import DEPENDENCIES, IMPORTS, Task
from benchmarks.processes import control


async def jobs(task: Task, url: str) -> Figures:
    """Run *n* jobs at once, each awaited by a task; the value is CPU a request."""
    client = CLIENTS[task.client]
    connect, options = client.load(client.place), dict(client.options)
    options |= {"connections": task.connections}
    control(url, "reset")
    # What is loaded and built on first use belongs to no job.
    async with connect(url, poll=0.01, **options) as run:
        await run("A prompt to warm up with")
    async with connect(url, poll=task.poll, **options) as run:
        prompts = [f"A fox in the snow, number {number}" for number in range(task.n)]
        control(url, "reset", duration=task.job_duration, latency=task.latency)
        async with measured() as figures:
            ended = [asyncio.ensure_future(run(prompt)) for prompt in prompts]
            await asyncio.wait(ended)
        stats = control(url, "stats")
    errors = [type(error).__name__ for job in ended if (error := job.exception())]
    lost = len(errors)
    return per_job(task.n, figures, stats) | {
        "lost": lost,
        "errors": ", ".join(sorted({*errors})) or None,
        "paid_twice": max(0, stats["jobs"] - task.n),
        "cpu_per_job": figures["cpu"] / (task.n - lost) if lost < task.n else None,
    }


async def history(task: Task, url: str) -> Figures:
    """Walk over *n* items, page after page; the value is CPU an item."""
    client = CLIENTS[task.client]
    walk = client.load(client.walk or "")
    control(url, "reset", items=task.n)
    await walk(url, **client.options)  # now the server has each page at hand
    async with measured() as figures:
        count = await walk(url, **client.options)
    if count != task.n:
        raise ValueError(f"{count} items instead of {task.n}")
    return figures | {"value": figures["cpu"] / task.n}


async def imports(task: Task, _: str) -> Figures:
    """Import in a fresh interpreter, as others in one before; the value is its CPU."""
    cpu = [await _import(what) for what in (DEPENDENCIES, IMPORTS[task.client])]
    return {"value": cpu[1], "beside": cpu[0], "ratio": cpu[1] / cpu[0]}


async def _import(what: str) -> float:
    code = f"from time import process_time as now; a = now(); {what}; print(now() - a)"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    return float((await child.communicate())[0])


def main() -> None:
    """Measure one task and print it as a benchmark of pyperf."""
    runner = pyperf.Runner()
    runner.argparser.add_argument("--task")
    runner.argparser.add_argument("--url")
    options = runner.parse_args()
    task = Task(**json.loads(options.task))
    client = CLIENTS.get(task.client, CLIENTS[OURS])
    for name in client.hides:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it fails
    shared: dict[str, Any] = {"jobs": jobs, "history": history, "imports": imports}
    measure = shared.get(task.part)
    measure = measure or pkgutil.resolve_name(f"benchmarks.ours:{task.part}")
    client.load(client.place)  # now importing is no part of a profile
    found: list[Figures] = []

    def once(_: int) -> float:
        found.append(asyncio.run(measure(task, options.url)))
        return float(found[-1].pop("value"))

    unit = {"unit": "byte" if task.part == "heap" else "second"}
    bench = runner.bench_time_func(task.name, once, metadata=unit)
    for name in client.uses:
        if name not in sys.modules:
            sys.exit(f"it does not use {name}")
    figures = {name: value for name, value in found[-1].items() if value is not None}
    for name in figures if task.values > 1 else ():
        figures[name] = median(each[name] for each in found[-task.values :])
    bench.update_metadata({"figures": json.dumps(figures)})
    bench.dump(sys.stdout)


if __name__ == "__main__":
    main()
