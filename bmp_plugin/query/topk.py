"""Keeping the k best documents: one comparison for a document that loses, selection in batches for those that may not.

A candidate is one 64-bit key: the float32 score's bits above the complement of the document's tie-breaking rank.
Scores are not negative, so their bits order as they do, and of two keys the larger is the better document: score
descending, then rank ascending. Keys are distinct, hence so is the k-th best: nothing depends on the order of arrival.
"""
from __future__ import annotations

import numpy as np

from ..kernels import kernel
from .instructions import bits_of, float_of, touch

RANK_MASK = np.uint64(0xFFFFFFFF)


@kernel
def make_key(score, rank):
    """Key uint64 of a float32 score and an int32 rank."""
    return (np.uint64(bits_of(np.float32(score))) << np.uint64(32)) | (RANK_MASK - np.uint64(rank))


@kernel
def key_score(key):
    """The float32 score of a key."""
    return float_of(np.uint32(key >> np.uint64(32)))


@kernel
def key_rank(key):
    """The int32 rank of a key."""
    return np.int32(RANK_MASK - (key & RANK_MASK))


@kernel
def floor_key(score):
    """A key below all of documents with that float32 score, and not below any of documents with a lower one."""
    return np.uint64(bits_of(np.float32(score))) << np.uint64(32)


@kernel
def keep_best(keys, n, k):
    """Move the k best of keys[:n] to the front, in no order, and return the worst of them (quickselect, Hoare)."""
    lo, hi = 0, n - 1
    at = k - 1
    while lo < hi:
        a, b, c = keys[lo], keys[(lo + hi) >> 1], keys[hi]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = lo, hi
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if at <= j:
            hi = j
        elif at >= i:
            lo = i
        else:
            break
    return keys[at]


@kernel
def lowest_sum(score):
    """A score sum that is never above any sum whose float32 is ``score`` or more: what may still tie or win.

    Sums up to 2^24 are their own float32; above, rounding moves a sum by at most 2^-24 of itself.
    """
    if score <= np.float32(16777216.0):
        return np.int64(score)
    return np.int64(np.float64(score) * (1.0 - 2.0 ** -23)) - 1


@kernel
def finish(keys, n, k, rank_doc, docs, scores):
    """Best first: positions into docs int32[k] and scores float32[k]; returns how many there are."""
    if n > k:
        keep_best(keys, n, k)
        n = k
    best = np.sort(keys[:n])
    for i in range(n):
        touch(rank_doc, np.int64(key_rank(best[i])))
    for i in range(n):
        key = best[n - 1 - i]
        docs[i] = rank_doc[key_rank(key)]
        scores[i] = key_score(key)
    return n
