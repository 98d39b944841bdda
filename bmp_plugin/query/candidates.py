"""Candidates for the k best documents, and the threshold that they set.

To know the k-th best of all candidates at every moment takes long where k is large, so the k best are seldom selected.
Meanwhile a tally of candidates in bins of falling scores says what score k of them reach.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import inline_kernel, inline_part
from .topk import EXACT, floor_key, keep_best, key_score, lowest_sum, make_key

BIN_SHIFT = 6            # a bin is 64 in the scale of upper bounds ...
BINS = 1 << (16 - BIN_SHIFT)             # ... which have 16 bits
ROOM = 1024              # candidates beyond 2 k before the k best are selected


class Candidates(NamedTuple):
    """Documents that may be among the k best."""

    keys: NDArray[np.uint64]                 # see topk
    tally: NDArray[np.int64]                 # [BINS], how many there have been in each bin


class Threshold(NamedTuple):
    """What is known of the k best so far."""

    num_candidates: int
    lowest_key: int                          # uint64: keys at or below it do not enter
    lowest_sum: int                          # the least sum that may enter, at least 1: every posting adds 1
    bin: int                                 # the highest bin such that k candidates are in it or above; 0 if there is none
    above: int                               # candidates above that bin


@inline_part
def make_candidates(k):
    """Room for the candidates of a search."""
    return Candidates(np.empty(2 * k + ROOM, np.uint64), np.zeros(BINS, np.int64))


@inline_kernel
def initial_threshold(floor_score):
    """The threshold before a search: documents that score less than floor_score, float32, do not enter."""
    return Threshold(np.int64(0), floor_key(floor_score), max(np.int64(1), lowest_sum(floor_score)), np.int64(0), np.int64(0))


@inline_kernel
def insert(candidates, k, total, rank, scale, threshold):
    """Insert a document of a sum, int64, that is not below the lowest; returns the threshold then.

    scale is that of upper bounds: the bin of a sum is the sum times scale, without its last BIN_SHIFT bits.
    """
    n, lowest_key, lowest, bin, above = threshold
    key = make_key(np.float32(total), rank)
    if key <= lowest_key:
        return threshold
    candidates.keys[n] = key
    n += 1
    mine = min(np.int64(np.float64(total) * scale) >> BIN_SHIFT, BINS - 1)
    candidates.tally[mine] += 1
    if mine > bin:
        above += 1
        while above >= k:
            bin += 1
            above -= candidates.tally[bin]
            lowest = max(lowest, _least_sum(bin, scale))
    if n == len(candidates.keys):
        keep_best(candidates.keys, n, k)
        n, lowest_key = k, candidates.keys[0]
        lowest = max(lowest, lowest_sum(key_score(lowest_key)))
    return Threshold(n, lowest_key, lowest, bin, above)


@inline_kernel
def _least_sum(bin, scale):
    """A sum, int64, below which none reaches a bin, nor is the same float32 as one that does; see :func:`.topk.lowest_sum`."""
    least = np.float64(bin << BIN_SHIFT) / scale
    if least > EXACT:
        least *= 1.0 - 2.0 ** -22
    return np.int64(least) - 1
