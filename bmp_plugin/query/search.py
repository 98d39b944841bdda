"""Safe Block-Max Pruning over superblocks: bounds for all, the most promising scored first, the others if they can matter.

After Mallia, Suel and Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning", SIGIR 2024. Blocks have
upper bounds as there. Visited is the superblock around blocks that may matter, once, and only these are scored, side by
side, unless they are many: see :mod:`.visit`. Instead of sorting superblocks by bound they are taken in a few tiers of
falling bounds, each in storage order: sequential memory, and no order among those that will be scored anyway.
"""
from __future__ import annotations

import numpy as np

from ..kernels import kernel, leaf
from .bounds import lowest_bound, scale_weights, upper_bounds
from .lists import order_lists
from .scores import make_found, score_superblock
from .skips import make_marks, make_skips
from .topk import finish, floor_key, keep_best, key_score, lowest_sum, make_key
from .visit import STEPS, announce, choose_blocks, locate, make_visits

TIER_GROWTH = 6


@leaf
def tier_floor(counts, at_least):
    """The largest bound, in bins of 64, such that at least that many superblocks have it or more."""
    had = 0
    for bucket in range(len(counts) - 1, 0, -1):
        had += counts[bucket]
        if had >= at_least:
            return np.int64(bucket) << 6
    return np.int64(0)


@leaf
def offer(acc, superblock, visits, v, num_docs, lowest, doc_rank, keys, n, k, theta):
    """Offer the sums acc int32[256] of visit v's blocks; returns (candidates, the k-th best key so far or 0).

    ``lowest`` is the least sum that may enter, ``theta`` the k-th best key when it was last known.
    """
    base, shift = superblock << 8, visits.block_shift[v]
    for x in range(visits.num_blocks[v]):
        first = np.int64(visits.blocks[v, x]) << shift
        end = first + (np.int64(1) << shift)
        top = np.int32(0)
        for d in range(np.uint64(first), np.uint64(end)):
            top = max(top, acc[d])
        if top < lowest:
            continue
        for d in range(first, min(end, num_docs - base)):
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
def search(lists, weights, k, floor_score, alpha, budget, first_tier, geometry, index, docs, scores, statistics):
    """The k best documents: positions into docs int32[>= k], scores float32[>= k]; returns their number, or -1.

    lists int32[n] distinct, with postings; weights int64[n] >= 1, such that every product of weight and impact is below
    2^24 and every sum below 2^31. -1 says that the query has too many lists for bounds in 16 bits.

    Safe with alpha 1.0 and a budget of all superblocks. Else bounds are scaled by alpha, and blocks are scored of at most
    ``budget`` superblocks, in about the order of their bounds; scores are whole in any case.

    floor_score float32: documents that score less are left out, as if k of that score had been found; 0 leaves out none.

    first_tier: superblocks in the first tier. geometry int64[4]: documents, superblocks,
    block_shift, windows. ``index`` is :class:`.lists.Index`.
    statistics int64[2] receives how many superblocks there are and of how many any block was scored.
    """
    num_docs, num_superblocks, block_shift = geometry[0], geometry[1], geometry[2]
    per_superblock = np.int64(256) >> block_shift
    scaled = np.empty(len(lists), np.int64)
    scale = scale_weights(lists, weights, index, scaled)
    if scale == 0.0:
        return -1
    query = order_lists(lists, weights, scaled, index, geometry[3])
    block_bounds = np.empty((geometry[3] << 16) >> block_shift, np.uint16)
    skips, marks = make_skips(query), make_marks(query, num_superblocks)
    bounds = np.empty(num_superblocks, np.uint16)
    upper_bounds(query, geometry, index, block_bounds, skips, marks, bounds)
    counts = np.zeros(1024, np.int64)
    for s in range(num_superblocks):
        counts[bounds[s] >> 6] += 1

    keys = np.empty(k + max(16, k >> 1), np.uint64)
    acc = np.empty(256, np.int32)
    found = make_found(len(lists))
    todo = np.empty(num_superblocks + 1, np.int32)
    visits = make_visits(len(lists))
    visited = np.empty(STEPS, np.int64)          # the superblock of each visit under way, or -1
    n = 0
    theta = floor_key(floor_score)
    lowest = max(np.int64(1), lowest_sum(floor_score))     # the least sum that may enter
    demand = np.int64(0)                 # a block whose bound is at or below this one cannot matter: every posting adds 1
    if floor_score > np.float32(0.0):
        demand = lowest_bound(lowest, scale, alpha)
    ceiling = np.int64(65536)            # superblocks with bounds from here up were seen in earlier tiers
    wanted = min(first_tier, budget)
    begun = 0                            # superblocks whose visit has begun
    scored = 0
    while True:
        floor = tier_floor(counts, wanted)
        last_tier = wanted >= budget
        wanted = min(wanted * TIER_GROWTH, budget)
        if floor >= ceiling and not last_tier:
            continue
        floor = max(floor, min(demand + 1, ceiling))
        num_todo = 0
        for s in range(num_superblocks):
            todo[num_todo] = s
            num_todo += np.int64(bounds[s]) >= floor and np.int64(bounds[s]) < ceiling
        at = 0
        step = 0
        while True:
            v = step & (STEPS - 1)
            visited[v] = -1
            while at < num_todo and visited[v] < 0 and begun < budget:
                s = np.int64(todo[at])
                at += 1
                if np.int64(bounds[s]) > demand:
                    visited[v] = s
                    begun += 1
            if visited[v] >= 0:
                announce(visited[v], query, index, block_bounds, per_superblock, marks)
            step += 1
            if step >= 2:
                before = (step - 2) & (STEPS - 1)
                s = visited[before]
                if s >= 0 and np.int64(bounds[s]) > demand:
                    choose_blocks(block_bounds, s, block_shift, demand, visits, before)
                    locate(s, query, index, skips, marks, visits, before)
            if step < 3:
                continue
            v = (step - 3) & (STEPS - 1)
            s = visited[v]
            if s < 0:
                break
            if np.int64(bounds[s]) <= demand:
                continue
            score_superblock(s, query, index, visits, v, found, acc)
            scored += 1
            had = theta
            n, theta = offer(acc, s, visits, v, num_docs, lowest, index.doc_rank, keys, n, k, theta)
            if theta != had:
                lowest = max(np.int64(1), lowest_sum(key_score(theta)))
                demand = lowest_bound(lowest, scale, alpha)
        if n >= k:
            theta = keep_best(keys, n, k)
            n = k
            lowest = max(np.int64(1), lowest_sum(key_score(theta)))
            demand = lowest_bound(lowest, scale, alpha)
        ceiling = floor
        if ceiling <= demand + 1 or begun >= budget or last_tier:
            break
    statistics[0] = num_superblocks
    statistics[1] = scored
    return finish(keys, n, k, index.rank_doc, docs, scores)
