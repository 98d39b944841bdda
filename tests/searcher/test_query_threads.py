"""Threads that share one query give the answer of one thread, whatever their number and in whatever order they run."""
import itertools
import multiprocessing
import threading

import numpy as np
import pytest

from bmp_plugin import BmpIndex, BmpSearcher, ShardedSearcher
from bmp_plugin._internal.parallel import in_parallel
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.searcher import query_threads
from bmp_plugin.searcher.query_threads import threads_worthwhile
from bmp_plugin.sharded.build_shards import build_shards

NUM_DOCS = 270_000                       # five windows
TERMS = 24
VOCABULARY = [f"t{i:02}" for i in range(TERMS)]


@pytest.fixture(scope="module")
def source():
    """Lists of every density, some of which are in a few stretches only; few impacts, so that ties are everywhere."""
    rng = np.random.default_rng(3)
    docs, terms, impacts = [], [], []
    for term, share in enumerate(np.geomspace(1e-5, 0.2, TERMS)):
        chosen = rng.random(NUM_DOCS) < share
        if term % 5 == 4:
            chosen &= np.repeat(rng.random(NUM_DOCS // 1000) < 0.1, 1000)
        found = np.flatnonzero(chosen)
        docs.append(found)
        terms.append(np.full(len(found), term, np.uint16))
        impacts.append(rng.integers(1, (4, 40, 255, 400)[term % 4], len(found), endpoint=True))
    docs, terms, impacts = np.concatenate(docs), np.concatenate(terms), np.concatenate(impacts)
    order = np.lexsort((terms, docs))
    ptr = np.concatenate([[0], np.cumsum(np.bincount(docs, minlength=NUM_DOCS))])
    docids = [f"{'ä' if i % 3 else 'Z'}{i}" for i in rng.permutation(NUM_DOCS).tolist()]
    return ArraySource(ptr, terms[order], impacts[order], docids, VOCABULARY)


@pytest.fixture(scope="module", params=["none", "leading"])
def searcher(source, request, tmp_path_factory):
    path = tmp_path_factory.mktemp("threads") / "i.bmp"
    return BmpSearcher(BmpIndex.build(source, path, reorder=request.param, progress=False))


@pytest.fixture(autouse=True)
def worthwhile(monkeypatch):
    monkeypatch.setattr(query_threads, "LEAST_WORK", 1)


def random_queries(n):
    rng = np.random.default_rng(n)
    return [{VOCABULARY[t]: int(rng.integers(0, 30)) for t in rng.permutation(TERMS)[:rng.integers(1, TERMS)]}
            for _ in range(n)]


def ranking(hits):
    return [(hit.docid, hit.lucene_docid, hit.score) for hit in hits]


@pytest.mark.parametrize("k", [1, 10, 1000, 60_000])
def test_the_answer_is_that_of_one_thread(searcher, k):
    for query in random_queries(40 if k < 60_000 else 5):
        expected = ranking(searcher.search(query, k))
        for threads in (2, 3, 5, 40):
            assert ranking(searcher.search(query, k, threads=threads)) == expected


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_any_thread_may_be_the_first_to_end(searcher, order, monkeypatch):
    """One thread knows all that others will ever find, or nothing."""
    monkeypatch.setattr(query_threads, "in_parallel", lambda work, n: [work(i) for i in order])
    for query, k in itertools.product(random_queries(12), (1, 10, 500)):
        assert ranking(searcher.search(query, k, threads=3)) == ranking(searcher.search(query, k))


def test_a_single_query_of_a_batch_gets_all_threads(searcher, monkeypatch):
    numbers = []
    monkeypatch.setattr(query_threads, "in_parallel", lambda work, n: [numbers.append(n), *map(work, range(n))])
    query = random_queries(1)[0]
    run = searcher.batch_search([query], ["a"], 10, threads=3)
    assert numbers == [3]
    assert ranking(run["a"]) == ranking(searcher.search(query, 10))
    searcher.batch_search([query] * 8, list("abcdefgh"), 10, threads=3)
    searcher.search(query, 10, alpha=0.9, threads=3)
    assert numbers == [3], "many queries are searched by a thread each, and approximate searches by one"


def test_small_searches_have_one_thread(searcher, monkeypatch):
    index = searcher._kernel_index
    assert threads_worthwhile(3, 10, index, 4) == 4
    assert threads_worthwhile(3, 10, index, 40) == 5, "as many as there are windows"
    monkeypatch.setattr(query_threads, "LEAST_WORK", 10**6)
    assert threads_worthwhile(3, 10, index, 4) == 1
    assert threads_worthwhile(3, 14_000, index, 4) == 2


def test_shards_search_a_query_in_threads(source, searcher, tmp_path):
    build_shards(source, tmp_path / "i.bmps", 2, progress=False)
    with ShardedSearcher(tmp_path / "i.bmps") as sharded:
        for query in random_queries(10):
            assert ranking(sharded.search(query, 100, threads=4)) == ranking(searcher.search(query, 100))


def test_searches_of_many_threads_share_the_helpers(searcher):
    queries = random_queries(30)
    expected = [ranking(searcher.search(query, 20)) for query in queries]
    found = [None] * len(queries)

    def search(first):
        for i in range(first, len(queries), 6):
            found[i] = ranking(searcher.search(queries[i], 20, threads=3))

    workers = [threading.Thread(target=search, args=(first,)) for first in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == expected


@pytest.mark.parametrize("bad", range(4))
def test_an_error_is_raised_when_what_has_begun_has_ended(bad):
    begun, ended = [], []

    def work(i):
        begun.append(i)
        if i == bad:
            raise ValueError("bad")
        ended.append(i)

    with pytest.raises(ValueError, match="bad"):
        in_parallel(work, 4)
    assert sorted(begun) == sorted([*ended, bad])


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_process_has_threads_of_its_own(searcher):
    query = random_queries(1)[0]
    expected = ranking(searcher.search(query, 10, threads=2))
    results = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(
        target=lambda: results.put(ranking(searcher.search(query, 10, threads=2))))
    child.start()
    assert results.get() == expected
    child.join(60)
    assert child.exitcode == 0
