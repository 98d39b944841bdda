"""The input that BmpSearcher accepts and refuses, and its hits."""
import copy
import pickle

import numpy as np
import pytest

from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource


@pytest.fixture(scope="module")
def searcher(tmp_path_factory):
    source = ArraySource(np.array([0, 2, 3, 4, 4]), np.array([0, 1, 0, 2]), np.array([5, 1, 7, 300]),
                         ["d2", "d10", "ö", "empty"], ["x", "y", "z"])
    return BmpSearcher(BmpIndex.build(source, tmp_path_factory.mktemp("index") / "i.bmp", progress=False))


def found(hits):
    return [(hit.docid, hit.score, hit.lucene_docid) for hit in hits]


def test_search(searcher):
    assert found(searcher.search({"x": 2, "z": 1})) == [("ö", 300.0, 2), ("d10", 14.0, 1), ("d2", 10.0, 0)]


def test_counts(searcher):
    index = searcher.index
    assert (index.num_docs, index.num_terms, index.num_postings) == (4, 3, 4)


@pytest.mark.parametrize("weight", [2.9, 0.5, 1e-9, np.float32(0.9)])
def test_fractional_weights_are_refused(searcher, weight):
    query = {"z": 1, "x": weight}
    for ask in (lambda: searcher.search(query), lambda: searcher.batch_search([query], ["1"]),
                lambda: searcher.score(query, ["d2"]), lambda: searcher.explain(query, "d2")):
        with pytest.raises(ValueError, match=r"token 'x' is not a whole number.*quantize=8"):
            ask()


@pytest.mark.parametrize("query", ["heat flow", [("x", 2)], ["x"], None, iter([("x", 2)])])
def test_what_is_no_query_is_refused(searcher, query):
    for ask in (lambda: searcher.search(query), lambda: searcher.batch_search([query], ["1"]),
                lambda: searcher.score(query, ["d2"]), lambda: searcher.explain(query, "d2")):
        with pytest.raises(TypeError, match="not a mapping of token to weight"):
            ask()


def test_numbers_of_all_types_are_accepted(searcher):
    assert found(searcher.search({"x": 2.0})) == found(searcher.search({"x": 2}))
    for kind in (np.int64, np.int32, np.float32, np.float64, np.uint8):
        assert found(searcher.search({"x": kind(2)})) == found(searcher.search({"x": 2}))


def test_weight_zero_matches_with_score_zero(searcher):
    assert found(searcher.search({"x": 0, "z": 1})) == [("ö", 300.0, 2), ("d10", 0.0, 1), ("d2", np.float32(-1e-6), 0)]
    assert found(searcher.search({"x": -0.0})) == found(searcher.search({"x": 0}))
    assert found(searcher.search({"x": 0, "z": 1}, k=2)) == [("ö", 300.0, 2), ("d10", 0.0, 1)]


def test_queries_without_hits(searcher):
    assert searcher.search({}) == []
    assert searcher.search({"unknown": 3, "\ud800": 1}) == []
    assert searcher.batch_search([], []) == {}


@pytest.mark.parametrize("weight", [-1, -1.0, float("nan"), float("inf"), "3", None, 2**31, True])
def test_bad_weights(searcher, weight):
    with pytest.raises(ValueError, match="token 'x'") as caught:
        searcher.search({"x": weight})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"k": 0}, {"k": -1}, {"k": 2.5}, {"alpha": 0}, {"alpha": 1.1}, {"beta": 0},
                                     {"beta": float("nan")}])
