"""Turns a query's terms and weights into the posting lists to search: which terms count, and whether their sums fit."""
from __future__ import annotations

import numpy as np

from .._internal.kernels import inline_part, kernel
from ..index.layout import DIGIT_SHIFTS
from .topk import EXACT

LARGEST_WEIGHT = LARGEST_SUM = 2**31 - 1         # scores are added up in int32
LISTS_OF_TERM = 1 + len(DIGIT_SHIFTS)
OUT_OF_RANGE, TOO_LARGE = -2, -1         # instead of a number of lists


@inline_part
def append_term(t, weight, index, lists, weights, n):
    """Append a term's list and its overflow lists, and their weights, to n lists; returns how many there are then."""
    lists[n], weights[n] = t, weight
    n += 1
    for extra in range(index.term_overflow[t], index.term_overflow[t + 1]):
        lists[n], weights[n] = extra, weight << np.int64(index.list_shift[extra])
        n += 1
    return n


@kernel
def prepare(ids, values, kept, index, lists, list_weights):
    """Write the lists of a query of n tokens, and their weights, into lists int32[n LISTS_OF_TERM] and list_weights int64[...].

    ids int64[n] are terms, -1 for unknown tokens, values int64[n] their weights; kept bool[terms] says which count, by min_idf.
    Returns how many terms count that weigh 0, and how many lists there are; instead of these TOO_LARGE if products may not be
    exact in float32 or sums not fit int32, as the search assumes, or OUT_OF_RANGE if a weight is none up to LARGEST_WEIGHT.
    """
    num_zeros, num_lists, total, small = 0, 0, 0.0, True
    for i in range(len(ids)):
        value, t = values[i], ids[i]
        if value < 0 or value > LARGEST_WEIGHT:
            return 0, OUT_OF_RANGE
        if t < 0 or not kept[t]:
            continue
        if value == 0:
            num_zeros += 1
            continue
        end, product = append_term(t, value, index, lists, list_weights, num_lists), 0.0
        for x in range(num_lists, end):                    # the largest product that the term may have, by its digits' largest
            product += np.float64(list_weights[x]) * np.float64(index.list_max[lists[x]])
        num_lists, small, total = end, small and product < EXACT, total + product
    return num_zeros, (num_lists if small and total < LARGEST_SUM else TOO_LARGE)
