"""Scoring one superblock: the postings that the query's terms have there, added up in 256 integers.

Loops index whole arrays instead of slicing them: a slice costs a reference count, which is more than a short list.
Indices are unsigned: for a signed one the compiler allows for counting from the end, and no longer vectorizes.
"""
from __future__ import annotations

import numpy as np

from ..kernels import kernel


@kernel
def add_dense(acc, rows, row, base, weight):
    """acc[d] += weight * rows[row, base + d] for the 256 documents from base; 0 where a document lacks the term."""
    r, b = np.uint64(row), np.uint64(base)
    for d in range(np.uint64(256)):
        acc[d] += np.int32(weight * np.int32(rows[r, b + d]))


@kernel
def add_frequent(acc, docs, impacts, lo, hi, to_impacts, weight):
    """acc[docs[j]] += weight * impact for lo <= j < hi; acc int32[256], docs uint8; posting j has impact j + to_impacts."""
    to = np.uint64(to_impacts)                              # may be negative: unsigned sums wrap around as signed ones
    for j in range(np.uint64(lo), np.uint64(hi)):
        acc[docs[j]] += np.int32(weight * np.int32(impacts[j + to]))


@kernel
def add_rare(acc, docs, impacts, j, end, low, to_impacts, weight):
    """Add a rare term's postings in [low, low + 256) of its window; returns the first posting after them.

    docs uint16; j is a posting at or before the first one there, end the first of the next window.
    """
    j, end, one = np.uint64(j), np.uint64(end), np.uint64(1)
    to = np.uint64(to_impacts)
    low = np.uint16(low)
    if j < end and docs[j] < low:                          # gallop over superblocks that were not scored
        step = one
        while j + step < end and docs[j + step] < low:
            j += step
            step <<= one
        while step > 0:
            if j + step < end and docs[j + step] < low:
                j += step
            step >>= one
        j += one
    high = np.int32(low) + 256
    while j < end and np.int32(docs[j]) < high:
        acc[np.uint8(docs[j])] += np.int32(weight * np.int32(impacts[j + to]))      # low is a multiple of 256
        j += one
    return np.int64(j)


@kernel
def score_superblock(superblock, groups, weights, row, to_impacts, first, last, rare_docs, impacts8, impacts16, impacts32,
                     superblock_start, frequent_docs, dense_impacts, acc):
    """Sums of all documents of a superblock into acc int32[256].

    Per term, in the order of groups: weights int32[n], row int64[n] (of dense_impacts for dense terms), to_impacts
    int64[n] (from a posting's index to its impact's), first and last from :mod:`.terms`.
    """
    acc[:] = 0
    for i in range(groups[0], groups[1]):
        add_dense(acc, dense_impacts, row[i], superblock << 8, weights[i])
    ends_window = superblock & 255 == 255 or superblock + 1 == superblock_start.shape[1]
    for i in range(groups[1], groups[4]):
        lo = first[i] + np.int64(superblock_start[row[i], superblock])
        hi = last[i] if ends_window else first[i] + np.int64(superblock_start[row[i], superblock + 1])
        if i < groups[2]:
            add_frequent(acc, frequent_docs, impacts8, lo, hi, to_impacts[i], weights[i])
        elif i < groups[3]:
            add_frequent(acc, frequent_docs, impacts16, lo, hi, to_impacts[i], weights[i])
        else:
            add_frequent(acc, frequent_docs, impacts32, lo, hi, to_impacts[i], weights[i])
    low = (superblock & 255) << 8
    for i in range(groups[4], groups[7]):
        if first[i] < last[i]:
            if i < groups[5]:
                first[i] = add_rare(acc, rare_docs, impacts8, first[i], last[i], low, to_impacts[i], weights[i])
            elif i < groups[6]:
                first[i] = add_rare(acc, rare_docs, impacts16, first[i], last[i], low, to_impacts[i], weights[i])
            else:
                first[i] = add_rare(acc, rare_docs, impacts32, first[i], last[i], low, to_impacts[i], weights[i])