def test_bad_options(searcher, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        searcher.search({"x": 1}, **options)


def test_bad_batches(searcher):
    with pytest.raises(ValueError, match="qids"):
        searcher.batch_search([{"x": 1}], [])
    with pytest.raises(ValueError, match="threads"):
        searcher.batch_search([{"x": 1}], ["1"], threads=0)


def test_queries_may_come_from_a_generator(searcher):
    expected = searcher.batch_search([{"x": 1}, {"z": 1}], ["1", "2"])
    assert searcher.batch_search(({token: 1} for token in "xz"), (str(i) for i in (1, 2))) == expected
    for queries in ([("x", 1)], {"x": 1}, [["x"]], "x", (("x", 1) for _ in range(1))):
        with pytest.raises(TypeError, match="not a mapping of token to weight"):
            searcher.batch_search(queries, ["1"])


def test_copied_and_unpickled_hits_are_equal(searcher):
    hits = searcher.search({"x": 2, "z": 1})
    for copies in (copy.copy(hits), copy.deepcopy(hits), pickle.loads(pickle.dumps(hits)), searcher.search({"x": 2, "z": 1})):
        assert copies == hits
        assert set(copies) == set(hits)
    assert hits[0] != hits[1]
    assert hits[0] != tuple(hits)[1:]


def test_searchers_say_what_they_are(searcher):
    assert repr(searcher) == f"BmpSearcher({searcher.index!r}, min_idf=0)"
    assert repr(searcher.index).startswith(f"BmpIndex({str(searcher.index.path)!r}: ")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_batch_is_its_queries_one_by_one(searcher, threads):
    """Queries of every kind: without hits, with weights of 0, with sums that are scored exhaustively, with numpy numbers."""
    kinds = [{"x": 2, "z": 1}, {}, {"unknown": 1}, {"x": 0, "y": 3}, {"x": 2**31 - 1, "z": 2**31 - 1}, {"x": 0},
             {"z": np.float32(15)}, {"y": 2**31 - 1, "unknown": 0}]
    queries = [kinds[i % len(kinds)] for i in range(150)]
    for n in (1, 2, 9, 150):
        for k in (1, 3, 40_000):                           # more hits than a batch takes, so one query a batch
            answers = searcher.batch_search(queries[:n], [str(i) for i in range(n)], k, threads=threads)
            assert list(answers) == [str(i) for i in range(n)]
            for i in range(n):
                assert found(answers[str(i)]) == found(searcher.search(queries[i], k)), (n, k, i)


def test_a_bad_weight_in_a_batch_is_named(searcher):
    for weight in (-1, 2**31, 2**63, 2**70, float("nan"), "3"):
        with pytest.raises(ValueError, match="token 'y'"):
            searcher.batch_search([{"x": 1}, {"z": 2, "y": weight}, {}], ["1", "2", "3"], threads=2)


def test_docids_with_newlines(tmp_path):
    docids = ["a\nb", "\n", "", "ö\n", "c"]
    source = ArraySource(np.array([0, 1, 2, 3, 4, 5, 5]), np.zeros(5, np.int64), np.arange(1, 6), [*docids, "without x"], ["x"])
    index = BmpIndex.build(source, tmp_path / "i.bmp", progress=False)
    assert [hit.docid for hit in BmpSearcher(index).search({"x": 1})] == docids[::-1]
    assert index.docids(np.array([4, 3, 1], np.int32)) == ["c", "ö\n", "\n"]
    assert index.docids(np.array([], np.int32)) == []


def test_the_last_of_queries_with_one_qid_counts(searcher):
    runs = searcher.batch_search([{"x": 1}, {"z": 1}], ["q", "q"])
    assert {qid: found(hits) for qid, hits in runs.items()} == {"q": [("ö", 300.0, 2)]}


def test_hits_are_a_list_to_work_with(searcher):
    hits = searcher.search({"x": 2, "z": 1})
    assert isinstance(hits, list)
    assert [hit.docid for hit in hits[1:]] == ["d10", "d2"]
    hits[0].score = 1.5
    assert sorted(hits, key=lambda hit: hit.score)[0].docid == "ö"
    assert repr(hits[0]) == "Hit(docid='ö', lucene_docid=2, score=1.5)"


def test_an_index_can_be_given_as_a_path(searcher):
    with BmpSearcher(str(searcher.index.path)) as other:
        assert found(other.search({"x": 1})) == found(searcher.search({"x": 1}))


def test_lookups(searcher):
    index = searcher.index
    assert [index.df(token) for token in ("x", "y", "no")] == [2, 1, None]
    assert [index.lucene_docid_of(docid) for docid in ("d2", "d10", "ö", "empty", "no")] == [0, 1, 2, 3, None]
    assert index.terms() == ["x", "y", "z"]


def test_an_index_without_documents(tmp_path):
    nothing = np.empty(0, np.int64)
    index = BmpIndex.build(ArraySource(np.zeros(1, np.int64), nothing, nothing, [], []), tmp_path / "i.bmp", progress=False)
    index.verify()
    assert BmpSearcher(index).search({"x": 1}) == []
    with pytest.raises(ValueError, match="negative"):
        BmpSearcher(index).search({"x": -1})


def test_missing_index(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such index"):
        BmpSearcher(tmp_path / "no.bmp")
    with pytest.raises(BmpError, match="not a block-max index"):
        BmpSearcher(tmp_path)
