"""Tiers have the right superblocks, sparse lists are added up for whole windows if that is cheaper, and searches are exact."""
import numpy as np
import pytest
from every_kind import NUM_DOCS, lists_of, make_impacts, query_lists, random_query, source_of

from bmp_plugin import BmpIndex
from bmp_plugin._internal.intrinsics import LANES
from bmp_plugin._internal.kernels import kernel
from bmp_plugin.query.block_max_pruning import _next_part, _superblocks_between
from bmp_plugin.query.tuning import LEAST_SUPERBLOCKS, SEEK_COST
from bmp_plugin.searcher.bmp_searcher import BmpSearcher

LAST = (NUM_DOCS - 1) >> 8


@pytest.fixture(scope="module")
def impacts():
    return make_impacts()


@pytest.fixture(scope="module", params=[1, 4, 16, 256])
def searcher(impacts, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiers")
    return BmpSearcher(BmpIndex.build(source_of(impacts), folder / "i.bmp", block_size=request.param, progress=False))


@kernel
def parts_of(tier, query, ends, whole_window):
    """Writes the end of each part of a tier, and whether its window is added up; returns the number of parts."""
    n, at = 0, 0
    while at < len(tier):
        at, whole_window[n] = _next_part(tier, at, len(tier), query)
        ends[n] = at
        n += 1
    return n


def test_sparse_lists_are_added_up_where_many_superblocks_are_scored(searcher):
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(100):
        query, _ = query_lists(searcher._kernel_index, *lists_of(searcher, random_query(rng, int(rng.integers(1, 16)))))
        share = rng.choice([0.01, 0.1, 0.7], 3)[np.arange(LAST + 1) >> 8]
        tier = np.flatnonzero(rng.random(LAST + 1) < share).astype(np.int32)
        ends, whole = np.empty(LAST + 1, np.int64), np.empty(LAST + 1, np.bool_)
        n = parts_of(tier, query, ends, whole)
        sparse = slice(int(query.num_with_maxima), len(query.weights))
        cheaper = {}
        for w in range(3):
            postings = int((query.run_end[w] - query.run_start[w])[sparse].sum())
            m = int(((tier >> 8) == w).sum())
            cheaper[w] = m >= LEAST_SUPERBLOCKS and postings < m * SEEK_COST * (sparse.stop - sparse.start)
        parts = np.split(tier, ends[:n])[:n]
        assert np.array_equal(np.concatenate([*parts, tier[:0]]), tier)
        for part, is_whole in zip(parts, whole[:n], strict=True):
            windows = set((part >> 8).tolist())
            assert len(part) > 0
            assert {cheaper[w] for w in windows} == {bool(is_whole)}
            assert not is_whole or (len(windows) == 1 and len(part) == ((tier >> 8) == min(windows)).sum())
        assert sum(whole[:n]) == sum(cheaper.values())
        seen |= set(cheaper.values())
    assert seen == {False, True}


@pytest.mark.parametrize("k", [1, 300, 5000])
def test_searches_are_exact(impacts, searcher, k):
    rng = np.random.default_rng(k)
    names = np.array([f"d{i}" for i in range(NUM_DOCS)])
    by_docid = np.argsort(np.argsort(names.astype(bytes)))
    for size in (2, 5, 9, 15):
        query = random_query(rng, size)
        sums = impacts[:, [int(token[1:]) for token in query]] @ np.array(list(query.values()))
        best = np.lexsort((by_docid, -sums.astype(np.float32)))[:k]
        hits = searcher.search(query, k)
        assert [hit.docid for hit in hits] == names[best[sums[best] > 0]].tolist()


@pytest.mark.parametrize(("floor", "ceiling"), [(1, 65_536), (1, 1), (200, 30_000), (29_999, 30_000), (65_534, 65_536),
                                                (65_535, 65_536), (65_536, 65_536), (1, 65_535)])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 1000])
def test_a_tier_has_the_superblocks_between_two_bounds(n, floor, ceiling):
    rng = np.random.default_rng(n)
    bounds = np.zeros(n + LANES, np.uint16)
    bounds[:n] = rng.choice([0, 1, 199, 200, 29_999, 30_000, 65_534], n)
    tier = np.empty(n + 1, np.int32)
    found = _superblocks_between(bounds, n, floor, ceiling, tier)
    assert tier[:found].tolist() == np.flatnonzero((bounds[:n] >= floor) & (bounds[:n] < ceiling)).tolist()
