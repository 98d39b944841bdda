"""The scripts and the notebook of examples/ run in an empty folder, and print what they say they do."""
from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_bert import write_masked_language_model

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTED = {
    "search": r"1 plate 34500\.0\n2 nozzle 29600\.0\n3 wing 10050\.0\nnozzle: 29600.*\n(  .*\n)+",
    "evaluate": r"nDCG@10 0\.4962\nRR@10 0\.7662\nR@1000 0\.9788\n",
    "approximate": r"([\d.]+% of the safe top 10 with \{.*\}\n){3}",
    "hybrid": r"sparse nDCG@10 0\.4962\ndense nDCG@10 0\.3.*\nhybrid nDCG@10 0\.50.*\n",
}


def run(name: str, folder: Path, *arguments: str | Path) -> str:
    done = subprocess.run([sys.executable, EXAMPLES / f"{name}.py", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PRINTED)
def test_script(name: str, tmp_path: Path) -> None:
    assert re.fullmatch(PRINTED[name], run(name, tmp_path))


def test_swap_gives_the_hits_of_lucene(host: Any, lucene_index: Callable[[str], Path], tmp_path: Path) -> None:
    write_masked_language_model(tmp_path / "splade-encoder")
    index, encoder, query = str(lucene_index("cranfield")), str(tmp_path / "splade-encoder"), "heat flow"
    hits = host.LuceneImpactSearcher(index, encoder).search(query, k=10)
    assert len(hits) == 10
    printed = run("swap", tmp_path, index, encoder, query).splitlines()
    assert printed[-10:] == [f"{rank:2} {hit.docid} {hit.score:.4f}" for rank, hit in enumerate(hits, start=1)]


def test_notebook_prints_what_is_stored_in_it(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    nbformat.validate(notebook)
    stored = printed_by(notebook)
    assert len(stored) > 5
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert printed_by(notebook) == stored


def printed_by(notebook: Any) -> list[str]:
    """Returns what each cell of code prints, and shows."""
    return ["".join(output.get("text") or output["data"]["text/plain"] for output in cell.outputs)
            for cell in notebook.cells if cell.cell_type == "code"]


def test_all_examples_are_tested_and_documented() -> None:
    names = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".ipynb"}}
    assert names == {f"{name}.py" for name in PRINTED} | {"swap.py", "tour.ipynb"}
    page = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    assert [name for name in names if name not in page] == []
