"""Approximate search in two steps: the query's heaviest lists choose candidates, all of its lists score these.

After Lassance, Dejean, Clinchant and Tonellotto, "Two-Step SPLADE: Simple, Efficient and Effective Approximation of
SPLADE", ECIR 2024. The first step is the search of a shorter query: most of what a long query costs goes to tokens that
hardly move a document. The others are looked up for the candidates alone.
"""
from __future__ import annotations

import math

import numpy as np

from .._internal.kernels import inline_part
from .block_max_pruning import SearchOptions, search
from .rescore import rescore
from .topk import EXACT, RANK_MASK, finish, keep_best, make_key
from .tuning import FIRST_STEP_TOKENS, MORE_CANDIDATES


@inline_part
def is_heavy(lists, weights, beta, list_max):
    """Which lists, bool[n], are for the first step: those that can add most to a score, n s / (n + s) of them, rounded up.

    s = FIRST_STEP_TOKENS beta / (1 - beta): nearly all of few, never more than s of many. So long queries are cut most. Returns
    how many they are besides, int64.
    """
    n, heavy = len(lists), np.zeros(len(lists), np.bool_)
    if beta == 1.0:
        heavy[:] = True
        return heavy, np.int64(n)
    tokens, keys = FIRST_STEP_TOKENS * beta / (1.0 - beta), np.empty(n, np.uint64)
    for i in range(n):                   # a weight times an impact is below 2^24
        keys[i] = np.uint64(weights[i] * np.int64(list_max[lists[i]])) << np.uint64(32) | (RANK_MASK - np.uint64(i))
    first = max(1, min(n, math.ceil(1.0 / (1.0 / n + 1.0 / tokens))))
    keep_best(keys, n, first)
    for x in range(first):
        heavy[np.int64(RANK_MASK - (keys[x] & RANK_MASK))] = True
    return heavy, np.int64(first)


@inline_part
def search_in_two_steps(lists, weights, floor_score, options, share, index, docs, scores, statistics):
    """Search in two steps, or for beta = 1 in one; parameters and result are those of :func:`.block_max_pruning.search`.

    alpha and budget are the first step's, which finds k + MORE_CANDIDATES sqrt(k) documents; floor_score is not, since a
    document may score more with all lists.
    """
    heavy, num_heavy = is_heavy(lists, weights, options.beta, index.list_max)
    more = min(options.k + int(MORE_CANDIDATES * math.sqrt(options.k)), index.num_docs)
    wanted = np.int64(0 if num_heavy == len(lists) else more)
    found, sums, keys, n = np.empty(wanted, np.int32), np.empty(wanted, np.float32), np.empty(wanted, np.uint64), np.int64(0)
    if wanted > 0:
        first = SearchOptions(wanted, options.alpha, options.beta, options.budget)
        n = search(lists[heavy], weights[heavy], np.float32(0.0), first, share, index, found, sums, statistics)
    if wanted == 0 or n < wanted:        # nothing to spare, or too few documents match what comes first
        return search(lists, weights, floor_score, options, share, index, docs, scores, statistics)
    candidates, totals, rest = found.astype(np.int64), sums.astype(np.int64), ~heavy
    if sums[0] >= EXACT:                 # rounded: nothing is to be added to it
        totals[:], rest[:] = 0, True
    rescore(lists[rest], weights[rest], candidates, totals, index)
    for x in range(wanted):
        keys[x] = make_key(np.float32(totals[x]), index.doc_rank[candidates[x]])
    return finish(keys, wanted, options.k, index.rank_doc, docs, scores)
