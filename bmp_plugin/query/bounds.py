"""Upper bounds: for every superblock the largest upper bound of its blocks, in 16 bits.

A block's upper bound is the sum over the query's terms of weight times block maximum. Weights are scaled such that the
sum of the terms' largest parts fits 16 bits, and every part is rounded up: a document's sum times the scale is never
above the bound of its block.
"""
from __future__ import annotations

import math

import numpy as np

from ..index.encode import maximum_unit
from ..index.layout import LARGEST_MAXIMUM, RARE, SUPERBLOCKS_PER_WINDOW
from ..kernels import kernel
from .instructions import add_product
from .terms import enter_entries

LARGEST = 65_535
FRACTION = 16            # fractional bits of a rare term's scaled weight


@kernel
def scale_weights(terms, weights, term_max, term_kind, scaled):
    """Scaled weights into scaled int64[n]; returns the scale (float64), or 0.0 if the query does not fit 16 bits.

    terms int32[n], weights int64[n] >= 1. A term with a row gets the part of one unit of its block maxima, a whole
    number below 2^16; a rare one the part of an impact of 1, with 16 fractional bits.
    """
    total = 0.0
    reserve = 0.0                    # what rounding up adds at most
    for i in range(len(terms)):
        t = terms[i]
        if term_kind[t] == RARE:
            total += np.float64(weights[i]) * np.float64(term_max[t])
            reserve += 1.0 + np.float64(term_max[t]) / 65536.0
        else:
            total += np.float64(weights[i]) * np.float64(maximum_unit(term_max[t]) * LARGEST_MAXIMUM)
            reserve += LARGEST_MAXIMUM
    if total == 0.0 or reserve > LARGEST / 2:
        return 0.0
    scale = (LARGEST - 1.0 - reserve) / total
    for i in range(len(terms)):
        part = np.float64(weights[i]) * scale
        if term_kind[terms[i]] == RARE:
            scaled[i] = np.int64(math.ceil(part * 65536.0))
        else:
            scaled[i] = np.int64(math.ceil(part * np.float64(maximum_unit(term_max[terms[i]]))))
    return scale


@kernel
def lowest_bound(lowest_sum, scale, alpha):
    """The largest bound (int64) of a superblock in which no sum can reach ``lowest_sum``, given as int64.

    The margin is far above the rounding of float64 and far below 1, so that a bound that is equal is not skipped.
    """
    return np.int64(math.floor(np.float64(lowest_sum) * scale / alpha * (1.0 - 1e-9)))


@kernel
def add_row(acc, rows, row, base, num_pairs, weight):
    """Add a term's block maxima, from pair ``base`` on, to acc uint16[2, >= num_pairs]: even blocks, odd blocks.

    Sums fit 16 bits by the choice of the scale.
    """
    r, at = np.uint64(row), np.uint64(base)
    w = np.uint16(weight)
    for p in range(np.uint64(num_pairs)):
        pair = np.uint16(rows[r, at + p])
        acc[0, p] = add_product(acc[0, p], pair & np.uint16(15), w)
        acc[1, p] = add_product(acc[1, p], pair >> np.uint16(4), w)


@kernel
def add_rare(acc, docs, impacts, lo, hi, to_impacts, block_shift, weight):
    """The same for a rare term's postings lo to hi, all of one window; block maxima are taken on the way.

    docs uint16, impacts uint; posting j has impact j + to_impacts. An impact below 2^31 times a scaled weight stays below
    2^63, since it is the term's part of at most 2^16, times 2^16, and the rounding's of an impact.
    """
    to = np.uint64(to_impacts)
    last = np.int64(-1)
    had = np.int64(0)
    for j in range(np.uint64(lo), np.uint64(hi)):
        block = np.int64(docs[j]) >> block_shift
        part = (np.int64(impacts[j + to]) * weight + 65535) >> FRACTION
        # in the block of the posting before, only what exceeds that one's part
        part_before = had if block == last else np.int64(0)
        part = max(part, part_before)
        acc[block & 1, np.uint64(block >> 1)] += np.uint16(part - part_before)
        last = block
        had = part


@kernel
def best_blocks(acc, per_superblock, out, s0, s1):
    """The largest bound among each superblock's blocks into out[s0:s1], uint16."""
    if per_superblock == 1:
        for s in range(s0, s1):
            out[s] = acc[s & 1, (s - s0) >> 1]
        return
    pairs = per_superblock >> 1
    for s in range(s0, s1):
        top = np.uint16(0)
        for p in range((s - s0) * pairs, (s - s0 + 1) * pairs):
            top = max(top, max(acc[0, p], acc[1, p]))
        out[s] = top


@kernel
def superblock_bounds(groups, scaled, row, count, docs_at, to_impacts, geometry, entry_window, entry_start, rare_docs,
                      impacts8, impacts16, impacts32, block_max, cursor, first, last, acc, out):
    """Bounds of all superblocks into out uint16[num_superblocks].

    Per term, in the order of groups (see :mod:`.terms`): scaled int64[n], row int64[n] of block_max or the first entry,
    count, docs_at, to_impacts. geometry int64[4]: documents, superblocks, block_shift, windows. acc is a workspace
    uint16[2, block pairs of a window]; cursor int64[n] comes as zeros.
    """
    num_superblocks, block_shift = geometry[1], geometry[2]
    per_superblock = np.int64(256) >> block_shift
    for window in range(geometry[3]):
        s0 = window * SUPERBLOCKS_PER_WINDOW
        s1 = min(s0 + SUPERBLOCKS_PER_WINDOW, num_superblocks)
        num_pairs = ((s1 - s0) * per_superblock + 1) >> 1
        for p in range(np.uint64(num_pairs)):         # a slice of two rows would be cleared element by element
            acc[0, p] = np.uint16(0)
            acc[1, p] = np.uint16(0)
        for i in range(groups[4]):
            add_row(acc, block_max, row[i], (s0 * per_superblock) >> 1, num_pairs, scaled[i])
        enter_entries(window, groups, row, count, docs_at, entry_window, entry_start, cursor, first, last)
        for i in range(groups[4], groups[7]):
            if first[i] == last[i]:
                continue
            if i < groups[5]:
                add_rare(acc, rare_docs, impacts8, first[i], last[i], to_impacts[i], block_shift, scaled[i])
            elif i < groups[6]:
                add_rare(acc, rare_docs, impacts16, first[i], last[i], to_impacts[i], block_shift, scaled[i])
            else:
                add_rare(acc, rare_docs, impacts32, first[i], last[i], to_impacts[i], block_shift, scaled[i])
        best_blocks(acc, per_superblock, out, s0, s1)
