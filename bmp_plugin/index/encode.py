"""Encodes postings into the arrays of the layout: kernels over arrays that the caller allocates."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.kernels import kernel
from .layout import LARGEST_IMPACT, LARGEST_MAXIMUM, LONGEST_GAP, SUPERBLOCK, WINDOW, WINDOW_SHIFT


class Postings(NamedTuple):
    """Posting lists one after the other; list i has the postings from starts[i] to before starts[i + 1]."""

    starts: NDArray[np.int64]                # [lists + 1]
    docs: NDArray[np.int32]                  # [postings], ascending within a list
    impacts: NDArray[np.int32]               # [postings]


class Encoded(NamedTuple):
    """Arrays of the layout, of the same names, that lists are encoded into; there is room for the longest runs."""

    list_max: NDArray[np.uint8]
    list_row: NDArray[np.int32]
    list_start: NDArray[np.int64]
    list_entry: NDArray[np.int64]
    list_entries: NDArray[np.int32]
    entry_window: NDArray[np.uint16]
    entry_end: NDArray[np.uint32]
    superblock_start: NDArray[np.uint32]
    block_max: NDArray[np.uint8]             # zeros before
    postings: NDArray[np.uint8]


@kernel
def find_bad_posting(lists, num_source_docids):
    """The index of the first posting whose document is out of range or not ascending, or whose impact is below 1; or -1."""
    starts, docs, impacts = lists
    for i in range(len(starts) - 1):
        last = np.int64(-1)
        for j in range(starts[i], starts[i + 1]):
            doc = np.int64(docs[j])
            if doc <= last or doc >= num_source_docids or impacts[j] < 1:
                return j
            last = doc
    return -1


@kernel
def renumber(lists, internal_docids):
    """Replace source document ids by internal ones, internal_docids int32[source ids], and sort each list by them, in place."""
    starts, docs, impacts = lists
    for i in range(len(starts) - 1):
        lo, hi = starts[i], starts[i + 1]
        ascending, last = True, np.int32(-1)
        for j in range(lo, hi):
            docs[j] = internal_docids[docs[j]]
            ascending = ascending and docs[j] > last
            last = docs[j]
        if not ascending:
            keys = np.empty(hi - lo, np.int64)
            for j in range(lo, hi):
                keys[j - lo] = (np.int64(docs[j]) << 32) | np.int64(impacts[j])   # impacts are below 2^31
            keys.sort()
            for j in range(lo, hi):
                docs[j], impacts[j] = np.int32(keys[j - lo] >> 32), np.int32(keys[j - lo] & 0x7FFFFFFF)


@kernel
def maximum_unit(list_max):
    """The unit of a list's block maxima, an int64: the least by which its largest impact comes to at most 15, rounded up."""
    return max(np.int64(1), (np.int64(list_max) + LARGEST_MAXIMUM - 1) // LARGEST_MAXIMUM)


@kernel
def encode_lists(lists, is_sparse, block_shift, out):
    """Encode :class:`Postings`, whose impacts are at most LARGEST_IMPACT, one after the other, into ``out``, :class:`Encoded`.

    is_sparse bool[lists] tells which have no block maxima. Returns how many entries and how many bytes of postings are used.
    """
    starts, docs, impacts = lists
    scratch = np.empty(WINDOW, np.uint8)
    row, entry, at = 0, np.int64(0), np.int64(0)
    for i in range(len(starts) - 1):
        lo, hi = starts[i], starts[i + 1]
        out.list_start[i], out.list_entry[i], out.list_row[i], out.list_max[i] = at, entry, -1, 0
        for j in range(lo, hi):
            out.list_max[i] = max(out.list_max[i], impacts[j])
        if not is_sparse[i]:
            out.list_row[i] = row
            _encode_superblocks(docs, impacts, lo, hi, out.postings[at:], out.superblock_start[row])
            _encode_maxima(docs, impacts, lo, hi, block_shift, maximum_unit(out.list_max[i]), out.block_max[row])
            row, at, lo = row + 1, at + 2 * (hi - lo), hi
        length = np.int64(0)
        while lo < hi:
            out.entry_window[entry] = docs[lo] >> WINDOW_SHIFT
            lo, count = _encode_run(docs, impacts, lo, hi, out.postings[at + 2 * length:], scratch)
            length += count
            out.entry_end[entry] = length
            entry += 1
        out.list_entries[i] = entry - out.list_entry[i]
        at += 2 * length
    return entry, at


@kernel
def _encode_superblocks(docs, impacts, first, end, out, superblock_start):
    """Encode postings first to before ``end`` as runs of superblocks into out; their starts into superblock_start."""
    j, at = first, 0
    for s in range(len(superblock_start) - 1):
        superblock_start[s] = j - first
        begin = j
        while j < end and docs[j] < (s + 1) * SUPERBLOCK:
            j += 1
        for x in range(j - begin):
            out[at + x], out[at + j - begin + x] = docs[begin + x] & (SUPERBLOCK - 1), impacts[begin + x]
        at += 2 * (j - begin)
    superblock_start[len(superblock_start) - 1] = end - first


@kernel
def _encode_maxima(docs, impacts, first, end, block_shift, unit, row):
    """Write the block maxima of postings first to before ``end``, in units, rounded up so that they stay bounds, into row."""
    j = first
    while j < end:
        block, top = np.int64(docs[j]) >> block_shift, np.int64(0)
        while j < end and np.int64(docs[j]) >> block_shift == block:
            top = max(top, np.int64(impacts[j]))
            j += 1
        row[(block >> 7 << 6) + (block & 63)] |= np.uint8(((top + unit - 1) // unit) << (4 * ((block >> 6) & 1)))


@kernel
def _encode_run(docs, impacts, first, end, out, scratch):
    """Encode the postings of one window, from ``first`` on, as a run into out; returns where they end and its length.

    No run is longer than a window, since a posting moves on by one document at least, and a jump by LONGEST_GAP.
    """
    window, j, n = docs[first] >> WINDOW_SHIFT, first, 0
    last = (np.int64(window) << WINDOW_SHIFT) - 1
    while j < end and docs[j] >> WINDOW_SHIFT == window:
        gap = docs[j] - last
        while gap > LONGEST_GAP:
            jumps = min((gap - 1) // LONGEST_GAP, LARGEST_IMPACT)
            out[n], scratch[n] = 0, jumps
            gap -= jumps * LONGEST_GAP
            n += 1
        out[n], scratch[n] = gap, impacts[j]
        last = np.int64(docs[j])
        j, n = j + 1, n + 1
    for x in range(n):
        out[n + x] = scratch[x]
    return j, n
