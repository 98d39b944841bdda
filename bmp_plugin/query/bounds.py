"""Upper bounds: for every block, in 16 bits, and for every superblock the largest of its blocks'.

A block's upper bound is the sum over the query's lists of weight times block maximum. Weights are scaled such that the
sum of the lists' largest parts fits 16 bits, and every part is rounded up: a document's sum times the scale is never
above the bound of its block.
"""
from __future__ import annotations

import math

import numpy as np

from ..index.encode import maximum_unit
from ..index.layout import BLOCKS_PER_CHUNK, BYTES_PER_CHUNK, GAPS, LARGEST_MAXIMUM, SUPERBLOCKS_PER_WINDOW
from ..kernels import kernel, leaf
from .instructions import add_product, touch
from .postings import FRACTION, FRACTION_OF_BYTES, add_postings, make_chunk

LARGEST = 65_535
ROW_CHUNKS = 64          # chunks of all rows that are added up before the next: their sums stay in the L1 cache


@kernel
def scale_weights(lists, weights, index, scaled):
    """Scaled weights into scaled int64[n]; returns the scale (float64), or 0.0 if the query does not fit 16 bits.

    lists int32[n], weights int64[n] >= 1, index :class:`.lists.Index`. A list with a row gets the part of one unit of its
    block maxima, a whole number below 2^16; others the part of an impact of 1, with fractional bits as :mod:`.postings` says.
    """
    total = 0.0
    reserve = 0.0                    # what rounding up adds at most
    largest = 1e300                  # scale with which all scaled weights fit their types
    for i in range(len(lists)):
        t = lists[i]
        if index.list_kind[t] <= GAPS:                     # rare or gaps
            total += np.float64(weights[i]) * np.float64(index.list_max[t])
            reserve += 1.0 + np.float64(index.list_max[t]) / np.float64(1 << _fraction(index.list_width[t]))
            if index.list_width[t] == 1:
                largest = min(largest, 255.0 / np.float64(weights[i]))
        else:
            total += np.float64(weights[i]) * np.float64(maximum_unit(index.list_max[t]) * LARGEST_MAXIMUM)
            reserve += LARGEST_MAXIMUM
    if total == 0.0 or reserve > LARGEST / 2:
        return 0.0
    scale = min((LARGEST - 1.0 - reserve) / total, largest)
    for i in range(len(lists)):
        part, t = np.float64(weights[i]) * scale, lists[i]
        if index.list_kind[t] <= GAPS:
            scaled[i] = np.int64(math.ceil(part * np.float64(1 << _fraction(index.list_width[t]))))
        else:
            scaled[i] = np.int64(math.ceil(part * np.float64(maximum_unit(index.list_max[t]))))
    return scale


@kernel
def _fraction(width):
    return FRACTION_OF_BYTES if width == 1 else FRACTION


@kernel
def lowest_bound(lowest_sum, scale, alpha):
    """The largest bound (int64) of a block in which no sum can reach ``lowest_sum``, given as int64.

    The margin is far above the rounding of float64 and far below 1, so that a bound that is equal is not skipped.
    """
    return np.int64(math.floor(np.float64(lowest_sum) * scale / alpha * (1.0 - 1e-9)))


@leaf
def add_rows(acc, rows, a, b, weight_a, weight_b, chunk, end, next_a, next_b, next_chunk):
    """Add the block maxima of rows a and b, chunks ``chunk`` to before ``end``, to acc uint16[blocks].

    Two rows at once, since reading and writing acc is half of the work. On the way the rows that are next are fetched,
    from ``next_chunk`` on: rows come from memory, and lie too far apart for the processor to guess the next one.
    Sums fit 16 bits by the choice of the scale.
    """
    ra, rb = np.uint64(a), np.uint64(b)
    wa, wb = np.uint16(weight_a), np.uint16(weight_b)
    at_a = next_a * rows.shape[1] + next_chunk * BYTES_PER_CHUNK
    at_b = next_b * rows.shape[1] + next_chunk * BYTES_PER_CHUNK
    for c in range(np.uint64(chunk), np.uint64(end)):
        touch(rows, at_a)
        touch(rows, at_b)
        at_a += BYTES_PER_CHUNK
        at_b += BYTES_PER_CHUNK
        byte = c * np.uint64(BYTES_PER_CHUNK)
        low = c * np.uint64(BLOCKS_PER_CHUNK)
        high = low + np.uint64(BYTES_PER_CHUNK)
        for q in range(np.uint64(BYTES_PER_CHUNK)):
            x, y = np.uint16(rows[ra, byte + q]), np.uint16(rows[rb, byte + q])
            acc[low + q] = add_product(add_product(acc[low + q], x & np.uint16(15), wa), y & np.uint16(15), wb)
            acc[high + q] = add_product(add_product(acc[high + q], x >> np.uint16(4), wa), y >> np.uint16(4), wb)


