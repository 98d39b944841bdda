"""No block's upper bound is below the score of a document in it, nor far above the sum of its lists' block maxima.

Computing them also records the last document of every group of postings in sparse lists.
"""
import numpy as np
import pytest
from every_kind import NUM_DOCS, columns_of, lists_of, make_impacts, memory_of_bounds, query_lists, random_query, source_of

from bmp_plugin import BmpIndex
from bmp_plugin._internal.intrinsics import BEHIND, DECODED, LANES, bound_increments
from bmp_plugin._internal.kernels import kernel
from bmp_plugin.index.layout import BLOCK_SIZES, WINDOW
from bmp_plugin.query.query_lists import HEAD, QueryLists, groups_before, groups_of, make_run, read_run
from bmp_plugin.query.upper_bounds import LARGEST, Bounds, upper_bounds
from bmp_plugin.searcher.bmp_searcher import BmpSearcher


@pytest.fixture(scope="module")
def impacts():
    return make_impacts()


@pytest.fixture(scope="module")
def source(impacts):
    return source_of(impacts)


@pytest.mark.parametrize("block_size", [1, 2, 4, 8, 64, 256])
def test_bounds_of_every_kind_of_list(impacts, source, block_size, tmp_path):
    assert block_size in BLOCK_SIZES
    searcher = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", block_size=block_size, progress=False))
    index = searcher._kernel_index
    kinds = set(zip((index.list_row >= 0).tolist(), index.list_shift.tolist(), strict=True))
    assert {(True, 0), (False, 0), (True, 8), (False, 8), (False, 16)} <= kinds
    rng = np.random.default_rng(block_size)
    for size in (1, 5, impacts.shape[1]):
        check(impacts, index, *lists_of(searcher, random_query(rng, size)))


def check(impacts, index, lists, weights):
    n, windows = len(lists), index.num_windows
    query, scale = query_lists(index, lists, weights)
    assert scale > 0
    bounds = Bounds(*upper_bounds(query, 0, index.num_windows, index, memory_of_bounds(index)))

    padded = np.zeros((windows * WINDOW, impacts.shape[1]), np.int64)
    padded[:NUM_DOCS] = impacts
    sums, loosest = np.zeros(windows * WINDOW, np.int64), np.zeros(len(bounds.blocks))
    columns = columns_of(index, lists, padded)
    for column, weight in zip(columns, weights, strict=True):
        sums += weight * column
        unit = (column.max() + 14) // 15                   # 4-bit block maxima are multiples of it, rounded up
        largest = column.reshape(len(loosest), -1).max(axis=1)
        loosest += weight * (largest + np.where(largest > 0, unit, 0))
    num_blocks = index.num_superblocks << 8 >> index.block_shift
    highest = sums.reshape(len(loosest), -1).max(axis=1)[:num_blocks]
    loosest, blocks = loosest[:num_blocks], bounds.blocks[:num_blocks]
    assert np.all(highest * scale <= blocks)
    assert np.all(blocks[highest > 0] > 0)                 # only a superblock with bound 0 needs no visit
    assert np.all(blocks[loosest == 0] == 0)               # also if it contains jumps
    assert np.all(blocks <= loosest * scale + 16 * n)      # the most that rounding up adds to a list's part
    assert blocks.max() < LARGEST
    assert np.array_equal(bounds.superblocks[:index.num_superblocks], blocks.reshape(-1, 256 >> index.block_shift).max(axis=1))
    check_runs(index, query, dict(zip(index.list_start[lists].tolist(), columns, strict=True)))


def check_runs(index, query, columns):
    run = make_run()
    for i in range(int(query.num_with_maxima), len(query.weights)):
        column = columns[int(query.start[i])]
        for window in range(index.num_windows):
            recorded = query.group_last.copy()
            n = read_run(query, i, window, index.postings, run)
            docs, found = run.docs[HEAD:HEAD + n].astype(np.int64), run.impacts[HEAD:HEAD + n]
            there = column[window * WINDOW:(window + 1) * WINDOW]
            assert docs[found > 0].tolist() == np.flatnonzero(there).tolist()
            assert np.array_equal(found[found > 0], there[there > 0])
            assert np.all(np.diff(docs) > 0)
            assert np.array_equal(recorded, query.group_last)            # the bounds have recorded it already
            at, groups = groups_of(query, i, window), n // DECODED
            assert np.array_equal(query.group_last[at:at + groups], docs[DECODED - 1::DECODED])
            for doc in (0, 1, 255, 256, 30_000, 65_279, 65_535):
                assert groups_before(query, at, groups, doc) == np.count_nonzero(docs[DECODED - 1::DECODED] < doc)


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 64, 200, 4096])
def test_groups_that_end_before_a_document_are_counted(n):
    rng = np.random.default_rng(n)
    last = np.zeros(7 + n + LANES, np.uint16)
    last[7:7 + n] = ends = np.sort(rng.choice(65_536, n, replace=False))
    none = np.empty(0, np.int64)
    query = QueryLists(0, none.astype(np.int32), none, none, none, none.reshape(0, 0), none.reshape(0, 0), none, last)
    looked_for = np.unique(np.concatenate([[0, 65_535], rng.integers(0, 65_536, 50), ends[:50], ends[-50:]]))
    assert [groups_before(query, 7, n, doc) for doc in looked_for.tolist()] == np.searchsorted(ends, looked_for).tolist()


@kernel
def raise_blocks(increments, docs, parts, upper):
    for i in range(np.uint64(HEAD), np.uint64(len(docs)), np.uint64(LANES)):
        bound_increments(increments, i, docs, parts, upper)


@pytest.mark.parametrize("block_shift", [0, 1, 2])
def test_bound_increments_of_a_block_add_up_to_its_maximum(block_shift):
    """In vector lanes as in a loop, wherever blocks begin and end."""
    rng = np.random.default_rng(block_shift)
    n = 8 * LANES
    for share in (0.1, 0.5, 0.9):
        docs, parts, increments = (np.zeros(HEAD + n, np.uint16) for _ in range(3))
        docs[HEAD - BEHIND:] = np.flatnonzero(rng.random(65_536) < share)[-(BEHIND + n):]
        parts[HEAD - BEHIND:] = rng.choice([1, 2, 500, 65_535], BEHIND + n)
        raise_blocks(increments, docs, parts, np.uint16(0xFFFF << block_shift & 0xFFFF))
        most = {}
        for i in range(HEAD - BEHIND, HEAD + n):
            block, part = int(docs[i]) >> block_shift, int(parts[i])
            before = most.get(block, 0)
            most[block] = max(before, part)
            if i >= HEAD:
                assert increments[i] == most[block] - before, i
