"""The figures as pictures, SVG and PNG; needs matplotlib."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from benchmarks.clients import BASELINE, CLIENTS, OURS, SDKS
from benchmarks.records import LOST, Results

# Okabe and Ito's: told apart by those who see colours differently.
BLUE, ORANGE, GREEN, PURPLE, GREY, INK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#BBBBBB",
    "#222222",
)
STYLE: Final = {
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "benchmarks",  # the same figures give the same file
}
AXES: Final = ("polls", "delay")
Look = tuple[str, str]
MARKS: Final[tuple[Look, ...]] = (
    ("o", BLUE),
    ("s", ORANGE),
    ("^", GREEN),
    ("D", PURPLE),
)


@attrs.frozen
class Figure:
    """What a picture shows.

    Attributes:
        name: In the records.
        what: In words.
        unit: On the axis.
        times: From the record to the unit.
    """

    name: str
    what: str
    unit: str
    times: float = 1.0


CPU: Final = Figure("cpu_per_job", "CPU a job", "ms", 1e3)
MEMORY: Final = Figure("memory_per_job_kib", "Memory a job in flight", "KiB")


def available() -> bool:
    """Return whether pictures can be drawn."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(results: Results, folder: Path) -> dict[str, Path]:
    """Draw what there are figures for; return titles and PNG files."""
    drawn = {
        CPU.what: _dots(results, CPU, folder / "cpu"),
        MEMORY.what: _dots(results, MEMORY, folder / "memory"),
        "Delay against polls": _delays(folder.parent / "polling.json", folder),
    }
    return {title: path for title, path in drawn.items() if path}


def _dots(results: Results, figure: Figure, path: Path) -> Path | None:
    """Draw a row for each client, and a mark for each number of jobs."""
    values = _values(results, figure)
    if not values:
        return None
    names = sorted(values, key=lambda name: min(values[name].values()), reverse=True)
    sizes = sorted({n for of_client in values.values() for n in of_client})
    picture, axes = _new(0.42 * len(names) + 1.9)
    for number, (look, n) in enumerate(zip(MARKS, sizes, strict=False)):
        shift = 0.13 * ((len(sizes) - 1) / 2 - number)  # so that none hides another
        rows = {
            place + shift: values[name][n]
            for place, name in enumerate(names)
            if n in values[name]
        }
        _marks(axes, rows, n, look)
    axes.set_xscale("log")
    _rows(axes, names)
    axes.set_xlabel(f"{figure.what}, {figure.unit} (logarithmic; less is better)")
    _head(picture, _message(values, figure))
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    axes.legend(ncols=len(sizes), frameon=False, handletextpad=0.2, **above)
    return _save(picture, path)


def _values(results: Results, figure: Figure) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for client in CLIENTS:
        for n in results.sizes("jobs", latency=0.0):
            wanted: dict[str, Any] = {"client": client, "n": n, "latency": 0.0}
            value = results.median(figure.name, "jobs", **wanted)
            lost = results.median("lost", "jobs", **wanted) or 0
            if value and value > 0 and lost <= LOST * n:
                found.setdefault(client, {})[n] = value * figure.times
    return found


def _message(values: dict[str, dict[int, float]], figure: Figure) -> str:
    """Say how this library stands beside the SDKs, at about 1,000 jobs."""
    mine = values.get(OURS, {})
    theirs = [values[sdk] for sdk in SDKS if sdk in values]
    both = [n for n in mine if any(n in of_sdk for of_sdk in theirs)]
    if not both:
        return figure.what
    n = min(both, key=lambda size: abs(size - 1_000))
    best = min(of_sdk[n] for of_sdk in theirs if n in of_sdk)
    return (
        f"{figure.what}: {mine[n]:.2g} {figure.unit} with pictory_async, "
        f"{best:.2g} with the best SDK (N = {n:,})"
    )


def _head(picture: Any, title: str) -> None:
    picture.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")


def _marks(axes: Any, rows: dict[float, float], n: int, look: Look) -> None:
    mark, colour = look
    axes.scatter(
        rows.values(),
        rows.keys(),
        marker=mark,
        color=colour,
        s=46,
        zorder=3,
        label=f"N = {n:,}",
        edgecolors="white",
        linewidths=0.6,
    )


def _rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [CLIENTS[name].title for name in names])
    for name, text in zip(names, axes.get_yticklabels(), strict=True):
        text.set_fontweight("bold" if name in {OURS, BASELINE} else "normal")
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="both", color=GREY, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    ticker: Any = importlib.import_module("matplotlib.ticker")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def _delays(source: Path, folder: Path) -> Path | None:
    """Draw how late an end is seen against the polls a job, for each kind of policy.

    *source* is what ``python -m benchmarks.polling --plot`` writes: a list of objects
    with *kind* (a line of the picture), *point* (on it, in a word), *polls* a job, and
    mean *delay* in seconds. Without that file there is no picture.
    """
    if not source.exists():
        return None
    kinds: dict[str, list[dict[str, Any]]] = {}
    for point in json.loads(source.read_text()):
        kinds.setdefault(point["kind"], []).append(point)
    picture, axes = _new(5.0)
    for (kind, points), (mark, colour) in zip(kinds.items(), MARKS, strict=False):
        polls, delays = ([point[name] for point in points] for name in AXES)
        axes.plot(polls, delays, marker=mark, color=colour, label=kind, linewidth=1.2)
        for point in points:
            _name(axes, point, colour)
    _finish(axes)
    title = "Polls and delay where durations around 20 s scatter by 0.1 to 0.8"
    _head(picture, title)
    return _save(picture, folder / "polling")


def _name(axes: Any, point: dict[str, Any], colour: str) -> None:
    axes.annotate(
        point["point"],
        [point[name] for name in AXES],
        xytext=(6, 4),
        textcoords="offset points",
        fontsize=8,
        color=colour,
    )


def _finish(axes: Any) -> None:
    axes.set_xlabel("polls a job (less is better)")
    axes.set_ylabel("mean delay until the end is seen, s (less is better)")
    axes.margins(x=0.1, y=0.1)
    axes.set_xlim(left=1)  # fewer there cannot be
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, color=GREY, linewidth=0.5, alpha=0.6)
    axes.legend(frameon=False)


def _new(height: float) -> tuple[Any, Any]:
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams.update(STYLE)
    plt = importlib.import_module("matplotlib.pyplot")
    picture, axes = plt.subplots(figsize=(9, height), layout="constrained")
    return picture, axes


def _save(picture: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    picture.savefig(path.with_suffix(".png"), dpi=150)
    importlib.import_module("matplotlib.pyplot").close(picture)
    return path.with_suffix(".png")
