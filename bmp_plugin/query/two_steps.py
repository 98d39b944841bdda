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
from .search import SearchOptions, search
from .topk import EXACT, finish, insert, make_key
from .tuning import FIRST_STEP_TOKENS, MORE_CANDIDATES


@kernel
def split(lists, weights, beta, list_max):
    """The lists by how much they can add to a score, most first, as int64[n]; and how many are for the first step.

    Of n lists it takes n s / (n + s), rounded up, where s = FIRST_STEP_TOKENS beta / (1 - beta): of few nearly all, of many
    never more than s. So long queries, which take most of the time, are cut most, and they can spare it.
    """
    n = len(lists)
    most = np.empty(n, np.int64)
    for i in range(n):
        most[i] = -weights[i] * np.int64(list_max[lists[i]])
    tokens = FIRST_STEP_TOKENS * beta / (1.0 - beta)
    return np.argsort(most, kind="mergesort"), max(1, min(n, math.ceil(1.0 / (1.0 / n + 1.0 / tokens))))


@part
def search_in_two_steps(lists, weights, floor_score, options, index, docs, scores, statistics):
    """Do what :func:`.search.search` does, which it is for beta = 1; else beta, above 0, says how much of the query comes first.

    alpha and budget are the first step's, which finds k + MORE_CANDIDATES sqrt(k) documents; floor_score is not, since a
    document may score more with all lists.
    """
    heavy, order = len(lists), np.empty(0, np.int64)
    wanted = min(options.k + int(MORE_CANDIDATES * math.sqrt(options.k)), index.num_docs)
    if options.beta < 1.0:
        order, heavy = split(lists, weights, options.beta, index.list_max)
    n = np.int64(0)
    if heavy < len(lists):
        first, rest = order[:heavy], order[heavy:]
        found, sums = np.empty(wanted, np.int32), np.empty(wanted, np.float32)
        more = SearchOptions(wanted, options.alpha, options.beta, options.budget)
        n = search(lists[first], weights[first], np.float32(0.0), more, index, found, sums, statistics)
    if heavy == len(lists) or n < wanted:       # nothing to spare, or too few documents match what comes first
        return search(lists, weights, floor_score, options, index, docs, scores, statistics)
    ascending = np.argsort(found)
    candidates, totals = found[ascending].astype(np.int64), sums[ascending].astype(np.int64)
    if sums[0] < EXACT:
        rescore(lists[rest], weights[rest], candidates, totals, index)
    else:                                       # rounded: nothing is to be added to it
        totals[:] = 0
        rescore(lists, weights, candidates, totals, index)
    heap, n = np.empty(options.k, np.uint64), np.int64(0)
    for x in range(wanted):
        key = make_key(np.float32(totals[x]), index.doc_rank[candidates[x]])
        if n < options.k or key > heap[0]:
            n = insert(heap, n, key)
    return finish(heap, n, index.rank_doc, docs, scores)
