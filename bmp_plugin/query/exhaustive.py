"""Scores all documents in numpy, in Lucene's own arithmetic.

It answers what the search cannot: queries whose sums do not fit it, and every query until the search is compiled, see
:mod:`..searcher.compiled_search`. Nothing here needs compiled code.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..index.decode_arrays import decode_term_arrays
from ..index.layout import KernelIndex


def sum_scores(terms: NDArray[np.int32], weights: NDArray[np.int64],
               index: KernelIndex) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns the scores of all documents for a query.

    Lucene multiplies the whole impact and the weight in float32 and adds in float64.

    Parameters
    ----------
    terms, weights : int32[n], int64[n]
        A weight may be 0.
    index : KernelIndex

    Returns
    -------
    float64[num_docs], bool[num_docs]
        Scores by internal document id, and which documents match.
    """
    sums, matched = np.zeros(index.num_docs), np.zeros(index.num_docs, np.bool_)
    for term, weight in zip(terms.tolist(), weights.astype(np.float32), strict=True):
        docs, impacts = decode_term_arrays(term, index)
        sums[docs] += impacts.astype(np.float32) * weight
        matched[docs] = True
    return sums, matched


def best_documents(sums: NDArray[np.float64], matched: NDArray[np.bool_], doc_rank: NDArray[np.int32],
                   k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Returns the k best of the documents that match: float32 score descending, then rank ascending.

    Parameters
    ----------
    sums, matched, doc_rank : float64[num_docs], bool[num_docs], int32[num_docs]
    k : int
        At least 1.

    Returns
    -------
    int32[n], float32[n]
        Internal document ids and scores, n <= k.
    """
    found = np.flatnonzero(matched)
    scores = sums[found].astype(np.float32)
    if len(found) > k:                       # those below the k-th best score cannot tie with it
        kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
        found, scores = found[kept], scores[kept]
    best = np.lexsort((doc_rank[found], -scores))[:k]
    return found[best].astype(np.int32), scores[best]
