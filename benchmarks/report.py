"""The results as a page of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.clients import BASELINE, CLIENTS, OURS
from benchmarks.goals import goals
from benchmarks.imports import PARTS
from benchmarks.records import Results

MICRO = "\N{MICRO SIGN}"

INTRODUCTION = """\
Written by `python -m benchmarks`. Every figure is the median over the rounds, and every
ratio the median of those to the aiohttp loop of the same round, with the least and the
most in brackets. The clients took turns in each round. A mock server in a process of
its own, on a core of its own where there are two, answers all of them over loopback
HTTP without TLS, which would add the same to each. CPU is the time of the client's
process, user and system, all threads, after a warm-up."""

JOBS = """\
Each of N tasks submits a prompt and waits for its image, all at once. This library, the
aiohttp loop and the httpx loop have up to 100 connections, an SDK what it comes with.
A client that is too slow for the polls that fall due makes fewer of them. Memory is the
growth of the resident set, at its peak, over N. The longest stall is the largest delay
of a timer of 10 ms in the client's event loop."""


def report(results: Results, plots: Mapping[str, str] | None = None) -> str:
    """Return the page; *plots* are titles and paths of pictures from where it is."""
    return "\n".join([
        "# Results",
        "",
        INTRODUCTION,
        "",
        *_about(results),
        *_goals(results),
        *(f"![{title}]({path})\n" for title, path in (plots or {}).items()),
        *_jobs(results),
        *_history(results),
        *_handles(results),
        *_flight(results),
        *_imports(results),
        *_left_out(results),
    ])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, and an empty one; none without rows."""
    body = [_row(cells) for cells in rows]
    rule = _row(["---"] + ["---:"] * (len(head) - 1))
    return [_row(head), rule, *body, ""] if body else []


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _about(results: Results) -> Iterator[str]:
    yield f"- runs of each: {_runs(results)}"
    yield from (f"- {name}: {text}" for name, text in results.about.items())
    yield _server(results)
    yield ""


def _runs(results: Results) -> str:
    """Return how often the least and the most often run was made."""
    counts = Counter(
        (run.part, run.client, run.n, run.latency)
        for run in results.records
        if not run.failed
    ).values()
    least, most = min(counts, default=0), max(counts, default=0)
    return f"{least}" if least == most else f"{least} to {most}"


def _server(results: Results) -> str:
    """Say whether the server was in the way."""
    stats = [
        record.figures["server"]
        for record in results.records
        if record.part in {"jobs", "flight"} and "server" in record.figures
    ]
    requests = sum(one["requests"] for one in stats)
    if not requests:
        return "- server: not used"
    each = sum(one["cpu"] for one in stats) / requests * 1e6
    busiest = max(one["cpu"] / one["wall"] for one in stats)
    return (
        f"- server: {each:.0f} {MICRO}s of CPU a request; in no run was it busy for "
        f"more than {busiest:.0%} of the time"
    )


def _goals(results: Results) -> list[str]:
    head = ("figure", "goal", "measured", "met")
    return ["## Goals", "", *table(head, (goal.row(results) for goal in goals()))]


# --- jobs -----------------------------------------------------------------------------

JOB_HEAD = (
    "client",
    "CPU a job, ms",
    "ratio",
    "CPU a request, ms",
    "ratio",
    "requests a job",
    "memory a job, KiB",
    "ratio",
    "longest stall, ms",
    "end seen after, s",
    "jobs lost",
    "paid twice",
)


def _jobs(results: Results) -> Iterator[str]:
    runs = results.of("jobs")
    if not runs:
        return
    yield from ("## Jobs", "", JOBS, "")
    for latency, n in sorted({(run.latency, run.n) for run in runs}):
        setting = results.of("jobs", n=n, latency=latency)[0].setting
        each = f", each answer {latency:g} s later" if latency else ""
        yield f"### N = {n:,}{each}"
        yield ""
        yield _pace(setting)
        yield ""
        rows = (_job_row(results, name, n, latency) for name in CLIENTS)
        yield from table(JOB_HEAD, filter(None, rows))


def _pace(setting: Mapping[str, float]) -> str:
    poll, duration = setting["poll"], setting["duration"]
    return f"A job takes {duration:g} s, and is asked for every {poll:g} s."


def _job_row(results: Results, client: str, n: int, latency: float) -> list[str]:
    wanted: dict[str, Any] = {"client": client, "n": n, "latency": latency}
    if results.median("cpu", "jobs", **wanted) is None:
        return []

    def of(name: str, *, times: float = 1, digits: int = 2) -> str:
        return number(results.median(name, "jobs", **wanted), times, digits)

    def to_loop(name: str) -> str:
        return span(results.ratios(name, "jobs", **wanted))

    return [
        _title(client),
        of("cpu_per_job", times=1e3),
        to_loop("cpu_per_job"),
        of("cpu_per_request", times=1e3, digits=3),
        to_loop("cpu_per_request"),
        of("requests_per_job"),
        of("memory_per_job_kib", digits=1),
        to_loop("memory_per_job_kib"),
        of("lag_longest", times=1e3, digits=0),
        of("server.delay_mean"),
        of("lost", digits=0),
        of("paid_twice", digits=0),
    ]


# --- the others -----------------------------------------------------------------------


def _history(results: Results) -> Iterator[str]:
    head = (
        "client",
        "items",
        f"CPU an item, {MICRO}s",
        "ratio",
        "items a second of CPU",
    )
    if results.of("history"):
        yield from ("## Walking the history", "")
        yield "Item by item, in pages of 100, one page after the other."
        yield ""
        rows = (
            _history_row(results, client, n)
            for n in results.sizes("history")
            for client in CLIENTS
        )
        yield from table(head, filter(None, rows))


def _history_row(results: Results, client: str, n: int) -> list[str]:
    each = results.median("cpu_per_item", "history", client=client, n=n)
    if each is None:
        return []
    ratios = results.ratios("cpu_per_item", "history", client=client, n=n)
    cost, speed = number(each, 1e6), number(1 / each, digits=0)
    return [_title(client), f"{n:,}", cost, span(ratios), speed]


def _handles(results: Results) -> Iterator[str]:
    sizes = results.sizes("heap", client=OURS)
    if sizes:
        yield from ("## Handles that nobody waits for", "")
        rows = (
            (f"{n:,}", number(results.median("heap_per_handle", "heap", n=n), digits=0))
            for n in sizes
        )
        yield from table(("in progress", "heap a handle beside its prompt, B"), rows)


def _flight(results: Results) -> Iterator[str]:
    head = (
        "in flight",
        "submitted a second",
        "longest stall, ms",
        "stalls, 99 %, ms",
        "longest collection of garbage, ms",
        "CPU a request, ms",
        "memory a job, KiB",
        "jobs lost",
    )
    if runs := [run for run in results.of("flight") if not run.failed]:
        yield from ("## Many jobs in flight", "")
        yield "This library alone. All jobs are in flight at the same time, each is"
        yield "asked for twice, and the polls fall due as evenly as the submissions."
        yield "The stalls are the longest of all rounds."
        yield ""
        sizes = sorted({(run.n, run.setting["rate"]) for run in runs})
        yield from table(head, (_flight_row(results, *size) for size in sizes))


def _flight_row(results: Results, n: int, rate: float) -> list[str]:
    def of(name: str, *, times: float = 1, digits: int = 1) -> str:
        return number(results.median(name, "flight", n=n), times, digits)

    longest = results.most("lag_longest", "flight", n=n)
    return [
        f"{results.median('in_flight', 'flight', n=n) or 0:,.0f}",
        f"{rate:,.0f}",
        number(longest, 1e3, 1),
        of("lag_p99", times=1e3),
        of("gc_longest", times=1e3),
        of("cpu_per_request", times=1e3, digits=3),
        of("memory_per_job_kib"),
        of("lost", digits=0),
    ]


def _imports(results: Results) -> Iterator[str]:
    runs = results.of("imports")
    if runs:
        yield from ("## Imports", "", "Above an interpreter that imports nothing.", "")
        names = dict.fromkeys(run.client for run in runs)
        yield from table(
            ("import", "CPU, ms", f"ratio to {PARTS}", "wall, ms"),
            (_import_row(results, name) for name in names),
        )


def _import_row(results: Results, name: str) -> list[str]:
    cpu, wall = (
        results.median(figure, "imports", client=name) for figure in ("cpu", "wall")
    )
    ratios = results.ratios("cpu", "imports", client=name, to=(PARTS,))
    return [name, number(cpu, 1e3, 1), span(ratios), number(wall, 1e3, 1)]


def _left_out(results: Results) -> Iterator[str]:
    if results.left_out:
        yield from ("## Left out", "")
        yield from (f"- {sentence}" for sentence in results.left_out)
        yield ""


def _title(client: str) -> str:
    title = CLIENTS[client].title
    return f"**{title}**" if client in {OURS, BASELINE} else title


def number(value: float | None, times: float = 1, digits: int = 2) -> str:
    """Return *value* as a table shows it."""
    return "" if value is None else f"{value * times:,.{digits}f}"


def span(ratios: Sequence[float]) -> str:
    """Return the median with the least and the most; nothing without ratios."""
    if not ratios:
        return ""
    ordered = sorted(ratios)
    middle = len(ordered) // 2
    median = (ordered[middle] + ordered[~middle]) / 2
    if len(ordered) == 1:
        return f"{median:.2f}"
    return f"{median:.2f} [{ordered[0]:.2f} to {ordered[-1]:.2f}]"
