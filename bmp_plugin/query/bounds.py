"""Upper bounds: for every superblock the largest upper bound of its blocks, in 16 bits.

A block's upper bound is the sum over the query's terms of weight times block maximum. Weights are scaled into 16 bits,
rounded up, with 8 fractional bits, such that the sum of the largest products fits 16 bits. A product's fraction is cut
off, so that a term's part is short by less than 1 and the true bound is below ``bound + number of terms``: who compares
with a bound has to allow for that (:func:`lowest_bound`).
"""
from __future__ import annotations

import math

import numpy as np

from ..index.layout import SUPERBLOCKS_PER_WINDOW
from ..kernels import kernel
from .terms import enter_entries

LARGEST = 65_535


@kernel
def scale_weights(terms, weights, term_max, term_shift, scaled):
    """Scaled weights into scaled uint16[n]; returns the scale (float64), or 0.0 if the query does not fit 16 bits.

    terms int32[n], weights int64[n] >= 1.
    """
    n = len(terms)
    total = 0.0
    maxima = 0.0
    top = 0.0
    for i in range(n):
        t = terms[i]
        shift = np.int64(term_shift[t])
        largest = (np.int64(term_max[t]) + (np.int64(1) << shift) - 1) >> shift
        weight = np.float64(weights[i]) * np.float64(np.int64(1) << shift)
        total += weight * largest
        maxima += largest
        top = max(top, weight)
    if total == 0.0:
        return 0.0
    # rounding a weight up adds less than 1/256, hence the reserve of maxima / 256
    room = LARGEST - 1.0 - maxima / 256.0
    if room < LARGEST / 2:
        return 0.0
    scale = min(room / total, (LARGEST - 1.0) / (256.0 * top))
    for i in range(n):
        weight = np.float64(weights[i]) * np.float64(np.int64(1) << np.int64(term_shift[terms[i]]))
        scaled[i] = np.uint16(math.ceil(weight * scale * 256.0))
    return scale


@kernel
def lowest_bound(lowest_sum, scale, num_terms, alpha):
    """The largest int64 that is safe to demand: a superblock with a bound at or below it holds nothing that can enter.

    A document's sum s has s * scale < bound + num_terms; one more is taken off for the rounding of float64.
    """
    return np.int64(math.floor(np.float64(lowest_sum) * scale / alpha)) - num_terms - 1


@kernel
def add_row(acc, rows, row, base, num_blocks, weight):
    """acc[b] += weight * rows[row, base + b] / 256, for acc uint16[>= num_blocks] and rows uint8[rows, blocks].

    Sums fit 16 bits by the choice of the scale.
    """
    r, at = np.uint64(row), np.uint64(base)
    for b in range(np.uint64(num_blocks)):
        acc[b] += np.uint16((np.uint32(rows[r, at + b]) * weight) >> np.uint32(8))


@kernel
def add_rare(acc, docs, impacts, lo, hi, to_impacts, shift, block_shift, weight):
    """The same for a rare term's postings lo to hi, all of one window; block maxima are taken on the way.

    docs uint16, impacts uint; posting j has impact j + to_impacts.
    """
    to = np.uint64(to_impacts)
    up = (np.int64(1) << shift) - 1
    last = np.int64(-1)
    had = np.int64(0)
    for j in range(np.uint64(lo), np.uint64(hi)):
        b = np.int64(docs[j]) >> block_shift
        part = (((np.int64(impacts[j + to]) + up) >> shift) * weight) >> 8
        # in the block of the posting before, only what exceeds that one's part
        part_before = had if b == last else np.int64(0)
        part = max(part, part_before)
        acc[np.uint64(b)] += np.uint16(part - part_before)
        last = b
        had = part


@kernel
def best_blocks(acc, per_superblock, out, s0, s1):
    """The largest of each per_superblock bounds into out[s0:s1], uint16."""
    for s in range(s0, s1):
        top = np.uint16(0)
        for b in range((s - s0) * per_superblock, (s - s0 + 1) * per_superblock):
            top = max(top, acc[b])
        out[s] = top


@kernel
def superblock_bounds(groups, scaled, shifts, row, count, docs_at, to_impacts, geometry, entry_window, entry_start,
                      rare_docs, impacts8, impacts16, impacts32, block_max, cursor, first, last, acc, out):
    """Bounds of all superblocks into out uint16[num_superblocks].

    Per term, in the order of groups (see :mod:`.scores`): scaled uint16[n], shifts int64[n], row int64[n] of block_max
    or the first entry, count, docs_at, to_impacts. geometry int64[4]: documents, superblocks, block_shift, windows.
    acc is a workspace uint16[WINDOW / block size]; cursor int64[n] comes as zeros.
    """
    num_superblocks, block_shift = geometry[1], geometry[2]
    per_superblock = np.int64(256) >> block_shift
    for window in range(geometry[3]):
        s0 = window * SUPERBLOCKS_PER_WINDOW
        s1 = min(s0 + SUPERBLOCKS_PER_WINDOW, num_superblocks)
        num_blocks = (s1 - s0) * per_superblock
        acc[:num_blocks] = 0
        for i in range(groups[4]):
            add_row(acc, block_max, row[i], s0 * per_superblock, num_blocks, np.uint32(scaled[i]))
        enter_entries(window, groups, row, count, docs_at, entry_window, entry_start, cursor, first, last)
        for i in range(groups[4], groups[7]):
            if first[i] == last[i]:
                continue
            weight = np.int64(scaled[i])
            if i < groups[5]:
                add_rare(acc, rare_docs, impacts8, first[i], last[i], to_impacts[i], shifts[i], block_shift, weight)
            elif i < groups[6]:
                add_rare(acc, rare_docs, impacts16, first[i], last[i], to_impacts[i], shifts[i], block_shift, weight)
            else:
                add_rare(acc, rare_docs, impacts32, first[i], last[i], to_impacts[i], shifts[i], block_shift, weight)
        best_blocks(acc, per_superblock, out, s0, s1)
