"""report.html, rendered from the report alone: one file that needs no network, in which every name is escaped."""
from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import MissingDependencyError

_FOLDER = Path(__file__).parent


def require() -> None:
    """Raises MissingDependencyError unless the libraries for pages are installed."""
    for package in ("jinja2", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(f'{package} is not installed: pip install "bmp-plugin[report]"')


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

    from .latency_plots import draw

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"json": lambda value: json.dumps(value, ensure_ascii=False), "figure": _figure}
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    plots = {k: Markup(svg) for k, svg in draw(report.get("latency", {})).items()}
    return environment.get_template("page.html").render(
        report=report, plots=plots, script=Markup(script), script_digest=digest,
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")))


def _figure(value: float | None, digits: int = 4, sign: bool = False) -> str:
    if value is None:
        return "–"  # noqa: RUF001 (a dash is intended)
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
