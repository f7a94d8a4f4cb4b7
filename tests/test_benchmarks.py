"""The harness of the benchmarks: it runs, and measures the right thing; no timings."""

from __future__ import annotations

import asyncio
import cProfile
import json
import math
import pstats
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

pyperf = pytest.importorskip("pyperf")

from benchmarks import __main__ as command  # noqa: E402 - they need pyperf
from benchmarks import plots, processes, webhooks  # noqa: E402
from benchmarks.clients import BASELINE, CLIENTS, KEY, OURS  # noqa: E402
from benchmarks.meter import measured  # noqa: E402
from benchmarks.plan import JOURNAL, Task, tasks  # noqa: E402
from benchmarks.processes import cores, work  # noqa: E402
from benchmarks.report import TIMES, goal_row, report, span  # noqa: E402
from benchmarks.results import Results  # noqa: E402
from benchmarks.server import Service  # noqa: E402
from pictory_async import FixedInterval  # noqa: E402
from pictory_async.sandbox import Sandbox  # noqa: E402

PROMPT = {"prompt": "A fox in the snow", "style": "artistic"}


# --- the mock server ------------------------------------------------------------------


def shape(value: Any) -> Any:
    """Return *value* with the names of types in the place of values."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


class Caller:
    """Asks a service what the clients of the benchmarks ask it."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, key: str) -> None:
        self._http = http
        self._root = f"{base_url}/v1"
        self._headers = {"Authorization": key}

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the body of a good answer."""
        async with self._http.request(
            method, f"{self._root}{path}", headers=self._headers, **options
        ) as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            return await response.json()

    async def forms(self, finish: Callable[[str], None]) -> list[Any]:
        """Submit two jobs, poll before and after the end, and list them."""
        submitted = [
            await self.ask("POST", "/aistudio/images", json=PROMPT) for _ in range(2)
        ]
        ids = [answer["data"]["jobId"] for answer in submitted]
        running = await self.ask("GET", f"/jobs/{ids[0]}")
        for identifier in ids:
            finish(identifier)
        ended = await self.ask("GET", f"/jobs/{ids[0]}")
        page = await self.ask("GET", "/aistudio/images")
        query = {"nextPageKey": page["nextPageKey"]}
        last = await self.ask("GET", "/aistudio/images", params=query)
        return [shape(answer) for answer in (submitted[0], running, ended, page, last)]


@pytest.fixture
async def mock() -> AsyncIterator[tuple[Service, str]]:
    """A mock server in this process, and its URL."""
    service = Service()
    async with TestServer(service.app()) as running:
        yield service, str(running.make_url("")).rstrip("/")


async def test_server_answers_as_the_sandbox_does(mock: tuple[Service, str]) -> None:
    """A submission, a poll before and after the end, and pages have the same form."""
    service, url = mock
    service.reset(duration=3600, items=101)

    def finish(identifier: str) -> None:
        service.ends[int(identifier[:8], 16)] = 0

    async with (
        aiohttp.ClientSession() as http,
        Sandbox(duration=math.inf, page_size=1, pictures=False) as sandbox,
    ):
        theirs = Caller(http, sandbox.base_url, sandbox.api_key)
        ours = Caller(http, f"{url}/pictoryapis", KEY)

        assert await ours.forms(finish) == await theirs.forms(sandbox.finish)
    assert service.stats()["requests"] == 6
    assert service.stats()["jobs"] == 2


async def test_server_refuses_what_no_service_would_take(
    mock: tuple[Service, str],
) -> None:
    """A request without the whole key, or to nowhere, is refused and counted."""
    service, url = mock
    async with aiohttp.ClientSession() as http:
        for path, key in (("/v1/videos", "key"), ("/nowhere", KEY)):
            async with http.get(url + path, headers={"Authorization": key}) as answer:
                assert answer.status == 403
    assert service.stats()["refused"] == service.stats()["requests"] == 2


@pytest.mark.parametrize("items", [0, 1, 100, 101, 250])
async def test_pages_hold_each_item_once(mock: tuple[Service, str], items: int) -> None:
    """Whoever walks over the history meets as many items as there are."""
    service, url = mock
    service.reset(items=items)
    for name in (BASELINE, OURS):
        client = CLIENTS[name]
        assert await client.load(client.walk or "")(url) == items


def test_key_is_as_long_as_a_real_one() -> None:
    """The key is looked for in every answer, and a short one would cost more."""
    assert 20 <= len(KEY) <= 40
    assert "fake" in KEY


# --- whole runs -----------------------------------------------------------------------


def test_quick_run_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each part runs in its processes, and its figures are on the page."""
    sizes = ["--n", "5", "--latency", "0", "--items", "250", "--flight", "30"]
    sizes += ["--prompts", "40", "--stream", "100"]
    given = ["--quick", "--clients", BASELINE, OURS, *sizes]

    assert command.main([*given, "--output", str(tmp_path)]) == 0

    results = Results.load(tmp_path / "results.json")
    assert [run["failed"] for run in results.runs] == [None] * 11
    for run in results.of("jobs"):
        assert run["lost"] == run["paid_twice"] == run["server_refused"] == 0
        assert run["server_jobs"] == 5
    (flight,) = results.of("flight")
    assert 0 < flight["in_flight"] <= flight["server_seen"] == 30
    page = (tmp_path / "results.md").read_text()
    for heading in ("Goals", "Jobs", "Walking the history", "Handles", "Many jobs"):
        assert f"\n## {heading}" in page
    for heading in ("Batches", "A very long batch", "Imports"):
        assert f"\n## {heading}" in page
    assert str(tmp_path / "results.md") in capsys.readouterr().out
    assert_names_no_machine(tmp_path)


