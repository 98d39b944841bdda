"""The k best documents so far, and the threshold that they set.

The key of a document has 64 bits: its float32 score's above the complement of its tie-breaking rank. Scores are not negative,
so their bits order as they do, and of two keys the larger is the better document: score descending, then rank ascending.
Keys are distinct, hence so is the k-th best: nothing depends on the order of arrival.

To select the k best of all candidates takes long where k is large, so it is seldom done; meanwhile a tally of candidates, in
bins of falling scores, says what score k of them reach. Where several threads search one query, each keeps candidates and a
tally of its own, and reads those of the others from time to time: counts only grow, so what is read is never too high, and a
threshold is never above the k-th best score of all, whenever it is read.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.kernels import inline_kernel, inline_part

RANK_MASK = np.uint64(0xFFFFFFFF)
EXACT = 16_777_216                       # 2^24: integers up to it are their own float32
BIN_SHIFT = 6                            # a bin is 64 in the scale of upper bounds ...
BINS = 1 << (16 - BIN_SHIFT)             # ... which have 16 bits
TALLY = BINS + 1                         # counters of a tally: candidates in each bin, and the highest bin that has any
ROOM = 1024                              # candidates beyond 2 k before the k best are selected


class Candidates(NamedTuple):
    """Documents that may be among the k best."""

    keys: NDArray[np.uint64]
    tallies: NDArray[np.int32]               # [threads, TALLY], how many each thread has had in each bin, and its highest bin
    thread: int                              # the one whose candidates these are


class Threshold(NamedTuple):
    """What is known of the k best so far."""

    num_candidates: int
    lowest_key: int                          # uint64: keys at or below it do not enter
    lowest_sum: int                          # the least sum that may enter, at least 1: every posting adds 1
    bin: int                                 # the highest bin such that k candidates are in it or above; 0 if there is none
    above: int                               # candidates above that bin, as far as this thread knows


@inline_part
def make_candidates(k, tallies, thread):
    """Room for the candidates of a search, counted in tallies int32[threads, TALLY] by one of the threads; clears its own."""
    tallies[thread] = 0
    return Candidates(np.empty(2 * k + ROOM, np.uint64), tallies, np.int64(thread))


@inline_kernel
def initial_threshold(floor_score):
    """The threshold before a search: documents that score less than floor_score, float32, do not enter."""
    floor = make_key(floor_score, RANK_MASK)             # below the keys of all documents with that score
    return Threshold(np.int64(0), floor, max(np.int64(1), lowest_sum(floor_score)), np.int64(0), np.int64(0))


@inline_kernel
def insert(candidates, k, total, rank, scale, threshold):
    """Insert a document of a sum, int64, that is not below the lowest; returns the threshold then. scale is that of bounds."""
    n, lowest_key, lowest, bin, above = threshold
    key = make_key(np.float32(total), rank)
    if key <= lowest_key:
        return threshold
    candidates.keys[n] = key
    n += 1
    mine = min(np.int64(np.float64(total) * scale) >> BIN_SHIFT, BINS - 1)
    candidates.tallies[candidates.thread, mine] += np.int32(1)           # at most one for each document
    if mine > candidates.tallies[candidates.thread, BINS]:
        candidates.tallies[candidates.thread, BINS] = mine
    if mine > bin:
        bin, above, lowest = _raise_bin(candidates.tallies, k, scale, bin, above + 1, lowest)
    if n == len(candidates.keys):
        keep_best(candidates.keys, n, k)
        n, lowest_key = k, candidates.keys[0]
        lowest = max(lowest, lowest_sum(key_score(lowest_key)))
    return Threshold(n, lowest_key, lowest, bin, above)


@inline_kernel
def read_tallies(candidates, k, scale, threshold):
    """The threshold by what all threads have counted until now; of bins that are read, others write few in the meantime."""
    above = np.int64(0)
    for thread in range(len(candidates.tallies)):
        for b in range(threshold.bin + 1, np.int64(candidates.tallies[thread, BINS]) + 1):
            above += candidates.tallies[thread, np.uint64(b)]
    bin, above, lowest = _raise_bin(candidates.tallies, k, scale, threshold.bin, above, threshold.lowest_sum)
    return Threshold(threshold.num_candidates, threshold.lowest_key, lowest, bin, above)


@inline_kernel
def _raise_bin(tallies, k, scale, bin, above, lowest):
    """The highest bin with k candidates in it or above, candidates above it, and the least sum that may enter.

    ``above`` candidates are known to be above ``bin``. Other threads may have more in the meantime: then the result is lower
    than it could be.
    """
    while above >= k:
        bin += 1
        for thread in range(len(tallies)):
            above -= tallies[thread, bin]
        least = np.float64(bin << BIN_SHIFT) / scale * (1.0 - 2.0 ** -20)        # k candidates have it, but for rounding
        lowest = max(lowest, lowest_sum(np.float32(least)))
    return bin, above, lowest


@inline_kernel
def lowest_sum(score):
    """A sum, int64, that is never above any sum whose float32 is ``score`` or more: what may still tie or win.

    Sums up to EXACT are their own float32; above, rounding moves a sum by at most 2^-24 of itself.
    """
    return np.int64(score) if score <= np.float32(EXACT) else np.int64(np.float64(score) * (1.0 - 2.0 ** -23)) - 1


@inline_kernel
def make_key(score, rank):
    """The key, uint64, of a float32 score and a rank."""
    return (np.uint64(np.float32(score).view(np.uint32)) << np.uint64(32)) | (RANK_MASK - np.uint64(rank))


@inline_kernel
def key_score(key):
    """The float32 score of a key."""
    return np.uint32(key >> np.uint64(32)).view(np.float32)


@inline_kernel
def keep_best(keys, n, k):
    """Make keys[:k] the k best of keys[:n], n >= k, as a heap: the least of them is keys[0]."""
    for root in range(k // 2 - 1, -1, -1):
        _sift_down(keys, root, k)
    for x in range(k, n):
        if keys[x] > keys[0]:
            keys[0] = keys[x]
            _sift_down(keys, 0, k)


@inline_kernel
def _sift_down(heap, root, n):
    """Let the key at ``root`` sink to its place in heap[:n], the least key of which is on top."""
    at, end, one = np.uint64(root), np.uint64(n), np.uint64(1)
    key, child = heap[at], np.uint64(2) * at + one
    while child < end:
        child += np.uint64(child + one < end and heap[child + one] < heap[child])
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at, child = child, np.uint64(2) * child + one
    heap[at] = key


@inline_kernel
def finish(keys, n, k, rank_doc, docs, scores):
    """Write the k best of keys[:n], best first, into docs int32[>= k] and scores float32[>= k]; returns how many there are."""
    k = min(n, k)
    keep_best(keys, n, k)
    for last in range(k - 1, -1, -1):
        key = keys[0]
        keys[0] = keys[last]
        _sift_down(keys, 0, last)
        docs[last] = rank_doc[np.int64(RANK_MASK - (key & RANK_MASK))]
        scores[last] = key_score(key)
    return k
