"""A target recall is reached on queries that the calibration has not seen, and 1 is safe."""
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from bmp_plugin import BmpIndex, BmpSearcher, ShardedSearcher
from bmp_plugin.adapters.sources.document_source import VectorSource
from bmp_plugin.errors import DamagedIndexError
from bmp_plugin.searcher.recall_calibration import (
    ONE_STEP_SETTINGS,
    RECALL_FILE,
    SAFE,
    SETTINGS,
    Recall,
    RecallCalibration,
    depths_of,
    mean_recall,
    save,
)
from bmp_plugin.sharded.build_shards import build_shards

DATA = Path(__file__).parents[1] / "data"


def lines_of(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def source():
    return VectorSource((document["id"], document["vector"]) for document in lines_of("scifact_docs.jsonl.gz"))


@pytest.fixture(scope="module")
def index(source, tmp_path_factory):
    return BmpIndex.build(source, tmp_path_factory.mktemp("recall") / "scifact.bmp", progress=False)


@pytest.fixture(scope="module")
def queries():
    return [query["vector"] for query in lines_of("scifact_queries.jsonl.gz")]


def ids(hits):
    return [(hit.docid, hit.score) for hit in hits]


def overlap(searcher, queries, k, **options):
    shares = []
    for query in queries:
        safe = {hit.docid for hit in searcher.search(query, k)}
        shares.append(len(safe & {hit.docid for hit in searcher.search(query, k, **options)}) / len(safe))
    return np.mean(shares)


@pytest.mark.parametrize("k", [1, 10, 40, 100])
def test_real_queries_reach_the_target(index, queries, k):
    """The target is a mean over many queries: a tolerance of three standard errors, of shares that are seldom below 0.8."""
    searcher = BmpSearcher(index)
    for target in (0.9, 0.97, 0.99):
        assert overlap(searcher, queries, k, target_recall=target) >= target - 0.015
    assert searcher.setting(k, 0.9, SAFE) in SETTINGS, "approximate"


def test_1_is_safe(index, queries):
    searcher = BmpSearcher(index)
    assert all(ids(searcher.search(query, 20, target_recall=1)) == ids(searcher.search(query, 20)) for query in queries)


def test_batches_and_other_searchers_have_the_same_answers(index, queries):
    one, other = BmpSearcher(index), BmpSearcher(BmpIndex.open(index.path))
    other.search(queries[0], 10, target_recall=0.999)              # measures other settings first
    runs = other.batch_search(queries, map(str, range(len(queries))), 10, threads=2, target_recall=0.95)
    assert [ids(runs[str(i)]) for i in range(len(queries))] == [ids(one.search(query, 10, target_recall=0.95))
                                                                for query in queries]


def test_shards_reach_the_target(source, index, queries, tmp_path):
    build_shards(source, tmp_path / "i.bmps", 3, progress=False)
    whole = BmpSearcher(index)
    with ShardedSearcher(tmp_path / "i.bmps") as searcher:
        shares = [len({hit.docid for hit in whole.search(query, 10)}
                      & {hit.docid for hit in searcher.search(query, 10, target_recall=0.95)}) / 10 for query in queries]
        assert 0.94 <= np.mean(shares) < 1
        assert ids(searcher.search(queries[0], 10, target_recall=1)) == ids(whole.search(queries[0], 10))


@pytest.mark.parametrize(("options", "message"), [
    ({"target_recall": 0}, "above 0"), ({"target_recall": 1.1}, "above 0"), ({"target_recall": "0.9"}, "above 0"),
    ({"target_recall": True}, "above 0"), ({"target_recall": float("nan")}, "above 0"),
    ({"target_recall": 0.9, "alpha": 0.9}, "alone"), ({"target_recall": 0.9, "budget": 3}, "alone")])
def test_wrong_targets_are_refused(index, options, message):
    searcher = BmpSearcher(index)
    with pytest.raises(ValueError, match=message):
        searcher.search({"a": 1}, **options)
    with pytest.raises(ValueError, match=message):
        searcher.batch_search([{"a": 1}], ["1"], **options)


def test_what_is_kept_in_the_index_decides(index, tmp_path):
    kept = {(depth, setting): Recall(0.5, 0.0) for depth in (10, 100, 1000) for setting in SETTINGS}
    kept |= {(10, setting): Recall(0.96, 0.001) for setting in SETTINGS[4:]}
    try:
        save(index.path, kept, "queries")
        searcher = BmpSearcher(BmpIndex.open(index.path))
        assert searcher.setting(10, 0.95, SAFE) == SETTINGS[4]
        assert searcher.setting(10, 0.96, SAFE) == SAFE, "no more than a standard error above it"
        assert searcher.setting(50, 0.95, SAFE) == SAFE, "100 hits do not reach it"
        assert searcher.setting(1000, 0.5, SAFE) in ONE_STEP_SETTINGS, "measured, as it is not kept"
        BmpIndex.open(index.path).verify()
        for damaged in ("", "{", "[]", "[" * 100_000, '{"format": "x"}',
                        '{"format": "bmp-plugin recall", "version": 1, "recall": [{}]}'):
            (index.path / RECALL_FILE).write_text(damaged)
            with pytest.raises(DamagedIndexError, match="bmp-plugin tune"):
                BmpSearcher(index).search({"a": 1}, target_recall=0.9)
        assert len(BmpSearcher(index).search({"a": 1})) == 10, "safe search does not read it"
        (index.path / RECALL_FILE).write_text('{"format": "bmp-plugin recall", "version": 99}')
        assert BmpSearcher(index).setting(10, 0.5, SAFE) in SETTINGS, "of another version: measured anew"
    finally:
        (index.path / RECALL_FILE).unlink()


def test_the_fastest_setting_that_reaches_the_target_is_found():
    asked = []

    def rank(queries, k, setting):
        asked.append(setting)
        found = 10 if setting == SAFE else 10 * (SETTINGS.index(setting) + 1) // (len(SETTINGS) + 1)
        return [np.arange(found, dtype=np.int32)] * len(queries)

    for target in (0.05, 0.3, 0.55, 0.85, 0.99):
        calibration = RecallCalibration(rank, [{}] * 5)
        setting = calibration.setting(10, target)
        reached = [setting for setting in SETTINGS if calibration.measure(10, setting).mean >= target]
        assert setting == (reached[0] if reached else SAFE)
    asked.clear()
    calibration.setting(10, 0.55)
    assert asked == [], "it is measured once"


def test_mean_recall():
    safe = [np.array([1, 2, 3, 4]), np.array([5]), np.empty(0, np.int32)]
    found = [np.array([4, 2, 9, 8]), np.array([5]), np.empty(0, np.int32)]
    assert mean_recall(safe, found) == Recall(0.75, pytest.approx(0.25 / np.sqrt(2)))
    assert mean_recall([], []) == Recall(1.0, 0.0)


def test_depths():
    assert [depths_of(k) for k in (1, 10, 11, 100, 500, 1000, 5000)] == [
        [10], [10], [10, 100], [100], [100, 1000], [1000], [1000]]


@pytest.mark.parametrize("documents", [[], [("a", {"x": 1})], [("a", {"x": 70_000, "y": 2}), ("b", {})]])
def test_the_smallest_collections(documents, tmp_path):
    searcher = BmpSearcher(BmpIndex.build(VectorSource(documents), tmp_path / "i.bmp", progress=False), min_idf=-1)
    assert [hit.docid for hit in searcher.search({"x": 2}, target_recall=0.9)] == [docid for docid, _ in documents[:1]]


def test_queries_are_made_of_documents(index):
    made = BmpSearcher(index).document_queries(40)
    vectors = [document["vector"] for document in lines_of("scifact_docs.jsonl.gz")]
    assert made == BmpSearcher(index).document_queries(40)
    assert len(made) == 40
    assert all(5 <= len(query) <= 40 for query in made)
    assert all(any(query.items() <= {token: min(weight, 255) for token, weight in vector.items()}.items() for vector in vectors)
               for query in made)
