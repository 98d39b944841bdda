"""Block-Max Pruning: upper bounds of all blocks, the most promising scored first, the others as long as they can matter.

After Mallia, Suel and Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning", SIGIR 2024. As there, blocks of
documents have upper bounds, blocks are scored in the order of their bounds, and the search ends when no bound that is left
reaches the k-th best score. It departs from the paper in this:

- Blocks are small, 4 documents instead of 8 to 256, since short rows of bounds are added up by vector instructions. What is
  visited is the superblock of 256 documents around the blocks that may matter, once: see :mod:`.block_selection`.
- Superblocks are not sorted by bound but taken in a few *tiers* of falling bounds, each in the order of storage: memory is
  read in sequence, and no order is needed among superblocks that will be scored anyway.
- Postings are not kept by block, but by list, as a list's block maxima are; :mod:`.block_scoring` finds those of a block.
  Where many superblocks of a window are to be scored, sparse lists are added up for the window as a whole.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.intrinsics import LANES, below_mask, lowest_bit
from .._internal.kernels import inline_kernel, inline_part
from ..index.layout import SUPERBLOCK, SUPERBLOCK_SHIFT, SUPERBLOCKS_PER_WINDOW, WINDOW
from .block_scoring import Matches, add_sparse_lists, make_matches, score_superblock
from .block_selection import Visits, choose_blocks, make_visits, prefetch_offsets, seek
from .query_lists import Run, make_query_lists, make_run
from .topk import BIN_SHIFT, BINS, Candidates, Threshold, finish, initial_threshold, insert, make_candidates, read_tallies
from .tuning import DELAY, FIRST_TIER, FIRST_TIER_SHARE, LEAST_SUPERBLOCKS, SEEK_COST, TIER_GROWTH, UNREAD_SUPERBLOCKS
from .upper_bounds import Bounds, bound_threshold, scale_weights, upper_bounds

UNFIT = -1               # of a query with too many lists for bounds in 16 bits


class SearchOptions(NamedTuple):
    """What to search for, and how safely."""

    k: int                                   # documents wanted
    alpha: float                             # bounds are multiplied by it; 1.0 is safe
    beta: float                              # how much of a query comes first, see two_steps; 1.0 is all of it, and safe
    budget: int                              # superblocks to score at most, in about the order of their bounds; all is safe


class WindowShare(NamedTuple):
    """The windows that one of several threads searches, and memory: that which all of them share, and its own."""

    thread: int                              # of threads, each of which searches as many windows in a row
    threads: int
    tallies: NDArray[np.int32]               # [threads, TALLY], how they know of each other's candidates, see topk
    block_bounds: NDArray[np.uint16]         # [>= blocks of whole windows], overwritten; one for all queries of a thread


class Workspace(NamedTuple):
    """What one search works with."""

    bounds: Bounds
    visits: Visits
    matches: Matches
    scores: NDArray[np.int32]                # of a superblock's documents
    window_sums: NDArray[np.int32]           # of a window's documents: its sparse lists added up
    run: Run
    candidates: Candidates


class SearchState(NamedTuple):
    """How far a search has come."""

    best: Threshold
    threshold: int                           # a block whose bound is at or below this one cannot matter
    visited: int                             # superblocks, of some blocks of which postings were sought


@inline_part
def search(lists, weights, floor_score, options, share, index, docs, scores, statistics):
    """Find the k best documents of some windows, safely or as ``options`` say; scores are whole in any case.

    Where several threads search, documents that are not among the k best of all windows may be missing.

    Parameters
    ----------
    lists, weights : int32[n], int64[n]
        Distinct lists with postings. Weights are at least 1, products with impacts below 2^24, and sums of these below 2^31.
    floor_score : float32
        Documents that score less are left out, as if k of that score had been found; 0 leaves out none.
    options, share, index : SearchOptions, WindowShare, KernelIndex
    docs, scores : int32[>= k], float32[>= k]
        Receive internal document ids and scores, best first.
    statistics : int64[2]
        Receives how many superblocks there are, and how many were visited.

    Returns
    -------
    int64
        The number of documents, or UNFIT.
    """
    scaled_weights = np.empty(len(lists), np.int64)
    scale = scale_weights(lists, weights, index, scaled_weights) / options.alpha
    if scale == 0.0:
        return np.int64(UNFIT)
    query = make_query_lists(lists, weights, scaled_weights, index)

    # Bounds: of all blocks and superblocks of the windows, and 0 of the superblocks of others.
    first_window = share.thread * index.num_windows // share.threads
    bounds = upper_bounds(query, first_window, (share.thread + 1) * index.num_windows // share.threads, index,
                          share.block_bounds)

    # Order: tiers of superblocks, each with several times as many as the one before.
    counts = np.zeros(BINS, np.int64)
    for s in range(index.num_superblocks):
        counts[bounds.superblocks[s] >> BIN_SHIFT] += 1
    tier = np.empty(index.num_superblocks + 1, np.int32)
    size = min(np.int64(max(1, (FIRST_TIER + options.k // FIRST_TIER_SHARE) // share.threads)), options.budget)
    ceiling = np.int64(1 << 16)          # superblocks with bounds from here up were in earlier tiers

    # Threshold: rises with the k-th best score.
    best = initial_threshold(floor_score)
    threshold = bound_threshold(best.lowest_sum, scale) if floor_score > np.float32(0.0) else np.int64(0)
    state = SearchState(best, threshold, np.int64(0))

    visits = make_visits(DELAY + 1, len(lists))
    work = Workspace(bounds, visits, make_matches(len(lists)), np.empty(SUPERBLOCK, np.int32), np.empty(WINDOW, np.int32),
                     make_run(), make_candidates(options.k, share.tallies, share.thread))
    # Stop: when no bound is left that is above the threshold.
    while ceiling > state.threshold + 1 and state.visited < options.budget:
        is_last = size >= options.budget
        floor = _tier_floor(counts, size)
        size = min(size * TIER_GROWTH, options.budget)
        if share.threads > 1:
            state = _read_tallies(work, scale, options, state)
        if floor >= ceiling and not is_last:
            continue
        floor = max(floor, min(state.threshold + 1, ceiling))
        end = _superblocks_between(bounds.superblocks, index.num_superblocks, floor, ceiling, tier)
        first = np.int64(0)
        while first < end:
            stop, whole_window = _next_part(tier, first, end, query)
            state = _score_part(tier[first:stop], whole_window, query, index, work, scale, options, share.threads, state)
            first = stop
        ceiling = floor
        if is_last:
            break
    statistics[0], statistics[1] = index.num_superblocks, state.visited
    return finish(work.candidates.keys, state.best.num_candidates, options.k, index.rank_doc, docs, scores)


@inline_kernel
def _tier_floor(counts, at_least):
    """The largest bound, in whole bins, such that at least that many superblocks have it or more."""
    total = 0
    for bucket in range(len(counts) - 1, 0, -1):
        total += counts[bucket]
        if total >= at_least:
            return np.int64(bucket) << BIN_SHIFT
    return np.int64(0)


@inline_kernel
def _superblocks_between(bounds, num_superblocks, floor, ceiling, tier):
    """Write the superblocks whose bounds are from ``floor``, above 0, to below ``ceiling`` into tier; returns their number.

    bounds uint16 ends with LANES zeros. As no bound is 65,535, that serves as an open upper limit.
    """
    if floor >= ceiling:                 # which may be above 16 bits, both of them
        return np.int64(0)
    n, lowest, end = np.uint64(0), np.uint16(floor), np.uint16(min(ceiling, np.int64(65535)))
    for s in range(np.uint64(0), np.uint64(num_superblocks), np.uint64(LANES)):
        found = below_mask(bounds, s, end) & ~below_mask(bounds, s, lowest)
        while found:
            tier[n] = np.int32(s + lowest_bit(found))
            n += np.uint64(1)
            found &= found - np.uint64(1)
    return np.int64(n)


@inline_kernel
def _next_part(tier, first, end, query):
    """Where the superblocks from tier[first] on end that are scored alike, int64, and whether their window is to be added up.

    It is where finding the postings of its superblocks one by one takes longer than going through its lists.
    """
    stop = first
    while stop < end:
        window, after = np.int64(tier[stop]) // SUPERBLOCKS_PER_WINDOW, stop + 1
        while after < end and np.int64(tier[after]) // SUPERBLOCKS_PER_WINDOW == window:
            after += 1
        if after - stop >= LEAST_SUPERBLOCKS:
            postings = np.int64(0)
            for i in range(query.num_with_maxima, len(query.weights)):
                postings += query.run_end[window, i] - query.run_start[window, i]
            if postings < (after - stop) * SEEK_COST * (len(query.weights) - query.num_with_maxima):
                if stop == first:
                    return after, True
                return stop, False
        stop = after
    return stop, False


@inline_kernel
def _score_part(part, whole_window, query, index, work, scale, options, threads, state):
    """Score the superblocks ``part``, of one window if ``whole_window``, as far as they may matter; returns the state then."""
    visits, bounds = work.visits, work.bounds
    if whole_window:
        add_sparse_lists(query, index, part, work.run, work.window_sums)
    acc = work.window_sums if whole_window else work.scores
    for step in range(len(part) + DELAY):
        if step + 1 < len(part):
            prefetch_offsets(np.int64(part[step + 1]), query, index, bounds.blocks)
        if step < len(part):
            v, s = np.uint64(step % (DELAY + 1)), np.int64(part[step])
            visits.superblock[v] = -1
            if np.int64(bounds.superblocks[s]) > state.threshold and state.visited < options.budget:
                visits.superblock[v] = s
                choose_blocks(visits, v, bounds.blocks, index, state.threshold)
                seek(visits, v, query, index, not whole_window)
                state = SearchState(state.best, state.threshold, state.visited + 1)
        if step >= DELAY:
            v = np.uint64((step - DELAY) % (DELAY + 1))
            s = visits.superblock[v]
            if s >= 0 and np.int64(bounds.superblocks[s]) > state.threshold:
                score_superblock(visits, v, query, index, work.matches, acc, not whole_window)
                best = _insert_scores(acc, visits, v, index, work.candidates, options.k, scale, state.best)
                state = _with_best(best, scale, state)
                if threads > 1 and step % (threads * UNREAD_SUPERBLOCKS) == 0:
                    state = _read_tallies(work, scale, options, state)
    return state


@inline_kernel
def _read_tallies(work, scale, options, state):
    """The state after a look at what other threads have found."""
    return _with_best(read_tallies(work.candidates, options.k, scale, state.best), scale, state)


@inline_kernel
def _with_best(best, scale, state):
    """The state with another :class:`.topk.Threshold`."""
    if best.lowest_sum > state.best.lowest_sum:
        return SearchState(best, bound_threshold(best.lowest_sum, scale), state.visited)
    return SearchState(best, state.threshold, state.visited)


@inline_kernel
def _insert_scores(acc, visits, v, index, candidates, k, scale, threshold):
    """Insert the documents of visit v's blocks whose sums are in acc int32; returns the threshold then."""
    base = visits.superblock[v] << SUPERBLOCK_SHIFT
    at = base & (len(acc) - 1)           # acc is of a window, or of a superblock
    for b in range(visits.num_blocks[v]):
        first = np.int64(visits.blocks[v, b])
        for d in range(first, min(first + (np.int64(1) << visits.block_shift[v]), index.num_docs - base)):
            total = np.int64(acc[at + d])
            if total >= threshold.lowest_sum:
                threshold = insert(candidates, k, total, index.doc_rank[base + d], scale, threshold)
    return threshold
