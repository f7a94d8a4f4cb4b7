"""The figures as pictures, SVG and PNG, by matplotlib."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.clients import BASELINE, CLIENTS, OURS, SDKS
from benchmarks.results import LOST, Results

# Okabe and Ito's: told apart by those who see colours differently.
MARKS: Final = (("o", "#0072B2"), ("s", "#D55E00"), ("^", "#009E73"), ("D", "#CC79A7"))
# The name of a picture: the figure, in words, its unit, and how many of those it is.
PICTURES: Final = {
    "cpu": ("cpu_per_job", "CPU a job", "ms", 1e3),
    "memory": ("memory_per_job_kib", "Memory a job in flight", "KiB", 1.0),
}

Values = dict[str, dict[int, float]]  # client -> number of jobs -> figure


def draw(results: Results, folder: Path) -> dict[str, Path]:
    """Draw what there are figures for, with matplotlib; return titles and PNG files."""
    drawn: dict[str, Path] = {}
    if importlib.util.find_spec("matplotlib") is None:
        return drawn
    for name, (figure, title, unit, times) in PICTURES.items():
        if values := _values(results, figure, times):
            drawn[title] = _dots(values, title, unit, folder / name)
    points = folder.parent / "polling.json"
    if points.exists():
        drawn["Delay against polls"] = _delays(points, folder / "polling")
    return drawn


def _values(results: Results, figure: str, times: float) -> Values:
    found: Values = defaultdict(dict)
    for client in CLIENTS:
        for run in results.of("jobs", client=client, latency=0.0):
            wanted = {"client": client, "n": run["n"], "latency": 0.0}
            lost = results.values("lost", "jobs", **wanted).values()
            values = results.values(figure, "jobs", **wanted).values()
            if values and median(values) > 0 and median(lost or [0]) <= LOST * run["n"]:
                found[client][run["n"]] = median(values) * times
    return found


def _dots(values: Values, title: str, unit: str, path: Path) -> Path:
    """Draw a row for each client, and a mark for each number of jobs."""
    names = sorted(values, key=lambda name: min(values[name].values()), reverse=True)
    sizes = sorted({n for of_client in values.values() for n in of_client})
    picture, axes = _new(0.42 * len(names) + 1.9)
    for number, ((mark, colour), n) in enumerate(zip(MARKS, sizes, strict=False)):
        shift = 0.13 * ((len(sizes) - 1) / 2 - number)  # so that none hides another
        rows = [place for place, name in enumerate(names) if n in values[name]]
        x, y = [values[names[row]][n] for row in rows], [row + shift for row in rows]
        look = {"marker": mark, "color": colour, "edgecolors": "white", "zorder": 3}
        axes.scatter(x, y, s=46, linewidths=0.6, label=f"N = {n:,}", **look)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), [CLIENTS[name].title for name in names])
    for name, text in zip(names, axes.get_yticklabels(), strict=True):
        text.set_fontweight("bold" if name in {OURS, BASELINE} else "normal")
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0)
    ticker: Any = importlib.import_module("matplotlib.ticker")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.minorticks_off()
    axes.set_xlabel(f"{title}, {unit} (logarithmic; less is better)")
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    axes.legend(ncols=len(sizes), handletextpad=0.2, **above)
    return _save(picture, path, _message(values, title, unit))


def _message(values: Values, title: str, unit: str) -> str:
    """Say how this library stands beside the SDKs, at about 1,000 jobs."""
    mine, theirs = values.get(OURS, {}), [values[sdk] for sdk in SDKS if sdk in values]
    both = [n for n in mine if any(n in of_sdk for of_sdk in theirs)]
    if not both:
        return title
    n = min(both, key=lambda size: abs(size - 1_000))
    best = min(of_sdk[n] for of_sdk in theirs if n in of_sdk)
    ours = f"{mine[n]:.2g} {unit} with pictory_async"
    return f"{title}: {ours}, {best:.2g} with the best SDK (N = {n:,})"


def _delays(source: Path, path: Path) -> Path:
    """Draw how late an end is seen against the polls a job, for each kind of policy.

    *source* is what ``python -m benchmarks.polling --plot`` writes.
    """
    kinds: dict[str, list[dict[str, Any]]] = {}
    for point in json.loads(source.read_text()):
        kinds.setdefault(point["kind"], []).append(point)
    picture, axes = _new(5.0)
    for (kind, points), (mark, colour) in zip(kinds.items(), MARKS, strict=False):
        x, y = ([point[name] for point in points] for name in ("polls", "delay"))
        axes.plot(x, y, marker=mark, color=colour, label=kind, linewidth=1.2)
        look = {"textcoords": "offset points", "fontsize": 8, "color": colour}
        for point, place in zip(points, zip(x, y, strict=True), strict=True):
            axes.annotate(point["point"], place, xytext=(6, 4), **look)
    axes.set_xlabel("polls a job (less is better)")
    axes.set_ylabel("mean delay until the end is seen, s (less is better)")
    axes.margins(x=0.1, y=0.1)
    axes.set_xlim(left=1)  # fewer there cannot be
    axes.set_ylim(bottom=0)
    axes.legend()
    title = "Polls and delay where durations around 20 s scatter by 0.1 to 0.8"
    return _save(picture, path, title)


def _new(height: float) -> tuple[Any, Any]:
    plt: Any = importlib.import_module("matplotlib.pyplot")
    plt.switch_backend("Agg")
    plt.style.use(Path(__file__).with_name("plots.mplstyle"))
    picture, axes = plt.subplots(figsize=(9, height))
    return picture, axes


def _save(picture: Any, path: Path, title: str) -> Path:
    picture.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    picture.savefig(path.with_suffix(".png"), dpi=150)
    importlib.import_module("matplotlib.pyplot").close(picture)
    return path.with_suffix(".png")
