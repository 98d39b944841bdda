"""The posting lists of a query, as kernels take them, and where those without block maxima have their postings."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.intrinsics import DECODED, LANES, below_mask, count_bits
from .._internal.kernels import inline_kernel, inline_part
from ..index.decode import START_SENTINEL, decode_lanes, window_run
from ..index.layout import WINDOW

HEAD = LANES             # where a decoded run begins: behind room for what is looked at before its first posting


class QueryLists(NamedTuple):
    """Posting lists, those with block maxima first, then the sparse ones.

    DECODED postings of a run are a *group*, whose last document is recorded while bounds are made, for
    :func:`.block_selection.seek`. What is recorded of a window stands where the number of postings before it says, so that
    no table is needed.
    """

    num_with_maxima: int
    weights: NDArray[np.int32]               # [n]
    scaled_weights: NDArray[np.int64]        # [n], as upper bounds take them, see upper_bounds.scale_weights
    start: NDArray[np.int64]                 # [n], first byte in postings
    row: NDArray[np.int64]                   # [n], row of block maxima; -1 for sparse lists
    run_start: NDArray[np.int64]             # [windows, n], run of a sparse list, in postings and jumps from the list's first;
    run_end: NDArray[np.int64]               # empty where the list has none there
    groups_at: NDArray[np.int64]             # [n + 1], where a sparse list's part of group_last begins
    group_last: NDArray[np.uint16]           # the last document of each group


class Run(NamedTuple):
    """The run of a sparse list in one window, decoded; it begins at HEAD."""

    docs: NDArray[np.uint16]                 # [HEAD + WINDOW], offsets in the window
    impacts: NDArray[np.uint8]               # [HEAD + WINDOW], 0 for jumps, whose documents are none of the list's


@inline_part
def make_run():
    """Room for any run."""
    return Run(np.empty(HEAD + WINDOW, np.uint16), np.empty(HEAD + WINDOW, np.uint8))


@inline_part
def make_query_lists(lists, weights, scaled_weights, index):
    """:class:`QueryLists` of lists int32[n] with weights int64[n] and scaled weights int64[n]."""
    n = len(lists)
    order = np.empty(n, np.int64)
    with_maxima, other = 0, n
    for x in range(n):
        if index.list_row[lists[x]] >= 0:
            order[with_maxima] = x
            with_maxima += 1
        else:
            other -= 1
            order[other] = x
    ordered_weights, scaled = np.empty(n, np.int32), np.empty(n, np.int64)
    start, row = np.empty(n, np.int64), np.empty(n, np.int64)
    run_start = np.zeros((index.num_windows, n), np.int64)
    run_end = np.zeros((index.num_windows, n), np.int64)
    groups_at = np.zeros(n + 1, np.int64)
    for i in range(n):
        t = lists[order[i]]
        ordered_weights[i], scaled[i] = weights[order[i]], scaled_weights[order[i]]
        start[i], row[i] = index.list_start[t], index.list_row[t]
        begin = np.int64(0)
        for e in range(index.list_entry[t], index.list_entry[t] + index.list_entries[t]):
            window, end = np.int64(index.entry_window[e]), np.int64(index.entry_end[e])
            run_start[window, i], run_end[window, i] = begin, end
            begin = end
        groups_at[i + 1] = groups_at[i] + begin // DECODED
    group_last = np.empty(groups_at[n] + LANES, np.uint16)
    return QueryLists(with_maxima, ordered_weights, scaled, start, row, run_start, run_end, groups_at, group_last)


@inline_kernel
def groups_of(query, i, window):
    """Where the groups of sparse list i in a window are recorded, int64."""
    return query.groups_at[i] + query.run_start[window, i] // DECODED


@inline_kernel
def read_run(query, i, window, postings, run):
    """Decode the run of sparse list i in a window, and record its groups; returns how many postings and jumps it has."""
    gaps_at, impacts_at, n = window_run(query.start[i], query.run_start[window, i], query.run_end[window, i])
    groups, before = np.uint64(groups_of(query, i, window)), np.uint64(START_SENTINEL)
    for j in range(np.uint64(0), np.uint64(n), np.uint64(DECODED)):
        before = decode_lanes(run.docs, run.impacts, np.uint64(HEAD) + j, postings, gaps_at + j, impacts_at + j, before)
        if j + np.uint64(DECODED) <= np.uint64(n):
            query.group_last[groups + j // np.uint64(DECODED)] = before
    return n


@inline_kernel
def groups_before(query, at, n, doc):
    """How many of the n groups recorded from ``at`` on end before a document, a lower bound; int64."""
    total = np.int64(0)
    for x in range(0, n, LANES):
        ends = below_mask(query.group_last, np.uint64(at + x), np.uint16(doc))
        if n - x < LANES:
            ends &= (np.uint64(1) << np.uint64(n - x)) - np.uint64(1)
        total += np.int64(count_bits(ends))
    return total
