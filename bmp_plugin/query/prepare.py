"""From a query's terms and weights to what kernels search with: which count, which lists they have, whether sums fit."""
from __future__ import annotations

import numpy as np

from ..kernels import kernel

LARGEST_WEIGHT = 2**31 - 1
EXACT_PRODUCT = 2**24        # integers below are their own float32
EXACT_SUM = 2**31 - 1        # the kernels add in int32

OUT_OF_RANGE = -2
TOO_LARGE = -1


@kernel
def prepare(ids, values, kept, term_max, excess, terms, weights, zeros, lists, list_weights):
    """Sort out a query; returns how many terms, zeros and lists there are.

    ids int64[n], -1 for unknown tokens; values int64[n]. kept bool[terms], term_max int64[terms] and excess int32[terms]
    are the index's. Into terms int32[n], weights int64[n] go the terms that count, into zeros int32[n] those of weight 0,
    into lists int32[2 n], list_weights int64[2 n] the posting lists of the former.

    Instead of the number of lists comes TOO_LARGE if products or sums do not fit the fast kernels, or OUT_OF_RANGE if a
    value is none from 0 to LARGEST_WEIGHT.
    """
    n, num_zeros, num_lists = 0, 0, 0
    total = 0.0
    small = True
    for i in range(len(ids)):
        value, t = values[i], ids[i]
        if value < 0 or value > LARGEST_WEIGHT:
            return 0, 0, OUT_OF_RANGE
        if t < 0 or not kept[t]:
            continue
        if value == 0:
            zeros[num_zeros] = t
            num_zeros += 1
            continue
        terms[n] = t
        weights[n] = value
        n += 1
        lists[num_lists] = t
        list_weights[num_lists] = value
        num_lists += 1
        if excess[t] >= 0:
            lists[num_lists] = excess[t]
            list_weights[num_lists] = value
            num_lists += 1
        product = value * term_max[t]                      # below 2^62
        small = small and product < EXACT_PRODUCT
        total += np.float64(product)
    return n, num_zeros, (num_lists if small and total < EXACT_SUM else TOO_LARGE)
