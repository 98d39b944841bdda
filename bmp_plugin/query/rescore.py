"""Scores given documents: each is a block of its own, and scored as blocks are."""
from __future__ import annotations

import numpy as np

from .._internal.kernels import kernel
from ..index.layout import SUPERBLOCK, SUPERBLOCK_SHIFT, WINDOW_SHIFT
from .block_scoring import make_matches, score_superblock
from .block_selection import make_visits, seek, set_blocks
from .prepare import LISTS_OF_TERM, append_term
from .query_lists import make_query_lists, make_run, read_run


@kernel
def rescore(lists, weights, docs, sums, index):
    """Add what lists int32[m] with weights int64[m] have for documents docs int64[n] to sums int64[n]. They fit int32."""
    query = make_query_lists(lists, weights, np.zeros(len(lists), np.int64), index)
    visits, run = make_visits(len(docs), len(lists)), make_run()
    is_recorded = np.zeros(index.num_windows, np.bool_)
    for v in range(np.uint64(len(docs))):
        window = docs[v] >> WINDOW_SHIFT
        if not is_recorded[window]:
            is_recorded[window] = True
            for i in range(query.num_with_maxima, len(lists)):
                read_run(query, i, window, index.postings, run)
        visits.superblock[v] = docs[v] >> SUPERBLOCK_SHIFT
        visits.blocks[v, 0] = docs[v] & (SUPERBLOCK - 1)
        set_blocks(visits, v, 1, 0)
        seek(visits, v, query, index, True)
    matches, acc = make_matches(len(lists)), np.empty(SUPERBLOCK, np.int32)
    for v in range(np.uint64(len(docs))):
        score_superblock(visits, v, query, index, matches, acc, True)
        sums[v] += np.int64(acc[visits.blocks[v, 0]])


@kernel
def read_impacts(terms, docs, index, impacts):
    """Read the impacts of terms int32[m] in internal document ids docs int64[n] into impacts int64[m, n], zeros before."""
    lists, weights = np.empty(LISTS_OF_TERM, np.int32), np.empty(LISTS_OF_TERM, np.int64)
    for i in range(len(terms)):
        n = append_term(terms[i], np.int64(1), index, lists, weights, 0)
        rescore(lists[:n], weights[:n], docs, impacts[i], index)
