"""The order by leading terms: documents are sorted as documented, for any number of threads, and answers do not change."""
import numpy as np
import pytest
from term_ids import source_of

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.index.reorder.leading_terms import LEADING, leading_order

DOCUMENTS, TERMS = 3000, 40


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(3)
    return [{int(t): int(rng.integers(1, 9)) for t in np.sort(rng.permutation(TERMS)[:rng.integers(1, 12)])}
            for _ in range(DOCUMENTS)]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("deletions", [False, True])
def test_documents_are_sorted_by_their_leading_terms(vectors, threads, deletions):
    df = np.bincount([t for vector in vectors for t in vector], minlength=TERMS)

    def key(doc):
        leading = sorted(vectors[doc], key=lambda t: (-vectors[doc][t], t))[:LEADING]
        return [(-df[t], t) for t in leading] + [(0, TERMS)] * (LEADING - len(leading))

    source = source_of(vectors, TERMS, deletions)
    found = leading_order(source, source.documents(), threads=threads)
    assert found.dtype == np.int32
    assert found.tolist() == sorted(range(DOCUMENTS), key=key)


def test_answers_are_the_same(vectors, tmp_path):
    plain = BmpSearcher(BmpIndex.build(source_of(vectors, TERMS), tmp_path / "none.bmp", progress=False))
    index = BmpIndex.build(source_of(vectors, TERMS), tmp_path / "leading.bmp", reorder="leading", threads=2, progress=False)
    index.verify()
    assert index.manifest["reorder"] == "leading"
    assert not np.array_equal(index.arrays["source_docid"], np.arange(DOCUMENTS))
    searcher = BmpSearcher(index)
    rng = np.random.default_rng(4)
    for k in (1, 10, 500):
        for _ in range(20):
            query = {f"t{t}": int(rng.integers(1, 5)) for t in rng.permutation(TERMS)[:5]}
            assert [(hit.docid, hit.score, hit.lucene_docid) for hit in searcher.search(query, k)] \
                == [(hit.docid, hit.score, hit.lucene_docid) for hit in plain.search(query, k)]


def test_an_empty_collection(tmp_path):
    empty = ArraySource(np.zeros(1, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), [], [])
    assert BmpIndex.build(empty, tmp_path / "i.bmp", reorder="leading", threads=2, progress=False).num_docs == 0
