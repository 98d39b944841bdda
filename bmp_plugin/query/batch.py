"""Many queries in one call, each searched and its ties adjusted: what threads run without holding the interpreter."""
from __future__ import annotations

import math

import numpy as np

from ..kernels import kernel
from .addresses import index_at
from .prepare import prepare
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
def search_many(starts, ids, values, kept, term_max, excess, k, floors, alpha, beta, budget, first_tier, geometry, addresses,
                docs, scores, outcomes):
    """Several queries; query q has the tokens starts[q] to starts[q + 1] of ids and values, and floors[q].

    Tokens are as :func:`.prepare.prepare` takes them. Results go to docs int32[queries, >= k], scores
    float32[queries, >= k] and outcomes int64[queries, 4]: how many documents were found, or a number below 0 for a query
    that needs the exhaustive way, or is refused by it; how many of its terms weigh 0; the statistics of
    :func:`.two_steps.search_in_two_steps`, which see for the others. The index is where :func:`.addresses.addresses_of` says.
    """
    index = index_at(addresses)
    longest = np.int64(0)
    for q in range(len(starts) - 1):
        longest = max(longest, starts[q + 1] - starts[q])
    terms, zeros, lists = np.empty(longest, np.int32), np.empty(longest, np.int32), np.empty(2 * longest, np.int32)
    weights, list_weights = np.empty(longest, np.int64), np.empty(2 * longest, np.int64)
    for q in range(len(starts) - 1):
        lo, hi = starts[q], starts[q + 1]
        _, outcomes[q, 1], n = prepare(ids[lo:hi], values[lo:hi], kept, term_max, excess, terms, weights, zeros, lists,
                                       list_weights)
        if n > 0:
            n = search_in_two_steps(lists[:n], list_weights[:n], k, floors[q], alpha, beta, budget, first_tier, geometry,
                                    index, docs[q], scores[q], outcomes[q, 2:])
        outcomes[q, 0] = n
