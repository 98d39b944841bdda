"""The drop-in's answers are, to the last bit and in the same order, those of Pyserini's LuceneImpactSearcher."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import (
    LUCENE_INDEXES,
    NASTY_QUERIES,
    VectorEncoder,
    nasty_documents,
    ranking,
    read_jsonl,
)

from bmp_plugin.conformance.fuzz.lucene_segments import index_vectors

Searchers = tuple[Any, Any]
BEYOND = 5_000          # more than there are documents


@pytest.fixture(scope="session")
def searchers(host: Any, lucene_index: Callable[[str], Path], cranfield_queries: Mapping[str, Any]) -> Any:
    """Returns (ours, Pyserini's) on an index by name, with an encoder of its queries; opened once."""
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    opened: dict[str, Searchers] = {}

    def get(name: str) -> Searchers:
        if name not in opened:
            encoder = VectorEncoder(NASTY_QUERIES if name in ("nasty", "lucene8") else cranfield_queries)
            path = str(lucene_index(name))
            opened[name] = BmpImpactSearcher(path, encoder, progress=False), host.LuceneImpactSearcher(path, encoder)
        return opened[name]

    yield get
    for pair in opened.values():
        for searcher in pair:
            searcher.close()


@pytest.mark.parametrize("k", [1, 10, 100, 1000, BEYOND])
@pytest.mark.parametrize("name", LUCENE_INDEXES)
def test_every_query(name: str, k: int, searchers: Any) -> None:
    ours, theirs = searchers(name)
    queries = list(ours.query_encoder.vectors)
    if k >= 1000:
        queries = queries[::3] if len(queries) > 30 else queries
    for query in queries:
        assert ranking(ours.search(query, k)) == ranking(theirs.search(query, k)), query


@pytest.mark.parametrize("name", LUCENE_INDEXES)
def test_batches_in_threads(name: str, searchers: Any) -> None:
    ours, theirs = searchers(name)
    queries = list(ours.query_encoder.vectors)
    qids = [f"q{i}" for i in range(len(queries))]
    expected = theirs.batch_search(queries, qids, k=20, threads=2)
    for threads in (1, 2, 5):
        found = ours.batch_search(queries, qids, k=20, threads=threads)
        assert list(found) == qids
        assert {qid: ranking(hits) for qid, hits in found.items()} == {
            qid: ranking(hits) for qid, hits in expected.items()}


def test_ties_reach_across_the_cut(searchers: Any) -> None:
    ours, theirs = searchers("nasty")
    for k in (3, 50, 199, 400, 598, 599, 600):
        assert ranking(ours.search("ties", k)) == ranking(theirs.search("ties", k))
    docids = [hit.docid for hit in ours.search("ties", 600)]
    assert docids == sorted(docids, key=str.encode)
    assert docids != sorted(docids, key=lambda docid: docid.encode("utf-16-be"))


@pytest.mark.parametrize("min_idf", [0, 0.01, 1, 2, 3.5, 100, -1])
@pytest.mark.parametrize("name", ["nasty", "deletions"])
def test_min_idf(name: str, min_idf: float, searchers: Any) -> None:
    ours, theirs = searchers(name)
    ours.min_idf = theirs.min_idf = min_idf
    try:
        for query in list(ours.query_encoder.vectors)[:20]:
            assert ranking(ours.search(query, 30)) == ranking(theirs.search(query, 30)), query
    finally:
        ours.min_idf = theirs.min_idf = 0


def test_lucene_8_indexes_keep_ties(searchers: Any) -> None:
    ours, theirs = searchers("lucene8")
    hits = ours.search("ties", 100)
    assert len({hit.score for hit in hits}) == 1
    assert [hit.lucene_docid for hit in hits] == sorted(hit.lucene_docid for hit in hits)
    assert ranking(hits) == ranking(theirs.search("ties", 100))


def test_token_of_every_document(searchers: Any) -> None:
    ours, _ = searchers("nasty")
    assert ours.search("everywhere", 10) == []
    ours.min_idf = -1
    assert len(ours.search("everywhere", 1000)) == 600
    ours.min_idf = 0


def test_zero_weights_match(searchers: Any) -> None:
    ours, theirs = searchers("nasty")
    scores = [hit.score for hit in ours.search("zero", 3)]
    assert scores[0] == 0.0
    assert scores[2] < scores[1] < 0.0           # adjusted downwards
    assert ranking(ours.search("zeros", 1000)) == ranking(theirs.search("zeros", 1000))


def test_sums_beyond_float32_integers(searchers: Any) -> None:
    ours, theirs = searchers("nasty")
    hits = ours.search("beyond-float32", 1000)
    assert hits[0].score > 2**24
    assert ranking(hits) == ranking(theirs.search("beyond-float32", 1000))


def test_duplicate_query_ids(searchers: Any) -> None:
    ours, _ = searchers("nasty")
    found = ours.batch_search(["large", "ties", "huge"], ["a", "b", "a"], k=5)
    assert list(found) == ["a", "b"]
    assert ranking(found["a"]) == ranking(ours.search("huge", 5))


def test_empty_batch(searchers: Any) -> None:
    ours, theirs = searchers("nasty")
    assert ours.batch_search([], []) == theirs.batch_search([], []) == {}


def test_random_queries(searchers: Any) -> None:
    """Any subset of the tokens, with weights of any size."""
    ours, theirs = searchers("nasty")
    rng = np.random.default_rng(5)
    tokens = sorted({token for document in nasty_documents() for token in document["vector"]})
    for _ in range(60):
        chosen = rng.choice(tokens, rng.integers(1, len(tokens)), replace=False)
        weights = rng.integers(0, 10 ** rng.integers(1, 5), len(chosen)).tolist()
        query = dict(zip(chosen.tolist(), weights, strict=True))
        ours.query_encoder.vectors = theirs.query_encoder.vectors = {"random": query} | NASTY_QUERIES
        k = int(rng.integers(1, 700))
        assert ranking(ours.search("random", k)) == ranking(theirs.search("random", k)), query


def adjusted(scores: list[np.float32]) -> list[float]:
    """Anserini's ScoreTiesAdjusterReranker."""
    result: list[np.float32] = []
    ties = 0
    for score in scores:
        rounded = np.float32(math.floor(float(score) * 10_000 + 0.5) / 10_000)
        if result and np.float32(result[-1] - rounded) > np.float32(1e-4):
            ties = 0
        else:
            ties += bool(result)
            if result:
                rounded = np.float32(rounded - np.float32(1e-6) * np.float32(ties))
        result.append(rounded)
    return [float(score) for score in result]


def test_more_tokens_than_lucene_accepts(host: Any, tmp_path: Path) -> None:
    """Lucene refuses a query of 1,025 tokens; the answer follows the same rules, with all documents scored."""
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    rng = np.random.default_rng(3)
    tokens = [f"t{i}" for i in range(1_025)]
    documents = [{"id": f"d{i}", "contents": "", "vector": dict(zip(
        rng.choice(tokens, 40, replace=False).tolist(), rng.integers(1, 300, 40).tolist(), strict=True))}
        for i in range(200)]
    documents[0]["vector"] = dict.fromkeys(tokens, 2)
    encoder = VectorEncoder({"long": {token: 1 + i % 50 for i, token in enumerate(tokens)}})
    path = str(index_vectors(documents, tmp_path / "long"))
    theirs = host.LuceneImpactSearcher(path, encoder)
    with pytest.raises(Exception, match="TooManyClauses"):
        theirs.search("long", 10)
    query = encoder.vectors["long"]
    scored = [(-np.float32(sum(query[t] * w for t, w in d["vector"].items())), d["id"].encode(), i)
              for i, d in enumerate(documents)]
    for k in (10, 200):
        best = sorted(scored)[:k]
        expected = [(docid.decode(), i, score) for (_, docid, i), score in zip(
            best, adjusted([-score for score, _, _ in best]), strict=True)]
        assert ranking(BmpImpactSearcher(path, encoder, progress=False).search("long", k)) == expected
    for length in (1_023, 1_024):
        encoder.vectors["long"] = dict(list(query.items())[:length])
        assert ranking(BmpImpactSearcher(path, encoder).search("long", 50)) == ranking(theirs.search("long", 50))


@pytest.mark.parametrize(("weight", "expected"), [(2.9, 2), (0.4, 0), (np.float32(7.5), 7), (np.int64(3), 3)])
def test_weights_are_truncated_towards_zero(weight: float, expected: int, searchers: Any) -> None:
    ours, theirs = searchers("nasty")
    ours.query_encoder.vectors = {"cut": {"half": weight, "mod2": 2}}
    theirs.query_encoder.vectors = {"cut": {"half": expected, "mod2": 2}}
    try:
        assert ranking(ours.search("cut", 100)) == ranking(theirs.search("cut", 100))
    finally:
        ours.query_encoder.vectors = theirs.query_encoder.vectors = NASTY_QUERIES


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one(k: int, searchers: Any) -> None:
    ours, theirs = searchers("nasty")
    with pytest.raises(ValueError, match="k="):
        ours.search("ties", k)
    with pytest.raises(Exception, match="numHits must be > 0"):
        theirs.search("ties", k)


def test_negative_weight(searchers: Any) -> None:
    ours, theirs = searchers("nasty")
    ours.query_encoder.vectors = theirs.query_encoder.vectors = {"negative": {"half": -1}}
    try:
        with pytest.raises(ValueError, match="negative"):
            ours.search("negative")
        with pytest.raises(Exception, match="boost must be a positive float"):
            theirs.search("negative")
    finally:
        ours.query_encoder.vectors = theirs.query_encoder.vectors = NASTY_QUERIES


def test_scifact(host: Any, tmp_path: Path) -> None:
    """Every query of a second real collection, with other weights and lengths; every third document, which is as many."""
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    data = Path(__file__).parents[1] / "data"
    queries = {query["qid"]: query["vector"] for query in read_jsonl(data / "scifact_queries.jsonl.gz")}
    path = str(index_vectors(read_jsonl(data / "scifact_docs.jsonl.gz")[::3], tmp_path / "scifact"))
    encoder = VectorEncoder(queries)
    ours, theirs = BmpImpactSearcher(path, encoder, progress=False), host.LuceneImpactSearcher(path, encoder)
    different = {k: [qid for qid in queries if ranking(ours.search(qid, k)) != ranking(theirs.search(qid, k))]
                 for k in (1, 10, 100, 1000)}
    assert different == {k: [] for k in different}
