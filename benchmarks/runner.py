"""Goes through a plan in rounds, and gives up what has failed."""

from __future__ import annotations

from pathlib import Path

import attrs

from benchmarks import imports
from benchmarks.clients import CLIENTS
from benchmarks.machine import describe
from benchmarks.plan import Plan, expected
from benchmarks.processes import UnusableError, WorkerError, server, work
from benchmarks.records import LOST, Record, Results
from benchmarks.task import Task


class Runner:
    """Runs the tasks of a plan and keeps the results, also on disk."""

    def __init__(self, plan: Plan, results: Results, path: Path) -> None:
        self._plan = plan
        self._results = results
        self._path = path
        # The first size at which a client is no longer run.
        self._limits: dict[tuple[str, str, float], int] = {}
        self._dropped: set[str] = set()

    def run(self) -> Results:
        """Run all rounds; return the results."""
        self._results.about = describe()
        for name in self._plan.clients:
            if missing := CLIENTS[name].missing:
                self._drop(name, f"{' and '.join(missing)} is not installed")
        first = 1 + max((run.round for run in self._results.records), default=-1)
        for number in range(first, first + self._plan.rounds):
            self._run_round(number)
        return self._results

    def _run_round(self, number: int) -> None:
        for task in self._plan.tasks():
            if self._may_run(task):
                self._try(task, number)
        if "imports" in self._plan.parts:
            for record in imports.measure(number, repeats=self._plan.repeats):
                self._keep(record)

    def _drop(self, client: str, why: str) -> None:
        self._dropped.add(client)
        self._results.leave_out(f"{CLIENTS[client].title}: not run, {why}.")

    def _may_run(self, task: Task) -> bool:
        in_reach = task.n < self._limits.get(_key(task), task.n + 1)
        return in_reach and task.client not in self._dropped

    def _try(self, task: Task, number: int) -> None:
        try:
            self._keep(self._run(task, number))
        except UnusableError as error:
            self._drop(task.client, str(error))

    def _run(self, task: Task, number: int) -> Record:
        figures, failed = dict[str, object](), None
        try:
            with server() as host:
                patience = self._plan.patience + expected(task)
                given = attrs.asdict(task) | {"host": host}
                figures = work(given, patience=patience)
        except UnusableError:
            raise
        except WorkerError as error:
            failed = str(error)
        return Record(
            part=task.part,
            client=task.client,
            n=task.n,
            latency=task.latency,
            round=number,
            figures=figures,
            failed=failed,
            setting={"poll": task.poll, "duration": task.duration, "rate": task.rate},
        )

    def _keep(self, record: Record) -> None:
        self._results.records.append(record)
        self._limit(record)
        self._results.save(self._path)
        print(_line(record), flush=True)  # noqa: T201

    def _limit(self, record: Record) -> None:
        """Let a client that failed, or lost jobs, not try what is harder still."""
        lost = record.figures.get("lost", 0)
        if record.failed:
            limit, why = record.n, f"{record.failed}; not tried again, nor with more"
        elif lost > LOST * record.n:
            limit, why = record.n + 1, f"{lost:,} jobs lost; not tried with more"
        else:
            return
        if self._limits.setdefault(_key(record), limit) == limit:
            self._results.leave_out(f"{_what(record)}: {why}.")


def _key(run: Task | Record) -> tuple[str, str, float]:
    return run.part, run.client, run.latency


def _what(run: Record) -> str:
    latency = f", latency {run.latency:g} s" if run.latency else ""
    title = CLIENTS[run.client].title if run.client in CLIENTS else run.client
    return f"{title}, {run.part} with N = {run.n:,}{latency}"


def _line(record: Record) -> str:
    cpu, wall = (record.figures.get(name, 0.0) for name in ("cpu", "wall"))
    told = record.failed or f"{cpu:8.3f} s of CPU in {wall:7.2f} s"
    lost = f", {record.figures['lost']:,} lost" if record.figures.get("lost") else ""
    where = f"{record.part:8} {record.n:>7,} {record.latency:4g} s {record.client:30}"
    return f"round {record.round + 1}  {where} {told}{lost}"
