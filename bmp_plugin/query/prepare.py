"""Turns a query's terms and weights into the posting lists to search: which terms count, and whether their sums fit."""
from __future__ import annotations

import numpy as np

from ..index.layout import DIGIT_SHIFTS
from ..kernels import kernel
from .topk import EXACT

LARGEST_WEIGHT = 2**31 - 1
LARGEST_SUM = 2**31 - 1                  # scores are added up in int32
LISTS_OF_TERM = 1 + len(DIGIT_SHIFTS)
OUT_OF_RANGE, TOO_LARGE = -2, -1         # instead of a number of lists


@kernel
def prepare(ids, values, kept, index, lists, list_weights):
    """Write the lists of a query of n tokens, overflow lists included, into lists int32[n LISTS_OF_TERM], and their weights.

    Parameters
    ----------
    ids, values : int64[n]
        Terms, -1 for unknown tokens, and weights.
    kept : bool[terms]
        Which terms count.
    index : KernelIndex
    lists, list_weights : int32[n LISTS_OF_TERM], int64[n LISTS_OF_TERM]

    Returns
    -------
    tuple of int64
        How many terms count that weigh 0, and how many lists there are. That is TOO_LARGE if products may not be exact in
        float32 or sums not fit int32, as the search assumes, and OUT_OF_RANGE if a weight is none from 0 to LARGEST_WEIGHT.
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
        lists[num_lists], list_weights[num_lists] = t, value
        num_lists += 1
        largest = np.float64(index.list_max[t])            # impact that the term may have, by the largest of its digits
        for extra in range(index.term_overflow[t], index.term_overflow[t + 1]):
            shift = np.int64(index.list_shift[extra])
            lists[num_lists], list_weights[num_lists] = extra, value << shift
            num_lists += 1
            largest += np.float64(np.int64(index.list_max[extra]) << shift)
        small = small and np.float64(value) * largest < EXACT
        total += np.float64(value) * largest
    return num_zeros, (num_lists if small and total < LARGEST_SUM else TOO_LARGE)
