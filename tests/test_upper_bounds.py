"""No block's upper bound is below a document's score in it, nor far above the sum of what its lists add at most.

On the way is noted where postings of lists without rows are: their skips, and the superblocks of the rare ones.
"""
import numpy as np
import pytest
from every_kind import NUM_DOCS, SHARES, columns_of, make_impacts, random_query, source_of

from bmp_plugin import BmpIndex
from bmp_plugin.index.layout import BLOCK_SIZES, DENSE, FREQUENT, GAPS, RARE
from bmp_plugin.query.bounds import LARGEST, scale_weights, upper_bounds
from bmp_plugin.query.lists import order_lists
from bmp_plugin.query.postings import BEHIND, ROOM, START, compare_in_small_blocks, make_chunk
from bmp_plugin.query.skips import SKIP, make_marks, make_skips, passed, skips_of
from bmp_plugin.searcher import BmpSearcher


@pytest.fixture(scope="module")
def impacts():
    return make_impacts()


@pytest.fixture(scope="module")
def source(impacts):
    return source_of(impacts)


@pytest.mark.parametrize("block_size", [1, 2, 4, 8, 64, 256])
def test_every_kind_of_list(impacts, source, block_size, tmp_path):
    assert block_size in BLOCK_SIZES
    index = BmpIndex.build(source, tmp_path / "i.bmp", block_size=block_size, progress=False)
    searcher = BmpSearcher(index)
    arrays, geometry = searcher._arrays, searcher._geometry
    kinds = set(arrays.list_kind[:len(SHARES)].tolist())
    assert kinds == {RARE, GAPS, FREQUENT, DENSE}
    rng = np.random.default_rng(block_size)
    for size in (1, 5, len(SHARES)):
        check(impacts, index, arrays, geometry, searcher._encode(random_query(rng, size)))


def check(impacts, index, arrays, geometry, query):
    n, windows, block_shift = len(query.lists), int(geometry[3]), int(geometry[2])
    scaled = np.empty(n, np.int64)
    scale = scale_weights(query.lists, query.list_weights, arrays, scaled)
    assert scale > 0
    ordered = order_lists(query.lists, query.list_weights, scaled, arrays, windows)
    bounds = np.empty((windows << 16) >> block_shift, np.uint16)
    skips, marks = make_skips(ordered), make_marks(ordered, geometry[1])
    best = np.empty(int(geometry[1]), np.uint16)
    upper_bounds(ordered, geometry, arrays, bounds, skips, marks, best)

    padded = np.zeros((windows << 16, impacts.shape[1]), np.int64)
    padded[:NUM_DOCS] = impacts
    sums = np.zeros(windows << 16, np.int64)
    loosest = np.zeros(len(bounds))
    columns = columns_of(index.arrays, query.lists, padded)
    for column, weight in zip(columns, query.list_weights, strict=True):
        sums += weight * column
        unit = (column.max() + 14) // 15                   # block maxima of 4 bits are multiples of it, rounded up
        largest = column.reshape(len(bounds), -1).max(axis=1)
        loosest += weight * (largest + np.where(largest > 0, unit, 0))
    highest = sums.reshape(len(bounds), -1).max(axis=1)
    made = len(best) * 256 >> block_shift
    highest, loosest, bounds = highest[:made], loosest[:made], bounds[:made]
    assert np.all(highest * scale <= bounds)
    assert np.all(bounds[highest > 0] > 0)                 # a superblock without a bound needs no visit
    assert np.all(bounds <= loosest * scale + 16 * n)      # what rounding up adds to a list's part at most
    assert bounds.max() < LARGEST
    assert np.array_equal(best, bounds.reshape(-1, 256 >> block_shift).max(axis=1))
    check_what_is_noted(arrays, ordered, dict(zip(query.lists.tolist(), columns, strict=True)), skips, marks)


def check_what_is_noted(arrays, ordered, columns, skips, marks):
    start, rare, end = (int(ordered.groups[g]) for g in (4, 5, 8))
    place = {(int(arrays.list_kind[x]), int(arrays.list_docs[x])): x for x in columns}
    for i in range(start, end):
        column = columns[place[GAPS if i < rare else RARE, int(ordered.docs[i])]]
        if i >= rare:
            marked = marks[:, (i - rare) // 64] >> np.uint64((i - rare) % 64) & np.uint64(1)
            assert np.array_equal(marked, column.reshape(-1, 256)[:len(marks)].any(axis=1))
        for window in range(len(ordered.first)):
            first, last = int(ordered.first[window, i]), int(ordered.last[window, i])
            docs = np.flatnonzero(column[window << 16:(window + 1) << 16])
            if i < rare:                                   # fillers of gaps are postings as well
                docs = np.cumsum(arrays.gaps[first:last], dtype=np.int64) - 1
                assert np.isin(np.flatnonzero(column[window << 16:(window + 1) << 16]), docs).all()
            assert last - first == len(docs)
            at, n = skips_of(ordered, i, first), len(docs) // SKIP
            assert np.array_equal(skips[at:at + n], docs[SKIP - 1::SKIP])
            for doc in (0, 1, 255, 256, 30_000, 65_279, 65_535):
                assert passed(skips, at, n, doc) == np.count_nonzero(docs[SKIP - 1::SKIP] < doc)


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 64, 200, 4096])
def test_skips_are_passed_wherever_they_end(n):
    """Also where documents are not spread evenly, as the first look takes them to be."""
    rng = np.random.default_rng(n)
    for top in (65_535, 40_000, 5_000):
        for base in (0, 65_535 - top):
            ends = np.sort(rng.choice(top + 1, n, replace=False) + base)
            skips = np.full(7 + n + 32, 0, np.uint16)
            skips[7:7 + n] = ends
            looked_for = np.unique(np.concatenate([[0, 65_535], rng.integers(0, 65_536, 50), ends[:50], ends[-50:]]))
            assert [passed(skips, 7, n, doc) for doc in looked_for.tolist()] == np.searchsorted(ends, looked_for).tolist()


@pytest.mark.parametrize("block_shift", [0, 1, 2])
def test_postings_of_one_block_raise_it_by_the_largest(block_shift):
    """Side by side as one after the other, where blocks begin and end anywhere among them."""
    rng = np.random.default_rng(block_shift)
    start, n = START, ROOM
    for share in (0.1, 0.5, 0.9):
        docs = np.flatnonzero(rng.random(65_536) < share)[-(BEHIND + n):]
        chunk = make_chunk()
        chunk.docs[start - BEHIND:start + n] = docs
        chunk.parts[start - BEHIND:start + n] = rng.choice([1, 2, 500, 65_535], BEHIND + n)
        compare_in_small_blocks(chunk, n, block_shift)
        most = {}
        for i in range(start - BEHIND, start + n):
            block, part = int(chunk.docs[i]) >> block_shift, int(chunk.parts[i])
            had = most.get(block, 0)
            most[block] = max(had, part)
            if i >= start:
                assert chunk.rises[i] == most[block] - had, i
