"""A window's superblocks scored list by list: the sums, where it is done, and searches in which it is."""
import numpy as np
import pytest
from every_kind import NUM_DOCS, make_impacts, random_query, source_of

from bmp_plugin import BmpIndex
from bmp_plugin.kernels import kernel
from bmp_plugin.query.instructions import LANES
from bmp_plugin.query.lists import order_lists
from bmp_plugin.query.search import between
from bmp_plugin.query.sweep import FINDING, LEAST, make_sweep, next_part, sweep_rows, sweep_window
from bmp_plugin.query.visit import FEW, FEW_DOCUMENTS
from bmp_plugin.searcher import BmpSearcher

LAST = (NUM_DOCS - 1) >> 8


@pytest.fixture(scope="module")
def impacts():
    return make_impacts()


@pytest.fixture(scope="module", params=[1, 4, 16, 256])
def searcher(impacts, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return BmpSearcher(BmpIndex.build(source_of(impacts), folder / "i.bmp", block_size=request.param, progress=False))


def lists_of(searcher, query):
    return order_lists(query.lists, query.list_weights, np.zeros(len(query.lists), np.int64), searcher._arrays,
                       searcher._geometry[3])


@kernel
def sweep_some(superblocks, first, end, bounds, block_shift, demands, query, index, sums, chosen):
    """What two thresholds, one after the other, leave of a window: sums int32[65536], chosen bool[blocks, 2]."""
    sweep = make_sweep(block_shift)
    sweep.sums[:] = 12_345
    sweep_window(sweep, superblocks, first, end, bounds, block_shift, demands[0], query, index)
    chosen[:, 0] = sweep.chosen == 1
    sweep_rows(sweep, superblocks, first, end, bounds, block_shift, demands[1], query, index)
    sums[:] = sweep.sums
    for x in range(end - first):
        base, shift = (superblocks[first + x] & 255) << 8, sweep.visits.block_shift[x]
        for b in range(sweep.visits.num_blocks[x]):
            begin = base + (np.int64(sweep.visits.blocks[x, b]) << shift)
            chosen[begin >> block_shift:(begin + (1 << shift)) >> block_shift, 1] = True


def test_sums_of_chosen_blocks(impacts, searcher):
    arrays, geometry = searcher._arrays, searcher._geometry
    block_shift = int(geometry[2])
    size, per = 1 << block_shift, 256 >> block_shift
    most = min(FEW, FEW_DOCUMENTS >> block_shift)
    rng = np.random.default_rng(block_shift)
    column = np.array([int(token[1:]) for token in searcher.index.terms()])
    seen = set()
    for number in range(60):
        query = searcher._encode(random_query(rng, int(rng.integers(1, 16))))
        window = number % 3
        there = np.arange(window * 256, min((window + 1) * 256, LAST + 1), dtype=np.int32)
        todo = np.sort(rng.permutation(there)[:int(rng.integers(1, 30))])
        if window == 2:
            todo[-1] = LAST
        bounds = np.zeros((int(geometry[3]) << 16) >> block_shift, np.uint16)
        for s in todo:
            few = min(0.1, rng.choice([4, 30]) / per)
            bounds[s * per:(s + 1) * per] = rng.choice([5, 9, 20], per, p=[1 - few, few / 2, few / 2])
            bounds[s * per + rng.integers(per)] = 20                   # each has one above both thresholds
        sums, chosen = np.empty(65_536, np.int32), np.zeros((65_536 >> block_shift, 2), np.bool_)
        sweep_some(todo, 0, len(todo), bounds, block_shift, np.array([7, 12]), lists_of(searcher, query), arrays, sums, chosen)

        mine = bounds[window * (65_536 >> block_shift):][:65_536 >> block_shift]
        for demand, found in zip((7, 12), chosen.T, strict=True):
            above = (mine > demand).reshape(-1, per)
            whole = above.sum(1) > most
            assert np.array_equal(found.reshape(-1, per), above | whole[:, None])
            seen |= {(demand, bool(x)) for x in whole[above.any(1)]}
        docs = np.flatnonzero(np.repeat(chosen[:, 1], size))
        docs = docs[docs + window * 65_536 < NUM_DOCS]
        expected = impacts[docs + window * 65_536][:, column[query.terms]] @ query.weights
        assert np.array_equal(sums[docs], expected)
    assert seen == {(7, True), (12, True), (7, False), (12, False)} or (block_shift > 6 and seen == {(7, True), (12, True)})


@kernel
def parts_of(todo, query, ends, swept):
    n, at = 0, 0
    while at < len(todo):
        at, swept[n] = next_part(todo, at, len(todo), query)
        ends[n] = at
        n += 1
    return n


def test_windows_with_many_superblocks_are_swept(searcher):
    rng = np.random.default_rng(1)
    ways = set()
    for _ in range(100):
        query = lists_of(searcher, searcher._encode(random_query(rng, int(rng.integers(1, 16)))))
        todo = np.flatnonzero(rng.random(LAST + 1) < rng.choice([0.01, 0.1, 0.7], 3)[np.arange(LAST + 1) >> 8]).astype(np.int32)
        ends, swept = np.empty(LAST + 1, np.int64), np.empty(LAST + 1, np.bool_)
        n = parts_of(todo, query, ends, swept)
        listed = slice(int(query.groups[4]), int(query.groups[8]))
        worth = {}
        for w in range(3):
            postings = int((query.last[w] - query.first[w])[listed].sum())
            m = int(((todo >> 8) == w).sum())
            worth[w] = m >= LEAST and postings < m * FINDING * (listed.stop - listed.start)
        parts = np.split(todo, ends[:n])[:n]
        assert np.array_equal(np.concatenate([*parts, todo[:0]]), todo)
        for part, sweeping in zip(parts, swept[:n], strict=True):
            windows = set((part >> 8).tolist())
            assert len(part) > 0
            assert {worth[w] for w in windows} == {bool(sweeping)}
            assert not sweeping or (len(windows) == 1 and len(part) == ((todo >> 8) == min(windows)).sum())
        assert sum(swept[:n]) == sum(worth.values())
        ways |= set(worth.values())
    assert ways == {False, True}


@pytest.mark.parametrize("k", [1, 300, 5000])
def test_searches(impacts, searcher, k):
    rng = np.random.default_rng(k)
    names = np.array([f"d{i}" for i in range(NUM_DOCS)])
    by_docid = np.argsort(np.argsort(names.astype(bytes)))
    for size in (2, 5, 9, 15):
        query = random_query(rng, size)
        sums = impacts[:, [int(token[1:]) for token in query]] @ np.array(list(query.values()))
        best = np.lexsort((by_docid, -sums.astype(np.float32)))[:k]
        hits = searcher.search(query, k)
        assert [hit.docid for hit in hits] == names[best[sums[best] > 0]].tolist()


@kernel
def list_between(bounds, n, floor, ceiling, todo):
    return between(bounds, n, floor, ceiling, todo)


@pytest.mark.parametrize(("floor", "ceiling"), [(1, 65_536), (1, 1), (200, 30_000), (29_999, 30_000), (65_534, 65_536),
                                                (65_535, 65_536), (65_536, 65_536), (1, 65_535)])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 1000])
def test_superblocks_between_two_bounds(n, floor, ceiling):
    rng = np.random.default_rng(n)
    bounds = np.zeros(n + LANES, np.uint16)
    bounds[:n] = rng.choice([0, 1, 199, 200, 29_999, 30_000, 65_534], n)
    todo = np.empty(n + 1, np.int32)
    found = list_between(bounds, n, floor, ceiling, todo)
    assert todo[:found].tolist() == np.flatnonzero((bounds[:n] >= floor) & (bounds[:n] < ceiling)).tolist()
