"""Approximate search in two steps: the query's heaviest lists choose candidates, all of its lists score these.

After Lassance, Dejean, Clinchant and Tonellotto, "Two-Step SPLADE: Simple, Efficient and Effective Approximation of
SPLADE", ECIR 2024. The first step is the search of a shorter query, with all that makes that fast: most of what a long
query costs goes to tokens that hardly move a document. The others are looked up for the candidates alone.
"""
from __future__ import annotations

import math

import numpy as np

from ..kernels import kernel, part
from .rescore import rescore
from .search import search
from .topk import finish, make_key

TOKENS = 12              # lists that are not exceeded at beta 0.5
MORE = 5                 # candidates beyond k, over the square root of k
EXACT = 2**24            # integers below are their own float32


@kernel
def split(lists, weights, beta, list_max):
    """The lists by how much they can add to a score, most first, as int64[n]; and how many are for the first step.

    Of n lists it takes n s / (n + s), rounded up, where s = TOKENS beta / (1 - beta): of few nearly all, of many never more
    than s. So long queries, which take most of the time, are cut most, and they can spare it.
    """
    n = len(lists)
    most = np.empty(n, np.int64)
    for i in range(n):
        most[i] = -weights[i] * np.int64(list_max[lists[i]])
    return np.argsort(most, kind="mergesort"), max(1, min(n, math.ceil(1.0 / (1.0 / n + (1.0 - beta) / (TOKENS * beta)))))


@part
def search_in_two_steps(lists, weights, k, floor_score, alpha, beta, budget, first_tier, geometry, index, docs, scores,
                        statistics):
    """As :func:`.search.search`, which it is for beta = 1; else beta, above 0, says how much of the query comes first.

    alpha and budget are the first step's, which finds k + MORE sqrt(k) documents; floor_score is not, since a document may
    score more with all lists.
    """
    if beta == 1.0:
        return search(lists, weights, k, floor_score, alpha, budget, first_tier, geometry, index, docs, scores, statistics)
    order, heavy = split(lists, weights, beta, index.list_max)
    first, rest = order[:heavy], order[heavy:]
    wanted = min(k + int(MORE * math.sqrt(k)), geometry[0])
    found = np.empty(wanted, np.int32)
    sums = np.empty(wanted, np.float32)
    n = 0
    if len(rest) > 0:
        n = search(lists[first], weights[first], wanted, np.float32(0.0), alpha, budget, first_tier, geometry, index, found,
                   sums, statistics)
    if n < wanted:                       # nothing to spare, or too few documents match what comes first
        return search(lists, weights, k, floor_score, alpha, budget, first_tier, geometry, index, docs, scores, statistics)
    ascending = np.argsort(found)
    positions = found[ascending].astype(np.int64)
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
