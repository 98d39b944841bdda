"""The k best documents so far: a binary heap of keys, one comparison for a document that does not enter.

A document is one 64-bit key: the float32 score's bits above the complement of the document's tie-breaking rank. Scores are
not negative, so their bits order as they do, and of two keys the larger is the better document: score descending, then rank
ascending. Keys are distinct, hence so is the k-th best: nothing depends on the order of arrival.
"""
from __future__ import annotations

import numpy as np

from ..kernels import kernel, leaf

RANK_MASK = np.uint64(0xFFFFFFFF)
EXACT = 16_777_216               # 2^24: integers up to it are their own float32


@leaf
def make_key(score, rank):
    """Key uint64 of a float32 score and an int32 rank."""
    return (np.uint64(np.float32(score).view(np.uint32)) << np.uint64(32)) | (RANK_MASK - np.uint64(rank))


@leaf
def key_score(key):
    """The float32 score of a key."""
    return np.uint32(key >> np.uint64(32)).view(np.float32)


@leaf
def floor_key(score):
    """A key below all of documents with that float32 score, and not below any of documents with a lower one."""
    return np.uint64(np.float32(score).view(np.uint32)) << np.uint64(32)


@leaf
def lowest_sum(score):
    """A score sum, int64, that is never above any sum whose float32 is ``score`` or more: what may still tie or win.

    Sums up to EXACT are their own float32; above, rounding moves a sum by at most 2^-24 of itself.
    """
    if score <= np.float32(EXACT):
        return np.int64(score)
    return np.int64(np.float64(score) * (1.0 - 2.0 ** -23)) - 1


@leaf
def _sift_down(heap, root, n):
    """Let the key at ``root`` sink to its place in heap[:n], the least key of which is on top; both uint64."""
    key = heap[root]
    child = np.uint64(2) * root + np.uint64(1)
    while child < n:
        right = child + np.uint64(1)
        if right < n and heap[right] < heap[child]:
            child = right
        if heap[child] >= key:
            break
        heap[root] = heap[child]
        root = child
        child = np.uint64(2) * root + np.uint64(1)
    heap[root] = key


@leaf
def insert(heap, n, key):
    """Insert a key into the best n of heap uint64[k]; returns how many there are. If there are k, it is above the least."""
    k = np.int64(len(heap))
    if n < k:
        heap[n] = key
        if n + 1 == k:
            for root in range(k // 2, 0, -1):
                _sift_down(heap, np.uint64(root - 1), np.uint64(k))
        return n + 1
    heap[0] = key
    _sift_down(heap, np.uint64(0), np.uint64(k))
    return n


@kernel
def finish(heap, n, rank_doc, docs, scores):
    """Write the n best, best first: internal document ids into docs int32[>= n], scores into scores float32[>= n]."""
    best = np.sort(heap[:n])
    for i in range(n):
        key = best[n - 1 - i]
        docs[i] = rank_doc[np.int64(RANK_MASK - (key & RANK_MASK))]
        scores[i] = key_score(key)
    return n
