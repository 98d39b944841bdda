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
        files.append(File.generated(config, f"explanation/search-{scheme}.svg", content=figure(ink)))
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


def figure(ink: str) -> str:
    """Returns a plot of one real query: the blocks' upper bounds, the threshold, and where the search stops.

    Parameters
    ----------
    ink : str
        Colour of text and axes; the background is transparent.
    """
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": f"bmp-plugin {ink}", "font.size": 11, "text.color": ink, "axes.edgecolor": ink,
                                "axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink})
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
    plot = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = plot.subplots()
    axes.patch.set_alpha(0)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.fill_between(range(len(bounds)), bounds, color="#9aa7b5", alpha=0.5, label="upper bounds, falling")
    axes.plot(range(len(visits)), [visit.threshold for visit in visits], color="#e0632a",
              label=f"threshold: the score of the {K}th best so far")
    axes.axvline(len(visits), color="#4f7fe8", linestyle="--", label=f"stop after {len(visits)} of {len(bounds)} blocks")
    axes.set(xlabel="block of 4 documents, by upper bound", ylabel="score", xlim=(0, len(bounds)), ylim=(0, None))
    axes.legend(frameon=False)
    drawn = io.StringIO()
    plot.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return drawn.getvalue()


def _cranfield(name: str) -> list[dict[str, Any]]:
    with gzip.open(str(resources.files("bmp_plugin.demo") / f"cranfield_{name}.jsonl.gz"), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
