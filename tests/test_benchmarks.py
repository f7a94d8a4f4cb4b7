"""The harness of the benchmarks: it runs, and measures the right thing; no timings."""

from __future__ import annotations

import asyncio
import cProfile
import json
import math
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

from benchmarks import batch, duel, plots, profiles, runner, webhooks
from benchmarks.__main__ import main
from benchmarks.clients import BASELINE, CLIENTS, OURS, Client
from benchmarks.goals import TIMES, Goal
from benchmarks.plan import Plan
from benchmarks.processes import UnusableError, WorkerError, work
from benchmarks.records import Record, Results
from benchmarks.report import report, span
from benchmarks.server import Service, listen
from benchmarks.task import paced
from pictory_async import FixedInterval
from pictory_async.sandbox import Sandbox

PROMPT = {"prompt": "A fox in the snow", "style": "artistic"}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A mock server in this process."""
    service = Service()
    listening = await listen(service)
    try:
        yield service
    finally:
        listening.close()


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
        for job_id in ids:
            finish(job_id)
        ended = await self.ask("GET", f"/jobs/{ids[0]}")
        page = await self.ask("GET", "/aistudio/images")
        query = {"nextPageKey": page["nextPageKey"]}
        last = await self.ask("GET", "/aistudio/images", params=query)
        return [shape(answer) for answer in (submitted[0], running, ended, page, last)]


async def test_server_answers_as_the_sandbox_does(service: Service) -> None:
    """A submission, a poll before and after the end, and pages have the same form."""
    service.reset(duration=3600, items=101)

    def finish(job_id: str) -> None:
        service.ends[int(job_id[:8], 16)] = 0

    async with (
        aiohttp.ClientSession() as http,
        Sandbox(duration=math.inf, page_size=1, pictures=False) as sandbox,
    ):
        theirs = Caller(http, sandbox.base_url, sandbox.api_key)
        ours = Caller(http, f"http://{service.host}/pictoryapis", "key")

        assert await ours.forms(finish) == await theirs.forms(sandbox.finish)
    assert service.stats()["requests"] == 6
    assert service.stats()["jobs"] == 2


@pytest.mark.parametrize("size", [1, 40, 10_000])
async def test_server_reads_requests_in_any_pieces(service: Service, size: int) -> None:
    """Requests may be pipelined, cut anywhere, and their bodies chunked."""
    prompt = b'{"prompt": "A fox"}'
    post = b"POST /pictoryapis/v1/aistudio/images HTTP/1.1\r\nHost: x\r\n"
    sent = (
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        + post
        + b"Content-Length: 19\r\n\r\n"
        + prompt
        + post
        + b"Transfer-Encoding: chunked\r\n\r\n13\r\n"
        + prompt
        + b"\r\n0\r\n\r\n"
        + b"DELETE /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    host, _, port = service.host.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for start in range(0, len(sent), size):
        writer.write(sent[start : start + size])
        await asyncio.sleep(0)
    for _ in range(4):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.rpartition(b": ")[2]))
    writer.close()
    await writer.wait_closed()

    assert service.requests == 4
    assert service.unknown == 2
    assert len(service.ends) == 2


def test_quick_run_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each part runs in its processes, and its figures are on the page."""
    sizes = ["--n", "5", "--latency", "0", "--items", "250", "--flight", "30"]
    parts = ["--parts", "jobs", "history", "heap", "flight"]
    given = ["--quick", "--clients", BASELINE, OURS, *sizes, *parts]

    assert main([*given, "--output", str(tmp_path)]) == 0

    results = Results.load(tmp_path / "results.json")
    assert [run.failed for run in results.records] == [None] * 6
    for run in results.of("jobs"):
        assert run.figures["lost"] == run.figures["paid_twice"] == 0
        assert run.figures["server"]["jobs"] == 5
        assert run.figures["server"]["unknown"] == 0
    assert 0 < results.of("flight")[0].figures["in_flight"] <= 30
    assert results.of("flight")[0].figures["server"]["seen"] == 30
    page = (tmp_path / "results.md").read_text()
    for heading in ("Goals", "Jobs", "Walking the history", "Handles", "Many jobs"):
        assert f"\n## {heading}" in page
    assert str(tmp_path) not in page
    assert str(tmp_path / "results.md") in capsys.readouterr().out


