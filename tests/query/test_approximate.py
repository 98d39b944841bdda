"""Approximate search may lose documents, but every score that it returns is exact."""
import numpy as np
import pytest

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin._internal import interrupts
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.cli import main

NUM_DOCS = 20_000
VOCABULARY = [f"t{i:02}" for i in range(30)]
QUERY = {token: 1 + 3 * i for i, token in enumerate(VOCABULARY)}


@pytest.fixture(scope="module")
def scores():
    """Every document's score for QUERY, int64[NUM_DOCS], and the source: lists with block maxima, sparse and overflow lists."""
    rng = np.random.default_rng(5)
    share = np.geomspace(0.002, 0.5, len(VOCABULARY))[rng.permutation(len(VOCABULARY))]
    present = rng.random((NUM_DOCS, len(VOCABULARY))) < share
    docs, terms = np.nonzero(present)
    impacts = rng.exponential(np.where(terms % 7 == 6, 90, 20)).astype(np.int64) + 1            # some above 255
    matrix = np.zeros((NUM_DOCS, len(VOCABULARY)), np.int64)
    matrix[docs, terms] = impacts
    ptr = np.concatenate([[0], np.cumsum(present.sum(1))])
    docids = [f"d{i:05}" for i in range(NUM_DOCS)]
    source = ArraySource(ptr, terms.astype(np.uint16), impacts, docids, VOCABULARY)
    return matrix @ np.array(list(QUERY.values())), source


@pytest.fixture(scope="module")
def searcher(scores, tmp_path_factory):
    return BmpSearcher(BmpIndex.build(scores[1], tmp_path_factory.mktemp("index") / "i.bmp", progress=False))


def overlap(searcher, k, **options):
    safe = {hit.docid for hit in searcher.search(QUERY, k)}
    return len(safe & {hit.docid for hit in searcher.search(QUERY, k, **options)}) / k


@pytest.mark.parametrize("options", [{"alpha": 0.7}, {"beta": 0.5}, {"beta": 0.01}, {"budget": 7}, {"beta": 0.3, "budget": 1},
                                     {"alpha": 0.9, "beta": 0.6, "budget": 20}])
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_scores_are_exact_and_in_order(searcher, scores, options, k):
    hits = searcher.search(QUERY, k, **options)
    assert len(hits) == k or len(hits) <= 256 * options["budget"]
    exact = [float(np.float32(scores[0][int(hit.docid[1:])])) for hit in hits]
    assert [hit.score for hit in hits] == pytest.approx(exact, rel=1e-6)                # ties are adjusted
    assert [(-score, hit.docid) for score, hit in zip(exact, hits, strict=True)] == sorted(
        (-score, hit.docid) for score, hit in zip(exact, hits, strict=True))


@pytest.mark.parametrize("options", [{"alpha": 0.6}, {"beta": 0.3}, {"budget": 4}])
def test_documents_may_be_lost(searcher, options):
    assert 0 < overlap(searcher, 100, **options) < 1


def test_batches_give_the_answers_of_single_searches(searcher):
    options = {"alpha": 0.9, "beta": 0.4, "budget": 9}
    queries = [dict(list(QUERY.items())[i:]) for i in range(20)]
    runs = searcher.batch_search(queries, [str(i) for i in range(20)], 10, threads=2, **options)
    for i, query in enumerate(queries):
        single = searcher.search(query, 10, **options)
        assert [(hit.docid, hit.score) for hit in runs[str(i)]] == [(hit.docid, hit.score) for hit in single]


def test_a_larger_budget_finds_more_and_a_budget_of_all_superblocks_is_safe(searcher):
    overlaps = [overlap(searcher, 50, budget=budget) for budget in (1, 4, 16, 79)]
    assert overlaps == sorted(overlaps)
    assert overlaps[0] < overlaps[-1] == 1
    whole = searcher.search(QUERY, 50, budget=10**6)
    assert [(hit.docid, hit.score) for hit in whole] == [(hit.docid, hit.score) for hit in searcher.search(QUERY, 50)]


