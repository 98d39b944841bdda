"""No block's upper bound is below a document's score in it, nor far above the sum of what its lists add at most."""
import numpy as np
import pytest

from bmp_plugin import BmpIndex
from bmp_plugin.adapters.arrays import ArraySource
from bmp_plugin.index.layout import BLOCK_SIZES, DENSE, FREQUENT, GAPS, RARE
from bmp_plugin.query.bounds import LARGEST, scale_weights, upper_bounds
from bmp_plugin.query.lists import order_lists
from bmp_plugin.query.postings import NOWHERE
from bmp_plugin.searcher import BmpSearcher

NUM_DOCS = 150_000
SHARES = (0.5, 0.28, 0.1, 0.04, 0.03, 0.02, 0.012, 0.008, 0.005, 0.001, 0.0001, 0.00002)
LARGEST_IMPACTS = (255, 255, 300, 255, 3, 255, 200, 40, 70_000, 255, 256, 300_000)


@pytest.fixture(scope="module")
def impacts():
    """int64[documents, terms]: lists of every kind, some of whose documents come in runs."""
    rng = np.random.default_rng(8)
    dense = np.zeros((NUM_DOCS, len(SHARES)), np.int64)
    for t, (share, largest) in enumerate(zip(SHARES, LARGEST_IMPACTS, strict=True)):
        alone = rng.random(NUM_DOCS) < share / 2
        in_runs = np.repeat(rng.random(NUM_DOCS // 6) < share / 2, 6)
        present = alone | in_runs
        present[-1] = present[65_535] = present[65_536] = True
        dense[present, t] = np.minimum(rng.integers(1, largest, present.sum(), endpoint=True),
                                       rng.integers(1, largest, present.sum(), endpoint=True))
    return dense


@pytest.fixture(scope="module")
def source(impacts):
    docs, terms = np.nonzero(impacts)
    ptr = np.concatenate([[0], np.cumsum(np.count_nonzero(impacts, axis=1))])
    return ArraySource(ptr, terms.astype(np.uint16), impacts[docs, terms], [f"d{i}" for i in range(NUM_DOCS)],
                       [f"t{t:02}" for t in range(len(SHARES))])


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
        few = rng.permutation(len(SHARES))[:size]
        query = searcher._encode({f"t{t:02}": int(rng.integers(1, 50)) for t in few})
        check(impacts, index, arrays, geometry, query)


def columns_of(arrays, query, impacts):
    """The impacts, int64[documents], in each of a query's lists; those above 255 may be divided into two lists."""
    columns = []
    for x in query.lists.tolist():
        if x >= len(SHARES):
            term = np.flatnonzero(arrays["term_excess"] == x)[0]
            columns.append(np.maximum(impacts[:, term] - 255, 0))
        else:
            columns.append(np.minimum(impacts[:, x], 255) if arrays["term_excess"][x] >= 0 else impacts[:, x])
    return columns


def check(impacts, index, arrays, geometry, query):
    n, windows, block_shift = len(query.lists), int(geometry[3]), int(geometry[2])
    scaled = np.empty(n, np.int64)
    scale = scale_weights(query.lists, query.list_weights, arrays, scaled)
    assert scale > 0
    ordered = order_lists(query.lists, query.list_weights, scaled, arrays, windows)
    listed = int(ordered.groups[8] - ordered.groups[4])
    bounds = np.empty((windows << 16) >> block_shift, np.uint16)
    where = np.empty((windows, max(listed, 1), 256), np.uint32)
    best = np.empty(int(geometry[1]), np.uint16)
    upper_bounds(ordered, geometry, arrays, bounds, where, best)

    padded = np.zeros((windows << 16, impacts.shape[1]), np.int64)
    padded[:NUM_DOCS] = impacts
    sums = np.zeros(windows << 16, np.int64)
    loosest = np.zeros(len(bounds))
    columns = columns_of(index.arrays, query, padded)
    for column, weight in zip(columns, query.list_weights, strict=True):
        sums += weight * column
        unit = (column.max() + 14) // 15                   # block maxima of 4 bits are multiples of it, rounded up
        largest = column.reshape(len(bounds), -1).max(axis=1)
        loosest += weight * (largest + np.where(largest > 0, unit, 0))
    highest = sums.reshape(len(bounds), -1).max(axis=1)
    made = len(best) * 256 >> block_shift
    highest, loosest, bounds = highest[:made], loosest[:made], bounds[:made]
    assert np.all(highest * scale <= bounds)
    assert np.all(bounds <= loosest * scale + 16 * n)      # what rounding up adds to a list's part at most
    assert bounds.max() < LARGEST
    assert np.array_equal(best, bounds.reshape(-1, 256 >> block_shift).max(axis=1))
    check_where(arrays, ordered, dict(zip(query.lists.tolist(), columns, strict=True)), where)


def check_where(arrays, ordered, columns, where):
    """Every superblock's last posting of a list without a row is known."""
    start = int(ordered.groups[4])
    place = {(int(arrays.list_kind[x]), int(arrays.list_docs[x])): x for x in columns}
    for i in range(start, int(ordered.groups[8])):
        kind = GAPS if i < ordered.groups[5] else RARE
        by_superblock = columns[place[kind, int(ordered.docs[i])]].reshape(-1, 256) > 0
        found = where[:, i - start].reshape(-1)
        has = by_superblock.any(axis=1)
        last = 255 - by_superblock[:, ::-1].argmax(axis=1)
        assert np.all(found[has] != NOWHERE)
        if kind == RARE:
            assert not np.any(found[~has] != NOWHERE)
            assert np.array_equal(found[has] & 255, last[has])
        else:                                              # fillers of gaps are noted as well
            assert np.all((found[has] & 255) >= last[has])
