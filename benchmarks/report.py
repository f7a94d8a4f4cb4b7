"""The results as a page of Markdown: its tables and goals are in page.json.

A goal is a figure that must not be larger than its limit: the median of its ratios to
the best of some clients in the same round, or its largest value. A column is a figure,
its factor and its digits, or the client to which its ratio is taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.clients import BASELINE, CLIENTS, OURS
from benchmarks.plan import JOURNAL
from benchmarks.results import Results

PAGE: Final = json.loads(Path(__file__).with_name("page.json").read_bytes())
TIMES: Final = "\N{MULTIPLICATION SIGN}"
TITLES: Final = {name: client.title for name, client in CLIENTS.items()} | {
    OURS: "**pictory_async**",
    BASELINE: f"**{CLIENTS[BASELINE].title}**",
    JOURNAL: "pictory_async with a journal",
}
INTRODUCTION: Final = """\
Written by `python -m benchmarks`; [README.md](README.md) says how it was measured and
what each table means. Every figure is the median over the rounds, and every ratio the
median of those of the same round, with the least and the most in brackets."""


def report(results: Results, plots: Mapping[str, str] | None = None) -> str:
    """Return the page; *plots* are titles and paths of pictures from where it is."""
    lines = ["# Results", "", INTRODUCTION, "", *_about(results), "", "## Goals", ""]
    head = ("figure", "goal", "measured", "met")
    lines += table(head, [goal_row(results, goal) for goal in PAGE["goals"]])
    lines += [f"![{title}]({path})\n" for title, path in (plots or {}).items()]
    for part, layout in PAGE["tables"].items():
        for wanted, words in _settings(results, part):
            lines += [f"## {layout['heading']}{words}", ""]
            lines += _rows(results, part, layout["columns"], wanted)
    if left_out := results.left_out():
        lines += ["## Left out", "", *(f"- {sentence}" for sentence in left_out), ""]
    return "\n".join(lines)


def _about(results: Results) -> Iterator[str]:
    """Say what the figures were made on, and whether the server was in the way."""
    runs = [run for run in results.runs if not run["failed"]]
    counts = Counter(run["name"] for run in runs).values()
    yield f"- runs of each: {min(counts, default=0)} to {max(counts, default=0)}"
    for name in ("cpu_model_name", "cpu_count", "python_version", "packages"):
        if values := dict.fromkeys(str(run[name]) for run in runs if name in run):
            yield f"- {name.replace('_', ' ')}: {'; '.join(values)}"
    used = [run for run in runs if run.get("server_requests")]
    if used:
        each = sum(run["server_cpu"] for run in used)
        each *= 1e6 / sum(run["server_requests"] for run in used)
        busiest = max(run["server_cpu"] / run["server_wall"] for run in used)
        yield f"- server: {each:.0f} us of CPU a request, at most {busiest:.0%} busy"


def goal_row(results: Results, goal: Mapping[str, Any]) -> Sequence[str]:
    """Return the cells of a goal: title, limit, figure and verdict."""
    figure, part, unit = goal["figure"], goal["part"], goal.get("unit", TIMES)
    keys = goal.keys() & {"n", "client", "latency"}
    wanted: dict[str, Any] = {"client": OURS, "latency": 0.0}
    wanted |= {key: goal[key] for key in keys}
    values = list(results.values(figure, part, **wanted).values())
    if to := goal.get("to"):
        values = results.ratios(figure, part, to=to, **wanted)
    limit, pick = f"≤ {goal['limit']:,g}{unit}", median if unit == TIMES else max
    if not values:
        return goal["title"], limit, "not measured", ""
    value = pick(values) * (1e3 if unit == " ms" else 1)
    shown = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    met = "yes" if value <= goal["limit"] else "**no**"
    return goal["title"], limit, f"{shown}{unit}", met


def _settings(results: Results, part: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield what the tables of a part are about: jobs of a number and a latency."""
    runs = results.of(part)
    if part != "jobs":
        yield from [({}, "")] if runs else []
        return
    paces = {
        (run["latency"], run["n"], run["poll"], run["job_duration"]) for run in runs
    }
    for latency, n, poll, duration in sorted(paces):
        late = f", each answer {latency:g} s later" if latency else ""
        pace = f"A job takes {duration:g} s, and is polled every {poll:g} s."
        yield {"n": n, "latency": latency}, f", N = {n:,}{late}\n\n{pace}"


def _rows(
    results: Results, part: str, columns: list[Any], wanted: Mapping[str, Any]
) -> list[str]:
    """Return the table of a part, with a row for each client and size."""
    found = {(run["n"], run["client"]) for run in results.of(part, **wanted)}
    order = [*TITLES, *sorted(client for _, client in found)]
    rows = []
    for n, client in sorted(found, key=lambda row: (row[0], order.index(row[1]))):
        of_row = {**wanted, "n": n, "client": client}
        cells = [_cell(results, part, column, of_row) for column in columns]
        rows.append([TITLES.get(client) or client, f"{n:,}", *cells])
    return table(("client", "N", *(head for head, *_ in columns)), rows)


def _cell(results: Results, part: str, column: Any, wanted: Mapping[str, Any]) -> str:
    _, figure, times, *digits = column
    if isinstance(times, str):
        return span(results.ratios(figure, part, to=(times,), **wanted))
    values = results.values(figure, part, **wanted).values()
    if not values:
        return ""
    value = max(values) if "most" in digits else median(values)
    return f"{value * times:,.{digits[0]}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, and an empty one."""
    rule = "| --- |" + " ---: |" * (len(head) - 1)
    first, *rest = (f"| {' | '.join(row)} |" for row in (head, *rows))
    return [first, rule, *rest, ""]


def span(ratios: Sequence[float]) -> str:
    """Return the median with the least and the most; nothing without ratios."""
    if len(ratios) < 2:
        return "".join(f"{ratio:.2f}" for ratio in ratios)
    return f"{median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"
