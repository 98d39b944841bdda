"""Searchers in worker processes: pickled to those that are spawned, and honest in those that are forked."""
from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import ranking

from bmp_plugin import BmpIndex, BmpSearcher

Index = Callable[[str], Path]
QUERY = {"x": 2, "y": 1}


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_searchers_pickle_by_path(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    BmpIndex.build([("a", {"x": 3}), ("b", {"x": 1, "y": 9})], "i.bmp", progress=False)
    searcher = BmpSearcher("i.bmp", min_idf=-1)
    assert len(pickle.dumps(searcher)) < 1000
    monkeypatch.chdir("/")                              # the path in the pickle is absolute
    with ProcessPoolExecutor(1, multiprocessing.get_context(start)) as pool:
        hits = pool.submit(BmpSearcher.search, searcher, QUERY).result()
    assert ranking(hits) == ranking(searcher.search(QUERY)) == [("b", 1, 11.0), ("a", 0, 6.0)]


def test_joblib_finds_the_same(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    BmpIndex.build([("a", {"x": 3}), ("b", {"x": 1, "y": 9})], tmp_path / "i.bmp", progress=False)
    searcher = BmpSearcher(tmp_path / "i.bmp", min_idf=-1)
    try:
        answers = joblib.Parallel(n_jobs=2)(joblib.delayed(BmpSearcher.search)(searcher, QUERY) for _ in range(3))
    finally:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)         # else its workers outlive the test
    assert list(map(ranking, answers)) == [ranking(searcher.search(QUERY))] * 3


class Ranked:
    """A dataset of a searcher's best hits."""

    def __init__(self, searcher: BmpSearcher) -> None:
        self.searcher = searcher

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: int) -> tuple[int, str]:
        return at, self.searcher.search({"x": at, "y": 1})[0].docid


@pytest.mark.system
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_data_loader(start: str, tmp_path: Path) -> None:
    data = pytest.importorskip("torch.utils.data")
    BmpIndex.build([("a", {"x": 3, "z": 1}), ("b", {"x": 1, "y": 3})], tmp_path / "i.bmp", progress=False)
    ranked = Ranked(BmpSearcher(tmp_path / "i.bmp", min_idf=-1))
    loader = data.DataLoader(ranked, num_workers=2, batch_size=None, multiprocessing_context=start)
    assert list(map(tuple, loader)) == [ranked[at] for at in range(3)]


DROP_IN = """
import pickle, sys
from bmp_plugin.adapters.pyserini import BmpImpactSearcher
searcher = pickle.loads(sys.stdin.buffer.read())
assert type(searcher) is BmpImpactSearcher and searcher.min_idf == 0.5 and searcher.alpha == 0.9
print([(hit.docid, hit.lucene_docid, hit.score) for hit in searcher.search("heat flow")])
"""


def test_the_drop_in_pickles_by_path(host: Any, lucene_index: Index, tmp_path: Path) -> None:
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    searcher = BmpImpactSearcher(str(lucene_index("cranfield")), None, 0.5, alpha=0.9, bmp_dir=str(tmp_path / "mine.bmp"),
                                 progress=False)
    hits = searcher.search("heat")
    assert hits[0].lucene_document is not None                               # the JVM's objects are not in the pickle
    assert pickle.loads(pickle.dumps(hits)) == copy.deepcopy(hits) == hits
    assert copy.deepcopy(hits[1]).lucene_document.get("id") == hits[1].docid
    done = subprocess.run([sys.executable, "-c", DROP_IN], input=pickle.dumps(searcher), capture_output=True, check=True)
    assert done.stdout.decode().strip() == str(ranking(searcher.search("heat flow")))
    assert pickle.loads(pickle.dumps(searcher)).bmp_index.path == tmp_path / "mine.bmp"
    searcher.set_rm3()
    with pytest.raises(TypeError, match="cannot be pickled while RM3 or Rocchio is on"):
        pickle.dumps(searcher)


def test_the_drop_in_opens_urls(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher
    from bmp_plugin.index import local_copy

    monkeypatch.setattr(local_copy, "cache_folder", lambda: tmp_path / "cache")
    BmpIndex.build([("a", {"x": 3}), ("b", {"y": 9})], tmp_path / "i.bmp", progress=False)
    searcher = BmpImpactSearcher((tmp_path / "i.bmp").as_uri(), None)
    assert [hit.docid for hit in searcher.search("x")] == ["a"]
    assert searcher.bmp_index.path.parent == tmp_path / "cache"
    assert pickle.loads(pickle.dumps(searcher)).bmp_index.path == searcher.bmp_index.path


FORKED = """
import os, sys
from bmp_plugin import BmpError
from bmp_plugin.adapters.pyserini import BmpImpactSearcher
searcher = BmpImpactSearcher(sys.argv[1], None, progress=False)
if sys.argv[2] == "open":
    searcher.object
before = [hit.docid for hit in searcher.search("tie")]
child = os.fork()
if child == 0:
    status = 1
    try:
        hits = searcher.search("tie")           # asks Lucene, if it is open, whether feedback is on
        status = 2 if [hit.docid for hit in hits] != before else 1
        hits[0].lucene_document
    except BmpError as error:
        status = 0 if status == 1 and "forked" in str(error) and "spawn" in str(error) else 3
    except BaseException:
        os._exit(4)
    searcher.close()
    os._exit(status)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("lucene", ["closed", "open"])
def test_a_forked_worker_that_needs_the_jvm_gets_an_error(lucene: str, host: Any, lucene_index: Index) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED, str(lucene_index("nasty")), lucene], capture_output=True, text=True,
                          timeout=120)
    assert done.stdout.split()[-1:] == ["0"], done.stdout + done.stderr
