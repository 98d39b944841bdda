"""report.html, rendered from the report alone: one file that needs no network, in which every name is escaped."""
from __future__ import annotations

import base64
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import MissingDependencyError
from .headline import date_in_words, joined, rounded_ratio, signed, speed_ups, times_as_fast
from .latency_plot import latency_plot

HOST, OURS = "LuceneImpactSearcher", "BmpImpactSearcher"
_FOLDER = Path(__file__).parent


def require() -> None:
    """Raises MissingDependencyError unless jinja2 is installed."""
    if importlib.util.find_spec("jinja2") is None:
        raise MissingDependencyError('jinja2 is not installed: pip install "bmp-plugin[report]"')


def page(report: Mapping[str, Any]) -> str:
    """Renders the page as HTML.

    Its content security policy blocks all requests and all scripts but its own, which is allowed by its hash.

    Raises
    ------
    MissingDependencyError
        See :func:`require`.
    """
    require()
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"date": date_in_words, "figure": _figure, "gain": signed, "joined": joined, "ms": _milliseconds,
                            "ratio": rounded_ratio}
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    latency = report.get("latency", {})
    return environment.get_template("page.html").render(
        report=report, plot=latency_plot(latency) if latency else None,
        speed_up=times_as_fast(list(speed_ups(latency).values())), effectiveness=_effectiveness(report["comparisons"]),
        engines=_engines(report.get("engines", [])), script=Markup(script), script_digest=digest,
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")))


def _effectiveness(comparisons: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns rows for the measures in which queries differ, and by label and k the measures in which none does."""
    rows: list[dict[str, Any]] = []
    alike: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in comparisons:
        if not one["measures"]:
            continue
        of_a, of_b, pairs, label = one["measures"]["a"], one["measures"]["b"], one["paired"], one["b_label"]
        same = {name: value for name, value in of_a.items() if not pairs[name]["better"] and not pairs[name]["worse"]}
        rows += [{"label": label, "k": one["k"], "measure": name, "a": value, "b": of_b[name], "pair": pairs[name]}
                 for name, value in of_a.items() if name not in same]
        if same:
            partly = len(same) < len(of_a)
            line = alike.setdefault((label, *(same if partly else ())), {"label": label, "ks": [], "partly": partly})
            line["ks"] += [] if one["k"] is None else [one["k"]]
            line["figures"] = same
    return {"rows": rows, "alike": list(alike.values())}


def _engines(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the engines that ran, without Pyserini's own; those that did not, by reason; and those that failed."""
    absent: dict[str, list[str]] = {}
    for engine in found:
        if engine["state"] == "skipped":
            absent.setdefault(engine["why"], []).append(engine["engine"])
    ran = [engine for engine in found if engine["state"] == "ran" and engine["engine"] != HOST]
    others = any(not engine["engine"].startswith(OURS) for engine in ran)          # ours alone are among the runs already
    return {"ran": ran if others else [], "absent": absent,
            "failed": [engine for engine in found if engine["state"] == "failed"]}


def _figure(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"  # noqa: RUF001 (a dash is intended)


def _milliseconds(value: float) -> str:
    return f"{value:.2g}" if value < 0.1 else f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"
