"""Scores of given documents and their explanations are Lucene's own."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import LUCENE_INDEXES, NASTY_QUERIES, VectorEncoder

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource

HITS = 300


@pytest.fixture(scope="module")
def engines(host: Any, lucene_index: Callable[[str], Path], cranfield_queries: Mapping[str, Any]) -> Any:
    """Returns (ours, Pyserini's, Lucene's explanations) on an index by name."""
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher
    from bmp_plugin.conformance.conform.lucene_explanation import LuceneExplainer

    opened: dict[str, Any] = {}

    def get(name: str) -> Any:
        if name not in opened:
            vectors = NASTY_QUERIES if name in ("nasty", "lucene8") else dict(list(cranfield_queries.items())[::20])
            path, encoder = str(lucene_index(name)), VectorEncoder(vectors)
            theirs = host.LuceneImpactSearcher(path, encoder)
            opened[name] = BmpImpactSearcher(path, encoder, progress=False), theirs, LuceneExplainer(theirs)
        return opened[name]

    return get


def used(searcher: Any, vector: Mapping[str, Any]) -> list[str]:
    return [token for token in vector if token in searcher.idf and searcher.idf[token] > searcher.min_idf]


@pytest.mark.parametrize("name", LUCENE_INDEXES)
def test_like_lucene(name: str, engines: Any) -> None:
    ours, theirs, explainer = engines(name)
    for query, vector in ours.query_encoder.vectors.items():
        hits = list(theirs.search(query, HITS))
        docids = [hit.docid for hit in hits[:3] + hits[len(hits) // 2:][:2] + hits[-2:]]
        scores = ours.score(query, docids)
        assert scores.dtype == np.float32
        tokens = used(theirs, vector)
        for docid, score in zip(docids, scores, strict=True):
            if docid.startswith("twice"):
                continue                                      # two documents
            expected = explainer.explain(vector, docid)
            found = ours.explain(query, docid)
            # a clause of weight 0 is rewritten to a constant, without a word of impacts
            assert {part.token: part.impact for part in found.contributions if part.weight} == expected.impacts
            if len(tokens) > 1:                               # of a query of one token Lucene explains the impact alone
                assert found.score == score == expected.score
            assert [part.product for part in found.contributions] == [
                np.float32(part.impact) * np.float32(part.weight) for part in found.contributions]
            assert found.sum == sum(part.product for part in found.contributions)
            rank = [hit.docid for hit in hits].index(docid)
            assert (found.rank, found.lucene_docid) == (rank + 1, hits[rank].lucene_docid)
            assert found.adjusted == hits[rank].score
            assert found.score + found.adjustment == found.adjusted
            assert docid in str(found)


def test_documents_that_do_not_match(engines: Any) -> None:
    ours, _, explainer = engines("cranfield")
    rare = next(token for token in ours.idf if ours.bmp_index.df(token) == 1)
    docid = next(docid for docid in ("1", "2") if docid != BmpSearcher(ours.bmp_index).search({rare: 1})[0].docid)
    assert explainer.explain({rare: 2}, docid).score == 0.0
    searcher = BmpSearcher(ours.bmp_index)
    found = searcher.explain({rare: 2}, docid)
    assert (found.matches, found.score, found.rank, found.adjusted, found.contributions) == (False, 0.0, None, 0.0, [])
    scores = searcher.score({rare: 2}, [docid, "no-such-docid"])
    assert scores[0] == 0
    assert np.isnan(scores[1])


def test_dropped_tokens(engines: Any) -> None:
    ours, _, _ = engines("nasty")
    found = BmpSearcher(ours.bmp_index).explain({"all": 3, "tie": 2, "nowhere": 1}, "é")
    assert found.left_out == {"all": "in every document", "nowhere": "in no document"}
    rare = BmpSearcher(ours.bmp_index, min_idf=1).explain({"half": 3}, "z")
    assert "is not above 1" in rare.left_out["half"]


def test_every_kind_of_list(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    num_docs, shares, largest = 70_000, (2, 3, 20, 100, 500, 9000), (200, 60_000, 2**24)
    vocabulary = [f"{share}.{top}" for share in shares for top in largest] + ["overflow"]
    rows = [{name: int(rng.integers(1, int(name.split(".")[1]))) for name in vocabulary[:-1]
             if rng.integers(int(name.split(".")[0])) == 0} for _ in range(num_docs)]
    for doc in range(0, num_docs, 10):
        rows[doc]["overflow"] = 300 if doc % 100 == 0 else 7
    column = {name: number for number, name in enumerate(vocabulary)}
    source = ArraySource(np.cumsum([0] + [len(row) for row in rows]), np.array([column[name] for row in rows for name in row]),
                         np.array([impact for row in rows for impact in row.values()]), [f"d{i}" for i in range(num_docs)],
                         vocabulary)
    index = BmpIndex.build(source, tmp_path / "i.bmp", progress=False)
    assert set(zip((index.arrays["list_row"] >= 0).tolist(), index.arrays["list_shift"].tolist(), strict=True)) \
        >= {(kind, shift) for kind in (False, True) for shift in (0, 8)}
    searcher = BmpSearcher(index)
    docs = [*rng.integers(0, num_docs, 400).tolist(), 0, 65_535, 65_536, num_docs - 1]
    for name in vocabulary:
        found = searcher.score({name: 1}, [f"d{doc}" for doc in docs])
        assert found.tolist() == [np.float32(rows[doc].get(name, 0)) for doc in docs], name


def test_refusals(engines: Any) -> None:
    ours, _, _ = engines("cranfield")
    query = next(iter(ours.query_encoder.vectors))
    with pytest.raises(ValueError, match="docid 'nope' is not in"):
        ours.explain(query, "nope")
    with pytest.raises(ValueError, match="give a list"):
        ours.score(query, "1")
    with pytest.raises(ValueError, match="negative"):
        BmpSearcher(ours.bmp_index).score({"flow": -1}, ["1"])
    ours.set_rm3()
    try:
        for call in (ours.score, ours.explain):
            with pytest.raises(ValueError, match="not available while RM3 or Rocchio is on"):
                call(query, ["1"])
    finally:
        ours.unset_rm3()


def test_empty(tmp_path: Path) -> None:
    source = ArraySource(np.array([0]), np.empty(0, np.int64), np.empty(0, np.int64), [], [])
    searcher = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", progress=False))
    assert np.isnan(searcher.score({"x": 1}, ["a"])).tolist() == [True]
    assert searcher.score({"x": 1}, []).tolist() == []
