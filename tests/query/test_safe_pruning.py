"""Safe search equals exhaustive scoring, for every block size, document order and k: property-based, on random indexes."""
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.conformance.benchmark.oracle import rank
from bmp_plugin.index.layout import BLOCK_SIZES

TOKENS = [f"t{i}" for i in range(12)] + ["é", "日本"]


def source_of(vectors, docids):
    vocabulary = sorted({token for vector in vectors for token in vector}) or ["nothing"]
    column = {token: i for i, token in enumerate(vocabulary)}
    ptr = np.cumsum([0] + [len(vector) for vector in vectors])
    terms = np.array([column[token] for vector in vectors for token in vector], np.uint16)
    impacts = np.array([impact for vector in vectors for impact in vector.values()], np.int64)
    return ArraySource(ptr, terms, impacts, docids, vocabulary)


def answers(searcher, query, k):
    return [(hit.docid, hit.score) for hit in searcher.search(query, k)]


@st.composite
def collections(draw):
    """Few distinct impacts and many documents with the same vector, so that ties are everywhere, also at the cut-off."""
    choices = [[1], [1, 2], [1, 7, 255], [3, 256, 70_000], [1, 2**31 - 1], [9, 16_777_217]]
    impacts = st.sampled_from(draw(st.sampled_from(choices)))
    kinds = draw(st.lists(st.dictionaries(st.sampled_from(TOKENS), impacts, max_size=8), min_size=1, max_size=6))
    picks = draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=700))
    vectors = [kinds[pick] for pick in picks]
    order = draw(st.randoms(use_true_random=False)).sample(range(len(vectors)), len(vectors))
    docids = [f"{'ä' if i % 3 else 'Z'}{i}" for i in order]
    weights = st.sampled_from(draw(st.sampled_from([[1], [0, 1], [1, 5, 300], [4000, 9000], [2**24 + 1, 2**31 - 1]])))
    query = st.dictionaries(st.sampled_from([*TOKENS, "unknown"]), weights, max_size=14)
    queries = draw(st.lists(query, min_size=1, max_size=4))
    return docids, vectors, queries


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(collections(), st.sampled_from(BLOCK_SIZES), st.sampled_from(["none", "bp"]), st.sampled_from([0, 0.5, -1]))
def test_random_indexes(case, block_size, reorder, min_idf):
    docids, vectors, queries = case
    with tempfile.TemporaryDirectory() as folder:
        index = BmpIndex.build(source_of(vectors, docids), Path(folder) / "i.bmp", block_size=block_size, reorder=reorder,
                               progress=False)
        index.verify()
        searcher = BmpSearcher(index, min_idf=min_idf)
        for query in queries:
            for k in (1, 3, 100, len(docids) + 5):
                assert answers(searcher, query, k) == rank(docids, vectors, query, k, min_idf)


@pytest.fixture(scope="module")
def larger():
    """Two windows of documents with lists of every kind, and arrays for exhaustive scoring."""
    rng = np.random.default_rng(3)
    num_docs, num_terms = 70_000, 40
    share = rng.random(num_terms) ** 4
    share[:3] = (0.9, 0.3, 1.0)
    present = rng.random((num_docs, num_terms)) < share
    docs, terms = np.nonzero(present)
    top = np.where(np.arange(num_terms) % 5 == 4, 70_000, np.where(np.arange(num_terms) % 5 == 3, 300, 200))
    impacts = rng.integers(1, top[terms], endpoint=True)
    ptr = np.concatenate([[0], np.cumsum(present.sum(1))])
    docids = [f"doc{i}" for i in rng.permutation(num_docs)]
    vocabulary = [f"t{i}" for i in range(num_terms)]
    matrix = np.zeros((num_docs, num_terms), np.int64)
    matrix[docs, terms] = impacts
    return ArraySource(ptr, terms.astype(np.uint16), impacts, docids, vocabulary), docids, matrix