@leaf
def lists_with_rows(window, query, lists):
    """The lists whose rows are part of a window's bounds into lists int64[>= m], as indices into the query's; returns m."""
    n = 0
    for i in range(query.groups[4]):
        if i < query.groups[1] or query.first[window, i] < query.last[window, i]:
            lists[n] = i
            n += 1
    return n


@leaf
def add_all_rows(acc, block_max, query, lists, chunk, end):
    """Add the rows of ``lists`` int64[m], indices into the query's, chunks ``chunk`` to before ``end``, to acc
    uint16[blocks]."""
    n = len(lists)
    for begin in range(chunk, end, ROW_CHUNKS):
        stop = min(begin + ROW_CHUNKS, end)
        for x in range(0, n, 2):
            i = lists[x]
            other = lists[min(x + 1, n - 1)]
            weight = query.scaled[other] if x + 1 < n else np.int64(0)      # an odd one is paired with itself, weighing 0
            after, next_chunk = x + 2, begin
            if after >= n:
                after, next_chunk = 0, stop
            add_rows(acc, block_max, query.row[i], query.row[other], query.scaled[i], weight, begin, stop,
                     query.row[lists[after]], query.row[lists[min(after + 1, n - 1)]], next_chunk)


@leaf
def best_blocks(acc, per_superblock, out, s0, s1):
    """The largest bound among each superblock's blocks into out[s0:s1], uint16."""
    per = np.uint64(per_superblock)
    for s in range(np.uint64(s0), np.uint64(s1)):
        top = np.uint16(0)
        for p in range(s * per, (s + np.uint64(1)) * per):
            top = max(top, acc[p])
        out[s] = top


@kernel
def upper_bounds(query, geometry, index, acc, skips, marks, out):
    """Bounds of all blocks into acc uint16[blocks], of superblocks into out uint16[superblocks].

    query is :class:`.lists.Lists`, index :class:`.lists.Index`; geometry int64[4]: documents, superblocks, block_shift,
    windows. acc has room for whole windows, so that no file makes a kernel write beyond it; skips and marks are
    :mod:`.skips`'.
    """
    num_superblocks, block_shift = geometry[1], geometry[2]
    per_superblock = np.int64(256) >> block_shift
    num_chunks = (num_superblocks * per_superblock + BLOCKS_PER_CHUNK - 1) // BLOCKS_PER_CHUNK
    with_rows = np.empty(query.groups[4], np.int64)
    buffer = make_chunk()
    for window in range(geometry[3]):
        s0 = window * SUPERBLOCKS_PER_WINDOW
        s1 = min(s0 + SUPERBLOCKS_PER_WINDOW, num_superblocks)
        chunk = s0 * per_superblock // BLOCKS_PER_CHUNK
        end = min((s0 + SUPERBLOCKS_PER_WINDOW) * per_superblock // BLOCKS_PER_CHUNK, num_chunks)
        acc[chunk * BLOCKS_PER_CHUNK:end * BLOCKS_PER_CHUNK] = 0
        add_all_rows(acc, index.block_max, query, with_rows[:lists_with_rows(window, query, with_rows)], chunk, end)
        add_postings(window, query, index, block_shift, acc[s0 * per_superblock:], skips, marks, buffer)
        best_blocks(acc, per_superblock, out, s0, s1)
