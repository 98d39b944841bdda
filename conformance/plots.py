"""Plots of benchmark results: time by k, time against overlap, time against collection size.

    python -m bmp_plugin.conformance.plots RESULTS_FOLDER

redraws the results in a folder. It needs matplotlib (``pip install "bmp-plugin[bench]"``).
"""
from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bmp_plugin.errors import BmpError, MissingDependencyError

from .benchmark.result_tables import is_safe

Result = dict[str, Any]


def draw(folder: Path) -> list[Path]:
    """Draws all results of a folder into it, as SVG; several collections also as time against size.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    BmpError
        If there are no results.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingDependencyError('matplotlib is not installed: pip install "bmp-plugin[bench]"') from None
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "bmp-plugin"           # reproducible files
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not results:
        raise BmpError(f"{folder}: holds no result: give the folder that bench wrote to")
    drawn = []
    for result in results:
        name = result["collection"]["name"]
        drawn += [_saved(_latency(result), folder / f"{name}-latency.svg"),
                  _saved(_overlap(result), folder / f"{name}-overlap.svg")]
    if len(results) > 1:
        drawn.append(_saved(_size(results), folder / "size.svg"))
    return [path for path in drawn if path is not None]


def _saved(figure: Any, path: Path) -> Path | None:
    if figure is None:
        return None
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    return path


def _panels(count: int) -> tuple[Any, Sequence[Any]]:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    figure = Figure(figsize=(1.0 + 4.5 * count, 4.0), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for axis in axes:
        axis.grid(True, which="both", linewidth=0.3)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.7)))
    return figure, axes


def _timed(result: Result) -> dict[str, Result]:
    return {label: engine for label, engine in result["engines"].items()
            if all("mean_ms" in engine["k"][str(k)] for k in result["k"])}


def _latency(result: Result) -> Any:
    engines = {label: engine for label, engine in _timed(result).items() if is_safe(engine)}
    if not engines:
        return None
    ks = result["k"]
    figure, (axis,) = _panels(1)
    for label, engine in engines.items():
        found = [engine["k"][str(k)] for k in ks]
        line = axis.plot(ks, [f["mean_ms"] for f in found], marker="o", markersize=3, label=label)[0]
        axis.fill_between(ks, [min(f["round_mean_ms"]) for f in found], [max(f["round_mean_ms"]) for f in found],
                          color=line.get_color(), alpha=0.2, linewidth=0)
    axis.set(xscale="log", xlabel="k", ylabel="mean ms per query",
             title=f"{result['collection']['name']}: {result['collection']['documents']:,} documents")
    axis.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _overlap(result: Result) -> Any:
    engines = _timed(result)
    approximate = {engine["engine"] for engine in engines.values() if not is_safe(engine)}
    if not approximate:
        return None
    figure, axes = _panels(len(result["k"]))
    for axis, k in zip(axes, result["k"], strict=True):
        for name in sorted(approximate):
            points = [(engine["k"][str(k)]["overlap"], engine["k"][str(k)]["mean_ms"])
                      for engine in engines.values() if engine["engine"] == name]
            best = _frontier(points)
            line = axis.step([x for x, _ in best], [y for _, y in best], where="pre", linewidth=0.9, label=name)[0]
            axis.plot([x for x, _ in points], [y for _, y in points], linestyle="", marker="o", markersize=3,
                      color=line.get_color())
        axis.set(xlabel=f"overlap with the safe top {k}", ylabel="mean ms per query",
                 title=f"{result['collection']['name']}, k = {k}")
        axis.legend(fontsize="x-small")
    return figure


def _frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the Pareto frontier of (overlap, time), by overlap: the least time for at least that overlap."""
    best: list[tuple[float, float]] = []
    for overlap, time in sorted(points, key=lambda point: (-point[0], point[1])):
        if not best or time < best[-1][1]:
            best.append((overlap, time))
    return best[::-1]


def _size(results: Sequence[Result]) -> Any:
    ks = sorted({k for result in results for k in result["k"]})
    figure, axes = _panels(len(ks))
    for axis, k in zip(axes, ks, strict=True):
        lines: dict[str, list[tuple[int, float]]] = {}
        for result in results:
            for label, engine in result["engines"].items():
                if is_safe(engine) and "mean_ms" in engine["k"].get(str(k), {}):
                    lines.setdefault(label, []).append((result["collection"]["documents"], engine["k"][str(k)]["mean_ms"]))
        for label, points in lines.items():
            points.sort()
            axis.plot([x for x, _ in points], [y for _, y in points], marker="o", markersize=3, label=label)
        _proportional(axis, [point for points in lines.values() for point in points])
        axis.set(xscale="log", xlabel="documents", ylabel="mean ms per query", title=f"k = {k}")
    axes[-1].legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _proportional(axis: Any, points: Sequence[tuple[int, float]]) -> None:
    """Draws a line proportional to the collection size, from the fastest engine on the smallest collection."""
    if points:
        first, last = min(points), max(x for x, _ in points)
        axis.plot([first[0], last], [first[1], first[1] * last / first[0]], color="grey", linestyle=":", linewidth=0.9,
                  label="in proportion to documents")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1 or given[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 0 if given in (["-h"], ["--help"]) else 2
    try:
        for path in draw(Path(given[0])):
            print(path)
    except (BmpError, OSError, ValueError, KeyError) as error:
        print(f"plots: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
