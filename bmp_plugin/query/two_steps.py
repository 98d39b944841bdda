"""Approximate search in two steps: the query's heaviest lists choose candidates, all of its lists score these.

After Lassance, Dejean, Clinchant and Tonellotto, "Two-Step SPLADE: Simple, Efficient and Effective Approximation of
SPLADE", ECIR 2024. The first step is the safe search of a shorter query, with all that makes that fast; most of what a long
query costs is in tokens that hardly move a document. The second visits the superblocks of the candidates only.
"""
from __future__ import annotations

import math

import numpy as np

from ..kernels import kernel
from .rescore import rescore
from .search import search
from .topk import finish, make_key

MORE_SHARE = 2          # candidates are k, and k over this more,
MORE = 10              # and so many more
TOKENS = 12             # lists that are never exceeded at beta 0.5
EXACT = 2**24            # integers below are their own float32


@kernel
def num_candidates(k, num_docs):
    """How many documents the first step finds for the best k."""
    return min(k + k // MORE_SHARE + MORE, num_docs)


@kernel
def split(lists, weights, beta, list_max):
    """The lists by how much they can add to a score, most first, as int64[n]; and how many are for the first step.

    Of n lists it takes n s / (n + s), where s = TOKENS beta / (1 - beta): of few nearly all, of many never more than s.
    """
    n = len(lists)
    most = np.empty(n, np.int64)
    for i in range(n):
        most[i] = -weights[i] * np.int64(list_max[lists[i]])
    return np.argsort(most, kind="mergesort"), max(1, min(n, math.ceil(1.0 / (1.0 / n + (1.0 - beta) / (TOKENS * beta)))))


@kernel
def search_in_two_steps(lists, weights, k, alpha, beta, budget, first_tier, geometry, index, docs, scores, statistics):
    """As :func:`.search.search`, approximately if beta, above 0, is below 1: see :func:`split`."""
    order, heavy = split(lists, weights, beta, index.list_max)
    wanted = num_candidates(k, geometry[0])
    if heavy == len(lists):
        return search(lists, weights, k, alpha, budget, first_tier, geometry, index, docs, scores, statistics)
    candidates = np.empty(wanted, np.int32)
    sums = np.empty(wanted, np.float32)
    first, rest = order[:heavy], order[heavy:]
    n = search(lists[first], weights[first], wanted, alpha, budget, first_tier, geometry, index, candidates, sums, statistics)
    if n < wanted:                       # too few match the heaviest, or there are too many of these
        return search(lists, weights, k, alpha, budget, first_tier, geometry, index, docs, scores, statistics)
    ascending = np.argsort(candidates)
    positions = candidates[ascending].astype(np.int64)
    totals = sums[ascending].astype(np.int64)
    if sums[0] < EXACT:
        rescore(lists[rest], weights[rest], positions, totals, geometry, index)
    else:                                # rounded: nothing is to be added to it
        totals[:] = 0
        rescore(lists, weights, positions, totals, geometry, index)
    keys = np.empty(n, np.uint64)
    for x in range(n):
        keys[x] = make_key(np.float32(totals[x]), index.doc_rank[positions[x]])
    return finish(keys, n, k, index.rank_doc, docs, scores)
