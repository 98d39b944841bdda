"""Extreme values: each answer is the oracle's (and Lucene's, if it has one), or a refusal in one line."""
from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.adapters.sources.document_source import VectorSource
from bmp_plugin.conformance.benchmark.oracle import adjust_ties, rank
from bmp_plugin.conformance.fuzz.lucene_segments import index_vectors
from bmp_plugin.errors import BmpError
from bmp_plugin.index.layout import ARRAYS
from bmp_plugin.index.source import Documents, PostingBatch, SourceInfo
from bmp_plugin.sharded.build_shards import build_shards
from bmp_plugin.sharded.sharded_searcher import ShardedSearcher

LARGEST = 2**31 - 1
Vector = Mapping[str, int]


def build(folder: Path, documents: Mapping[str, Vector], **options: Any) -> BmpIndex:
    return BmpIndex.build(list(documents.items()), folder / "i.bmp", progress=False, **options)


def answer(searcher: BmpSearcher, query: Vector, k: int) -> list[tuple[str, float]]:
    return [(hit.docid, hit.score) for hit in searcher.search(query, k)]


def expected(documents: Mapping[str, Vector], query: Vector, k: int, min_idf: float = 0) -> list[tuple[str, float]]:
    ranked = rank(list(documents), list(documents.values()), query, k, min_idf)
    return [(docid, float(score)) for docid, score in ranked]


# --- k ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> dict[str, Vector]:
    """700 documents: more than two superblocks, with ties everywhere, also at each cut-off."""
    return {f"{'é' if i % 3 else 'Z'}{i}": {"tie": 5, f"mod{i % 7}": 3, "half": 1 + i * 31 % 400} if i % 2 else {"tie": 5}
            for i in range(699)} | {"other": {"rare": 1}}


def test_k_from_one_to_far_above_the_collection(tmp_path: Path, many: dict[str, Vector]) -> None:
    searcher = BmpSearcher(build(tmp_path, many))
    queries = [{"tie": 2}, {"tie": 3, "half": 1, "mod3": 7}, {"rare": 1}]
    for query in queries:
        whole = expected(many, query, len(many))
        for k in [*range(1, len(many) + 2, 23), 698, 699, 700, 701, 10**6, LARGEST, 2**31, 2**40, 2**63 - 1, 2**63, 10**30]:
            assert answer(searcher, query, k) == whole[:k], k
        for k in range(1, 40):
            assert [(hit.docid, hit.score) for hit in searcher.batch_search([query], ["q"], k)["q"]] == whole[:k]
            assert answer(searcher, query, k) == whole[:k]


def test_k_as_in_lucene(host: Any, tmp_path: Path, many: dict[str, Vector]) -> None:
    documents = ({"id": docid, "contents": "", "vector": vector} for docid, vector in many.items())
    lucene = index_vectors(documents, tmp_path / "many")
    from pyserini.encode import TokFreqQueryEncoder

    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    theirs = host.LuceneImpactSearcher(str(lucene), TokFreqQueryEncoder())
    ours = BmpImpactSearcher(str(lucene), TokFreqQueryEncoder())
    for query in ("tie tie", "tie tie tie half mod3 mod3", "rare", "nowhere"):
        for k in (1, 2, 7, 349, 698, 699, 700, 701, 5000, 10**6):
            assert [(hit.docid, hit.score) for hit in ours.search(query, k)] \
                == [(hit.docid, hit.score) for hit in theirs.search(query, k)]


@pytest.mark.parametrize("k", [0, -1, -2**70, 1.5, "10", None])
def test_invalid_k_is_refused(tmp_path: Path, k: Any) -> None:
    searcher = BmpSearcher(build(tmp_path, {"a": {"t": 1}}))
    with pytest.raises(ValueError, match="k="):
        searcher.search({"t": 1}, k)


# --- queries ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_queries_of_100_000_tokens(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    num_docs, num_terms, each = 300, 100_000, 400
    terms = np.concatenate([rng.choice(num_terms, each, replace=False) for _ in range(num_docs)])
    impacts = rng.integers(1, 300, num_docs * each)
    docids = [f"d{i}" for i in range(num_docs)]
    source = ArraySource(np.arange(num_docs + 1) * each, terms, impacts, docids, [f"t{i}" for i in range(num_terms)])
    searcher = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", progress=False))
    weights = rng.integers(1, 50, num_terms)
    query = {f"t{i}": weight for i, weight in enumerate(weights.tolist())} | {f"unknown{i}": 1 for i in range(1000)}
    assert len(query) > 100_000
    sums = (impacts * weights[terms]).reshape(num_docs, each).sum(1)
    order = sorted(range(num_docs), key=lambda i: (-sums[i], docids[i].encode()))
    for k in (1, 10, 1000):
        ranked = adjust_ties([(docids[i], np.float32(sums[i])) for i in order[:k]])
        assert answer(searcher, query, k) == [(docid, float(score)) for docid, score in ranked]
    only_unknown = {f"u{i}": 1 for i in range(100_000)}
    assert answer(searcher, only_unknown, 10) == []