def test_only_a_whole_run_replaces_the_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was chosen in part is written to a folder of its own."""
    monkeypatch.setattr(runner.Runner, "run", lambda _: Results())

    for given in (["--quick"], ["--n", "5"], ["--parts", "heap"]):
        assert main(given) == 0
        page = Path(capsys.readouterr().out.strip())
        assert page.name == "results.md"
        assert not page.is_relative_to(Path(__file__).parents[1])
        shutil.rmtree(page.parent)


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


def test_profile_says_whose_time_it_is() -> None:
    """Time is summed by module of ours, and by package of others."""
    profile = cProfile.Profile()
    profile.runcall(lambda: [FixedInterval(1.0), json.dumps([1] * 100)])

    said = profiles.say(profile)

    assert "%  json" in said
    assert "%  attr" in said or "built in" in said


def test_worker_says_why_it_failed() -> None:
    """A worker that raises ends with its last line."""
    task = attrs.asdict(paced(OURS, 1, 0.0)) | {"host": "127.0.0.1:9"}
    with pytest.raises(WorkerError, match="Connection refused"):
        work(task, patience=30)


# --- the runner -----------------------------------------------------------------------

Outcome = dict[str, Any] | Exception


class Bench:
    """A runner whose workers give what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.ran: list[tuple[str, int]] = []
        self.outcomes: dict[tuple[str, int], Outcome] = {}
        self.results = Results()
        self._path = path
        monkeypatch.setattr(runner, "server", lambda: nullcontext("127.0.0.1:9"))
        monkeypatch.setattr(runner, "work", self._work)

    def _work(self, task: dict[str, Any], *, patience: float) -> dict[str, Any]:
        assert patience > 100
        key = (task["client"], task["n"])
        self.ran.append(key)
        outcome = self.outcomes.get(key, {"cpu": 1.0, "wall": 2.0, "lost": 0})
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def run(self, *clients: str) -> None:
        """Run two rounds of three sizes."""
        plan = Plan(
            parts=("jobs",),
            clients=clients,
            sizes=(1, 10, 100),
            latencies=(0.0,),
            rounds=2,
        )
        runner.Runner(plan, self.results, self._path).run()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """A runner without processes."""
    return Bench(monkeypatch, tmp_path / "results.json")


def test_runner_takes_turns_and_keeps_what_it_has(bench: Bench, tmp_path: Path) -> None:
    """Clients alternate within a size; each record is on disk at once."""
    bench.run(BASELINE, OURS)

    once = [(client, n) for n in (1, 10, 100) for client in (BASELINE, OURS)]
    assert bench.ran == once * 2
    assert Results.load(tmp_path / "results.json") == bench.results
    assert {run.round for run in bench.results.records} == {0, 1}


def test_more_rounds_are_added_behind(bench: Bench) -> None:
    """Appended rounds are compared with one another, not with earlier ones."""
    bench.run(OURS)
    bench.run(OURS)

    assert {run.round for run in bench.results.records} == {0, 1, 2, 3}


def test_runner_gives_up_what_was_not_done_in_time(bench: Bench) -> None:
    """A run that failed is neither repeated nor tried with more jobs."""
    bench.outcomes[OURS, 10] = WorkerError("not done in 120 s")
    bench.run(OURS)

    assert bench.ran == [(OURS, 1), (OURS, 10), (OURS, 1)]
    sentence = f"{OURS}_async, jobs with N = 10: not done in 120 s; not tried again"
    assert sentence in report(bench.results)


def test_runner_gives_up_more_jobs_after_losses(bench: Bench) -> None:
    """A client that loses jobs is measured again, but with no more of them."""
    bench.outcomes[BASELINE, 10] = {"cpu": 1.0, "wall": 2.0, "lost": 2}
    bench.run(BASELINE)

    assert bench.ran == [(BASELINE, 1), (BASELINE, 10)] * 2
    assert "2 jobs lost; not tried with more" in report(bench.results)


def test_runner_drops_what_cannot_be_measured(bench: Bench) -> None:
    """A client that says so itself is not asked again."""
    bench.outcomes[OURS, 1] = UnusableError("it does not use orjson")
    bench.run(OURS, BASELINE)

    assert [n for client, n in bench.ran if client == OURS] == [1]
    assert "pictory_async: not run, it does not use orjson." in report(bench.results)


