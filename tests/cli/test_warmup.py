"""After ``bmp-plugin warmup``, nothing is compiled any more, whatever is indexed and searched."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

USE = """
import sys
from numba.core import event
from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.export.ciff_writing import write_ciff
from bmp_plugin.adapters.sources.pruning import Pruning
from bmp_plugin.adapters.sources.regular_documents import is_compiled
assert is_compiled()
with event.install_recorder("numba:compile") as compiled:
    for reorder in ("none", "bp", "leading"):
        BmpIndex.build(sys.argv[1], sys.argv[2], prune=Pruning(document_share=0.7, term_share=0.9), progress=False)
        with BmpSearcher(BmpIndex.build(sys.argv[1], sys.argv[2], reorder=reorder, threads=2, progress=False)) as searcher:
            searcher.index.verify()
            terms = [term for term in searcher.index.terms() if searcher.index.df(term)]
            query = {term: 1 + number for number, term in enumerate(terms[-100:])}
            assert searcher.search(query)
            rarest = min(query, key=searcher.index.df)
            assert searcher.search({rarest: 2**31 - 1})
            assert searcher.search({**query, rarest: 0}, k=1000, alpha=0.8, beta=0.5)
            docid = searcher.search(query)[0].docid
            assert searcher.score(query, [docid])[0] == searcher.explain(query, docid).score
            write_ciff(searcher.index, sys.argv[2] + ".ciff", progress=False)
            assert searcher.batch_search([query] * 20, [*map(str, range(20))], k=7, threads=2)
print(sorted({event.data["dispatcher"].py_func.__qualname__ for _, event in compiled.buffer}))
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python in the environment in which warmup was run."""
    folder = tmp_path_factory.mktemp("warm")
    environment = os.environ | {"HOME": str(folder), "XDG_CACHE_HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("NUMBA_CACHE_DIR", None)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)

    done = run("-m", "bmp_plugin", "warmup")
    assert done.returncode == 0
    assert f"{folder}/bmp-plugin/kernels-" in done.stderr
    return run


@pytest.mark.slow
def test_nothing_is_compiled_for_json_vectors(warm: Run, tmp_path: Path) -> None:
    source = tmp_path / "vectors.jsonl"
    vectors = ({f"t{doc % 7}": 1 + doc, f"u{doc % 2}": 9, "all": 70_000 * (1 + doc % 3)} for doc in range(300))
    source.write_text("".join(json.dumps({"id": f"d{doc}", "vector": vector}) + "\n" for doc, vector in enumerate(vectors)))
    assert _compiled(warm, source, tmp_path) == "[]"


@pytest.mark.slow
def test_nothing_is_compiled_for_ciff(warm: Run, tmp_path: Path) -> None:
    pytest.importorskip("google.protobuf")
    from test_ciff import ciff_bytes

    source = tmp_path / "lists.ciff"
    source.write_bytes(ciff_bytes())
    assert _compiled(warm, source, tmp_path) == "[]"


@pytest.mark.slow
def test_nothing_is_compiled_for_lucene(warm: Run, tmp_path: Path, lucene_index: Callable[[str], Path]) -> None:
    assert _compiled(warm, lucene_index("cranfield"), tmp_path) == "[]"


def _compiled(warm: Run, source: Path, folder: Path) -> str:
    done = warm("-c", USE, source, folder / "index")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run([sys.executable, "-m", "bmp_plugin", "warmup"], capture_output=True, text=True,
                          env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "file")})
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "NUMBA_CACHE_DIR" in done.stderr