# --- small collections ------------------------------------------------------------------------------------------------

TINY = {"one posting": {"a": {"t": 3}}, "one document": {"a": {"t": 3, "u": 2, "v": LARGEST}},
        "one posting each": {"b": {"t": 3}, "a": {"u": 3}}, "two alike": {"b": {"t": 1}, "a": {"t": 1}}}


@pytest.mark.parametrize("reorder", ["none", "bp", "leading"])
@pytest.mark.parametrize("name", TINY)
def test_tiny_collections(tmp_path: Path, name: str, reorder: str) -> None:
    index = build(tmp_path, TINY[name], reorder=reorder)
    index.verify()
    for min_idf in (0, -1):
        searcher = BmpSearcher(index, min_idf=min_idf)
        for query in ({"t": 1}, {"u": 2, "t": 5, "v": 1}, {"t": 0}, {"w": 1}, {}):
            for k in (1, 2, 1000):
                assert answer(searcher, query, k) == expected(TINY[name], query, k, min_idf)


@pytest.mark.parametrize("name", ["one posting", "two alike", "one posting each"])
def test_tiny_collections_as_in_lucene(host: Any, tmp_path: Path, name: str) -> None:
    from pyserini.encode import TokFreqQueryEncoder

    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    documents = [{"id": docid, "contents": "", "vector": vector} for docid, vector in TINY[name].items()]
    lucene = str(index_vectors(documents, tmp_path / "tiny"))
    for min_idf in (0, -1):
        theirs = host.LuceneImpactSearcher(lucene, TokFreqQueryEncoder(), min_idf=min_idf)
        ours = BmpImpactSearcher(lucene, TokFreqQueryEncoder(), min_idf=min_idf)
        for query in ("t", "t u u", "w"):
            assert [(hit.docid, hit.score) for hit in ours.search(query, 10)] \
                == [(hit.docid, hit.score) for hit in theirs.search(query, 10)]


@pytest.mark.parametrize("reorder", ["none", "bp", "leading"])
def test_no_documents(tmp_path: Path, reorder: str) -> None:
    index = build(tmp_path, {}, reorder=reorder)
    index.verify()
    assert (index.num_docs, index.num_terms, index.num_postings) == (0, 0, 0)
    for min_idf in (0, -1):
        searcher = BmpSearcher(index, min_idf=min_idf)
        assert searcher.search({"t": 1, "u": 0}, 10) == []
        assert searcher.batch_search([{"t": 1}, {}], ["a", "b"], 1000, threads=2) == {"a": [], "b": []}
        assert np.isnan(searcher.score({"t": 1}, ["a"])).all()


# --- impacts and sums -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 300])
def test_largest_impacts_and_weights(tmp_path: Path, others: int) -> None:
    """Products up to 2^62, and sums that float32 rounds: equality and ties are those of the float32 result."""
    documents: dict[str, Vector] = {
        "a": {"t": LARGEST, "u": LARGEST, "v": LARGEST}, "b": {"t": LARGEST, "u": LARGEST - 1, "v": LARGEST},
        "c": {"t": LARGEST}, "d": {"t": LARGEST - 1}, "e": {"t": 2**24 + 1}, "f": {"t": 2**24}, "g": {"w": 1},
        "h": {"t": 1, "u": 1, "v": 1}} | {f"o{i}": {"t": 1 + i, "z": LARGEST - i % 3} for i in range(others)}
    searcher = BmpSearcher(build(tmp_path, documents))
    for weight in (1, 2, 3, 2**24 + 1, LARGEST):
        for query in ({"t": weight}, {"t": weight, "u": 1}, {"t": weight, "u": weight, "v": weight}, {"z": weight, "t": 1}):
            for k in (1, 3, 1000):
                assert answer(searcher, query, k) == expected(documents, query, k)
            for docid, score in zip("abcd", searcher.score(query, list("abcd")), strict=True):
                exact = sum(float(np.float32(documents[docid].get(token, 0)) * np.float32(value))
                            for token, value in query.items())
                assert score == np.float32(exact)


