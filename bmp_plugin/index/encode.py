"""Encodes postings into the arrays of the layout: kernels over arrays that the caller allocates."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel
from .layout import LARGEST_IMPACT, LARGEST_MAXIMUM, LONGEST_GAP, SUPERBLOCK, WINDOW_SHIFT


class Postings(NamedTuple):
    """Posting lists one after the other; list i has the postings from starts[i] to before starts[i + 1]."""

    starts: NDArray[np.int64]                # [lists + 1]
    docs: NDArray[np.int32]                  # [postings], ascending within a list
    impacts: NDArray[np.int32]               # [postings]


class Encoded(NamedTuple):
    """Arrays of the layout, of the same names: where each list's part begins, and, zeros before, what is encoded."""

    list_max: NDArray[np.uint8]
    list_row: NDArray[np.int32]
    list_start: NDArray[np.int64]
    list_entry: NDArray[np.int64]
    entry_window: NDArray[np.uint16]
    entry_end: NDArray[np.uint32]
    superblock_start: NDArray[np.uint32]
    block_max: NDArray[np.uint8]
    postings: NDArray[np.uint8]


@kernel
def check_postings(lists, num_source_docids, maxima):
    """Write the largest impact of each list into maxima int32[lists]; returns the index of the first bad posting, or -1.

    A posting is bad if its document is out of range or not ascending, or its impact below 1.
    """
    starts, docs, impacts = lists
    for i in range(len(starts) - 1):
        last, top = np.int64(-1), np.int32(0)
        for j in range(starts[i], starts[i + 1]):
            doc = np.int64(docs[j])
            if doc <= last or doc >= num_source_docids or impacts[j] < 1:
                return j
            last, top = doc, max(top, impacts[j])
        maxima[i] = top
    return -1


@kernel
def renumber(lists, internal_docid):
    """Replace source document ids by internal ones, internal_docid int32[source ids], and sort each list by them, in place."""
    starts, docs, impacts = lists
    for i in range(len(starts) - 1):
        lo, hi = starts[i], starts[i + 1]
        ascending, last = True, np.int32(-1)
        for j in range(lo, hi):
            docs[j] = internal_docid[docs[j]]
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
def measure_sparse(lists, is_sparse, lengths, entries):
    """Count the postings and jumps of each sparse list into lengths int64[lists], and its windows into entries int64[lists].

    Of the lists that are not sparse, lengths are their postings, and entries 0.
    """
    starts, docs, _ = lists
    for i in range(len(starts) - 1):
        lengths[i], entries[i] = starts[i + 1] - starts[i], 0
        if is_sparse[i]:
            j = starts[i]
            while j < starts[i + 1]:
                end, length = _measure_run(docs, j, starts[i + 1])
                lengths[i] += length - (end - j)
                entries[i] += 1
                j = end


@kernel
def _measure_run(docs, first, end):
    """Where the window of posting ``first`` ends among those before ``end``, and the length of its run, jumps included."""
    window, j, length = docs[first] >> WINDOW_SHIFT, first, np.int64(0)
    last = (np.int64(window) << WINDOW_SHIFT) - 1
    while j < end and docs[j] >> WINDOW_SHIFT == window:
        length += 1
        if docs[j] - last > LONGEST_GAP:
            jumps = (docs[j] - last - 1) // LONGEST_GAP
            length += (jumps + LARGEST_IMPACT - 1) // LARGEST_IMPACT   # an impact byte holds so many jumps
        last = np.int64(docs[j])
        j += 1
    return j, length


@kernel
def _encode_run(docs, impacts, first, end, length, out, at):
    """Encode the postings first to before ``end`` of one window as a run of that length, from byte ``at`` of out on."""
    last = (np.int64(docs[first] >> WINDOW_SHIFT) << WINDOW_SHIFT) - 1
    for j in range(first, end):
        while docs[j] - last > LONGEST_GAP:
            jumps = min((docs[j] - last - 1) // LONGEST_GAP, LARGEST_IMPACT)
            out[at], out[at + length] = 0, jumps
            last += jumps * LONGEST_GAP
            at += 1
        out[at], out[at + length] = docs[j] - last, impacts[j]
        last = np.int64(docs[j])
        at += 1


@kernel
def _encode_superblocks(docs, impacts, first, end, out, at, superblock_start):
    """Encode the postings first to before ``end`` as runs of superblocks from byte ``at`` of out on; the starts of the runs go
    into superblock_start uint32[superblocks + 1]."""
    j = first
    for s in range(len(superblock_start) - 1):
        superblock_start[s] = j - first
        begin = j
        while j < end and docs[j] < (s + 1) * SUPERBLOCK:
            j += 1
        count = j - begin
        for x in range(count):
            out[at + x] = docs[begin + x] & (SUPERBLOCK - 1)
            out[at + count + x] = impacts[begin + x]
        at += 2 * count
    superblock_start[len(superblock_start) - 1] = end - first


@kernel
def maximum_unit(list_max):
    """The unit of a list's block maxima, an int64: the least by which its largest impact comes to at most 15, rounded up."""
    return max(np.int64(1), (np.int64(list_max) + LARGEST_MAXIMUM - 1) // LARGEST_MAXIMUM)


@kernel
def _encode_maxima(docs, impacts, first, end, block_shift, unit, row):
    """Write block maxima in units, rounded up so that they stay bounds, into row uint8[row bytes], which comes as zeros."""
    j = first
    while j < end:
        block, top = np.int64(docs[j]) >> block_shift, np.int64(0)
        while j < end and np.int64(docs[j]) >> block_shift == block:
            top = max(top, np.int64(impacts[j]))
            j += 1
        row[(block >> 7 << 6) + (block & 63)] |= np.uint8(((top + unit - 1) // unit) << (4 * ((block >> 6) & 1)))


@kernel
def encode_lists(lists, block_shift, out):
    """Encode :class:`Postings`, whose impacts are at most LARGEST_IMPACT, into ``out``, :class:`Encoded`."""
    starts, docs, impacts = lists
    for i in range(len(starts) - 1):
        lo, hi, at, row = starts[i], starts[i + 1], out.list_start[i], out.list_row[i]
        if row >= 0:
            _encode_superblocks(docs, impacts, lo, hi, out.postings, at, out.superblock_start[row])
            _encode_maxima(docs, impacts, lo, hi, block_shift, maximum_unit(out.list_max[i]), out.block_max[row])
            continue
        entry, length = out.list_entry[i], np.int64(0)
        while lo < hi:
            end, count = _measure_run(docs, lo, hi)
            _encode_run(docs, impacts, lo, end, count, out.postings, at + 2 * length)
            length += count
            out.entry_window[entry] = docs[lo] >> WINDOW_SHIFT
            out.entry_end[entry] = length
            lo, entry = end, entry + 1
