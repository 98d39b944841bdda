"""Many queries in one call, each searched and its ties adjusted: what threads run without holding the interpreter."""
from __future__ import annotations

import math

import numpy as np

from ..kernels import kernel
from .two_steps import search_in_two_steps


@kernel
def adjust_ties(scores, n):
    """Anserini's ScoreTiesAdjusterReranker on the ranked scores float32[n], in place.

    A score is rounded to 1e-4 as Java's Math.round(double) does; where it is within 1e-4 of the one before it, which is
    adjusted already, 1e-6 times the number of such scores in a row is taken off. The arithmetic is float32 but for the
    rounding, as there.
    """
    dup = 0
    for i in range(n):
        value = np.float64(scores[i]) * 10000.0
        if value < 4503599627370496.0:                     # from 2^52 on a double has no fraction
            value = math.floor(value + 0.5)
        value = min(value, 9223372036854775808.0)          # Math.round ends at Long.MAX_VALUE
        scores[i] = np.float32(value / 10000.0)
        if i == 0 or np.float32(scores[i - 1] - scores[i]) > np.float32(1e-4):
            dup = 0
        else:
            dup += 1
            scores[i] = np.float32(scores[i] - np.float32(np.float32(1e-6) * np.float32(dup)))


@kernel
def search_many(starts, lists, weights, k, floors, alpha, beta, budget, first_tier, geometry, index, docs, scores, found,
                statistics):
    """Several queries; query q has lists[starts[q]:starts[q + 1]], weights alike, and floors[q].

    Results go to docs int32[queries, >= k], scores float32[queries, >= k] and found int64[queries], which is -1 for a
    query that needs the exhaustive way; statistics int64[queries, 2]. See
    :func:`.two_steps.search_in_two_steps` for the others.
    """
    for q in range(len(starts) - 1):
        lo, hi = starts[q], starts[q + 1]
        if lo == hi:
            found[q] = 0
            continue
        found[q] = search_in_two_steps(lists[lo:hi], weights[lo:hi], k, floors[q], alpha, beta, budget, first_tier, geometry,
                                       index, docs[q], scores[q], statistics[q])
