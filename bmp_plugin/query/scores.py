"""Scoring one superblock: the postings that the query's terms have there, added up in 256 integers."""
from __future__ import annotations

import numpy as np
from numba import njit

from ..index.layout import DENSE, RARE


@njit(cache=True, nogil=True)
def add_list(acc, docs, impacts, weight):
    """acc[doc] += weight * impact for docs uint8[n]; acc int32[256], whose sums fit by the caller's check."""
    w = np.int32(weight)
    for j in range(len(docs)):
        acc[docs[j]] += w * np.int32(impacts[j])


@njit(cache=True, nogil=True)
def add_dense(acc, row, weight):
    """acc[d] += weight * row[d] for row uint8[256], 0 where a document lacks the term."""
    w = np.int32(weight)
    for d in range(256):
        acc[d] += w * np.int32(row[d])


@njit(cache=True, nogil=True)
def add_rare(acc, docs, impacts, j, end, low, weight):
    """Add a rare term's postings in [low, low + 256) of its window; returns the first posting after them.

    docs uint16, impacts uint; j is a posting at or before the first one there, end the first of the next window.
    """
    w = np.int32(weight)
    step = np.int64(1)
    while j + step < end and docs[j + step] < low:         # gallop over superblocks that were not scored
        j += step
        step <<= 1
    while j < end and docs[j] < low:
        step = max(np.int64(1), step >> 1)
        if j + step < end and docs[j + step] < low:
            j += step
        elif step == 1:
            j += 1
    while j < end and docs[j] < low + 256:
        acc[docs[j] - low] += w * np.int32(impacts[j])
        j += 1
    return j


@njit(cache=True, nogil=True)
def enter_window(window, terms, table, rare, window_start, cursor, first, last):
    """Where each term's postings of a window lie.

    For a frequent term, ``first`` int64[n] becomes the window's first posting and ``last`` that of the next window; for
    a rare one they bound its postings in the window, ``first`` being the cursor that scoring moves. All count from the
    term's first posting. ``cursor`` int64[n] holds the rare terms' entries, which windows visit in ascending order.
    """
    kind, entry, entries, count = table[0], table[5], table[6], table[7]
    entry_window, entry_start = rare[0], rare[1]
    for i in range(len(terms)):
        t = terms[i]
        if kind[t] == DENSE:
            continue
        if kind[t] != RARE:
            first[i] = window_start[entry[t], window]
            last[i] = window_start[entry[t], window + 1]
            continue
        e, n = cursor[i], np.int64(entries[t])
        while e < n and np.int64(entry_window[entry[t] + e]) < window:
            e += 1
        cursor[i] = e
        first[i] = 0
        last[i] = 0
        if e < n and np.int64(entry_window[entry[t] + e]) == window:
            first[i] = entry_start[entry[t] + e]
            last[i] = np.int64(entry_start[entry[t] + e + 1]) if e + 1 < n else count[t]


@njit(cache=True, nogil=True)
def score_superblock(superblock, terms, weights, table, rare, frequent, first, last, acc):
    """Sums of all documents of a superblock into acc int32[256]; weights int32[n]."""
    kind, width, first_doc, first_impact, entry, entries = table[0], table[1], table[3], table[4], table[5], table[6]
    rare_docs, impacts8, impacts16, impacts32 = rare[2], rare[3], rare[4], rare[5]
    superblock_start, frequent_docs, dense_impacts = frequent
    acc[:] = 0
    low = (superblock & 255) << 8
    num_superblocks = superblock_start.shape[1]
    for i in range(len(terms)):
        t = terms[i]
        w = weights[i]
        d, a = first_doc[t], first_impact[t]
        if kind[t] == RARE:
            if first[i] < last[i]:
                if width[t] == 1:
                    first[i] = add_rare(acc, rare_docs[d:], impacts8[a:], first[i], last[i], low, w)
                elif width[t] == 2:
                    first[i] = add_rare(acc, rare_docs[d:], impacts16[a:], first[i], last[i], low, w)
                else:
                    first[i] = add_rare(acc, rare_docs[d:], impacts32[a:], first[i], last[i], low, w)
        elif kind[t] == DENSE:
            row = entries[t]
            add_dense(acc, dense_impacts[row, superblock << 8:(superblock + 1) << 8], w)
        else:
            lo = first[i] + np.int64(superblock_start[entry[t], superblock])
            hi = last[i]
            if superblock & 255 != 255 and superblock + 1 < num_superblocks:
                hi = first[i] + np.int64(superblock_start[entry[t], superblock + 1])
            if width[t] == 1:
                add_list(acc, frequent_docs[d + lo:d + hi], impacts8[a + lo:a + hi], w)
            elif width[t] == 2:
                add_list(acc, frequent_docs[d + lo:d + hi], impacts16[a + lo:a + hi], w)
            else:
                add_list(acc, frequent_docs[d + lo:d + hi], impacts32[a + lo:a + hi], w)
