"""The figures of all runs: kept in a file, and asked for medians and ratios."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any, Final

import attrs

from benchmarks.clients import BASELINE

# A client that loses more than this share of the jobs is not tried with more of them,
# and is in no picture: what is lost early costs little.
LOST: Final = 0.01


@attrs.frozen(kw_only=True)
class Record:
    """One run of one client.

    Attributes:
        part: Which measurement; a module of `benchmarks.parts`, or ``imports``.
        client: Who was measured.
        n: Jobs or items.
        latency: Seconds that each answer of the server took.
        round: From 0; runs are compared with those of the same round.
        figures: By name, in seconds and KiB.
        failed: Why there are no figures; None if there are.
        setting: What else the run was told, for the tables.
    """

    part: str
    client: str
    n: int
    latency: float = 0.0
    round: int = 0
    figures: dict[str, Any] = attrs.field(factory=dict)
    failed: str | None = None
    setting: dict[str, float] = attrs.field(factory=dict)


@attrs.define
class Results:
    """All records, with what they were made on.

    Attributes:
        about: The machine and the versions, in words.
        records: In the order of their making.
        left_out: What was not run and why, in sentences.
    """

    about: dict[str, str] = attrs.field(factory=dict)
    records: list[Record] = attrs.field(factory=list)
    left_out: list[str] = attrs.field(factory=list)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read the file that `save` wrote; return empty results if there is none."""
        if not path.exists():
            return cls()
        raw = json.loads(path.read_text())
        records = [Record(**record) for record in raw["records"]]
        return cls(raw["about"], records, raw["left_out"])

    def save(self, path: Path) -> None:
        """Write all to *path*, a record a line."""
        lines = ",\n".join(json.dumps(attrs.asdict(record)) for record in self.records)
        about, left_out = json.dumps(self.about), json.dumps(self.left_out)
        head = f'{{"about": {about},\n"left_out": {left_out},\n"records": [\n'
        path.write_text(f"{head}{lines}\n]}}\n")

    def leave_out(self, sentence: str) -> None:
        """Note what was not run, once."""
        if sentence not in self.left_out:
            self.left_out.append(sentence)

    def of(self, part: str, **wanted: Any) -> list[Record]:
        """Return the records of *part* with the wanted attributes."""
        return [
            record
            for record in self.records
            if record.part == part
            and all(getattr(record, name) == value for name, value in wanted.items())
        ]

    def sizes(self, part: str, **wanted: Any) -> list[int]:
        """Return the sizes that were measured, the smallest first."""
        return sorted({record.n for record in self.of(part, **wanted)})

    def median(self, name: str, part: str, **wanted: Any) -> float | None:
        """Return the median of a figure; None if it was not measured."""
        values = [value for _, value in _values(self.of(part, **wanted), name)]
        return median(values) if values else None

    def most(self, name: str, part: str, **wanted: Any) -> float | None:
        """Return the largest value of a figure; None if it was not measured."""
        values = [value for _, value in _values(self.of(part, **wanted), name)]
        return max(values, default=None)

    def ratios(
        self,
        name: str,
        part: str,
        *,
        client: str,
        to: Iterable[str] = (BASELINE,),
        **wanted: Any,
    ) -> list[float]:
        """Return a figure of *client* over that of the best of *to*, for each round."""
        best: dict[int, float] = {}
        for other in to:
            for number, value in _values(self.of(part, client=other, **wanted), name):
                best[number] = min(value, best.get(number, value))
        mine = _values(self.of(part, client=client, **wanted), name)
        return [value / best[number] for number, value in mine if best.get(number)]

    def ratio(self, name: str, part: str, **wanted: Any) -> float | None:
        """Return the median of `ratios`; None if there are none."""
        ratios = self.ratios(name, part, **wanted)
        return median(ratios) if ratios else None


def _values(records: list[Record], name: str) -> list[tuple[int, float]]:
    """Return the round and the value of a figure; a dot leads into the server's."""
    found = []
    for record in records:
        outer, _, inner = name.partition(".")
        value = record.figures.get(outer)
        value = value.get(inner) if inner and value else value
        if value is not None:
            found.append((record.round, float(value)))
    return found
