"""Safe Block-Max Pruning over superblocks: bounds for all, the most promising scored first, the others if they can matter.

After Mallia, Suel and Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning", SIGIR 2024. Blocks have
upper bounds as there; what is scored is the superblock around a block that may matter, since adding up all postings of
256 documents costs about as much as looking up those of 8. Instead of sorting superblocks by bound they are taken in a
few tiers of falling bounds, each in storage order: sequential memory, and no order among those that will be scored anyway.
"""
from __future__ import annotations

import numpy as np

from ..index.layout import DENSE
from ..kernels import kernel
from .bounds import lowest_bound, scale_weights, superblock_bounds
from .instructions import touch_postings, touch_starts
from .scores import score_superblock
from .terms import NUM_GROUPS, enter_entries, enter_starts, group_terms
from .topk import finish, keep_best, key_score, lowest_sum, make_key

TIER_GROWTH = 6


@kernel
def tier_floor(counts, at_least):
    """The largest bound, in bins of 64, such that at least that many superblocks have it or more."""
    had = 0
    for bucket in range(len(counts) - 1, 0, -1):
        had += counts[bucket]
        if had >= at_least:
            return np.int64(bucket) << 6
    return np.int64(0)


@kernel
def offer(acc, base, num_docs, lowest, doc_rank, keys, n, k, theta):
    """Offer a superblock's sums acc int32[256]; returns (candidates, the k-th best key so far or 0).

    ``lowest`` is the least sum that may enter, ``theta`` the k-th best key when it was last known.
    """
    top = np.int32(0)
    for d in range(256):
        top = max(top, acc[d])
    if top < lowest:
        return n, theta
    for d in range(min(np.int64(256), num_docs - base)):
        if acc[d] >= lowest:
            key = make_key(np.float32(acc[d]), doc_rank[base + d])
            if key > theta:
                keys[n] = key
                n += 1
                if n == len(keys):
                    theta = keep_best(keys, n, k)
                    n = k
                    lowest = max(lowest, lowest_sum(key_score(theta)))
    return n, theta


@kernel
def search(terms, weights, k, alpha, first_tier, geometry, index, docs, scores, statistics):
    """The k best documents: positions into docs int32[>= k], scores float32[>= k]; returns their number, or -1.

    terms int32[n] distinct, with postings; weights int64[n] >= 1, such that every product of weight and impact is below
    2^24 and every sum below 2^31. -1 says that the query has too many terms for bounds in 16 bits. alpha scales the
    bounds, 1.0 is safe. first_tier: superblocks in the first tier. geometry int64[4]: documents, superblocks,
    block_shift, windows. ``index`` is the tuple of arrays that :data:`bmp_plugin.searcher.KERNEL_ARRAYS` names.
    statistics int64[2] receives how many superblocks there are and how many were scored.
    """
    (term_count, term_max, term_kind, term_width, term_docs, term_impacts, term_entry, term_entries,
     entry_window, entry_start, rare_docs, window_start, superblock_start, frequent_docs, block_max, dense_impacts,
     impacts8, impacts16, impacts32, doc_rank, rank_doc) = index
    num_docs, num_superblocks, block_shift = geometry[0], geometry[1], geometry[2]
    num_terms = len(terms)
    scaled = np.empty(num_terms, np.int64)
    scale = scale_weights(terms, weights, term_max, term_kind, scaled)
    if scale == 0.0:
        return -1
    ordered = np.empty(num_terms, np.int64)
    groups = np.empty(NUM_GROUPS + 1, np.int64)
    group_terms(terms, term_kind, term_width, ordered, groups)
    weights32 = np.empty(num_terms, np.int32)
    scaled_by_group = np.empty(num_terms, np.int64)
    row = np.empty(num_terms, np.int64)
    dense_row = np.empty(num_terms, np.int64)
    count = np.empty((num_terms, 2), np.int64)
    docs_at = np.empty(num_terms, np.int64)
    to_impacts = np.empty(num_terms, np.int64)
    for i in range(num_terms):
        t = terms[ordered[i]]
        weights32[i] = weights[ordered[i]]
        scaled_by_group[i] = scaled[ordered[i]]
        row[i] = term_entry[t]
        dense_row[i] = term_entries[t] if term_kind[t] == DENSE else term_entry[t]
        count[i, 0] = term_entries[t]
        count[i, 1] = term_count[t]
        docs_at[i] = term_docs[t]
        to_impacts[i] = term_impacts[t] - term_docs[t]
    cursor = np.zeros(num_terms, np.int64)
    first = np.zeros(num_terms, np.int64)
    last = np.zeros(num_terms, np.int64)
    bounds = np.empty(num_superblocks, np.uint16)
    superblock_bounds(groups, scaled_by_group, row, count, docs_at, to_impacts, geometry, entry_window,
                      entry_start, rare_docs, impacts8, impacts16, impacts32, block_max, cursor, first, last,
                      np.empty((2, 32768 >> block_shift), np.uint16), bounds)
    counts = np.zeros(1024, np.int64)
    for s in range(num_superblocks):
        counts[bounds[s] >> 6] += 1

    keys = np.empty(k + max(16, k >> 1), np.uint64)
    acc = np.empty(256, np.int32)
    todo = np.empty(num_superblocks + 1, np.int32)
    n = 0
    theta = np.uint64(0)
    lowest = np.int64(1)                 # the least sum that may enter
    demand = np.int64(-1)                # a superblock whose bound is at or below this one cannot matter
    ceiling = np.int64(65536)            # bounds from here up were seen in earlier tiers
    wanted = first_tier
    scored = 0
    while True:
        floor = tier_floor(counts, wanted)
        wanted *= TIER_GROWTH
        if floor >= ceiling:
            continue
        floor = max(floor, min(demand + 1, ceiling))
        num_todo = 0
        for s in range(num_superblocks):
            todo[num_todo] = s
            num_todo += np.int64(bounds[s]) >= floor and np.int64(bounds[s]) < ceiling
        cursor[:] = 0
        window = np.int64(-1)
        for i in range(num_todo):
            s = np.int64(todo[i])
            if i + 2 < num_todo:
                touch_starts(np.int64(todo[i + 2]), groups, row, superblock_start)
            if np.int64(bounds[s]) <= demand:
                continue
            if s >> 8 != window:
                window = s >> 8
                enter_starts(window, groups, row, docs_at, window_start, first, last)
                enter_entries(window, groups, row, count, docs_at, entry_window, entry_start, cursor, first, last)
            if i + 1 < num_todo and np.int64(todo[i + 1]) >> 8 == window:
                touch_postings(np.int64(todo[i + 1]), groups, dense_row, to_impacts, first, superblock_start, frequent_docs,
                               impacts8, dense_impacts)
            score_superblock(s, groups, weights32, dense_row, to_impacts, first, last, rare_docs, impacts8, impacts16,
                             impacts32, superblock_start, frequent_docs, dense_impacts, acc)
            scored += 1
            before = theta
            n, theta = offer(acc, s << 8, num_docs, lowest, doc_rank, keys, n, k, theta)
            if theta != before:
                lowest = max(np.int64(1), lowest_sum(key_score(theta)))
                demand = lowest_bound(lowest, scale, alpha)
        if n >= k:
            theta = keep_best(keys, n, k)
            n = k
            lowest = max(np.int64(1), lowest_sum(key_score(theta)))
            demand = lowest_bound(lowest, scale, alpha)
        ceiling = floor
        if ceiling <= demand + 1 or ceiling == 0:
            break
    statistics[0] = num_superblocks
    statistics[1] = scored
    return finish(keys, n, k, rank_doc, docs, scores)