def test_missing_package_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose package is not installed is left out, and the page says so."""
    client = Client(title="Nobody's", module="nobody", needs=("no_such_package",))
    monkeypatch.setitem(CLIENTS, "nobody", client)
    bench.run("nobody")

    assert bench.ran == []
    sentence = "Nobody's: not run, no_such_package is not installed."
    assert sentence in report(bench.results)


# --- figures --------------------------------------------------------------------------


def results_of(**cpu: list[float]) -> Results:
    """Return results with a CPU a request for each client and round."""
    return Results(
        records=[
            Record(
                part="jobs",
                client=client,
                n=1_000,
                round=number,
                figures={"cpu_per_request": value, "cpu_per_job": value, "cpu": value},
                setting={"poll": 1, "duration": 2},
            )
            for client, values in cpu.items()
            for number, value in enumerate(values)
        ]
    )


def test_ratios_are_of_the_same_round() -> None:
    """A slow round is slow for both, and says nothing."""
    results = results_of(aiohttp=[1, 10, 2], pictory=[2, 10, 3])

    ratios = results.ratios("cpu_per_request", "jobs", client=OURS, n=1_000)
    assert ratios == [2, 1, 1.5]
    assert results.ratio("cpu_per_request", "jobs", client=OURS) == 1.5
    assert results.median("cpu_per_request", "jobs", client=OURS) == 3
    assert results.most("cpu_per_request", "jobs", client=OURS) == 10
    assert span(ratios) == "1.50 [1.00 to 2.00]"


def test_best_of_several_is_the_measure() -> None:
    """Against several clients, the best of each round counts."""
    results = results_of(fal=[4, 8], openai=[8, 4], pictory=[1, 1])

    to = ("fal", "openai", "replicate")
    assert results.ratios("cpu", "jobs", client=OURS, to=to) == [0.25, 0.25]
    assert results.ratio("cpu", "jobs", client="replicate", to=to) is None


@pytest.mark.parametrize(
    ("value", "cells"),
    [
        (1.5, ("≤ 1.5", "1.5", "yes")),
        (1.51, ("≤ 1.5", "1.51", "**no**")),
        (None, ("≤ 1.5", "not measured", "")),
    ],
)
def test_goal_is_met_up_to_its_limit(
    value: float | None, cells: tuple[str, str, str]
) -> None:
    """The row says the goal, the figure, and whether one is within the other."""
    goal = Goal("figure", 1.5, "", lambda _: value)

    assert goal.row(Results()) == ("figure", *cells)


def test_page_holds_figures_against_goals() -> None:
    """The ratio to the aiohttp loop stands beside its goal."""
    page = report(results_of(aiohttp=[1, 1, 1], pictory=[2, 2, 2]))

    figure = "CPU a request against the aiohttp loop, N = 1,000"
    assert f"| {figure} | ≤ 1.1{TIMES} | 2{TIMES} | **no** |" in page
    assert "- server: not used" in page


def test_duel_says_the_ratio(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each round's line has the median of the ratios so far."""
    costs = {OURS: 0.002, BASELINE: 0.001}
    monkeypatch.setattr(duel, "server", lambda: nullcontext("127.0.0.1:9"))
    monkeypatch.setattr(
        duel, "work", lambda task, **_: {"cpu_per_request": costs[task["client"]]}
    )

    assert main(["duel", "--rounds", "2"]) == 0

    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1].split() == [
        *("cpu_per_request", "2.000", "[2.000,", "2.000]"),
        *("2.000", "m", ":", "1.000", "m"),
    ]


# --- batches --------------------------------------------------------------------------


def test_batches_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a journal, without one, and a long one without a network."""
    size = batch.Size(prompts=40, stream=300, early=100, rounds=1)
    monkeypatch.setattr(batch, "QUICK", size)
    assert batch.main(["--quick", "--output", str(tmp_path / "batch.md")]) == 0
    page = (tmp_path / "batch.md").read_text()
    assert page.strip() == capsys.readouterr().out.strip()
    assert re.search(r"With a journal: [\d.]+ times the CPU", page)
    assert "A stream of 300 prompts" in page
    assert page.count("\n| ") == 4  # head, rule and two kinds


def test_batches_become_a_part_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the last run of them has left."""
    (tmp_path / "batch.md").write_text("## Batches\n")
    Results().save(tmp_path / "results.json")
    main(["report", "--output", str(tmp_path)])
    assert (tmp_path / "results.md").read_text().endswith("## Batches\n")


def test_webhooks_are_heard_before_polls() -> None:
    """With a webhook every end is known at once on the loop's clock; else it is not."""
    polled, told = (webhooks.CASES[index] for index in (0, 2))
    without = webhooks.run(polled, jobs=5)
    measured = webhooks.run(told, jobs=5)
    assert min(without.delays) > max(measured.delays)
    assert max(measured.delays) < 0.1
    assert webhooks.row(told, measured).count("|") == 6
