"""What MkDocs generates at every build, from the code itself: the reference of commands, and the figure of a search."""
from __future__ import annotations

import argparse
import gzip
import importlib.util
import io
import json
import os
import re
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

FOLDER = Path(__file__).parent
QUERY, K = 2, 10                       # the third of Cranfield's queries
INKS = {"light": "#222222", "dark": "#d6d8e0"}          # of the site's two colour schemes


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages and figures."""
    files.append(File.generated(config, "reference/commands.md", content=commands()))
    for scheme, ink in INKS.items():
        files.append(File.generated(config, f"explanation/search-{scheme}.svg", content=search_figure(ink)))
        files.append(File.generated(config, f"reference/history-{scheme}.svg", content=history_figure(ink)))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Removes the roles of references in docstrings, which Markdown does not know."""
    return re.sub(r":(?:mod|class|func|meth|data):<code>[~.]*([^<]*)</code>", r"<code>\1</code>", html)


def commands() -> str:
    """Returns the reference of the command line: the help of every command."""
    os.environ["COLUMNS"] = "100"
    from bmp_plugin.cli import parser

    whole = parser()
    page = ["# Commands", f"```text\n{whole.format_help()}```"]
    action = next(action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in action.choices.items():
        page += [f"## bmp-plugin {name}", f"```text\n{command.format_help()}```"]
    return "\n\n".join(page) + "\n"


def _axes(ink: str, height: float) -> tuple[Any, Any]:
    """Returns a figure and its axes, whose text and lines have the colour ``ink``; the background is transparent."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": f"bmp-plugin {ink}", "font.size": 11, "text.color": ink, "axes.edgecolor": ink,
                                "axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink})
    plot = Figure(figsize=(5.6, height), layout="constrained")
    axes = plot.subplots()
    axes.patch.set_alpha(0)
    return plot, axes


def _svg(plot: Any) -> str:
    drawn = io.StringIO()
    plot.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return drawn.getvalue()


def history_figure(ink: str) -> str:
    """Returns a plot of the benchmark's history: how many times as fast as Lucene, and as the Rust code, in the same run."""
    from bmp_plugin.conformance.history import read_history

    entries = read_history()
    plot, axes = _axes(ink, 3.6)
    for name, other, color in (("Lucene", "lucene", "#e0632a"), ("Rust bmp", "rust-8", "#4f7fe8")):
        for k, line in (("10", "-"), ("1000", ":")):
            ratios = [entry["ms"][other][k][0] / entry["ms"]["ours"][k][0] for entry in entries]
            axes.plot(range(len(entries)), ratios, line, color=color, marker="o", markersize=3, label=f"{name}, k = {k}")
    labels = [f"{entry['release'].rpartition('-')[2]}\n{entry['date'][5:]}" for entry in entries]
    axes.set_xticks(range(len(entries)), labels, fontsize=9)
    axes.set(ylabel="mean time over that of BmpSearcher", ylim=(0, None))
    axes.legend(frameon=False, fontsize=9, ncols=2, loc="lower left")
    return _svg(plot)


def search_figure(ink: str) -> str:
    """Returns a plot of one real query: the blocks' upper bounds, the threshold, and where the search stops."""
    spec = importlib.util.spec_from_file_location("textbook_bmp", FOLDER / "explanation" / "textbook_bmp.py")
    assert spec is not None
    assert spec.loader is not None
    textbook: Any = importlib.util.module_from_spec(spec)
    sys.modules["textbook_bmp"] = textbook
    spec.loader.exec_module(textbook)
    index = textbook.TextbookIndex([document["vector"] for document in _cranfield("docs")])
    query = _cranfield("queries")[QUERY]["vector"]
    _, visits = index.search(query, K)
    bounds = sorted(index.upper_bounds(query).tolist(), reverse=True)
    plot, axes = _axes(ink, 3.6)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.fill_between(range(len(bounds)), bounds, color="#9aa7b5", alpha=0.5, label="upper bounds, falling")
    axes.plot(range(len(visits)), [visit.threshold for visit in visits], color="#e0632a",
              label=f"threshold: the score of the {K}th best so far")
    axes.axvline(len(visits), color="#4f7fe8", linestyle="--", label=f"stop after {len(visits)} of {len(bounds)} blocks")
    axes.set(xlabel="block of 4 documents, by upper bound", ylabel="score", xlim=(0, len(bounds)), ylim=(0, None))
    axes.legend(frameon=False)
    return _svg(plot)


def _cranfield(name: str) -> list[dict[str, Any]]:
    with gzip.open(str(resources.files("bmp_plugin.demo") / f"cranfield_{name}.jsonl.gz"), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