def source_of(vectors, vocabulary):
    terms = [vocabulary.index(token) for vector in vectors for token in vector]
    return ArraySource(np.cumsum([0] + [len(vector) for vector in vectors]), np.array(terms, np.uint16),
                       np.array([impact for vector in vectors for impact in vector.values()]),
                       ["best" if len(vector) == 2 else f"d{i:05}" for i, vector in enumerate(vectors)], vocabulary)


@pytest.fixture(scope="module")
def one_far(tmp_path_factory):
    """300 documents score 1000 with the heavy token; the best one, far from them, 990 with it and 50 with the light one."""
    vectors = [{"heavy": 100}] * 300 + [{"other": 1}] * 9_700 + [{"heavy": 99, "light": 50}] + [{"other": 2}] * 2_000
    source = source_of(vectors, ["heavy", "light", "other"])
    return BmpIndex.build(source, tmp_path_factory.mktemp("far") / "i.bmp", progress=False).path


@pytest.mark.parametrize(("options", "found"), [
    ({}, True),
    ({"beta": 0.15}, True),                 # both tokens are in the first step
    ({"beta": 0.14}, False),                # only the heavy one, whose impact is 99 in the best document
    ({"alpha": 0.97}, True),                # 0.97 times its upper bound, 1040, is above 1000
    ({"alpha": 0.95}, False),
    ({"budget": 1}, True),                  # the largest upper bound comes first
])
def test_alpha_beta_and_budget_as_documented(one_far, options, found):
    hits = BmpSearcher(one_far).search({"heavy": 10, "light": 1}, 10, **options)
    assert (hits[0].docid == "best") == found
    assert hits[0].score == (1040 if found else 1000)


@pytest.mark.parametrize(("k", "found"), [(1, False), (6, False), (7, True), (10, True)])
def test_the_first_step_chooses_so_many_candidates(tmp_path, k, found):
    """The best document is the 20th by the heavy token alone; there are k + 5 sqrt(k) candidates."""
    impacts = np.arange(119, 19, -1)
    vectors = [{"heavy": int(impact)} for impact in impacts] + [{"other": 1}]
    vectors[19]["light"] = 100
    index = BmpIndex.build(source_of(vectors, ["heavy", "light", "other"]), tmp_path / "i.bmp", progress=False)
    hits = BmpSearcher(index).search({"heavy": 10, "light": 9}, k, beta=0.1)
    assert hits[0].score == (1900 if found else 1190)


