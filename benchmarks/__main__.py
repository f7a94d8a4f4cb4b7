"""The command line; see `benchmarks`."""

from __future__ import annotations

import argparse
import pstats
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import pyperf  # type: ignore[import-untyped]

from benchmarks import __doc__ as usage
from benchmarks import plots
from benchmarks.clients import BASELINE, CLIENTS, OURS
from benchmarks.plan import PARTS, tasks
from benchmarks.processes import HERE, work
from benchmarks.report import report
from benchmarks.results import LOST, Results, what

# By the name of an option: what it is in full, quickly, and in words.
NUMBERS: Final = {
    "n": ([100, 1_000, 5_000, 10_000], [50], "jobs at once"),
    "items": ([10_000, 100_000], [1_000], "of the history"),
    "handles": (10_000, 500, "in progress without a waiter"),
    "flight": (100_000, 300, "jobs in flight at a bounded rate"),
    "rate": (1_000, 300, "of their submissions, a second"),
    "prompts": (10_000, 200, "of a batch"),
    "stream": (1_000_000, 1_000, "prompts of the very long batch"),
    "connections": (100, 100, "at most, of the clients written here"),
    "repeats": (7, 1, "imports of each kind a round"),
    "rounds": (3, 1, "how often all is run, but for the very long batch"),
    "patience": (120, 20, "seconds that a run may take beyond its polls"),
}
# Of which a duel shows those that there are; `value` is what pyperf keeps.
FIGURES: Final = (
    *("value", "cpu", "cpu_per_job", "requests_per_job", "memory_per_job_kib"),
    *("lag_longest", "gc_longest", "wall"),
)
# A module of ours, or a package of others.
MODULE: Final = re.compile(
    r"(pictory_async/[\w/]+)\.py$|.*(?:site-packages|python[\d.]+)/([^/.]+)"
)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line says."""
    options = parse(arguments)
    command = {"duel": _duel, "profile": _profile}.get(options.command, _run)
    command(options)
    return 0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line chooses, with the folder for the results.

    Only a run of everything replaces the results that are kept here.
    """
    parser = _parser(quick="--quick" in (arguments or sys.argv))
    options, default = parser.parse_args(arguments), parser.parse_args([])
    whole = vars(options) == {**vars(default), "rounds": options.rounds}
    if not options.output:
        kept = options.append or options.command == "report" or whole
        options.output = HERE if kept else Path(tempfile.mkdtemp(prefix="benchmarks-"))
    return options


