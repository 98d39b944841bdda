"""Latency distributions as SVG for a page, which sets the colours of text and lines."""
from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

INK = "#010203"                # replaced by currentColor
# Paul Tol's bright scheme, safe for colour-blind readers, on light and dark backgrounds
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")


def draw(latency: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Draws one plot per k: the share of queries answered within a time, by engine; ``ms`` is each query's time."""
    ks = list(dict.fromkeys(k for by_k in latency.values() for k in by_k))
    return {k: _svg(k, {label: by_k[k]["ms"] for label, by_k in latency.items() if k in by_k}) for k in ks}


def _svg(k: str, times: Mapping[str, list[float]]) -> str:
    import matplotlib
    from matplotlib.figure import Figure

    look: Any = {"svg.fonttype": "none", "svg.hashsalt": f"bmp-plugin-{k}", "text.color": INK, "axes.edgecolor": INK,
                 "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "font.family": "sans-serif", "font.size": 9}
    with matplotlib.rc_context(look):
        figure = Figure(figsize=(4.6, 3.4 + 0.15 * len(times)), layout="constrained")
        figure.patch.set_alpha(0)
        axis = figure.subplots()
        axis.patch.set_alpha(0)
        for (label, ms), colour in zip(times.items(), COLOURS * (1 + len(times) // len(COLOURS)), strict=False):
            ordered = np.sort(ms)
            axis.step(np.maximum(ordered, 1e-4), np.arange(1, len(ordered) + 1) / len(ordered), where="post", color=colour,
                      linewidth=1.6, label=label)
        axis.grid(True, which="major", linewidth=0.3, color=INK, alpha=0.4)
        axis.set(xscale="log", ylim=(0, 1.02), xlabel="milliseconds per query", ylabel="share of queries", title=f"k = {k}")
        axis.xaxis.set_major_formatter("{x:g}")
        figure.legend(fontsize=8, loc="outside lower center", framealpha=0)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg"):].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # makes ids unique among the plots of the page
    svg = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>k{k}-", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="Latency at k = {k}" '
                 'xmlns:xlink="http://www.w3.org/1999/xlink">', svg, count=1)
    return svg
