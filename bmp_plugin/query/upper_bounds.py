"""Upper bounds: of every block, in 16 bits, and of every superblock, the largest of its blocks'.

A block's upper bound is the sum over the query's lists of weight times block maximum. Weights are scaled such that the sum of
the lists' largest parts fits 16 bits, and every part is rounded up: a document's score times the scale is never above the
bound of its block. Block maxima that the index has are added row by row; those of sparse lists are found in their postings.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.intrinsics import BEHIND, LANES, bound_increments, prefetch, scale_impacts
from .._internal.kernels import inline_kernel, inline_part
from ..index.decode import add_block_maxima, window_run
from ..index.encode import maximum_unit
from ..index.layout import BLOCKS_PER_CHUNK, BYTES_PER_CHUNK, LARGEST_MAXIMUM, SUPERBLOCK_SHIFT, SUPERBLOCKS_PER_WINDOW, WINDOW
from .query_lists import HEAD, make_run, read_run
from .tuning import PREFETCHED_POSTINGS, ROW_CHUNKS, STRIDE

LARGEST, CACHE_LINE = 65_535, 64
FRACTION = 256           # a sparse list's scaled weight is in units of one 256th: its largest part, of impact 255, fits 16 bits


class Bounds(NamedTuple):
    """Upper bounds of one query, all below 65,535, see :func:`scale_weights`."""

    blocks: NDArray[np.uint16]               # [>= blocks of whole windows], so that no file makes a kernel write beyond it
    superblocks: NDArray[np.uint16]          # [superblocks + LANES], zeros at the end


@inline_part
def scale_weights(lists, weights, index, scaled):
    """Write scaled weights into scaled int64[n]; returns the scale, float64, or 0.0 if the query does not fit 16 bits.

    lists int32[n], weights int64[n] >= 1. A list with block maxima gets the part of one of their units, a whole number below
    2^16; a sparse list the part of an impact of 1, in units of 1 / FRACTION.
    """
    total, reserve = 0.0, 0.0            # the largest sum of parts; what rounding up adds to it at most
    largest = 1e300                      # scale with which all scaled weights fit their types
    for i in range(len(lists)):
        weight, top = np.float64(weights[i]), np.float64(index.list_max[lists[i]])
        if index.list_row[lists[i]] < 0:
            scaled[i] = FRACTION
            total, reserve, largest = total + weight * top, reserve + 1.0 + top / FRACTION, min(largest, 255.0 / weight)
        else:
            scaled[i] = maximum_unit(index.list_max[lists[i]])
            total, reserve = total + weight * np.float64(scaled[i] * LARGEST_MAXIMUM), reserve + LARGEST_MAXIMUM
    if total == 0.0 or reserve > LARGEST / 2:
        return 0.0
    scale = min((LARGEST - 1.0 - reserve) / total, largest)
    for i in range(len(lists)):
        scaled[i] = np.int64(math.ceil(np.float64(weights[i]) * scale * np.float64(scaled[i])))
    return scale


@inline_part
def bound_threshold(lowest_sum, scale):
    """The largest bound, int64, of a block in which no sum can reach ``lowest_sum``, int64; scale is that of bounds, float64.

    The margin is far above the rounding of float64 and far below 1, so that a bound that is equal is not skipped.
    """
    return np.int64(math.floor(np.float64(lowest_sum) * scale * (1.0 - 1e-9)))


@inline_part
def upper_bounds(query, first_window, end_window, index, blocks):
    """The :class:`Bounds` of a query, :class:`.query_lists.QueryLists`; its sparse lists' groups are recorded on the way.

    Only the windows first_window to before end_window have bounds; superblocks of other windows have 0. Those of blocks are
    written into ``blocks`` uint16[>= blocks of whole windows].
    """
    bounds = Bounds(blocks, np.zeros(index.num_superblocks + LANES, np.uint16))
    blocks_shift = SUPERBLOCK_SHIFT - index.block_shift               # from a superblock to its first block
    run, increments, parts = make_run(), np.empty(HEAD + WINDOW, np.uint16), np.empty(HEAD + WINDOW, np.uint16)
    parts[:HEAD] = 0                     # no posting comes before the first
    row_chunks = index.block_max.shape[1] // BYTES_PER_CHUNK
    for window in range(first_window, end_window):
        first = window * SUPERBLOCKS_PER_WINDOW
        chunk = (first << blocks_shift) // BLOCKS_PER_CHUNK
        end = min(((first + SUPERBLOCKS_PER_WINDOW) << blocks_shift) // BLOCKS_PER_CHUNK, row_chunks)
        bounds.blocks[chunk * BLOCKS_PER_CHUNK:end * BLOCKS_PER_CHUNK] = 0
        for part in range(chunk, end, ROW_CHUNKS):
            _add_rows(bounds.blocks, index.block_max, query, part, min(part + ROW_CHUNKS, end))
        window_bounds = bounds.blocks[first << blocks_shift:]
        for i in range(query.num_with_maxima, len(query.weights)):
            _prefetch_run(query, min(i + 1, len(query.weights) - 1), window, index.postings)
            _add_sparse(window_bounds, query, i, window, index, run, parts, increments)
        for s in range(np.uint64(first), np.uint64(min(first + SUPERBLOCKS_PER_WINDOW, index.num_superblocks))):
            top, block = np.uint16(0), s << np.uint64(blocks_shift)
            for b in range(block, block + (np.uint64(1) << np.uint64(blocks_shift))):
                top = max(top, bounds.blocks[b])
            bounds.superblocks[s] = top
    return bounds


@inline_kernel
def _add_rows(acc, block_max, query, chunk, end):
    """Add the chunks ``chunk`` to before ``end`` of all rows of block maxima to acc uint16[blocks], two rows at once."""
    n = query.num_with_maxima
    for i in range(0, n, 2):
        other = min(i + 1, n - 1)
        weight = query.scaled_weights[other] if i + 1 < n else np.int64(0)       # an odd one is paired with itself, weighing 0
        following, byte = (i + 2, chunk * BYTES_PER_CHUNK) if i + 2 < n else (0, end * BYTES_PER_CHUNK)
        ahead = (query.row[following] * block_max.shape[1] + byte,
                 query.row[min(following + 1, n - 1)] * block_max.shape[1] + byte)
        add_block_maxima(acc, block_max, (query.row[i], query.row[other]), (query.scaled_weights[i], weight), chunk, end, ahead)


@inline_kernel
def _prefetch_run(query, i, window, postings):
    """Prefetch the beginning of a run: the processor guesses what follows, but not where it is."""
    gaps_at, impacts_at, n = window_run(query.start[i], query.run_start[window, i], query.run_end[window, i])
    for byte in range(0, min(n, PREFETCHED_POSTINGS), CACHE_LINE):
        prefetch(postings, np.int64(gaps_at) + byte)
        prefetch(postings, np.int64(impacts_at) + byte)


@inline_kernel
def _add_sparse(acc, query, i, window, index, run, parts, increments):
    """Raise a window's bounds, acc uint16[blocks], by sparse list i, and record its groups.

    parts and increments uint16[HEAD + WINDOW] receive what postings weigh, rounded up, and what of it raises the bound of their
    block beyond what the list has added to it already.
    """
    n, weight = read_run(query, i, window, index.postings, run), np.uint16(query.scaled_weights[i])
    for j in range(np.uint64(HEAD), np.uint64(HEAD + n), np.uint64(LANES)):
        scale_impacts(parts, j, run.impacts, weight)
    if 1 << index.block_shift <= BEHIND + 1:
        for j in range(np.uint64(HEAD), np.uint64(HEAD + n), np.uint64(LANES)):
            bound_increments(increments, j, run.docs, parts, np.uint16(0xFFFF << index.block_shift & 0xFFFF))
    else:
        for j in range(np.uint64(HEAD), np.uint64(HEAD + n)):          # any number of postings before may be in the block
            before = j - np.uint64(1)
            same = run.docs[j] >> np.uint16(index.block_shift) == run.docs[before] >> np.uint16(index.block_shift)
            previous = parts[before] if same else np.uint16(0)
            parts[j] = max(parts[j], previous)
            increments[j] = parts[j] - previous
    _scatter(acc, run.docs, increments, n, np.uint64(index.block_shift))


@inline_kernel
def _scatter(acc, docs, increments, n, shift):
    """Add n increments to the bounds of their blocks, acc uint16[blocks], those that are STRIDE apart one after the other."""
    j, stride, end = np.uint64(HEAD), np.uint64(STRIDE), np.uint64(HEAD) + np.uint64(n)
    while j + stride * stride <= end:
        for x in range(j, j + stride):
            for y in range(x, x + stride * stride, stride):
                acc[np.uint64(docs[y]) >> shift] += increments[y]
        j += stride * stride
    for y in range(j, end):
        acc[np.uint64(docs[y]) >> shift] += increments[y]
