"""A query's posting lists in the order in which kernels take them, and where their postings lie in every window."""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..index.layout import DENSE, FREQUENT, GAPS
from ..kernels import kernel
from .instructions import touch
from .skips import SKIP_SHIFT

NUM_GROUPS = 8      # dense, then frequent with impacts of 1, 2, 4 bytes, then gaps, then rare with 1, 2, 4

Array = NDArray[Any]


class Index(NamedTuple):
    """The arrays of an index that kernels use; their meaning is :data:`bmp_plugin.index.layout.ARRAYS`'s."""

    list_count: Array
    list_max: Array
    list_kind: Array
    list_width: Array
    list_docs: Array
    list_impacts: Array
    list_entry: Array
    list_entries: Array
    entry_window: Array
    entry_start: Array
    rare_docs: Array
    gaps: Array
    window_start: Array
    superblock_start: Array
    frequent: Array
    block_max: Array
    dense_impacts: Array
    impacts8: Array
    impacts16: Array
    impacts32: Array
    doc_rank: Array
    rank_doc: Array


class Lists(NamedTuple):
    """A query's lists in the order of groups.

    Attributes
    ----------
    groups : int64[NUM_GROUPS + 1]
        Where each group begins.
    weights : int32[n]
    scaled : int64[n]
        Weights as upper bounds take them, see :func:`.bounds.scale_weights`; 0 for lists that bounds do without.
    row : int64[n]
        Row of block_max; for rare lists and those of gaps, the first entry.
    dense_row : int64[n]
        Row of dense_impacts, for dense lists.
    docs : int64[n]
        Where the list begins, in frequent, gaps or rare_docs.
    to_impacts : int64[n]
        For rare lists and those of gaps, from a posting's index in rare_docs or gaps to its impact's.
    width : int64[n]
        Bytes of an impact.
    skip : int64[n + 1]
        For rare lists and those of gaps, where the list's part of what :mod:`.skips` keeps begins; the last, where all end.
    first : int64[windows, n]
    last : int64[windows, n]
        The window's postings are those from first to before last, counted from the list's first for frequent lists,
        indices into gaps or rare_docs for the others.
    """

    groups: Array
    weights: Array
    scaled: Array
    row: Array
    dense_row: Array
    docs: Array
    to_impacts: Array
    width: Array
    skip: Array
    first: Array
    last: Array


@kernel
def order_lists(lists, weights, scaled, index, num_windows):
    """The query's lists int32[n] with weights int64[n] and scaled weights int64[n] as :class:`Lists`.

    Those stored alike follow one another, so that kernels need not ask.
    """
    n = len(lists)
    groups = np.zeros(NUM_GROUPS + 1, np.int64)
    for i in range(n):                                         # all that is asked for comes while the first is waited for
        touch(index.list_kind, np.int64(lists[i]))
        touch(index.list_width, np.int64(lists[i]))
        touch(index.list_docs, np.int64(lists[i]))
        touch(index.list_impacts, np.int64(lists[i]))
        touch(index.list_entry, np.int64(lists[i]))
        touch(index.list_entries, np.int64(lists[i]))
    for i in range(n):
        entry = np.int64(index.list_entry[lists[i]])
        if index.list_kind[lists[i]] >= FREQUENT:
            touch(index.window_start, entry * index.window_start.shape[1])
        else:
            touch(index.entry_window, entry)
            touch(index.entry_start, entry)
    for i in range(n):
        groups[_group(index.list_kind[lists[i]], index.list_width[lists[i]]) + 1] += 1
    for g in range(NUM_GROUPS):
        groups[g + 1] += groups[g]
    at = groups[:NUM_GROUPS].copy()
    weights32 = np.empty(n, np.int32)
    scaled_by_group = np.empty(n, np.int64)
    row = np.empty(n, np.int64)
    dense_row = np.empty(n, np.int64)
    docs = np.empty(n, np.int64)
    to_impacts = np.empty(n, np.int64)
    width = np.empty(n, np.int64)
    postings = np.zeros(n, np.int64)
    first = np.zeros((num_windows, n), np.int64)
    last = np.zeros((num_windows, n), np.int64)
    for x in range(n):
        t = lists[x]
        g = _group(index.list_kind[t], index.list_width[t])
        i = at[g]
        at[g] += 1
        weights32[i] = weights[x]
        scaled_by_group[i] = scaled[x]
        row[i] = index.list_entry[t]
        dense_row[i] = index.list_entries[t]
        docs[i] = index.list_docs[t]
        to_impacts[i] = index.list_impacts[t] - index.list_docs[t]
        width[i] = index.list_width[t]
        if g == 0:
            continue
        if g < 4:
            r, j = np.uint64(row[i]), np.uint64(i)
            start = np.int64(index.window_start[r, np.uint64(0)])
            for w in range(np.uint64(num_windows)):
                first[w, j] = start
                start = np.int64(index.window_start[r, w + np.uint64(1)])
                last[w, j] = start
            continue
        postings[i] = np.int64(index.entry_start[row[i] + index.list_entries[t]])
        begin, j = docs[i], np.uint64(i)
        start = begin + np.int64(index.entry_start[row[i]])
        for e in range(np.uint64(row[i]), np.uint64(row[i]) + np.uint64(index.list_entries[t])):
            w, end = np.uint64(index.entry_window[e]), begin + np.int64(index.entry_start[e + np.uint64(1)])
            if w < np.uint64(num_windows):                     # which the file may not keep to
                first[w, j] = start
                last[w, j] = end
            start = end
    skip = np.zeros(n + 1, np.int64)
    for i in range(n):
        skip[i + 1] = skip[i] + (postings[i] >> SKIP_SHIFT)
    return Lists(groups, weights32, scaled_by_group, row, dense_row, docs, to_impacts, width, skip, first, last)


@kernel
def _group(kind, width):
    if kind == DENSE:
        return 0
    if kind == GAPS:
        return 4
    by_width = 0 if width == 1 else (1 if width == 2 else 2)
    return (1 if kind == FREQUENT else 5) + by_width
