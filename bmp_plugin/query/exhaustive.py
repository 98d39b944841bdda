"""Scoring everything, in Lucene's own arithmetic: for queries whose sums do not fit the fast kernels."""
from __future__ import annotations

import numpy as np

from ..index.layout import DENSE, FREQUENT, GAPS
from ..kernels import kernel
from .scores import read_impact


@kernel
def read_list(t, index, docs, impacts):
    """The postings of list t, all of it: positions into docs int32[>= n] and impacts int64[>= n], ascending; returns n."""
    if index.list_kind[t] == DENSE:
        n = 0
        row = index.list_entries[t]
        for d in range(index.dense_impacts.shape[1]):
            if index.dense_impacts[row, d] > 0:
                docs[n] = d
                impacts[n] = index.dense_impacts[row, d]
                n += 1
        return n
    first = index.list_docs[t]
    row = index.list_entry[t]
    width = np.int64(index.list_width[t])
    if index.list_kind[t] == FREQUENT:
        n = np.int64(0)
        at = first
        superblocks = index.superblock_start.shape[1]
        for s in range(superblocks):
            end = np.int64(index.window_start[row, (s >> 8) + 1])
            if s + 1 < superblocks and (s + 1) & 255 != 0:
                end = np.int64(index.window_start[row, s >> 8]) + np.int64(index.superblock_start[row, s + 1])
            here = end - n
            for j in range(here):
                docs[n + j] = (s << 8) | np.int64(index.frequent[at + j])
                impacts[n + j] = read_impact(index.frequent, at + here + j * width, width)
            n += here
            at += here * (1 + width)
        return n
    n = np.int64(0)
    for e in range(row, row + index.list_entries[t]):
        base = np.int64(index.entry_window[e]) << 16
        doc = np.int64(-1)
        for j in range(index.entry_start[e], index.entry_start[e + 1]):
            doc = doc + np.int64(index.gaps[first + j]) if index.list_kind[t] == GAPS else np.int64(index.rare_docs[first + j])
            a = index.list_impacts[t] + j
            if width == 1:
                impact = np.int64(index.impacts8[a])
            elif width == 2:
                impact = np.int64(index.impacts16[a])
            else:
                impact = np.int64(index.impacts32[a])
            if impact > 0:                                 # no filler
                docs[n] = base + doc
                impacts[n] = impact
                n += 1
    return n


@kernel
def read_term(t, excess, index, docs, impacts, more_docs, more_impacts):
    """The postings of term t as of :func:`read_list`, with what its impacts are above 255 if ``excess`` is a list, not -1.

    The last two arrays are room for that list.
    """
    n = read_list(t, index, docs, impacts)
    more = read_list(excess, index, more_docs, more_impacts) if excess >= 0 else np.int64(0)
    x = np.int64(0)
    for j in range(n):
        while x < more and more_docs[x] < docs[j]:
            x += 1
        if x < more and more_docs[x] == docs[j]:
            impacts[j] += more_impacts[x]
    return n


@kernel
def add_terms(terms, excess, weights, index, sums, matched):
    """Add terms int32[n] of weights float32[n], 0 allowed, to all their documents: sums float64[documents], matched bool.

    excess int32[n] names the list of what a term's impacts are above 255, or is -1. Lucene multiplies the whole impact and
    the weight in float32 and adds in float64.
    """
    docs = np.empty(len(sums), np.int32)
    impacts = np.empty(len(sums), np.int64)
    more_docs = np.empty(len(sums), np.int32)
    more_impacts = np.empty(len(sums), np.int64)
    for i in range(len(terms)):
        for j in range(read_term(terms[i], excess[i], index, docs, impacts, more_docs, more_impacts)):
            sums[docs[j]] += np.float64(np.float32(impacts[j]) * weights[i])
            matched[docs[j]] = True
