"""Upper bounds: for every superblock the largest upper bound of its blocks, in 16 bits.

A block's upper bound is the sum over the query's terms of weight times block maximum. Weights are scaled into 16 bits,
rounded up, with 8 fractional bits, such that the sum of the largest products fits 16 bits. A product's fraction is cut
off, so that a term's part is short by less than 1 and the true bound is below ``bound + number of terms``: who compares
with a bound has to allow for that (:func:`lowest_bound`).
"""
from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..index.layout import RARE, WINDOW

LARGEST = 65_535


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def lowest_bound(lowest_sum, scale, num_terms, alpha):
    """The largest int64 that is safe to demand: a superblock with a bound at or below it holds nothing that can enter.

    A document's sum s has s * scale < bound + num_terms; one more is taken off for the rounding of float64.
    """
    return np.int64(math.floor(np.float64(lowest_sum) * scale / alpha)) - num_terms - 1


@njit(cache=True, nogil=True)
def add_row(acc, row, weight):
    """acc[b] += weight * row[b] / 256, for acc uint16[n] and row uint8[n]; sums fit by the choice of the scale."""
    w = np.uint32(weight)
    for b in range(len(acc)):
        acc[b] += np.uint16((np.uint32(row[b]) * w) >> np.uint32(8))


@njit(cache=True, nogil=True)
def add_rare(acc, docs, impacts, shift, block_shift, weight):
    """The same for a rare term's postings in one window: docs uint16[n], impacts uint[n]; maxima are taken on the way."""
    w = np.int64(weight)
    up = (np.int64(1) << shift) - 1
    last = np.int64(-1)
    had = np.int64(0)
    for j in range(len(docs)):
        b = np.int64(docs[j]) >> block_shift
        part = (((np.int64(impacts[j]) + up) >> shift) * w) >> 8
        if b == last:
            if part > had:
                acc[b] += np.uint16(part - had)
                had = part
        else:
            acc[b] += np.uint16(part)
            last = b
            had = part


@njit(cache=True, nogil=True)
def best_blocks(acc, per_superblock, out):
    """The largest of each per_superblock bounds: out uint16[len(acc) // per_superblock]."""
    for s in range(len(out)):
        top = np.uint16(0)
        for b in range(s * per_superblock, (s + 1) * per_superblock):
            top = max(top, acc[b])
        out[s] = top


@njit(cache=True, nogil=True)
def superblock_bounds(terms, scaled, geometry, table, rare, block_max, acc, out):
    """Bounds of all superblocks into out uint16[num_superblocks].

    geometry int64[4]: documents, superblocks, block_shift, windows. acc is a workspace uint16[WINDOW / block size].
    ``table`` and ``rare`` are tuples of the layout's arrays, see :mod:`.search`.
    """
    kind, width, shift, first_doc, first_impact, entry, entries, count = table
    entry_window, entry_start, rare_docs, impacts8, impacts16, impacts32 = rare
    num_superblocks, block_shift, num_windows = geometry[1], geometry[2], geometry[3]
    per_superblock = 256 >> block_shift
    per_window = WINDOW >> block_shift
    cursor = np.zeros(len(terms), np.int64)
    for window in range(num_windows):
        s0 = window * 256
        s1 = min(s0 + 256, num_superblocks)
        b0 = window * per_window
        here = acc[:(s1 - s0) * per_superblock]
        here[:] = 0
        for i in range(len(terms)):
            t = terms[i]
            if kind[t] != RARE:
                add_row(here, block_max[entry[t], b0:b0 + len(here)], scaled[i])
                continue
            e = cursor[i]
            if e == entries[t] or entry_window[entry[t] + e] != window:
                continue
            cursor[i] = e + 1
            lo = np.int64(entry_start[entry[t] + e])
            hi = np.int64(entry_start[entry[t] + e + 1]) if e + 1 < entries[t] else count[t]
            d, a = first_doc[t], first_impact[t]
            docs = rare_docs[d + lo:d + hi]
            if width[t] == 1:
                add_rare(here, docs, impacts8[a + lo:a + hi], np.int64(shift[t]), block_shift, scaled[i])
            elif width[t] == 2:
                add_rare(here, docs, impacts16[a + lo:a + hi], np.int64(shift[t]), block_shift, scaled[i])
            else:
                add_rare(here, docs, impacts32[a + lo:a + hi], np.int64(shift[t]), block_shift, scaled[i])
        best_blocks(here, per_superblock, out[s0:s1])
