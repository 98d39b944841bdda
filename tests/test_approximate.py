"""Approximate search: which documents it may lose, and that it never loses a part of a score."""
import subprocess
import sys

import numpy as np
import pytest

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.arrays import ArraySource

NUM_DOCS = 20_000
VOCABULARY = [f"t{i:02}" for i in range(30)]
QUERY = {token: 1 + 3 * i for i, token in enumerate(VOCABULARY)}


@pytest.fixture(scope="module")
def scores():
    """Every document's score for QUERY, float64[NUM_DOCS], and the collection: lists of every kind and width."""
    rng = np.random.default_rng(5)
    share = np.geomspace(0.002, 0.5, len(VOCABULARY))[rng.permutation(len(VOCABULARY))]
    present = rng.random((NUM_DOCS, len(VOCABULARY))) < share
    docs, terms = np.nonzero(present)
    impacts = rng.exponential(np.where(terms % 7 == 6, 90, 20)).astype(np.int64) + 1            # some above 255
    dense = np.zeros((NUM_DOCS, len(VOCABULARY)), np.int64)
    dense[docs, terms] = impacts
    ptr = np.concatenate([[0], np.cumsum(present.sum(1))])
    docids = [f"d{i:05}" for i in range(NUM_DOCS)]
    source = ArraySource(ptr, terms.astype(np.uint16), impacts, docids, VOCABULARY)
    return dense @ np.array(list(QUERY.values())), source


@pytest.fixture(scope="module")
def searcher(scores, tmp_path_factory):
    return BmpSearcher(BmpIndex.build(scores[1], tmp_path_factory.mktemp("index") / "i.bmp", progress=False))


def overlap(searcher, k, **options):
    safe = {hit.docid for hit in searcher.search(QUERY, k)}
    return len(safe & {hit.docid for hit in searcher.search(QUERY, k, **options)}) / k


@pytest.mark.parametrize("options", [{"alpha": 0.7}, {"beta": 0.5}, {"beta": 0.01}, {"budget": 7}, {"beta": 0.3, "budget": 1},
                                     {"alpha": 0.9, "beta": 0.6, "budget": 20}])
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_scores_are_whole_and_in_order(searcher, scores, options, k):
    hits = searcher.search(QUERY, k, **options)
    assert len(hits) == k or len(hits) <= 256 * options["budget"]
    exact = [float(np.float32(scores[0][int(hit.docid[1:])])) for hit in hits]
    assert [hit.score for hit in hits] == pytest.approx(exact, rel=1e-6)                # ties are adjusted
    assert [(-score, hit.docid) for score, hit in zip(exact, hits, strict=True)] == sorted(
        (-score, hit.docid) for score, hit in zip(exact, hits, strict=True))


@pytest.mark.parametrize("options", [{"alpha": 0.6}, {"beta": 0.01}, {"budget": 4}])
def test_documents_may_be_lost(searcher, options):
    assert 0 < overlap(searcher, 100, **options) < 1


def test_a_batch_is_approximate_alike(searcher):
    options = {"alpha": 0.9, "beta": 0.4, "budget": 9}
    queries = [dict(list(QUERY.items())[i:]) for i in range(20)]
    runs = searcher.batch_search(queries, [str(i) for i in range(20)], 10, threads=2, **options)
    for i, query in enumerate(queries):
        single = searcher.search(query, 10, **options)
        assert [(hit.docid, hit.score) for hit in runs[str(i)]] == [(hit.docid, hit.score) for hit in single]


def test_a_larger_budget_finds_more_and_one_of_all_superblocks_is_safe(searcher):
    overlaps = [overlap(searcher, 50, budget=budget) for budget in (1, 4, 16, 79)]
    assert overlaps == sorted(overlaps)
    assert overlaps[0] < overlaps[-1] == 1
    whole = searcher.search(QUERY, 50, budget=10**6)
    assert [(hit.docid, hit.score) for hit in whole] == [(hit.docid, hit.score) for hit in searcher.search(QUERY, 50)]