def _parser(*, quick: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("benchmarks", description=usage)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    commands = ["run", "report", "duel", "profile"]
    add("command", nargs="?", default="run", choices=commands)
    add("--parts", nargs="+", default=PARTS, choices=PARTS, help="default: all")
    clients = list(CLIENTS)
    add("--clients", nargs="+", default=clients, choices=clients, help="default: all")
    late = "seconds until each answer"
    add("--latency", nargs="+", type=float, default=[0.0, 0.1], metavar="S", help=late)
    for name, (full, small, words) in NUMBERS.items():
        default, many = small if quick else full, "+" if type(full) is list else None
        add(f"--{name}", type=int, nargs=many, default=default, metavar="N", help=words)
    add("--quick", action="store_true", help="all in small")
    add("--append", action="store_true", help="keep the runs that are there")
    where = "folder; default: benchmarks for a whole run, else a temporary one"
    add("--output", type=Path, help=where)
    return parser


def _run(options: argparse.Namespace) -> None:
    """Run all that is chosen, and write the page and the pictures."""
    path = options.output / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if options.command == "run":
        if not options.append:
            path.unlink(missing_ok=True)
        run_rounds(options, path)
    results = Results.load(path)
    drawn = plots.draw(results, options.output / "plots")
    paths = {title: f"plots/{picture.name}" for title, picture in drawn.items()}
    page = options.output / "results.md"
    page.write_text(report(results, paths), encoding="utf-8")
    print(page)  # noqa: T201


def run_rounds(options: argparse.Namespace, path: Path) -> None:
    """Run all rounds, behind those in *path*, and add each run to that file.

    A client that failed is not run again, nor with more jobs; one that lost jobs is not
    run with more of them. pyperf raises a ValueError if the runs in the file are of
    another machine or Python.
    """
    limits: dict[tuple[str, str, float], int] = {}  # the size that is not run any more
    first = 1 + max((run["round"] for run in Results.load(path).runs), default=-1)
    for number in range(first, first + options.rounds):
        for task in tasks(options, first=number == first):
            key = task.part, task.client, task.latency
            if task.n >= limits.get(key, task.n + 1):
                continue
            bench = work(task, patience=options.patience, number=number)
            pyperf.add_runs(str(path), bench)
            (run,) = Results([bench]).runs
            if run["failed"] or run.get("lost", 0) > LOST * task.n:
                limits.setdefault(key, task.n + (run["failed"] is None))
            said = run["failed"] or bench.format_value(bench.median())
            print(f"round {number + 1}  {what(run):<64} {said}", flush=True)  # noqa: T201


def _duel(options: argparse.Namespace) -> None:
    """Measure two clients in turn, A, B, B, A, to see what a change is worth."""
    pair = [OURS, BASELINE] if options.clients == list(CLIENTS) else options.clients
    if len(pair) != 2:
        sys.exit(f"--clients: a duel is between two, not {len(pair)}")
    benches: list[Any] = []
    for number in range(options.rounds):
        for client in pair[:: -1 if number % 2 else 1]:
            benches += [_measure(client, options, number=number)]
        print(_versus(Results(benches), pair, "value"), flush=True)  # noqa: T201
    lines = [_versus(Results(benches), pair, name) for name in FIGURES]
    print("", *filter(None, lines), sep="\n")  # noqa: T201


def _versus(results: Results, pair: list[str], name: str) -> str:
    """Return the median of the ratios, their middle half, and both medians."""
    part = results.runs[0]["part"]
    ratios = results.ratios(name, part, client=pair[0], to=pair[1:])
    medians = [results.values(name, part, client=client).values() for client in pair]
    both = " : ".join(f"{median(each):,.6g}" for each in medians if each)
    if not ratios:
        return ""
    low, middle, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return f"{name:>18}  {middle:.3f}  [{low:.3f}, {high:.3f}]  {both}"


def _profile(options: argparse.Namespace) -> None:
    """Print where the time of one client goes: by package, then by function."""
    client = OURS if options.clients == list(CLIENTS) else options.clients[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "profile")
        _measure(client, options, profile=path)
        stats = pstats.Stats(str(path))
    for part, share in shares(stats):
        print(f"{share:6.1%}  {part}")  # noqa: T201
    stats.strip_dirs().sort_stats("tottime").print_stats(30)


def shares(stats: pstats.Stats) -> list[tuple[str, float]]:
    """Return the parts that took over half a per cent of the time not spent waiting."""
    rows: dict[tuple[str, int, str], Any] = stats.stats  # type: ignore[attr-defined]
    spent = Counter[str]()
    for (file, _, name), (_, _, own, *_) in rows.items():
        if not re.search("'(poll|select)'", name):
            found = MODULE.search(file)
            spent[found[1] or found[2] if found else "built in"] += own
    total = spent.total() or 1
    return [
        (part, own / total) for part, own in spent.most_common() if own > total / 200
    ]


def _measure(client: str, options: argparse.Namespace, **more: Any) -> Any:
    """Measure the first task of that client; of many jobs, the one of 1,000."""
    found = [task for task in tasks(options) if task.client == client]
    task = next((task for task in found if task.n == 1_000), found[0])
    bench = work(task, patience=600, **more)
    if why := bench.get_metadata().get("failed"):
        sys.exit(f"{task.name}: {why}")
    return bench


if __name__ == "__main__":
    sys.exit(main())
