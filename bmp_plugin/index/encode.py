"""Kernels that turn postings into the arrays of the layout: pure functions over arrays that the caller allocates."""
from __future__ import annotations

import numpy as np

from ..kernels import kernel
from .layout import DENSE, FREQUENT, GAPS, LARGEST_MAXIMUM, LONGEST_GAP, RARE, SUPERBLOCK, SUPERBLOCKS_PER_WINDOW


@kernel
def to_positions(starts, docs, impacts, position_of):
    """Replace document numbers by positions and sort each term's postings by position, in place.

    starts int64[n + 1], docs int32[m], impacts int32[m]; position_of int32[numbers] maps numbers to positions.
    """
    for i in range(len(starts) - 1):
        lo, hi = starts[i], starts[i + 1]
        ascending = True
        last = np.int32(-1)
        for j in range(lo, hi):
            docs[j] = position_of[docs[j]]
            ascending = ascending and docs[j] > last
            last = docs[j]
        if not ascending:
            keys = np.empty(hi - lo, np.int64)
            for j in range(lo, hi):
                keys[j - lo] = (np.int64(docs[j]) << 32) | np.int64(impacts[j])   # impacts are below 2^31
            keys.sort()
            for j in range(lo, hi):
                docs[j] = np.int32(keys[j - lo] >> 32)
                impacts[j] = np.int32(keys[j - lo] & 0x7FFFFFFF)


@kernel
def check_postings(starts, docs, impacts, num_numbers, maxima):
    """Largest impact of each term into maxima int32[n]; returns the first bad posting's index, or -1.

    Bad is a document out of range or not ascending, or an impact below 1.
    """
    for i in range(len(starts) - 1):
        last = np.int64(-1)
        top = np.int32(0)
        for j in range(starts[i], starts[i + 1]):
            doc = np.int64(docs[j])
            if doc <= last or doc >= num_numbers or impacts[j] < 1:
                return j
            last = doc
            top = max(top, impacts[j])
        maxima[i] = top
    return -1


@kernel
def count_fillers(starts, docs, out):
    """How many fillers each list's gaps would need, into out int64[n]."""
    for i in range(len(starts) - 1):
        out[i] = 0
        window = -1
        last = np.int64(-1)
        for j in range(starts[i], starts[i + 1]):
            if docs[j] >> 16 != window:
                window = docs[j] >> 16
                last = (np.int64(window) << 16) - 1
            out[i] += (docs[j] - last - 1) // LONGEST_GAP
            last = np.int64(docs[j])


@kernel
def count_entries(starts, docs, kinds, out):
    """Entries of each rare list and list of gaps, one for every window and one to end, into out int64[n]; 0 for the others."""
    for i in range(len(starts) - 1):
        out[i] = 0
        if kinds[i] == RARE or kinds[i] == GAPS:
            last = -1
            for j in range(starts[i], starts[i + 1]):
                window = docs[j] >> 16
                if window != last:
                    out[i] += 1
                    last = window
            out[i] += 1


@kernel
def encode_rare(lo, hi, docs, impacts, out_docs, out_impacts, entry_window, entry_start):
    """One rare list's postings lo to hi into out_docs uint16[hi - lo], out_impacts int32[hi - lo] and its entries."""
    last = -1
    e = 0
    for j in range(lo, hi):
        window = docs[j] >> 16
        if window != last:
            entry_window[e] = window
            entry_start[e] = j - lo
            e += 1
            last = window
        out_docs[j - lo] = np.uint16(docs[j] & 0xFFFF)
        out_impacts[j - lo] = impacts[j]
    entry_window[e] = 0xFFFF
    entry_start[e] = hi - lo


@kernel
def encode_gaps(lo, hi, docs, impacts, out_gaps, out_impacts, entry_window, entry_start):
    """The same in gaps, fillers included: out_gaps uint8, out_impacts int32."""
    window = -1
    e = 0
    at = 0
    last = np.int64(-1)
    for j in range(lo, hi):
        if docs[j] >> 16 != window:
            window = docs[j] >> 16
            last = (np.int64(window) << 16) - 1
            entry_window[e] = window
            entry_start[e] = at
            e += 1
        while docs[j] - last > LONGEST_GAP:
            out_gaps[at] = LONGEST_GAP
            out_impacts[at] = 0
            last += LONGEST_GAP
            at += 1
        out_gaps[at] = np.uint8(docs[j] - last)
        out_impacts[at] = impacts[j]
        last = np.int64(docs[j])
        at += 1
    entry_window[e] = 0xFFFF
    entry_start[e] = at


