"""Scores given documents: each is a block of its own, and scored as blocks are."""
from __future__ import annotations

import numpy as np

from ..index.decode import CHUNK, HEAD, START_SENTINEL, decode_chunk, make_chunk
from ..index.layout import SUPERBLOCK, SUPERBLOCK_SHIFT, WINDOW_SHIFT
from ..intrinsics import DECODED
from ..kernels import inline_kernel, kernel
from .lists import groups_of, make_query_lists, record_groups, run_bytes
from .prepare import LISTS_OF_TERM
from .scores import make_matches, score_superblock
from .visits import make_visits, seek, set_blocks


@kernel
def rescore(lists, weights, docs, sums, index):
    """Add what lists int32[m] with weights int64[m] have for internal document ids docs int64[n] to sums int64[n].

    The sums of the products have to fit int32.
    """
    query = make_query_lists(lists, weights, np.zeros(len(lists), np.int64), index)
    visits, chunk, is_recorded = make_visits(len(docs), len(lists) - query.num_with_maxima), make_chunk(), np.zeros(index.num_windows, np.bool_)
    for v in range(np.uint64(len(docs))):
        window = docs[v] >> WINDOW_SHIFT
        if not is_recorded[window]:
            is_recorded[window] = True
            _record_window(query, index, window, chunk)
        visits.superblock[v] = docs[v] >> SUPERBLOCK_SHIFT
        visits.blocks[v, 0] = docs[v] & (SUPERBLOCK - 1)
        set_blocks(visits, v, 1, 0)
        seek(visits, v, query, index, True)
    matches, acc = make_matches(len(lists)), np.empty(SUPERBLOCK, np.int32)
    for v in range(np.uint64(len(docs))):
        score_superblock(visits, v, query, index, matches, acc, True)
        sums[v] += np.int64(acc[visits.blocks[v, 0]])


@inline_kernel
def _record_window(query, index, window, chunk):
    """Record the groups of all sparse lists in a window."""
    for i in range(query.num_with_maxima, len(query.weights)):
        gaps_at, impacts_at, n = run_bytes(query, i, window)
        groups, before = groups_of(query, i, window), np.uint64(START_SENTINEL)
        for done in range(0, n, CHUNK):
            count, at = min(n - done, CHUNK), np.uint64(done)
            before = decode_chunk(index.postings, gaps_at + at, impacts_at + at, count, before, chunk)
            record_groups(query, groups + done // DECODED, chunk.docs, HEAD, count)


@kernel
def read_impacts(terms, docs, index, impacts):
    """Read the impacts of terms int32[m] in internal document ids docs int64[n] into impacts int64[m, n], zeros before; they
    stay 0 where a document lacks the term."""
    lists, weights = np.empty(LISTS_OF_TERM, np.int32), np.empty(LISTS_OF_TERM, np.int64)
    for i in range(len(terms)):
        lists[0], weights[0], n = terms[i], 1, 1
        for extra in range(index.term_overflow[terms[i]], index.term_overflow[terms[i] + 1]):
            lists[n], weights[n] = extra, np.int64(1) << np.int64(index.list_shift[extra])
            n += 1
        rescore(lists[:n], weights[:n], docs, impacts[i], index)
