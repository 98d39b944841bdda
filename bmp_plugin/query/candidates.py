"""Candidates for the k best, and the threshold that they set.

To select the k best of all candidates takes long where k is large, so it is done seldom. Meanwhile a tally of candidates in
bins of falling scores says at every moment what k of them reach.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel, leaf
from .topk import floor_key, keep_best, key_score, lowest_sum, make_key

Array = NDArray[Any]
BIN_SHIFT = 6            # a bin is 64 in the scale of upper bounds ...
BINS = 1024              # ... which are below 2^16


class Candidates(NamedTuple):
    """Documents that may be among the k best.

    Attributes
    ----------
    keys : uint64[more than k]
        See :mod:`.topk`.
    tally : int64[BINS]
        How many sums there have been in each bin.
    """

    keys: Array
    tally: Array


class Threshold(NamedTuple):
    """What is known of the k best so far.

    Attributes
    ----------
    n : int64
        Candidates.
    theta : uint64
        The k-th best key when it was last known, or a key below all that may enter.
    lowest : int64
        The least sum that may enter, at least 1: every posting adds 1.
    bin : int64
        The highest bin such that there are k candidates in it and those above it; 0 as long as there are none.
    above : int64
        How many there are above it.
    """

    n: Any
    theta: Any
    lowest: Any
    bin: Any
    above: Any


@kernel
def make_candidates(k):
    """Room for some more than k, and an empty tally."""
    return Candidates(np.empty(k + max(16, k >> 1), np.uint64), np.zeros(BINS, np.int64))


@kernel
def begin(floor_score):
    """The threshold at first: documents that score less than floor_score, float32, do not enter."""
    return Threshold(np.int64(0), floor_key(floor_score), max(np.int64(1), lowest_sum(floor_score)), np.int64(0), np.int64(0))


@leaf
def settle(candidates, k, best):
    """Keep the k best alone, of which there are as many, and know the k-th."""
    theta = keep_best(candidates.keys, best.n, k)
    return Threshold(np.int64(k), theta, max(best.lowest, lowest_sum(key_score(theta))), best.bin, best.above)


@leaf
def least_in(bin, scale):
    """A sum, int64, below which none reaches a bin, nor is the same float32 as one that does; see :func:`.topk.lowest_sum`.

    Scale is that of upper bounds: a sum's bin is the sum times scale, without its last BIN_SHIFT bits.
    """
    least = np.float64(bin << BIN_SHIFT) / scale
    if least > 16777216.0:
        least *= 1.0 - 2.0 ** -22
    return np.int64(least) - 1


@leaf
def offer(acc, at, superblock, visits, v, num_docs, doc_rank, candidates, k, scale, best):
    """Offer the sums acc int32, from ``at`` on, of visit v's blocks; returns the threshold then."""
    n, theta, lowest, bin, above = best
    keys, tally = candidates.keys, candidates.tally
    base, shift, a = superblock << 8, visits.block_shift[v], np.uint64(at)
    for x in range(visits.num_blocks[v]):
        first = np.int64(visits.blocks[v, x]) << shift
        end = first + (np.int64(1) << shift)
        top = np.int32(0)
        for d in range(np.uint64(first), np.uint64(end)):
            top = max(top, acc[a + d])
        if top < lowest:
            continue
        for d in range(first, min(end, num_docs - base)):
            sum_of_d = np.int64(acc[at + d])
            if sum_of_d < lowest:
                continue
            key = make_key(np.float32(sum_of_d), doc_rank[base + d])
            if key <= theta:
                continue
            keys[n] = key
            n += 1
            mine = min(np.int64(np.float64(sum_of_d) * scale) >> BIN_SHIFT, BINS - 1)
            tally[mine] += 1
            if mine > bin:
                above += 1
                if above >= k:
                    while above >= k:
                        bin += 1
                        above -= tally[bin]
                    lowest = max(lowest, least_in(bin, scale))
            if n == len(keys):
                n, theta, lowest, bin, above = settle(candidates, k, Threshold(n, theta, lowest, bin, above))
    return Threshold(n, theta, lowest, bin, above)
