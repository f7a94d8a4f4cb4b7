"""The command line; see `benchmarks`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs

from benchmarks import __doc__ as usage
from benchmarks import plots
from benchmarks.clients import BASELINE, CLIENTS, OURS
from benchmarks.duel import fight
from benchmarks.plan import PARTS, QUICK, Plan
from benchmarks.processes import HERE, server, work
from benchmarks.records import Results
from benchmarks.report import report
from benchmarks.runner import Runner
from benchmarks.task import Task


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says."""
    options = _parser().parse_args(arguments)
    commands = {
        "run": _run,
        "report": _report,
        "duel": _duel,
        "profile": _profile,
    }
    commands[options.command](options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("benchmarks", description=usage)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    commands = ["run", "report", "duel", "profile"]
    add("command", nargs="?", default="run", choices=commands)
    add("--clients", nargs="+", choices=CLIENTS, help="default: all installed")
    add("--n", dest="sizes", metavar="N", nargs="+", type=int, help="jobs at once")
    seconds = "seconds until each answer"
    add("--latency", dest="latencies", metavar="S", nargs="+", type=float, help=seconds)
    add("--items", metavar="N", nargs="+", type=int, help="of the history")
    add("--flight", metavar="N", type=int, help="jobs in flight at a bounded rate")
    add("--parts", nargs="+", choices=PARTS, help="default: all")
    add("--rounds", metavar="N", type=int, help="default: 3, or 1 if quick")
    add("--connections", metavar="N", type=int, help="of the clients written here")
    add(
        "--patience",
        metavar="S",
        type=float,
        help="seconds a run may take beyond its polls",
    )
    add("--quick", action="store_true", help="all in small, in under a minute")
    add("--append", action="store_true", help="keep the records that are there")
    where = "folder; default: benchmarks for a whole run, else a temporary one"
    add("--output", type=Path, help=where)
    return parser


# --- run and report -------------------------------------------------------------------


def _run(options: argparse.Namespace) -> None:
    output = _output(options)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "results.json"
    results = Results.load(path) if options.append else Results()
    _write(Runner(_plan(options), results, path).run(), output)


def _report(options: argparse.Namespace) -> None:
    output = _output(options)
    _write(Results.load(output / "results.json"), output)


def _plan(options: argparse.Namespace) -> Plan:
    """Return what the options choose, of all there is or of the quick one."""
    given = {name: getattr(options, name, None) for name in attrs.fields_dict(Plan)}
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    return attrs.evolve(QUICK if options.quick else Plan(), **chosen)


def _output(options: argparse.Namespace) -> Path:
    """Return the folder for the results: only a whole run replaces those kept here."""
    if options.output:
        return Path(options.output)
    parts = (options.parts, options.clients, options.sizes, options.latencies)
    if options.command == "report" or options.append:
        return HERE
    if options.quick or any(parts) or options.items or options.flight:
        return Path(tempfile.mkdtemp(prefix="benchmarks-"))
    return HERE


def _write(results: Results, output: Path) -> None:
    """Write the pictures, if they can be drawn, and the page."""
    pictures = plots.draw(results, output / "plots") if plots.available() else {}
    paths = {
        title: path.relative_to(output).as_posix() for title, path in pictures.items()
    }
    page = output / "results.md"
    batches = output / "batch.md"  # by `benchmarks.batch`
    rest = batches.read_text(encoding="utf-8") if batches.exists() else ""
    page.write_text(report(results, paths) + rest, encoding="utf-8")
    print(page)  # noqa: T201


# --- duel and profile -----------------------------------------------------------------


def _duel(options: argparse.Namespace) -> None:
    one, other = options.clients or (OURS, BASELINE)
    task = _task(one, options)
    tasks = (task, attrs.evolve(task, client=other))
    last = None
    for duel in fight(tasks, rounds=options.rounds or 5, patience=600):
        last = duel
        figure = "cpu_per_request" if task.part == "jobs" else "cpu"
        print(duel.say(figure), flush=True)  # noqa: T201
    print(last.table() if last else "")  # noqa: T201


def _profile(options: argparse.Namespace) -> None:
    task = attrs.evolve(_task((options.clients or [OURS])[0], options), profile=True)
    with server() as host:
        work(attrs.asdict(task) | {"host": host}, patience=600)


def _task(client: str, options: argparse.Namespace) -> Task:
    """Return the first task of that client that the options lead to."""
    plan = _plan(options)
    if not options.sizes:
        plan = attrs.evolve(plan, sizes=(1_000,))
    return next(task for task in plan.tasks() if task.client == client)


if __name__ == "__main__":
    sys.exit(main())
