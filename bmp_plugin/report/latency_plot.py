"""The latency plot of a page: positions, in per cent of its width, at which the template draws each engine's times."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .headline import speed_ups

LEFT, RIGHT = 2.0, 98.0        # per cent of the width: marks at the ends stay whole
LONGEST_LABEL = 30             # characters that a telephone's width holds beside the figure
FEW_TICKS = 7
K_HEIGHT, ROW_HEIGHT, AXIS_HEIGHT = 34, 40, 44          # pixels, as in the template

Latency = Mapping[str, Mapping[str, Mapping[str, Any]]]


def latency_plot(latency: Latency) -> dict[str, Any]:
    """Lays out one plot of all engines and numbers of hits, on one logarithmic scale of milliseconds.

    Parameters
    ----------
    latency : mapping
        The report's latencies: by engine, the first of which is Pyserini's, and by k; ``ms`` has every query's time.

    Returns
    -------
    dict
        ``ticks``, each (label, position), and ``groups``, one per k, of rows with the positions of the mean and of the 5th,
        95th and 99th percentiles.
    """
    ks = list(dict.fromkeys(k for by_k in latency.values() for k in by_k))
    spread = {(label, k): np.maximum(np.percentile(by_k[k]["ms"], [5, 95, 99]), 1e-4)
              for label, by_k in latency.items() for k in ks if k in by_k}
    means = {(label, k): max(latency[label][k]["mean"], 1e-4) for label, k in spread}
    ends = [*means.values(), *(float(value) for values in spread.values() for value in values)]
    bounds = _round_steps(min(ends), max(ends))
    ticks = bounds if len(bounds) <= FEW_TICKS else [step for step in bounds if math.log10(step) % 1 < 1e-9]
    low, high = math.log(bounds[0]), math.log(bounds[-1])

    def at(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (math.log(value) - low) / (high - low), 2)

    ours = list(latency)[min(1, len(latency) - 1)]
    groups = []
    for k in ks:
        rows = []
        for number, label in enumerate(latency):
            if (label, k) in spread:
                p5, p95, p99 = (at(float(value)) for value in spread[label, k])
                ratio = speed_ups(latency, label).get(k) if number else None
                rows.append({"label": _shortened(label, ours), "kind": ("host", "ours")[number] if number < 2 else "other",
                             "p5": p5, "p95": p95, "p99": p99, "at": at(means[label, k]), "mean": latency[label][k]["mean"],
                             "speed_up": ratio})
        groups.append({"k": k, "rows": rows})
    height = sum(K_HEIGHT + ROW_HEIGHT * len(group["rows"]) for group in groups) + AXIS_HEIGHT
    return {"ticks": [(f"{tick:g}", at(tick)) for tick in ticks], "groups": groups, "height": height}


def _round_steps(least: float, largest: float) -> list[float]:
    """Returns the round numbers (1, 2, 5, 10, ...) from the last below the least value to the first above the largest."""
    steps = [float(f"{digit}e{power}") for power in range(math.floor(math.log10(least)), math.ceil(math.log10(largest)) + 1)
             for digit in (1, 2, 5)]
    first = max(i for i, step in enumerate(steps) if step <= least or i == 0)
    return steps[first:next(i for i, step in enumerate(steps) if step >= largest and i > first) + 1]


def _shortened(label: str, ours: str) -> str:
    """Returns a label that fits beside the figure; of ours with settings, only the settings."""
    label = label.removeprefix(f"{ours} ")
    return label if len(label) <= LONGEST_LABEL else label[:LONGEST_LABEL - 1] + "…"
