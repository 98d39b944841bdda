"""Turns a query's terms and weights into the posting lists to search: which terms count, whether their sums fit."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..index.layout import DIGIT_SHIFTS
from ..kernels import kernel
from .topk import EXACT

LARGEST_WEIGHT = 2**31 - 1
LARGEST_SUM = 2**31 - 1          # scores are added up in int32
LISTS_OF_TERM = 1 + len(DIGIT_SHIFTS)

OUT_OF_RANGE = -2
TOO_LARGE = -1


class QueryTerms(NamedTuple):
    """A query of n tokens, sorted out; there is room for all of them everywhere.

    Attributes
    ----------
    terms : int32[n]
    weights : int64[n]
        Terms of positive weight that count.
    zeros : int32[n]
        Terms of weight 0 that count.
    lists : int32[LISTS_OF_TERM n]
    list_weights : int64[LISTS_OF_TERM n]
        The posting lists of the former, with their overflow lists.
    """

    terms: NDArray[np.int32]
    weights: NDArray[np.int64]
    zeros: NDArray[np.int32]
    lists: NDArray[np.int32]
    list_weights: NDArray[np.int64]


@kernel
def make_query_terms(n):
    """Room for a query of n tokens."""
    return QueryTerms(np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int32),
                      np.empty(LISTS_OF_TERM * n, np.int32), np.empty(LISTS_OF_TERM * n, np.int64))


@kernel
def prepare(ids, values, kept, index, query):
    """Sort out a query into ``query``, :class:`QueryTerms`; returns how many terms, zeros and lists there are.

    ids int64[n] are terms, -1 for unknown tokens; values int64[n] are weights; kept bool[terms] says which terms count.
    Instead of the number of lists comes TOO_LARGE if products may not be exact in float32, or sums not fit in int32, as
    the search assumes; or OUT_OF_RANGE if a weight is none from 0 to LARGEST_WEIGHT.
    """
    n, num_zeros, num_lists = 0, 0, 0
    total, small = 0.0, True
    for i in range(len(ids)):
        value, t = values[i], ids[i]
        if value < 0 or value > LARGEST_WEIGHT:
            return 0, 0, OUT_OF_RANGE
        if t < 0 or not kept[t]:
            continue
        if value == 0:
            query.zeros[num_zeros] = t
            num_zeros += 1
            continue
        query.terms[n], query.weights[n] = t, value
        n += 1
        query.lists[num_lists], query.list_weights[num_lists] = t, value
        num_lists += 1
        largest = np.int64(index.list_max[t])              # impact of the term: below 2^33, of digits' maxima
        for extra in range(index.term_overflow[t], index.term_overflow[t + 1]):
            shift = np.int64(index.list_shift[extra])
            query.lists[num_lists], query.list_weights[num_lists] = extra, value << shift
            num_lists += 1
            largest += np.int64(index.list_max[extra]) << shift
        small = small and np.float64(value) * np.float64(largest) < EXACT
        total += np.float64(value) * np.float64(largest)
    return n, num_zeros, (num_lists if small and total < LARGEST_SUM else TOO_LARGE)
