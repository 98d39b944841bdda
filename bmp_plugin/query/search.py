"""Safe Block-Max Pruning over superblocks: bounds for all, the most promising scored first, the others if they can matter.

After Mallia, Suel and Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning", SIGIR 2024. Blocks have
upper bounds as there. Visited is the superblock around blocks that may matter, once, and only these are scored, side by
side, unless they are many: see :mod:`.visit`; or, where many superblocks of a window may matter, list by list: see
:mod:`.sweep`. Instead of sorting superblocks by bound they are taken in a few tiers of falling bounds, each in storage order:
sequential memory, and no order among those that will be scored anyway.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..kernels import kernel, leaf
from .bounds import lowest_bound, scale_weights, upper_bounds
from .candidates import begin, make_candidates, offer, settle
from .instructions import LANES, below, lowest_bit
from .lists import order_lists
from .scores import make_found, score_superblock
from .skips import make_marks, make_skips
from .sweep import make_sweep, next_part, sweep_rows, sweep_window
from .topk import finish
from .visit import STEPS, announce, choose_blocks, locate, make_visits

TIER_GROWTH = 6
AT_ONCE = 16             # superblocks of a window that is swept, between two looks at the threshold


class Progress(NamedTuple):
    """How far a search has come.

    Attributes
    ----------
    best : :class:`.candidates.Threshold`
    demand : int64
        A block whose bound is at or below this one cannot matter.
    begun : int64
        Superblocks whose visit has begun.
    scored : int64
        Superblocks of which any block was scored.
    """

    best: Any
    demand: Any
    begun: Any
    scored: Any


class Work(NamedTuple):
    """What a search works with, allocated once a query.

    Attributes
    ----------
    block_bounds : uint16[blocks]
    bounds : uint16[superblocks + LANES]
    skips, marks
        See :mod:`.skips`.
    visits : :class:`.visit.Visits`
    visited : int64[STEPS]
        The superblock of each visit under way, or -1.
    found : :class:`.scores.Found`
    acc : int32[256]
    sweep : :class:`.sweep.Sweep`
    candidates : :class:`.candidates.Candidates`
    """

    block_bounds: Any
    bounds: Any
    skips: Any
    marks: Any
    visits: Any
    visited: Any
    found: Any
    acc: Any
    sweep: Any
    candidates: Any


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
def between(bounds, num_superblocks, floor, ceiling, todo):
    """Superblocks whose bounds are from ``floor``, above 0, to below ``ceiling``, into todo int32[superblocks], ascending;
    returns their number. bounds uint16 ends with LANES zeros.

    No bound is 65,535, see :func:`.bounds.scale_weights`, so that as a ceiling it is as good as anything above.
    """
    if floor >= ceiling:                 # which may be above 16 bits, both of them
        return np.int64(0)
    n, lowest, end = np.uint64(0), np.uint16(floor), np.uint16(min(ceiling, np.int64(65535)))
    for s in range(np.uint64(0), np.uint64(num_superblocks), np.uint64(LANES)):
        found = below(bounds, s, end) & ~below(bounds, s, lowest)
        while found:
            todo[n] = np.int32(s + lowest_bit(found))
            n += np.uint64(1)
            found &= found - np.uint64(1)
    return np.int64(n)


@leaf
def visit_part(todo, first, end, query, index, work, geometry, k, scale, alpha, budget, at):
    """Score the superblocks todo[first:end] as far as they may matter, one by one, at most ``budget`` in all; returns the
    progress then."""
    num_docs, block_shift = geometry[0], geometry[2]
    per_superblock = np.int64(256) >> block_shift
    bounds, visits, visited = work.bounds, work.visits, work.visited
    best, demand, begun, scored = at
    step = 0
    while True:
        v = step & (STEPS - 1)
        visited[v] = -1
        while first < end and visited[v] < 0 and begun < budget:
            s = np.int64(todo[first])
            first += 1
            if np.int64(bounds[s]) > demand:
                visited[v] = s
                begun += 1
        if visited[v] >= 0:
            announce(visited[v], query, index, work.block_bounds, per_superblock, work.marks)
        step += 1
        if step >= 2:
            before = (step - 2) & (STEPS - 1)
            s = visited[before]
            if s >= 0 and np.int64(bounds[s]) > demand:
                choose_blocks(work.block_bounds, s, block_shift, demand, visits, before)
                locate(s, query, index, work.skips, work.marks, visits, before)
        if step < 3:
            continue
        v = (step - 3) & (STEPS - 1)
        s = visited[v]
        if s < 0:
            break
        if np.int64(bounds[s]) <= demand:
            continue
        score_superblock(s, query, index, visits, v, work.found, work.acc)
        scored += 1
        had = best.lowest
        best = offer(work.acc, 0, s, visits, v, num_docs, index.doc_rank, work.candidates, k, scale, best)
        if best.lowest != had:
            demand = lowest_bound(best.lowest, scale, alpha)
    return Progress(best, demand, begun, scored)


@leaf
def sweep_part(todo, first, end, query, index, work, geometry, k, scale, alpha, budget, at):
    """The same of superblocks of one window, list by list. Changes ``todo``."""
    best, demand, begun, scored = at
    m = first                            # those that may still matter move to the front
    for x in range(first, end):
        if np.int64(work.bounds[todo[x]]) > demand:
            todo[m] = todo[x]
            m += 1
    if m == first:
        return at
    sweep_window(work.sweep, todo, first, m, work.block_bounds, geometry[2], demand, query, index)
    x = first
    while x < m and begun < budget:
        batch = x                        # the next few of them
        y = x
        while x < m and y < batch + AT_ONCE and begun < budget:
            if np.int64(work.bounds[todo[x]]) > demand:
                todo[y] = todo[x]
                y += 1
                begun += 1
            x += 1
        sweep_rows(work.sweep, todo, batch, y, work.block_bounds, geometry[2], demand, query, index)
        scored += y - batch
        had = best.lowest
        for z in range(batch, y):
            s = np.int64(todo[z])
            best = offer(work.sweep.sums, (s & 255) << 8, s, work.sweep.visits, z - batch, geometry[0], index.doc_rank,
                         work.candidates, k, scale, best)
        if best.lowest != had:
            demand = lowest_bound(best.lowest, scale, alpha)
    return Progress(best, demand, begun, scored)


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
    num_superblocks, block_shift = geometry[1], geometry[2]
    scaled = np.empty(len(lists), np.int64)
    scale = scale_weights(lists, weights, index, scaled)
    if scale == 0.0:
        return -1
    query = order_lists(lists, weights, scaled, index, geometry[3])
    block_bounds = np.empty((geometry[3] << 16) >> block_shift, np.uint16)
    skips, marks = make_skips(query), make_marks(query, num_superblocks)
    bounds = np.empty(num_superblocks + LANES, np.uint16)
    bounds[num_superblocks:] = 0
    upper_bounds(query, geometry, index, block_bounds, skips, marks, bounds)
    counts = np.zeros(1024, np.int64)
    for s in range(num_superblocks):
        counts[bounds[s] >> 6] += 1

    work = Work(block_bounds, bounds, skips, marks, make_visits(STEPS, len(lists)), np.empty(STEPS, np.int64),
                make_found(len(lists)), np.empty(256, np.int32), make_sweep(block_shift), make_candidates(k))
    todo = np.empty(num_superblocks + 1, np.int32)
    best = begin(floor_score)
    demand = lowest_bound(best.lowest, scale, alpha) if floor_score > np.float32(0.0) else np.int64(0)
    at = Progress(best, demand, np.int64(0), np.int64(0))
    ceiling = np.int64(65536)            # superblocks with bounds from here up were seen in earlier tiers
    wanted = min(first_tier, budget)
    while True:
        floor = tier_floor(counts, wanted)
        last_tier = wanted >= budget
        wanted = min(wanted * TIER_GROWTH, budget)
        if floor >= ceiling and not last_tier:
            continue
        floor = max(floor, min(at.demand + 1, ceiling))
        num_todo = between(bounds, num_superblocks, floor, ceiling, todo)
        first = np.int64(0)
        while first < num_todo:
            end, swept = next_part(todo, first, num_todo, query)
            if swept:
                at = sweep_part(todo, first, end, query, index, work, geometry, k, scale, alpha, budget, at)
            else:
                at = visit_part(todo, first, end, query, index, work, geometry, k, scale, alpha, budget, at)
            first = end
        if at.best.n >= k:
            best = settle(work.candidates, k, at.best)
            at = Progress(best, lowest_bound(best.lowest, scale, alpha), at.begun, at.scored)
        ceiling = floor
        if ceiling <= at.demand + 1 or at.begun >= budget or last_tier:
            break
    statistics[0] = num_superblocks
    statistics[1] = at.scored
    return finish(work.candidates.keys, at.best.n, k, index.rank_doc, docs, scores)
