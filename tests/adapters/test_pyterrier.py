"""The index as a PyTerrier artifact: real pipelines, with the searcher's answers."""
from __future__ import annotations

import functools
import http.server
import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.adapters.encoders import TokenWeightEncoder

if not os.environ.get("CI"):
    pytest.importorskip("pyterrier")

import lz4.frame
import pandas as pd
import pyterrier as pt

from bmp_plugin.adapters.pyterrier import BmpPluginIndex


@pytest.fixture(scope="module")
def path(cranfield_documents: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyterrier") / "i.bmp"
    documents = ({"docno": document["id"], "toks": document["vector"], "text": "-"} for document in cranfield_documents)
    assert BmpPluginIndex(path).index(documents).built()
    return path


@pytest.fixture(scope="module")
def topics(cranfield_queries: Any) -> pd.DataFrame:
    return pd.DataFrame([{"qid": qid, "query_toks": query, "lang": "en"} for qid, query in cranfield_queries.items()])


def rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [*frame[["qid", "docno", "score", "rank"]].itertuples(index=False, name=None)]


def expected(path: Path, queries: Any, k: int, **options: Any) -> list[tuple[Any, ...]]:
    searcher = BmpSearcher(path)
    return [(qid, hit.docid, hit.score, rank) for qid, query in queries.items()
            for rank, hit in enumerate(searcher.search(query, k, **options))]


def test_the_searchers_answers(path: Path, topics: pd.DataFrame, cranfield_queries: Any) -> None:
    results = BmpPluginIndex(path).retriever(num_results=50, threads=2)(topics)
    assert rows(results) == expected(path, cranfield_queries, 50)
    assert set(results.columns) == {"qid", "query_toks", "lang", "docno", "score", "rank"}
    assert results["lang"].eq("en").all()
    approximate = BmpPluginIndex(path).retriever(num_results=20, alpha=0.6, beta=0.5, budget=2)
    assert rows(approximate(topics)) == expected(path, cranfield_queries, 20, alpha=0.6, beta=0.5, budget=2)


def test_the_index_is_a_transformer(path: Path, topics: pd.DataFrame, cranfield_queries: Any) -> None:
    assert rows(BmpPluginIndex(path)(topics.head(3))) == expected(path, dict(list(cranfield_queries.items())[:3]), 1000)


def test_rank_cutoff_is_fused(path: Path, topics: pd.DataFrame) -> None:
    retriever = BmpPluginIndex(path).retriever(num_results=30, beta=0.9)
    pipeline = (retriever % 5).compile()
    assert isinstance(pipeline, type(retriever))
    assert "num_results=5" in repr(pipeline)
    assert rows(pipeline(topics)) == rows((retriever % 5)(topics))
    assert repr((retriever % 100).compile()) == repr(retriever)


def test_operators(path: Path, topics: pd.DataFrame, cranfield_queries: Any) -> None:
    retriever = BmpPluginIndex(path).retriever(num_results=10)
    doubled = retriever + retriever
    one, two = (frame.sort_values(["qid", "docno"])["score"].tolist() for frame in (retriever(topics), doubled(topics)))
    assert two == [2 * score for score in one]
    best = [{"qid": qid, "docno": docno, "label": 1} for qid, docno, _, _ in expected(path, cranfield_queries, 1)]
    measured = pt.Experiment([retriever % 3, retriever], topics, pd.DataFrame(best), ["P_3", "num_ret"], names=["a", "b"])
    assert measured["num_ret"].tolist() == [3 * len(topics), 10 * len(topics)]
    assert measured["P_3"].tolist() == [1 / 3, 1 / 3]


def test_query_text(path: Path) -> None:
    topics = pd.DataFrame([{"qid": "1", "query": "flow flow heat"}, {"qid": "2", "query": "wing"}, {"qid": "3", "query": ""}])
    counted = {"1": {"flow": 2, "heat": 1}, "2": {"wing": 1}}
    assert rows(BmpPluginIndex(path).retriever(num_results=7)(topics)) == expected(path, counted, 7)
    encoder = TokenWeightEncoder(str.split, {"flow": 0.5, "heat": 2.5})
    encoded = {"1": {"flow": 50, "heat": 250}}
    assert rows((BmpPluginIndex(path).retriever(encoder=encoder) % 7).compile()(topics)) == expected(path, encoded, 7)


def test_edges(path: Path, topics: pd.DataFrame) -> None:
    retriever = BmpPluginIndex(path).retriever(num_results=3)
    nothing = retriever(topics.head(0))
    assert len(nothing) == 0
    assert {"qid", "docno", "score", "rank"} <= set(nothing.columns)
    assert len(retriever(pd.DataFrame([{"qid": "1", "query_toks": {"no-such-token": 3}}]))) == 0
    twice = retriever(pd.concat([topics.head(1), topics.head(1)]))
    assert rows(twice.head(3)) == rows(twice.tail(3)) == rows(retriever(topics.head(1)))
    again = retriever(retriever(topics.head(2)).drop_duplicates("qid"))         # results as topics
    assert rows(again) == rows(retriever(topics.head(2)))
    with pytest.raises(ValueError, match="give query_toks, or query"):
        retriever(pd.DataFrame([{"qid": "1", "other": 3}]))


def test_artifact_is_recognized(path: Path, tmp_path: Path, topics: pd.DataFrame) -> None:
    assert isinstance(pt.Artifact.load(str(path)), BmpPluginIndex)
    package = BmpPluginIndex(path).build_package(str(tmp_path / "i.tar.lz4"), verbose=False)
    with lz4.frame.open(package) as packed, tarfile.open(fileobj=packed) as members:        # as from_url and from_hf do
        members.extractall(tmp_path / "unpacked", filter="data")
    loaded = pt.Artifact.load(str(tmp_path / "unpacked"))
    assert isinstance(loaded, BmpPluginIndex)
    BmpIndex.open(loaded.path).verify()
    assert rows((loaded.retriever() % 5)(topics)) == rows((BmpPluginIndex(path).retriever() % 5)(topics))


def test_artifact_is_shared(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, topics: pd.DataFrame) -> None:
    """A package on a web server is downloaded once, and is an index like others."""
    monkeypatch.setattr(pt.io, "pyterrier_home", lambda: str(tmp_path / "home"))
    (tmp_path / "served").mkdir()
    BmpPluginIndex(path).build_package(str(tmp_path / "served" / "i.tar.lz4"), verbose=False)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        loaded = pt.Artifact.from_url(url := f"http://127.0.0.1:{server.server_port}/i.tar.lz4")
        server.shutdown()
    assert isinstance(loaded, BmpPluginIndex)
    assert pt.Artifact.from_url(url).path == loaded.path
    assert rows((loaded.retriever() % 5)(topics)) == expected(path, dict(zip(topics.qid, topics.query_toks, strict=True)), 5)
    BmpIndex.open(loaded.path).verify()


def test_built_once(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BmpError, match="there is an index already"):
        BmpPluginIndex(path).index([])
    index = BmpPluginIndex(tmp_path / "floats.bmp")
    assert not index.built()
    documents = [{"docno": "a", "toks": {"x": 0.5}}, {"docno": "b", "toks": {"x": 1.0, "y": 1}}]
    index.indexer(quantize=8, reorder="bp").index(documents)
    found = (index.retriever())(pd.DataFrame([{"qid": "1", "query_toks": {"y": 1.0}}]))
    assert rows(found) == [("1", "b", 255.0 * 255, 0)]
