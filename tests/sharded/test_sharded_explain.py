"""Scores and explanations of given documents from a sharded index are those of one index, and so Lucene's."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NASTY_QUERIES, VectorEncoder, nasty_documents

from bmp_plugin import BmpIndex, BmpSearcher, ShardedSearcher
from bmp_plugin.index.format_registry import open_source
from bmp_plugin.sharded.build_shards import build_shards

SHARDS = (1, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """one.bmp and N.bmps; a token is in every document of the first shard of three, and rare elsewhere."""
    folder = tmp_path_factory.mktemp("explain")
    documents = [document for document in nasty_documents() if document["id"] != "twice#1"]
    for document in documents[:220] + documents[400::40]:
        document["vector"]["early"] = 3
    (folder / "v.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
    source = open_source(folder / "v.jsonl")
    BmpIndex.build(source, folder / "one.bmp", progress=False)
    for n in SHARDS:
        build_shards(source, folder / f"{n}.bmps", n, reorder="bp", progress=False)
    source.close()
    return folder


QUERIES = {**NASTY_QUERIES, "early": {"early": 2}, "early-and-all": {"all": 3, "early": 0, "mod2": 1, "nowhere": 4}}


def assert_alike(ours: Any, one: Any, query: Mapping[str, float], docids: list[str]) -> None:
    scores = ours.score(query, docids)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, one.score(query, docids))
    for docid in docids[:-1]:
        assert ours.explain(query, docid) == one.explain(query, docid)


@pytest.mark.parametrize("n", SHARDS)
@pytest.mark.parametrize("min_idf", [0, 0.8, -1])
def test_like_one_index(n: int, min_idf: float, folder: Path) -> None:
    one = BmpSearcher(folder / "one.bmp", min_idf=min_idf)
    everyone = one.index.docids(np.arange(one.index.num_docs, dtype=np.int32))
    rng = np.random.default_rng(3)
    with ShardedSearcher(folder / f"{n}.bmps", min_idf=min_idf) as searcher:
        for query in QUERIES.values():
            hits = [hit.docid for hit in one.search(query, 600)]
            docids = [*hits[:2], *hits[len(hits) // 2:][:2], *hits[-1:], *rng.choice(everyone, 4), "no-such-docid"]
            assert_alike(searcher, one, query, docids)


def test_every_rank_is_that_of_the_search(folder: Path) -> None:
    """A hundred documents with few distinct scores: ties within and across shards."""
    with ShardedSearcher(folder / "3.bmps") as searcher:
        for rank, hit in enumerate(searcher.search({"half": 1, "tie": 0, "mod1": 40}, 600)):
            if rank % 6 == 0:
                found = searcher.explain({"half": 1, "tie": 0, "mod1": 40}, hit.docid)
                assert (found.rank, found.adjusted, found.lucene_docid) == (rank + 1, hit.score, hit.lucene_docid)


def test_refusals(folder: Path) -> None:
    with BmpSearcher(folder / "one.bmp") as one, ShardedSearcher(folder / "3.bmps") as searcher:
        for query, docid in (({"tie": 1}, "nope"), ({"tie": -1}, "z"), ({"tie": -1}, "nope"), ({"nowhere": "x"}, "z"),
                             ({7: 1}, "z")):
            messages = []
            for each in (one, searcher):
                with pytest.raises(ValueError, match=r"docid|token") as caught:
                    each.explain(query, docid)
                messages.append(str(caught.value).replace(str(each.index.path), "INDEX"))
            assert messages[0] == messages[1]
        with pytest.raises(ValueError, match="negative"):
            searcher.score({"tie": -1}, ["z"])
        with pytest.raises(ValueError, match="give a list"):
            searcher.score({"tie": 1}, "z")
        assert searcher.score({"tie": 1}, []).tolist() == []


def test_documents_of_a_missing_shard(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder / "3.bmps", tmp_path / "i.bmps"))
    shutil.rmtree(copy / "shard-000.bmp")
    with ShardedSearcher(copy, allow_partial=True) as searcher:
        hits = searcher.search({"tie": 1, "half": 2}, 600)
        assert searcher.explain({"tie": 1, "half": 2}, hits[50].docid).rank == 51
        assert np.isnan(searcher.score({"tie": 1}, ["z", hits[0].docid])).tolist() == [True, False]
        with pytest.raises(ValueError, match=r"docid 'z' is not in .*i\.bmps, and shards are missing: shard-000: "):
            searcher.explain({"tie": 1}, "z")


@pytest.mark.parametrize("name", ["nasty", "deletions", "lucene8"])
def test_through_the_drop_in(name: str, host: Any, lucene_index: Callable[[str], Path], cranfield_queries: Any,
                             tmp_path: Path) -> None:
    """With deleted documents, duplicate docids and the order of Lucene 8."""
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    source = open_source(lucene_index(name))
    build_shards(source, tmp_path / "i.bmps", 3, progress=False)
    BmpIndex.build(source, tmp_path / "one.bmp", progress=False)
    source.close()
    encoder = VectorEncoder(dict(list(cranfield_queries.items())[:8]) if name == "deletions" else NASTY_QUERIES)
    ours, one = (BmpImpactSearcher(str(tmp_path / path), encoder) for path in ("i.bmps", "one.bmp"))
    for query in encoder.vectors:
        hits = one.search(query, 300)
        docids = [hit.docid for hit in hits[:2] + hits[len(hits) // 2:][:1] + hits[-1:]]
        assert_alike(ours, one, query, [*docids, *(["twice#1"] if name != "deletions" else []), "no-such-docid"])
    ours.close()
    one.close()