def assert_names_no_machine(folder: Path) -> None:
    """Neither a path nor the name of this machine is in what is kept."""
    for name in ("results.md", "results.json"):
        text = (folder / name).read_text()
        assert "hostname" not in text
        assert str(folder) not in text
        assert sys.prefix not in text


def test_only_a_whole_run_replaces_the_results() -> None:
    """What was chosen in part is written to a folder of its own."""
    for given in ([], ["--rounds", "5"], ["--append", "--parts", "heap"], ["report"]):
        assert command.parse(given).output == processes.HERE
    for given in (["--quick"], ["--n", "5"], ["--parts", "heap"], ["--stream", "9"]):
        output = command.parse(given).output
        assert not output.is_relative_to(processes.HERE.parent)
        output.rmdir()


def test_worker_says_why_it_failed() -> None:
    """What cannot be run gives a run beside its own, with the reason."""
    bench = work(Task(part="jobs", client="nobody", n=3), patience=30, number=2)

    assert bench.get_name() == "jobs nobody n=3 failed"
    (run,) = Results([bench]).runs
    assert run["failed"] == "KeyError: 'nobody'"
    assert (run["round"], run["n"]) == (2, 3)
    assert Results([bench]).of("jobs") == []
    sentence = "nobody, jobs with N = 3: KeyError: 'nobody'; not tried again"
    assert sentence in report(Results([bench]))


def test_worker_has_its_time_and_no_more() -> None:
    """A worker that is not done in time is ended."""
    task = Task(part="jobs", client=BASELINE, n=1, poll=0.1, job_duration=600)
    bench = work(task, patience=1 - task.expected)
    assert bench.get_metadata()["failed"] == "not done in 1 s"


