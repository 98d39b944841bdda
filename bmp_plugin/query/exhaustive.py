"""Scoring everything, in Lucene's own arithmetic: for queries whose sums do not fit the fast kernels."""
from __future__ import annotations

import numpy as np

from ..index.layout import DENSE, RARE
from ..kernels import kernel


@kernel
def add_term(t, weight, geometry, index, sums, matched):
    """Add one term to all its documents: sums float64[documents], matched bool[documents].

    Lucene multiplies impact and weight in float32 and adds in float64. weight is a float32, 0 allowed.
    """
    (term_count, _, term_kind, term_width, term_docs, term_impacts, term_entry, term_entries, entry_window,
     entry_start, rare_docs, window_start, superblock_start, frequent_docs, _, dense_impacts, impacts8, impacts16,
     impacts32, _, _) = index
    if term_kind[t] == DENSE:
        for d in range(geometry[0]):
            impact = dense_impacts[term_entries[t], d]
            if impact > 0:
                sums[d] += np.float64(np.float32(impact) * weight)
                matched[d] = True
        return
    superblock = np.int64(-1)
    e = np.int64(-1)
    for j in range(term_count[t]):
        if term_kind[t] == RARE:
            while e + 1 < term_entries[t] and np.int64(entry_start[term_entry[t] + e + 1]) <= j:
                e += 1
            d = (np.int64(entry_window[term_entry[t] + e]) << 16) | np.int64(rare_docs[term_docs[t] + j])
        else:
            row = term_entry[t]
            while superblock + 1 < superblock_start.shape[1]:
                after = superblock + 1
                start = np.int64(window_start[row, after >> 8]) + np.int64(superblock_start[row, after])
                if start > j:
                    break
                superblock = after
            d = (superblock << 8) | np.int64(frequent_docs[term_docs[t] + j])
        a = term_impacts[t] + j
        if term_width[t] == 1:
            impact32 = np.float32(impacts8[a])
        elif term_width[t] == 2:
            impact32 = np.float32(impacts16[a])
        else:
            impact32 = np.float32(impacts32[a])
        sums[d] += np.float64(impact32 * weight)
        matched[d] = True


@kernel
def add_terms(terms, weights, geometry, index, sums, matched):
    """All terms int32[n] of a query with weights float32[n]; see :func:`add_term`."""
    for i in range(len(terms)):
        add_term(terms[i], weights[i], geometry, index, sums, matched)
