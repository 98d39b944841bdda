"""A query's terms in the order in which kernels take them, and where their postings lie in a window."""
from __future__ import annotations

import numpy as np

from ..index.layout import DENSE, RARE
from ..kernels import kernel

NUM_GROUPS = 7      # dense, then frequent with impacts of 1, 2, 4 bytes, then rare with 1, 2, 4


@kernel
def group_terms(terms, kind, width, ordered, groups):
    """Order a query's terms such that those stored alike follow one another, so that kernels need not ask.

    terms int32[n]; ordered int64[n] receives indices into it, groups int64[NUM_GROUPS + 1] where each group begins.
    """
    groups[:] = 0
    for i in range(len(terms)):
        groups[_group(kind[terms[i]], width[terms[i]]) + 1] += 1
    for g in range(NUM_GROUPS):
        groups[g + 1] += groups[g]
    at = groups[:NUM_GROUPS].copy()
    for i in range(len(terms)):
        g = _group(kind[terms[i]], width[terms[i]])
        ordered[at[g]] = i
        at[g] += 1


@kernel
def _group(kind, width):
    if kind == DENSE:
        return 0
    by_width = 0 if width == 1 else (1 if width == 2 else 2)
    return (4 if kind == RARE else 1) + by_width


@kernel
def enter_starts(window, groups, row, docs_at, window_start, first, last):
    """Frequent terms: ``first`` int64[n] becomes the window's first posting, ``last`` that of the next window.

    Both are indices into frequent_docs; row and docs_at int64[n] hold each term's row and first posting.
    """
    for i in range(groups[1], groups[4]):
        first[i] = docs_at[i] + np.int64(window_start[row[i], window])
        last[i] = docs_at[i] + np.int64(window_start[row[i], window + 1])


@kernel
def enter_entries(window, groups, row, count, docs_at, entry_window, entry_start, cursor, first, last):
    """Rare terms: ``first`` and ``last`` int64[n] come to bound the postings in the window, indices into rare_docs.

    row int64[n] holds a term's first entry, count int64[n, 2] its entries and postings, docs_at its first posting.
    ``cursor`` int64[n] holds the entry that is next; windows are entered in ascending order.
    """
    for i in range(groups[4], groups[7]):
        e = cursor[i]
        while e < count[i, 0] and np.int64(entry_window[row[i] + e]) < window:
            e += 1
        cursor[i] = e
        first[i] = 0
        last[i] = 0
        if e < count[i, 0] and np.int64(entry_window[row[i] + e]) == window:
            first[i] = docs_at[i] + np.int64(entry_start[row[i] + e])
            last[i] = docs_at[i] + (np.int64(entry_start[row[i] + e + 1]) if e + 1 < count[i, 0] else count[i, 1])