def test_client_that_does_not_use_what_it_should_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without orjson, "with orjson" would be a second run of the same thing."""
    (tmp_path / "orjson.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bench = work(Task(part="history", client="pictory+orjson", n=5), patience=30)
    assert bench.get_metadata()["failed"] == "it does not use orjson"


@pytest.mark.skipif(not cores(), reason="there is one core only")
def test_worker_has_a_core_of_its_own() -> None:
    """It is pinned to the first, and the server is not on it."""
    bench = work(Task(part="history", client=BASELINE, n=5), patience=30)
    client, of_server = cores()
    assert bench.get_metadata()["cpu_affinity"] == str(client)
    assert client != of_server


def test_bytecode_is_kept_wherever_it_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each process would compile our modules anew, but no installed package."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))

    work(Task(part="imports", client="pictory_async"), patience=30)

    (ours,) = tmp_path.rglob("pictory_async")
    assert {path.name.split(".")[0] for path in ours.rglob("*.pyc")} >= {"_session"}


def test_meter_sees_what_a_block_costs() -> None:
    """A loop that is blocked stalls, and what is allocated grows the memory."""

    async def block() -> dict[str, Any]:
        async with measured() as figures:
            await asyncio.sleep(0.02)
            # Over 32 MiB, malloc never reuses memory that the process has already.
            held = [bytearray(2**26), sum(range(10**6))]
            await asyncio.sleep(0.02)
        return figures | {"held": len(held)}

    figures = asyncio.run(block())
    assert 0 < figures["cpu"] <= figures["wall"] * 2
    assert 0 < figures["lag_longest"] < figures["wall"]
    assert figures["memory_peak_kib"] - figures["memory_before_kib"] >= 2**16 - 1024
    assert 0 <= figures["gc_longest"] < figures["wall"]


# --- the rounds -----------------------------------------------------------------------


class Bench:
    """A command line whose workers give what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.ran: list[tuple[str, int]] = []
        self.outcomes: dict[tuple[str, int], dict[str, Any]] = {}
        self._folder = folder
        monkeypatch.setattr(command, "work", self._work)

    def _work(self, task: Task, *, patience: float, number: int) -> Any:
        assert patience == 120
        self.ran.append((task.client, task.n))
        outcome = self.outcomes.get((task.client, task.n), {"lost": 0})
        name = f"{task.name} failed" if "failed" in outcome else task.name
        return bench_of(task.client, task.n, round=number, name=name, **outcome)

    def run(self, *clients: str, more: tuple[str, ...] = ()) -> Results:
        """Run two rounds of three sizes; return the results."""
        sizes = ["--n", "1", "10", "100", "--latency", "0", "--rounds", "2"]
        given = ["--parts", "jobs", "--clients", *clients, *sizes, *more]
        command.main([*given, "--output", str(self._folder)])
        return Results.load(self._folder / "results.json")

    @property
    def page(self) -> str:
        """What was written."""
        return (self._folder / "results.md").read_text()


def bench_of(client: str, n: int = 1_000, *, value: float = 1.0, **more: Any) -> Any:
    """Return a benchmark of one run of some jobs."""
    about = {"name": f"jobs {client} n={n}", "part": "jobs", "client": client, "n": n}
    about |= {"latency": 0.0, "poll": 1.0, "job_duration": 2.0, "round": 0} | more
    run = pyperf.Run([value], metadata=about, collect_metadata=False)
    return pyperf.Benchmark([run])


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """A command line without processes."""
    return Bench(monkeypatch, tmp_path)


def test_clients_take_turns(bench: Bench) -> None:
    """Clients alternate within a size, and each run is on disk."""
    results = bench.run(BASELINE, OURS)

    once = [(client, n) for n in (1, 10, 100) for client in (BASELINE, OURS)]
    assert bench.ran == once * 2
    assert len(results.runs) == 12
    assert {run["round"] for run in results.runs} == {0, 1}


def test_more_rounds_are_added_behind(bench: Bench) -> None:
    """Appended rounds are compared with one another, not with earlier ones."""
    bench.run(OURS)
    results = bench.run(OURS, more=("--append",))

    assert {run["round"] for run in results.runs} == {0, 1, 2, 3}


def test_runs_of_another_machine_are_not_added(bench: Bench) -> None:
    """What cannot be compared is not mixed."""
    bench.outcomes[OURS, 1] = {"cpu_model_name": "one"}
    bench.run(OURS)
    bench.outcomes[OURS, 1] = {"cpu_model_name": "another"}
    with pytest.raises(ValueError, match="cpu_model_name"):
        bench.run(OURS, more=("--append",))


