"""Superblocks on their way to be scored: which of their blocks may matter, and where the postings of these are.

Superblocks that are scored lie far apart, and waiting for their memory one after the other would be most of a search. So a
visit has three steps, with others in between: what says where its postings are is prefetched, then these are found and
prefetched, and then they are scored, see :mod:`.block_scoring`.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.intrinsics import DECODED, count_bits, lowest_bit, prefetch
from .._internal.kernels import inline_kernel, inline_part
from ..index.decode import START_SENTINEL, superblock_run, window_run
from ..index.layout import SUPERBLOCK, SUPERBLOCK_SHIFT, SUPERBLOCKS_PER_WINDOW, WINDOW_SHIFT
from .query_lists import groups_before, groups_of

FEW_BLOCKS = 8           # bytes of a uint64
UNIT_SHIFT = 2           # a superblock has 64 units of 4 documents, as many as a uint64 has bits
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


class Visits(NamedTuple):
    """Visits under way, one a row; rows are used again and again.

    A visit has *ranges* of postings to look at: the superblock's runs of all lists with block maxima, and then those of the
    sparse lists that may have postings in the blocks.
    """

    superblock: NDArray[np.int64]            # [rows], or -1 where there is no visit
    blocks: NDArray[np.uint8]                # [rows, FEW_BLOCKS], the chosen ones' first documents in the superblock, ascending
    packed_blocks: NDArray[np.uint64]        # [rows], the same as one number, the first one lowest, the last one repeated
    num_blocks: NDArray[np.int64]            # [rows]
    block_shift: NDArray[np.int64]           # [rows]
    num_ranges: NDArray[np.int64]            # [rows]
    weights: NDArray[np.int32]               # [rows, ranges]
    docs_at: NDArray[np.uint64]              # [rows, ranges], first document byte
    impacts_at: NDArray[np.uint64]           # [rows, ranges], first impact byte
    counts: NDArray[np.int64]                # [rows, ranges], postings and jumps
    before: NDArray[np.uint64]               # [rows, ranges], of sparse lists, the document before, in the window


@inline_part
def make_visits(rows, n):
    """Room for so many visits of a query of n lists."""
    return Visits(np.empty(rows, np.int64), np.empty((rows, FEW_BLOCKS), np.uint8), np.empty(rows, np.uint64),
                  np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty((rows, n), np.int32),
                  np.empty((rows, n), np.uint64), np.empty((rows, n), np.uint64), np.empty((rows, n), np.int64),
                  np.empty((rows, n), np.uint64))


@inline_kernel
def prefetch_offsets(superblock, query, index, block_bounds):
    """Prefetch what says where the postings of a superblock are, and which of its blocks may matter."""
    block = superblock << (SUPERBLOCK_SHIFT - index.block_shift)
    prefetch(block_bounds, block)
    prefetch(block_bounds, block + (SUPERBLOCK >> index.block_shift) - 1)
    for i in range(np.uint64(query.num_with_maxima)):
        prefetch(index.superblock_start, query.row[i] * index.superblock_start.shape[1] + superblock)


@inline_kernel
def choose_blocks(visits, v, block_bounds, index, threshold):
    """Choose the blocks of visit v whose bounds are above ``threshold``, of which there is one.

    If there are more than FEW_BLOCKS, these are that many blocks of 8, 16 or 32 documents around them.
    """
    lowest, shift = np.uint16(threshold + 1), np.uint64(index.block_shift)
    first = np.uint64(visits.superblock[v] << SUPERBLOCK_SHIFT) >> shift
    chosen = np.uint64(0)                # a bit for every UNIT documents
    for b in range(np.uint64(SUPERBLOCK) >> shift):
        chosen |= np.uint64(block_bounds[first + b] >= lowest) << (b << shift >> np.uint64(UNIT_SHIFT))
    shift = max(shift, np.uint64(UNIT_SHIFT))
    while count_bits(chosen) > np.uint64(FEW_BLOCKS):
        half = np.uint64(1) << (shift - np.uint64(UNIT_SHIFT))         # a block's first bit stands for both of its halves
        chosen = (chosen | chosen >> half) & (ALL // ((np.uint64(1) << half * np.uint64(2)) - np.uint64(1)))
        shift += np.uint64(1)
    count = 0
    while chosen:
        visits.blocks[v, count] = np.uint8(lowest_bit(chosen) << np.uint64(UNIT_SHIFT))
        count += 1
        chosen &= chosen - np.uint64(1)
    set_blocks(visits, v, count, np.int64(shift))


@inline_kernel
def set_blocks(visits, v, count, block_shift):
    """Complete visit v, the first ``count`` of whose blocks are there."""
    visits.num_blocks[v], visits.block_shift[v] = count, block_shift
    packed = np.uint64(0)
    for x in range(FEW_BLOCKS - 1, -1, -1):
        packed = packed << np.uint64(8) | np.uint64(visits.blocks[v, min(np.int64(x), count - 1)])
    visits.packed_blocks[v] = packed


@inline_kernel
def seek(visits, v, query, index, with_sparse):
    """Find the postings of visit v's blocks, and prefetch them; those of sparse lists only if ``with_sparse``."""
    superblock, n = visits.superblock[v], np.uint64(query.num_with_maxima)
    for b in range(visits.num_blocks[v]):
        prefetch(index.doc_rank, (superblock << SUPERBLOCK_SHIFT) + np.int64(visits.blocks[v, b]))
    for i in range(np.uint64(query.num_with_maxima)):
        at, count = superblock_run(index, query.row[i], query.start[i], np.uint64(superblock))
        visits.docs_at[v, i], visits.counts[v, i] = at, np.int64(count)
        prefetch(index.postings, np.int64(at))
        prefetch(index.postings, np.int64(at + np.uint64(2) * count) - 1)
    window = np.uint64(superblock >> (WINDOW_SHIFT - SUPERBLOCK_SHIFT))
    start = (superblock & (SUPERBLOCKS_PER_WINDOW - 1)) << SUPERBLOCK_SHIFT                 # in the window
    first = start + np.int64(visits.blocks[v, 0])
    last = start + np.int64(visits.blocks[v, visits.num_blocks[v] - 1]) + (np.int64(1) << visits.block_shift[v]) - 1
    end_of_lists = len(query.weights) if with_sparse else query.num_with_maxima
    for i in range(np.uint64(query.num_with_maxima), np.uint64(end_of_lists)):
        gaps_at, impacts_at, length = window_run(query.start[i], query.run_start[window, i], query.run_end[window, i])
        groups, recorded = groups_of(query, i, window), length // DECODED
        over = groups_before(query, groups, recorded, first)
        if over * DECODED < length:
            end = over                   # the first group to end at ``last`` or behind it
            while end < recorded and np.int64(query.group_last[groups + end]) < last:
                end += 1
            at = np.uint64(over * DECODED)
            visits.docs_at[v, n], visits.impacts_at[v, n] = gaps_at + at, impacts_at + at
            visits.weights[v, n] = query.weights[i]
            visits.counts[v, n] = min((end + 1) * DECODED, length) - over * DECODED
            visits.before[v, n] = np.uint64(query.group_last[groups + over - 1]) if over > 0 else np.uint64(START_SENTINEL)
            prefetch(index.postings, np.int64(gaps_at + at))
            prefetch(index.postings, np.int64(impacts_at + at))
            n += np.uint64(1)
    visits.num_ranges[v] = n
