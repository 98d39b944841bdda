"""The k best of many documents, by one number each.

The key of a document has 64 bits: the float32 score's bits above the complement of the document's tie-breaking rank. Scores are
not negative, so their bits order as they do, and of two keys the larger is the better document: score descending, then rank
ascending. Keys are distinct, hence so is the k-th best: nothing depends on the order of arrival.
"""
from __future__ import annotations

import numpy as np

from ..kernels import inline_kernel

RANK_MASK = np.uint64(0xFFFFFFFF)
EXACT = 16_777_216               # 2^24: integers up to it are their own float32


@inline_kernel
def make_key(score, rank):
    """Key uint64 of a float32 score and an int32 rank."""
    return (np.uint64(np.float32(score).view(np.uint32)) << np.uint64(32)) | (RANK_MASK - np.uint64(rank))


@inline_kernel
def floor_key(score):
    """A key below all of documents with that float32 score, and not below any of documents with a lower one."""
    return np.uint64(np.float32(score).view(np.uint32)) << np.uint64(32)


@inline_kernel
def lowest_sum(score):
    """A sum, int64, that is never above any sum whose float32 is ``score`` or more: what may still tie or win.

    Sums up to EXACT are their own float32; above, rounding moves a sum by at most 2^-24 of itself.
    """
    if score <= np.float32(EXACT):
        return np.int64(score)
    return np.int64(np.float64(score) * (1.0 - 2.0 ** -23)) - 1


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
    """Write the k best of keys[:n], best first, into docs int32[>= k], internal document ids, and scores float32[>= k]; returns
    how many there are. The keys are used up."""
    k = min(n, k)
    keep_best(keys, n, k)
    for last in range(k - 1, -1, -1):
        key = keys[0]
        keys[0] = keys[last]
        _sift_down(keys, 0, last)
        docs[last] = rank_doc[np.int64(RANK_MASK - (key & RANK_MASK))]
        scores[last] = key_score(key)
    return k