@kernel
def encode_frequent(lo, hi, docs, impacts, width, out, window_start, superblock_start):
    """One frequent list's bytes uint8[(hi - lo) * (1 + width)], window_start uint32[windows + 1], superblock_start
    uint16[superblocks].

    A start inside a window is at most 65,536 - 256, since the superblock itself comes after it: 16 bits hold it.
    """
    j = lo
    base = lo
    at = 0
    for s in range(len(superblock_start)):
        if s % SUPERBLOCKS_PER_WINDOW == 0:
            base = j
            window_start[s // SUPERBLOCKS_PER_WINDOW] = j - lo
        superblock_start[s] = j - base
        end = np.int64(s + 1) * SUPERBLOCK
        first = j
        while j < hi and docs[j] < end:
            out[at] = np.uint8(docs[j] & 0xFF)
            at += 1
            j += 1
        for x in range(first, j):
            for b in range(width):
                out[at] = np.uint8((impacts[x] >> (8 * b)) & 0xFF)
                at += 1
    window_start[len(window_start) - 1] = hi - lo


@kernel
def maximum_unit(list_max):
    """The unit of a list's block maxima, an int64: the least by which its largest impact comes to at most 15, rounded up."""
    return max(np.int64(1), (np.int64(list_max) + LARGEST_MAXIMUM - 1) // LARGEST_MAXIMUM)


@kernel
def encode_maxima(lo, hi, docs, impacts, block_shift, unit, row):
    """Block maxima of one list into row uint8[row bytes], which comes as zeros; rounded up, so that they stay bounds."""
    block = np.int64(-1)
    top = np.int64(0)
    for j in range(lo, hi):
        if np.int64(docs[j]) >> block_shift != block:
            put_maximum(row, block, top, unit)
            block = np.int64(docs[j]) >> block_shift
            top = np.int64(0)
        top = max(top, np.int64(impacts[j]))
    put_maximum(row, block, top, unit)


@kernel
def put_maximum(row, block, top, unit):
    """The maximum of one block, at most 15 units, into its half of a byte."""
    if block >= 0:
        row[(block >> 7 << 6) + (block & 63)] |= np.uint8(((top + unit - 1) // unit) << (4 * ((block >> 6) & 1)))


@kernel
def encode_dense(lo, hi, docs, impacts, row):
    """Impacts of one dense list into row uint8[positions], which comes as zeros; all are at most 255."""
    for j in range(lo, hi):
        row[docs[j]] = np.uint8(impacts[j])


@kernel
def encode_batch(starts, docs, impacts, kinds, widths, maxima, block_shift, entry_ptr, entry_window, entry_start,
                 docs_ptr, rare_docs, gaps, impacts_ptr, list_impacts, frequent, row_of, dense_of, window_start,
                 superblock_start, block_max, dense_impacts):
    """Every list of a batch into the arrays of its kind; pointers int64[n] say where each list's part begins.

    list_impacts int32 receives the impacts of rare lists and of lists of gaps.
    """
    for i in range(len(starts) - 1):
        lo, hi, at = starts[i], starts[i + 1], docs_ptr[i]
        if kinds[i] == RARE:
            encode_rare(lo, hi, docs, impacts, rare_docs[at:], list_impacts[impacts_ptr[i]:], entry_window[entry_ptr[i]:],
                        entry_start[entry_ptr[i]:])
            continue
        if kinds[i] == GAPS:
            encode_gaps(lo, hi, docs, impacts, gaps[at:], list_impacts[impacts_ptr[i]:], entry_window[entry_ptr[i]:],
                        entry_start[entry_ptr[i]:])
            continue
        row = row_of[i]
        encode_maxima(lo, hi, docs, impacts, block_shift, maximum_unit(maxima[i]), block_max[row])
        if kinds[i] == FREQUENT:
            encode_frequent(lo, hi, docs, impacts, widths[i], frequent[at:], window_start[row], superblock_start[row])
        if kinds[i] == DENSE:
            encode_dense(lo, hi, docs, impacts, dense_impacts[dense_of[i]])


@kernel
def count_large(starts, impacts, out):
    """How many impacts of each list are above 255, into out int64[n]."""
    for i in range(len(starts) - 1):
        out[i] = 0
        for j in range(starts[i], starts[i + 1]):
            out[i] += impacts[j] > 255


@kernel
def split_excess(starts, split, docs, impacts, excess_docs, excess_impacts):
    """Cut the impacts of the lists that bool[n] ``split`` names at 255, in place; the rest into the excess's arrays."""
    at = 0
    for i in range(len(starts) - 1):
        if split[i]:
            for j in range(starts[i], starts[i + 1]):
                if impacts[j] > 255:
                    excess_docs[at] = docs[j]
                    excess_impacts[at] = impacts[j] - 255
                    impacts[j] = 255
                    at += 1