@pytest.fixture(scope="module")
def one_far(tmp_path_factory):
    """300 documents score 1000 by the heavy token; the best one, far from them, 990 by it and 50 by the light one."""
    vectors = [{"heavy": 100}] * 300 + [{"other": 1}] * 9_700 + [{"heavy": 99, "light": 50}] + [{"other": 2}] * 2_000
    vocabulary = ["heavy", "light", "other"]
    terms = [vocabulary.index(token) for vector in vectors for token in vector]
    source = ArraySource(np.cumsum([0] + [len(vector) for vector in vectors]), np.array(terms, np.uint16),
                         np.array([impact for vector in vectors for impact in vector.values()]),
                         ["best" if "light" in vector else f"d{i:05}" for i, vector in enumerate(vectors)], vocabulary)
    return BmpIndex.build(source, tmp_path_factory.mktemp("far") / "i.bmp", progress=False).path


@pytest.mark.parametrize(("options", "found"), [
    ({}, True),
    ({"beta": 0.95}, True),                 # the light token's 50 is above 5 % of the mean of 1000 and 50
    ({"beta": 0.85}, False),                # and below 15 %
    ({"alpha": 0.97}, True),                # of its upper bound, 1040, which then is above 1000
    ({"alpha": 0.95}, False),
    ({"budget": 1}, True),                  # the largest upper bound comes first
])
def test_what_alpha_beta_and_budget_mean(one_far, options, found):
    hits = BmpSearcher(one_far).search({"heavy": 10, "light": 1}, 10, **options)
    assert (hits[0].docid == "best") == found
    assert hits[0].score == (1040 if found else 1000)


def test_tokens_that_add_alike_are_all_in_the_bounds(one_far):
    """None is below the mean, however small beta is."""
    hits = BmpSearcher(one_far).search({"heavy": 1, "light": 2}, 10, beta=1e-9)
    assert (hits[0].docid, hits[0].score) == ("best", 199)


def test_tokens_of_weight_0_do_not_hide_documents_that_a_budget_leaves_out(tmp_path):
    n = 600
    source = ArraySource(np.append(np.arange(0, 2 * n + 1, 2), 2 * n + 1), np.array([0, 1] * n + [2], np.uint16),
                         np.ones(2 * n + 1, np.int64), [f"d{i:03}" for i in range(n)] + ["x"], ["a", "other", "z"])
    searcher = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", progress=False))
    found = searcher.search({"a": 5, "other": 0}, n, budget=1)
    assert len(found) == 256
    assert {round(hit.score) for hit in found} == {5}


def test_the_command_has_a_budget(one_far, tmp_path):
    (tmp_path / "topics.jsonl").write_text('{"qid": "q", "vector": {"heavy": 10, "light": 1}}\n')

    def search(*options):
        return subprocess.run([sys.executable, "-m", "bmp_plugin", "search", "--index", one_far, "--topics",
                               tmp_path / "topics.jsonl", "--output", tmp_path / "run.txt", "--hits", "10", *options],
                              capture_output=True, text=True)

    assert search().returncode == 0
    assert len((tmp_path / "run.txt").read_text().splitlines()) == 10
    assert search("--budget", "1").returncode == 0
    assert (tmp_path / "run.txt").read_text().split()[2::6] == ["best"]
    done = search("--budget", "0")
    assert done.returncode == 2
    assert "--budget" in done.stderr


def test_the_drop_in_passes_it_on(one_far):
    pytest.importorskip("pyserini")
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    query = " ".join(["heavy"] * 10 + ["light"])
    searcher = BmpImpactSearcher(str(one_far), None, budget=1)
    assert [hit.docid for hit in searcher.search(query)] == ["best"]
    assert [hit.docid for hit in searcher.batch_search([query], ["q"])["q"]] == ["best"]
    assert len(searcher.search(query, budget=10**6)) == 10
    assert searcher.search(query, alpha=0.95, budget=100)[0].docid == "d00000"
