"""An index built under one Lucene is read under the other: Pyserini 1.6 (Lucene 9.9) and 2.x (Lucene 10), see .ci/pyserini2."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OTHER = os.environ.get("BMP_OTHER_PYTHON")
pytestmark = pytest.mark.skipif(OTHER is None, reason="BMP_OTHER_PYTHON names no environment with another Pyserini")

ANSWERS = """
import json, sys
from bmp_plugin.adapters.pyserini import BmpImpactSearcher
from pyserini.search.lucene import LuceneImpactSearcher
path, cached, own = sys.argv[1:]
def answers(searcher):
    return [[(hit.docid, hit.lucene_docid, hit.score) for hit in searcher.search(json.loads(line)["contents"], 30)]
            for line in open(cached)]
ours = BmpImpactSearcher(path, cached, progress=False)
source = ours.bmp_index.manifest["source"]["details"]
lucene = answers(LuceneImpactSearcher(path, cached)) if own == "lucene" else None
print(json.dumps({"built_by": source["lucene"], "ours": answers(ours), "lucene": lucene}))
"""


def ask(python: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run([python, "-c", ANSWERS, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("builder", ["this", "other"])
def test_block_max_index(builder: str, cranfield_documents: Any, cranfield_queries: Any, tmp_path: Path) -> None:
    """A Lucene 9 index, which both Lucenes open; one builds its sidecar index, and the other finds it."""
    pythons = {"this": sys.executable, "other": str(OTHER)}
    older = min(pythons, key=lambda name: _pyserini(pythons[name]))
    index = tmp_path / "index"
    subprocess.run([pythons[older], "-c", BUILD, str(index)], input=json.dumps(cranfield_documents), text=True, check=True,
                   capture_output=True, cwd=Path(__file__).parents[1])
    cached = tmp_path / "queries.jsonl"
    cached.write_text("".join(json.dumps({"contents": qid, "vector": vector}) + "\n"
                              for qid, vector in list(cranfield_queries.items())[:20]))
    reader = "other" if builder == "this" else "this"
    built = ask(pythons[builder], str(index), str(cached), "lucene")
    made = (tmp_path / "index.bmp" / "manifest.json").stat().st_mtime_ns
    read = ask(pythons[reader], str(index), str(cached), "lucene")
    assert (tmp_path / "index.bmp" / "manifest.json").stat().st_mtime_ns == made            # found, not built again
    assert read["built_by"] == built["built_by"]
    assert built["ours"] == built["lucene"] == read["ours"] == read["lucene"]
    assert sum(map(len, built["ours"])) > 100
    shutil.rmtree(index)
    assert ask(pythons[reader], str(tmp_path / "index.bmp"), str(cached), "ours")["ours"] == built["ours"]


def test_index_of_lucene_8(cranfield_documents: Any, cranfield_queries: Any, tmp_path: Path) -> None:
    """Anserini does not adjust its ties: an index built under the older Lucene gives the same answers under the newer one."""
    older, newer = sorted((sys.executable, str(OTHER)), key=_pyserini)
    index, cached = tmp_path / "index", tmp_path / "queries.jsonl"
    subprocess.run([older, "-c", BUILD + "\nconftest.claim_lucene_8(Path(sys.argv[1]))", str(index)], text=True, check=True,
                   input=json.dumps(cranfield_documents), capture_output=True, cwd=Path(__file__).parents[1])
    cached.write_text("".join(json.dumps({"contents": qid, "vector": vector}) + "\n"
                              for qid, vector in list(cranfield_queries.items())[:20]))
    built = ask(older, str(index), str(cached), "lucene")
    assert built["ours"] == built["lucene"] == ask(newer, str(index), str(cached), "ours")["ours"]
    assert sum(map(len, built["ours"])) > 100


BUILD = """
import json, sys
from pathlib import Path
import conftest
from bmp_plugin.adapters.host.pyserini_import import import_pyserini
import_pyserini()
conftest.index_vectors(json.load(sys.stdin), Path(sys.argv[1]))
"""


def _pyserini(python: str) -> tuple[int, ...]:
    code = "from importlib.metadata import version; print(version('pyserini'))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return tuple(map(int, done.stdout.strip().split(".")))