def test_what_was_not_done_in_time_is_given_up(bench: Bench) -> None:
    """A run that failed is neither repeated nor tried with more jobs."""
    bench.outcomes[OURS, 10] = {"failed": "not done in 120 s"}
    bench.run(OURS)

    assert bench.ran == [(OURS, 1), (OURS, 10), (OURS, 1)]
    sentence = f"{OURS}_async, jobs with N = 10: not done in 120 s; not tried again"
    assert sentence in bench.page


def test_more_jobs_are_given_up_after_losses(bench: Bench) -> None:
    """A client that loses jobs is measured again, but with no more of them."""
    bench.outcomes[BASELINE, 10] = {"lost": 2}
    bench.run(BASELINE)

    assert bench.ran == [(BASELINE, 1), (BASELINE, 10)] * 2
    assert "jobs with N = 10: 2 jobs lost; not with more." in bench.page


def test_very_long_batch_is_run_once() -> None:
    """It takes long, and memory that grows is seen in one round."""
    options = command.parse(["--quick", "--output", "unused"])
    first, later = (list(tasks(options, first=first)) for first in (True, False))

    assert {task.part for task in first} - {task.part for task in later} == {"stream"}
    assert [task.client for task in later if task.part == "batch"] == [OURS, JOURNAL]


# --- figures --------------------------------------------------------------------------


def results_of(**values: list[float]) -> Results:
    """Return results with a value for each client and round."""
    return Results(
        bench_of(client.replace("_", "+"), value=value, cpu_per_job=value, round=number)
        for client, of_client in values.items()
        for number, value in enumerate(of_client)
    )


def test_ratios_are_of_the_same_round() -> None:
    """A slow round is slow for both, and says nothing."""
    results = results_of(aiohttp=[1, 10, 2], pictory=[2, 10, 3])

    ratios = results.ratios("value", "jobs", client=OURS, n=1_000)
    assert ratios == [2, 1, 1.5]
    assert results.values("value", "jobs", client=OURS) == {0: 2, 1: 10, 2: 3}
    assert span(ratios) == "1.50 [1.00 to 2.00]"


def test_best_of_several_is_the_measure() -> None:
    """Against several clients, the best of each round counts."""
    results = results_of(fal=[4, 8], openai=[8, 4], pictory=[1, 1])

    to = ("fal", "openai", "replicate")
    assert results.ratios("value", "jobs", client=OURS, to=to) == [0.25, 0.25]
    assert results.ratios("value", "jobs", client="replicate", to=to) == []


@pytest.mark.parametrize(
    ("ours", "cells"),
    [
        ([1.5, 9.0, 1.0], (f"≤ 1.5{TIMES}", f"1.5{TIMES}", "yes")),
        ([1.51], (f"≤ 1.5{TIMES}", f"1.51{TIMES}", "**no**")),
        ([], (f"≤ 1.5{TIMES}", "not measured", "")),
    ],
)
def test_goal_is_met_up_to_its_limit(
    ours: list[float], cells: tuple[str, str, str]
) -> None:
    """The row says the goal, the median ratio, and whether one is within the other."""
    goal = {"title": "figure", "limit": 1.5, "figure": "value", "part": "jobs"}
    goal |= {"n": 1_000, "to": ["aiohttp"]}

    results = results_of(aiohttp=[1, 1, 1], pictory=ours)
    assert goal_row(results, goal) == ("figure", *cells)


@pytest.mark.parametrize(
    ("unit", "shown"), [(" ms", "2,500 ms"), ("", "2.5"), (" B", "2.5 B")]
)
def test_goal_without_a_ratio_is_about_the_worst_round(unit: str, shown: str) -> None:
    """The largest value counts, in the unit of the goal."""
    goal = {"title": "figure", "limit": 1, "figure": "value", "part": "jobs"}
    goal |= {"n": 1_000, "unit": unit}

    assert goal_row(results_of(pictory=[1, 2.5]), goal)[2:] == (shown, "**no**")