@pytest.mark.parametrize("impact", [2**31, 2**63, 10**30, -1, 0.5, float("nan"), float("inf")])
def test_impacts_out_of_range_are_refused(tmp_path: Path, impact: Any) -> None:
    with pytest.raises(BmpError, match="weight"):
        build(tmp_path, {"a": {"t": impact}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("weight", [2**31, 2**63, 10**30, -1, float("nan"), float("inf")])
def test_weights_out_of_range_are_refused(tmp_path: Path, weight: Any) -> None:
    with pytest.raises(ValueError, match="weight"):
        BmpSearcher(build(tmp_path, {"a": {"t": 1}})).search({"t": weight})


# --- offsets beyond 32 bits -------------------------------------------------------------------------------------------

BEYOND = 2**32 + 12_345


@pytest.fixture
def index_of_every_kind(tmp_path: Path) -> tuple[BmpIndex, dict[str, Vector]]:
    """70,000 documents, two windows, with lists with block maxima, sparse lists, and overflow lists of several digits."""
    documents: dict[str, dict[str, int]] = {}
    for i in range(70_000):
        vector = {"most": 1 + i % 250} if i % 3 else {"most": 7, "some": 1 + i % 9} if i % 6 else {"x": 1}
        if i % 17 == 0:
            vector |= {"maxima8": 1 + i % 200, "maxima16": 300 + i, "maxima32": 70_000 + i}
        if i % 1999 == 0:
            vector |= {"sparse8": 1 + i % 100, "sparse16": 300 + i % 999, "sparse32": 70_000 + i}
        if i % 50 == 0:
            vector |= {"sparse": 1 + i % 77}
        documents[f"d{i}"] = vector
    return build(tmp_path, documents), documents


def test_offsets_beyond_32_bits(tmp_path: Path, index_of_every_kind: tuple[BmpIndex, dict[str, Vector]]) -> None:
    """If every list is moved by more than 2^32, in sparse files, answers do not change."""
    index, _ = index_of_every_kind
    lists = zip((index.arrays["list_row"] >= 0).tolist(), index.arrays["list_shift"].tolist(), strict=True)
    assert set(lists) == {(kind, shift) for kind in (False, True) for shift in (0, 8, 16)}
    queries = [{token: 1 + place for place, token in enumerate(index.terms())}, *({token: 3} for token in index.terms()),
               {"sparse8": 9, "some": 2}, {"maxima16": 9, "most": 200}, {"sparse32": LARGEST, "most": 1}]
    searcher = BmpSearcher(index)
    before = [answer(searcher, query, k) for query in queries for k in (1, 1000)]
    explained = searcher.explain(queries[0], "d3998").score

    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    arrays = index.arrays
    moved_rows = BEYOND // arrays["block_max"].shape[1] + 1
    changed = {name: arrays[name].copy() for name in ("list_start", "list_entry", "list_row")}
    changed["list_start"] += BEYOND
    changed["list_entry"] += BEYOND
    changed["list_row"][changed["list_row"] >= 0] += moved_rows
    for name in ("postings", "entry_window", "entry_end"):
        changed[name] = moved(folder, name, arrays[name], BEYOND)
    for name in ("block_max", "superblock_start"):
        changed[name] = moved(folder, name, arrays[name], moved_rows)
    index.arrays |= changed
    for array in changed.values():
        array.flags.writeable = False
    searcher = BmpSearcher(index)
    assert [answer(searcher, query, k) for query in queries for k in (1, 1000)] == before
    assert searcher.explain(queries[0], "d3998").score == explained


def moved(folder: Path, name: str, values: np.ndarray[Any, Any], by: int) -> np.ndarray[Any, Any]:
    shape = (by + values.shape[0], *values.shape[1:])
    array = np.memmap(folder / name, ARRAYS[name].dtype, "w+", shape=shape)
    array[by:] = values
    return np.asarray(array)


class Long:
    """A source of long lists, generated while it is read: document d has term t with the impact ``of(t, d)``.

    Impacts are up to 255 for the first ``small`` terms; the other ``large`` ones have overflow lists.
    """

    def __init__(self, num_docs: int, small: int, large: int) -> None:
        self.docs = np.arange(num_docs, dtype=np.int32)
        self.small, self.large = small, large
        self.info = SourceInfo("synthetic", "<synthetic>", "none", num_docs)

    def of(self, term: int, docs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Impacts int32; 0 for one document that lacks the term, since min_idf drops a term of all documents."""
        docs = docs.astype(np.int64)
        impacts = (docs * (2 * term + 3) + term) % 251 + 1
        if term >= self.small:
            impacts = impacts * 300 + 1
        return np.where(docs == term, 0, impacts).astype(np.int32)

    def documents(self) -> Documents:
        digits = len(str(len(self.docs)))
        joined = np.char.zfill(self.docs.astype(f"S{digits}"), digits).tobytes()
        return Documents(joined, np.arange(1, len(self.docs) + 1, dtype=np.int64) * digits, self.docs)

    def num_postings_hint(self) -> int:
        return (self.small + self.large) * (len(self.docs) - 1)

    def batches(self) -> Iterator[PostingBatch]:
        count = np.array([len(self.docs) - 1], np.int64)
        for term in range(self.small + self.large):
            impacts = self.of(term, self.docs)
            present = impacts > 0
            yield PostingBatch([b"%05d" % term], count, count, self.docs[present], impacts[present])

    def close(self) -> None:
        pass


def check_long(tmp_path: Path, source: Long, queries: Sequence[Mapping[int, int]]) -> BmpIndex:
    index = BmpIndex.build(source, tmp_path / "long.bmp", progress=False)
    searcher = BmpSearcher(index)
    docs = source.docs
    digits = len(str(len(docs)))
    for query in queries:
        sums = sum(source.of(term, docs).astype(np.int64) * weight for term, weight in query.items())
        scores = np.asarray(sums).astype(np.float32)
        for k in (10, 1000):
            best = np.lexsort((docs, -scores))[:k]
            ranked = adjust_ties([(str(doc).zfill(digits), scores[doc]) for doc in best.tolist()])
            assert answer(searcher, {f"{term:05d}": weight for term, weight in query.items()}, k) \
                == [(docid, float(score)) for docid, score in ranked]
    return index


def test_long_lists(tmp_path: Path) -> None:
    check_long(tmp_path, Long(70_000, 8, 4), [{0: 1}, {7: 3, 2: 1}, {8: 1}, {11: 2, 9: 1, 3: 100}])


@pytest.mark.slow
def test_more_than_4_gib_of_postings(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """More than 2^32 postings in more than 8 GiB; takes 10 GB of disk, and minutes."""
    if "slow" not in request.config.getoption("-m"):
        pytest.skip("run with -m slow")
    if shutil.disk_usage(tmp_path).free < 12e9:
        pytest.skip("less than 12 GB of disk")
    small, large = 1030, 208
    source = Long(2**22, small, large)
    last = small + large - 1
    index = check_long(tmp_path, source, [{0: 1}, {small - 1: 1, small - 2: 2}, {last: 1},
                                           {last: 2, small: 1, small - 1: 9, 1: 5}])
    assert index.num_postings > 2**32
    assert index.arrays["postings"].nbytes > 2**33
    index.verify()


# --- manifests with absurd values---------------------------------------------------------------------------------------


def with_shards(real: dict[str, Any], count: int, **entry: Any) -> str:
    one = json.dumps(real["shards"][0] | entry | {"name": "NAME"})
    shards = ",".join([json.dumps(real["shards"][0]), *(one.replace("NAME", f"{i}") for i in range(count - 1))])
    return json.dumps(real | {"shards": "HERE"}).replace('"HERE"', f"[{shards}]")


@pytest.mark.parametrize(("shards", "entry"), [
    pytest.param(1_000_000, {"num_docs": 0, "num_postings": 0, "path": "nowhere"}, marks=pytest.mark.slow),
    (10_001, {"num_docs": 0, "num_postings": 0}),
    (300, {"num_docs": 0, "num_postings": 0, "path": "nowhere"}), (300, {"num_docs": 0, "num_postings": 0, "path": "../" * 9}),
    (300, {"num_docs": 7}), (300, {"num_docs": 2**61}), (300, {"num_docs": -1}), (300, {"num_docs": "1"})])
def test_absurd_shards_are_refused(tmp_path: Path, shards: int, entry: dict[str, Any]) -> None:
    """They are refused when the manifest is read or a shard is missing, without starting a thread or process for each."""
    source = VectorSource([(f"d{i}", {"t": 1 + i}) for i in range(4)])
    build_shards(source, tmp_path / "s.bmps", 1, progress=False)
    path = tmp_path / "s.bmps" / "manifest.json"
    path.write_text(with_shards(json.loads(path.read_text()), shards, **entry))
    before = threading.active_count()
    with pytest.raises((BmpError, FileNotFoundError)) as raised:
        ShardedSearcher(tmp_path / "s.bmps")
    assert str(tmp_path / "s.bmps") in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert threading.active_count() <= before + (os.cpu_count() or 1)
