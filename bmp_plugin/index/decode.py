"""Decodes posting lists: the one place, besides :mod:`.encode`, that knows how postings are stored.

What it hands out is a range of postings as documents and impacts: of a whole list (:func:`decode_list`), or of a run of a
sparse list, a chunk at a time (:func:`decode_chunk`). A run of a superblock needs no decoding: :func:`superblock_run` says
where its document bytes and its impact bytes are.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..intrinsics import DECODED, LANES, decode_lanes
from ..kernels import inline_kernel, inline_part, kernel
from .layout import LONGEST_GAP, SUPERBLOCK_SHIFT, WINDOW, WINDOW_SHIFT

CHUNK = 256              # postings of a sparse list that are decoded before they are used: they stay in the L1 cache
HEAD = LANES             # where they begin, behind some of the chunk before
START_SENTINEL = 0xFFFF  # the document before a window's first, in 16 bits


class Chunk(NamedTuple):
    """Postings of a sparse list in one window, decoded, [HEAD + CHUNK]; they begin at HEAD."""

    docs: NDArray[np.uint16]                 # offsets in the window
    impacts: NDArray[np.uint8]               # 0 for jumps, whose documents are none of the list's


@inline_part
def make_chunk():
    """Room for a chunk."""
    return Chunk(np.zeros(HEAD + CHUNK, np.uint16), np.zeros(HEAD + CHUNK, np.uint8))


@inline_kernel
def decode_chunk(postings, gaps_at, impacts_at, n, before, chunk):
    """Decode n postings and jumps, at most CHUNK; returns the last document, uint64, if n is a multiple of DECODED.

    Their document bytes begin at gaps_at, their impact bytes at impacts_at, uint64; ``before``, uint64, is the document before
    them. What follows them is decoded as well, up to DECODED, and means nothing.
    """
    for j in range(np.uint64(0), np.uint64(n), np.uint64(DECODED)):
        before = decode_lanes(chunk.docs, chunk.impacts, np.uint64(HEAD) + j, postings, gaps_at + j, impacts_at + j, before)
    return before


@inline_kernel
def superblock_run(index, row, start, superblock):
    """The run of a superblock in a list with block maxima: its first byte in ``postings``, and how many postings it has; uint64.

    row and start are those of the list, superblock is uint64. The run has so many document bytes, offsets in the superblock,
    and then as many impact bytes.
    """
    first = np.uint64(index.superblock_start[np.uint64(row), superblock])
    end = np.uint64(index.superblock_start[np.uint64(row), superblock + np.uint64(1)])
    return np.uint64(start) + np.uint64(2) * first, end - first


@kernel
def decode_list(t, index, docs, impacts):
    """Decode list t into docs int32[>= n] and impacts uint8[>= n]; returns n, or -1 for a run that does not end in its window
    and a jump over nothing.

    index is :class:`.layout.KernelIndex`. There has to be room for the list's postings and jumps.
    """
    n, at, postings = np.int64(0), index.list_start[t], index.postings
    if index.list_row[t] >= 0:
        for s in range(index.num_superblocks):
            run_at, run_count = superblock_run(index, index.list_row[t], index.list_start[t], np.uint64(s))
            for j in range(run_count):
                docs[n] = (s << SUPERBLOCK_SHIFT) | np.int64(postings[run_at + j])
                impacts[n] = postings[run_at + run_count + j]
                n += 1
        return n
    begin = np.int64(0)
    for e in range(index.list_entry[t], index.list_entry[t] + index.list_entries[t]):
        count = np.int64(index.entry_end[e]) - begin
        base, offset = np.int64(index.entry_window[e]) << WINDOW_SHIFT, np.int64(-1)
        for j in range(at, at + count):
            if postings[j] == 0 and postings[j + count] == 0:
                return np.int64(-1)
            if postings[j] == 0:
                offset += LONGEST_GAP * np.int64(postings[j + count])
            else:
                offset += np.int64(postings[j])
                docs[n] = base + offset
                impacts[n] = postings[j + count]
                n += 1
        if offset >= WINDOW:
            return np.int64(-1)
        at += 2 * count
        begin += count
    return n


@kernel
def decode_term(t, index, scratch_docs, scratch_impacts, docs, impacts):
    """Decode all of a term's lists into docs int32[>= n] and whole impacts int64[>= n]; returns n.

    The scratch arrays, int32 and uint8, have room for the longest of the lists, and its jumps.
    """
    n = decode_list(t, index, docs, scratch_impacts)
    for j in range(n):
        impacts[j] = scratch_impacts[j]
    for extra in range(index.term_overflow[t], index.term_overflow[t + 1]):
        shift, x = np.int64(index.list_shift[extra]), np.int64(0)
        for y in range(decode_list(extra, index, scratch_docs, scratch_impacts)):
            while x < n and docs[x] < scratch_docs[y]:
                x += 1
            if x < n and docs[x] == scratch_docs[y]:               # as it is, unless somebody forged the files
                impacts[x] += np.int64(scratch_impacts[y]) << shift
    return n