def test_page_holds_figures_against_goals() -> None:
    """The ratio to the aiohttp loop stands beside its goal, and in the table."""
    page = report(results_of(aiohttp=[1, 1, 1], pictory=[2, 2, 2]))

    figure = "CPU a request against the aiohttp loop, N = 1,000"
    assert f"| {figure} | ≤ 1.1{TIMES} | 2{TIMES} | **no** |" in page
    assert "| **pictory_async** | 1,000 | 2,000.00 | 2.00 [2.00 to 2.00] |" in page


def test_results_can_be_read_by_pyperf(bench: Bench, tmp_path: Path) -> None:
    """The file is a suite, with the main figure of each part as its value."""
    bench.run(OURS)
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "results.json"))

    names = [f"jobs {OURS} n={n}" for n in (1, 10, 100)]
    assert suite.get_benchmark_names() == names
    assert suite.get_benchmark(names[0]).get_values() == (1.0, 1.0)


def test_pictures_are_drawn(tmp_path: Path) -> None:
    """Each picture comes as SVG and PNG; without figures there is none."""
    pytest.importorskip("matplotlib")
    points = [{"kind": "fixed", "point": "5 s", "polls": 5, "delay": 2.5}]
    (tmp_path / "polling.json").write_text(json.dumps(points))
    results = results_of(aiohttp=[1, 2], pictory=[2, 3], openai=[8, 9])

    assert plots.draw(Results(), tmp_path / "none" / "plots") == {}
    drawn = plots.draw(results, tmp_path / "plots")

    assert [path.name for path in drawn.values()] == ["cpu.png", "polling.png"]
    for path in drawn.values():
        assert path.stat().st_size > 10_000
        assert path.with_suffix(".svg").stat().st_size > 10_000


# --- duel, profile, webhooks ----------------------------------------------------------


def test_duel_says_the_ratio(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clients are run A, B, B, A; each line has the median of the ratios so far."""
    costs, ran = {OURS: 0.002, BASELINE: 0.001}, []

    def measure(task: Task, *, patience: float, number: int) -> Any:
        ran.append(task.client)
        return bench_of(task.client, task.n, value=costs[task.client], round=number)

    monkeypatch.setattr(command, "work", measure)

    assert command.main(["duel", "--rounds", "2"]) == 0

    assert ran == [OURS, BASELINE, BASELINE, OURS]
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1].split() == [
        *("value", "2.000", "[2.000,", "2.000]"),
        *("0.002", ":", "0.001"),
    ]


def test_duel_ends_if_it_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why: a client fails, or there are not two."""
    broken = bench_of(OURS, failed="no such package")
    monkeypatch.setattr(command, "work", lambda *_, **__: broken)
    with pytest.raises(SystemExit, match="no such package"):
        command.main(["duel"])
    with pytest.raises(SystemExit, match="--clients: a duel is between two, not 1"):
        command.main(["duel", "--clients", OURS])


def test_profile_says_whose_time_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Time is summed by module of ours, and by package of others."""
    given = ["profile", "--quick", "--n", "50", "--latency", "0", "--parts", "jobs"]
    assert command.main(given) == 0
    printed = capsys.readouterr().out
    assert "%  pictory_async/" in printed
    assert "%  asyncio" in printed
    assert "tottime" in printed


def test_shares_add_up() -> None:
    """What was spent waiting for the network is left out."""
    profile = cProfile.Profile()
    profile.runcall(lambda: [FixedInterval(1.0), json.dumps([1] * 10_000)])
    found = dict(command.shares(pstats.Stats(profile)))
    assert "json" in found
    assert 0.9 < sum(found.values()) <= 1.0


def test_webhooks_are_faster_than_polls() -> None:
    """With a webhook every end is known at once in simulated time; else it is not."""
    polled, _ = webhooks.run(webhooks.CASES["Backoff()"], jobs=5)
    delays, polls = webhooks.run(webhooks.CASES["webhook, Backoff()"], jobs=5)
    assert min(polled) > max(delays)
    assert max(delays) < 0.1
    assert polls >= 1


def test_webhooks_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """There is a row for each way to learn of an end."""
    assert webhooks.main(["--jobs", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(webhooks.CASES)
    assert {line.count("|") for line in lines} == {6}