@pytest.mark.parametrize("reorder", ["none", "bp"])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_every_block_size_and_order(larger, block_size, reorder, tmp_path):
    source, docids, matrix = larger
    searcher = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", block_size=block_size, reorder=reorder, progress=False))
    rng = np.random.default_rng(block_size)
    by_docid = np.argsort(np.argsort(np.array([docid.encode() for docid in docids])))
    for _ in range(8):
        picks = rng.permutation(matrix.shape[1])[:rng.integers(1, 30)]
        query = {f"t{t}": int(rng.integers(1, 60)) for t in picks}
        used = [t for t in picks if 0 < np.count_nonzero(matrix[:, t]) < len(docids)]
        sums = matrix[:, used] @ np.array([query[f"t{t}"] for t in used], np.int64)
        scores = sums.astype(np.float32)
        best = np.lexsort((by_docid, -scores))[:1000]
        best = best[sums[best] > 0]
        for k in (1, 10, 1000):
            assert [hit.docid for hit in searcher.search(query, k)] == [docids[i] for i in best[:k]]


def test_sums_above_2_to_24_tie_as_float32(tmp_path):
    """16,777,217 and 16,777,216 are the same float32: the docid decides, and at k = 1 pruning must not."""
    vectors = [{"a": 255, "b": 1}, {"a": 255}, *[{"c": 1}] * 600]
    docids = ["z", "a", *[f"x{i}" for i in range(600)]]
    searcher = BmpSearcher(BmpIndex.build(source_of(vectors, docids), tmp_path / "i.bmp", progress=False))
    for weight in (65_793, 131_586):
        query = {"a": weight, "b": 1, "c": 1}
        for k in (1, 2, 5):
            assert answers(searcher, query, k) == rank(docids, vectors, query, k)


def test_a_smaller_sum_that_ties_as_float32_is_not_pruned(tmp_path):
    """16,777,219 is 16,777,220 as a float32, so the last document wins by its docid against 40 that raised the threshold."""
    vectors = [*[{"a": 200, "b": 200, "c": 20}] * 40, *[{"d": 1}] * 300, {"a": 200, "b": 200, "c": 19}]
    docids = [*[f"z{i}" for i in range(40)], *[f"x{i}" for i in range(300)], "first"]
    searcher = BmpSearcher(BmpIndex.build(source_of(vectors, docids), tmp_path / "i.bmp", progress=False))
    query = {"a": 41_943, "b": 41_943, "c": 1, "d": 1}
    for k in (1, 2, 30, 400):
        assert answers(searcher, query, k) == rank(docids, vectors, query, k)
    assert answers(searcher, query, 1)[0][0] == "first"


def test_queries_too_long_for_16_bit_bounds(tmp_path):
    """Upper bounds of 40,000 tokens do not fit 16 bits, so the query is scored exhaustively."""
    tokens = [f"t{i}" for i in range(40_000)]
    vectors = [dict.fromkeys(tokens[i::3], 200) for i in range(3)]
    docids = ["c", "b", "a"]
    searcher = BmpSearcher(BmpIndex.build(source_of(vectors, docids), tmp_path / "i.bmp", progress=False))
    query = {token: 1 + i % 3 for i, token in enumerate(tokens)}
    assert answers(searcher, query, 2) == rank(docids, vectors, query, 2)


def test_threads_and_batches_give_the_answers_of_single_searches(larger, tmp_path):
    source, _, matrix = larger
    searcher = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", progress=False))
    rng = np.random.default_rng(1)
    queries = [{f"t{t}": int(rng.integers(0, 50)) for t in rng.permutation(matrix.shape[1])[:9]} for _ in range(60)]
    qids = [str(i) for i in range(60)]
    single = [[(hit.docid, hit.score, hit.lucene_docid) for hit in searcher.search(query, 50)] for query in queries]
    for threads in (1, 2, 5):
        runs = searcher.batch_search(queries, qids, k=50, threads=threads)
        assert list(runs) == qids
        assert [[(hit.docid, hit.score, hit.lucene_docid) for hit in runs[qid]] for qid in qids] == single