def test_all_tokens_are_used_if_the_first_step_finds_too_few_documents(tmp_path):
    vectors = [{"heavy": 100}] * 3 + [{"light": 1 + i % 100} for i in range(500)] + [{"other": 1}] * 10
    index = BmpIndex.build(source_of(vectors, ["heavy", "light", "other"]), tmp_path / "i.bmp", progress=False)
    hits, safe = (BmpSearcher(index).search({"heavy": 10, "light": 1}, 50, beta=beta) for beta in (0.01, 1))
    assert [(hit.docid, hit.score) for hit in hits] == [(hit.docid, hit.score) for hit in safe]


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Impacts int64[documents, 40] with lists of every kind in two windows, overflow lists of three digits, and a searcher."""
    rng = np.random.default_rng(8)
    n, m = 70_000, 40
    largest = np.array([255, 200, 20_000, 255, 100_000, 120, 20, 255, 300, 255])[np.arange(m) % 10]
    share = np.geomspace(0.0005, 0.4, m)[rng.permutation(m)]
    docs, terms = np.nonzero(rng.random((n, m)) < share)
    impacts = np.ceil(largest[terms] * rng.random(len(docs))).astype(np.int64)
    matrix = np.zeros((n, m), np.int64)
    matrix[docs, terms] = impacts
    ptr = np.concatenate([[0], np.cumsum(np.bincount(docs, minlength=n))])
    source = ArraySource(ptr, terms.astype(np.uint16), impacts, [f"d{i:05}" for i in range(n)], [f"t{i:02}" for i in range(m)])
    index = BmpIndex.build(source, tmp_path_factory.mktemp("wide") / "i.bmp", progress=False)
    assert set(zip((index.arrays["list_row"] >= 0).tolist(), index.arrays["list_shift"].tolist(), strict=True)) \
        == {(True, 0), (True, 8), (False, 0), (False, 8), (False, 16)}
    return matrix, BmpSearcher(index)


def lists_of(matrix, terms, weights):
    """Returns the impacts in every list of a query, int64[documents, lists], including overflow lists, and their weights."""
    columns, list_weights = [], []
    for term, weight in zip(terms, weights, strict=True):
        rest = np.maximum(matrix[:, term] - 255, 0)
        parts = [(np.minimum(matrix[:, term], 255), 0)] + [(rest >> shift & 255, shift) for shift in (0, 8, 16)]
        for column, shift in parts:
            if column.any():
                columns.append(column)
                list_weights.append(weight << shift)
    return np.stack(columns, axis=1), np.array(list_weights)


@pytest.mark.parametrize("weight", [1, 7, 150])              # 150: sums above 2^24, which float32 rounds
@pytest.mark.parametrize("beta", [0.9, 0.7, 0.4])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_two_steps_equal_their_exhaustive_computation(wide, weight, beta, k):
    matrix, searcher = wide
    rng = np.random.default_rng(k)
    terms = rng.permutation(np.flatnonzero(4 * weight * matrix.max(axis=0) < 2**24))[:30]      # else exhaustive
    weights = weight * rng.integers(1, 5, len(terms))
    columns, list_weights = lists_of(matrix, terms, weights)
    most = list_weights * columns.max(axis=0)
    n, s = len(most), 12 * beta / (1 - beta)
    heavy = np.argsort(-most, kind="stable")[:int(np.ceil(n * s / (n + s)))]

    def best(scores, docs, k):
        return docs[np.lexsort((docs, -scores.astype(np.float32)))[:k]]

    candidates = best(columns[:, heavy] @ list_weights[heavy], np.arange(len(matrix)), k + int(5 * k ** 0.5))
    scores = matrix[:, terms] @ weights
    expected = best(scores[candidates], candidates, k)
    hits = searcher.search({f"t{t:02}": int(w) for t, w in zip(terms, weights, strict=True)}, k, beta=beta)
    assert [int(hit.docid[1:]) for hit in hits] == expected.tolist()
    assert [hit.score for hit in hits] == pytest.approx(scores[expected].astype(np.float32).tolist(), rel=1e-6)


def test_documents_beyond_the_budget_do_not_match_by_weight_0(tmp_path):
    n = 600
    source = ArraySource(np.append(np.arange(0, 2 * n + 1, 2), 2 * n + 1), np.array([0, 1] * n + [2], np.uint16),
                         np.ones(2 * n + 1, np.int64), [f"d{i:03}" for i in range(n)] + ["x"], ["a", "other", "z"])
    searcher = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", progress=False))
    found = searcher.search({"a": 5, "other": 0}, n, budget=1)
    assert len(found) == 256
    assert {round(hit.score) for hit in found} == {5}


def test_the_command_has_a_budget(one_far, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(interrupts, "install", lambda: None)             # pytest's own stay
    (tmp_path / "topics.jsonl").write_text('{"qid": "q", "vector": {"heavy": 10, "light": 1}}\n')

    def search(*options):
        return main(["search", "--index", str(one_far), "--topics", str(tmp_path / "topics.jsonl"), "--output",
                     str(tmp_path / "run.txt"), "--hits", "10", *options])

    assert search() == 0
    assert len((tmp_path / "run.txt").read_text().splitlines()) == 10
    assert search("--budget", "1") == 0
    assert (tmp_path / "run.txt").read_text().split()[2::6] == ["best"]
    with pytest.raises(SystemExit, match="2"):
        search("--budget", "0")
    assert "--budget" in capsys.readouterr().err


@pytest.mark.usefixtures("host")
def test_the_drop_in_passes_the_options_on(one_far):
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    query = " ".join(["heavy"] * 10 + ["light"])
    searcher = BmpImpactSearcher(str(one_far), None, budget=1)
    assert [hit.docid for hit in searcher.search(query)] == ["best"]
    assert [hit.docid for hit in searcher.batch_search([query], ["q"])["q"]] == ["best"]
    assert len(searcher.search(query, budget=10**6)) == 10
    assert searcher.search(query, alpha=0.95, budget=100)[0].docid == "d00000"
