"""Scores all documents, in Lucene's own arithmetic: for queries whose sums do not fit the search."""
from __future__ import annotations

import numpy as np

from .._internal.kernels import kernel
from ..index.decode import decode_term


@kernel
def add_terms(terms, weights, index, sums, matched):
    """Add terms int32[n] of weights float32[n], 0 allowed, to all their documents: sums float64[documents], matched bool.

    Lucene multiplies the whole impact and the weight in float32 and adds in float64.
    """
    docs, impacts = np.empty(len(sums), np.int32), np.empty(len(sums), np.int64)
    scratch_docs, scratch_impacts = np.empty(len(sums), np.int32), np.empty(len(sums), np.uint8)
    for i in range(len(terms)):
        for j in range(decode_term(terms[i], index, scratch_docs, scratch_impacts, docs, impacts)):
            sums[docs[j]] += np.float64(np.float32(impacts[j]) * weights[i])
            matched[docs[j]] = True
