"""The report as one dictionary, and its files report.json and report.html."""
from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._internal.atomic_write import atomic_file
from ..trec.rank_differences import MEANINGS
from ..trec.run_comparison import Comparison
from ..trec.run_file import Run
from . import machine
from .query_details import Explain, detail

Report = dict[str, Any]
FORMAT = 1
PACKAGES = ("ir-measures", "ir-datasets", "scipy", "torch", "transformers", "jinja2", "pyjnius")


def section(comparison: Comparison, a: Run, b: Run, labels: tuple[str, str], explain: Explain | None = None,
            explained: Collection[str] = (), **facts: Any) -> Report:
    """Returns a comparison as a part of the report, with details of the queries that differ, and explanations of the scores
    of those whose ids are in ``explained``; ``facts`` are added to it."""
    found = comparison.as_dict()
    differing = found.pop("differences")
    return {**facts, "a_label": labels[0], "b_label": labels[1], **found, "a": a.path.name, "b": b.path.name,
            "a_bytes": a.path.stat().st_size, "b_bytes": b.path.stat().st_size,
            "overlap": {str(k): share for k, share in comparison.overlap.items()}, "not_shown": comparison.queries
            - comparison.identical - len(differing),
            "differing": [detail(one, a, b, explain if one.qid in explained else None)
                          for one in comparison.differences]}


def report(title: str, same: bool, sections: list[Report], command: str, **parts: Any) -> Report:
    """Returns the full report, with the circumstances of the measurement."""
    now = datetime.datetime.now().astimezone()
    return {"format": FORMAT, "title": title, "same": same, "date": now.isoformat(" ", "seconds"),
            "command": command, "comparisons": sections, "kinds": dict(MEANINGS), "machine": machine.machine(),
            "versions": machine.versions(PACKAGES), **parts}


def of_two_runs(comparison: Comparison, a: Run, b: Run, command: str) -> Report:
    """Returns the report of ``bmp-plugin compare``, from two run files alone."""
    labels = names(a.path, b.path)
    found = section(comparison, a, b, labels, k=None, settings={}, safe=False)
    return report(" and ".join(labels), comparison.same, [found], command)


def names(a: Path, b: Path) -> tuple[str, str]:
    """Returns names that tell two runs apart: of the files, and of the folders in which they differ if the files' are equal."""
    parts_a, parts_b = a.absolute().parts, b.absolute().parts
    shown = 1
    while shown < min(len(parts_a), len(parts_b)) and parts_a[-shown:] == parts_b[-shown:] and parts_a != parts_b:
        shown += 1
    return str(Path(*parts_a[-shown:])), str(Path(*parts_b[-shown:]))


def latency(seconds: NDArray[np.float64]) -> Report:
    """Returns the figures of one engine's times in milliseconds; ``ms`` has every query's."""
    ms = seconds * 1e3
    return {"mean": float(ms.mean()), "median": float(np.median(ms)), "p95": float(np.percentile(ms, 95)),
            "p99": float(np.percentile(ms, 99)), "ms": [round(value, 4) for value in ms.tolist()]}


def write(output: Path, found: Mapping[str, Any]) -> None:
    """Writes report.json and report.html, each atomically.

    Raises
    ------
    MissingDependencyError
        If jinja2 is not installed.
    """
    from .page import page

    output.mkdir(exist_ok=True)
    for name, text in (("report.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n"), ("report.html", page(found))):
        with atomic_file(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
