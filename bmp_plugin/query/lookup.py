"""Documents by their docids, many at once: for scores that are asked for, not searched."""
from __future__ import annotations

import numpy as np

from ..kernels import kernel


@kernel
def _order(data, start, end, wanted, wanted_start, wanted_end):
    """Below 0, 0 or above 0 as data[start:end] comes before wanted[wanted_start:wanted_end], is it, or comes after."""
    n, m = end - start, wanted_end - wanted_start
    for i in range(min(n, m)):
        if data[start + i] != wanted[wanted_start + i]:
            return np.int64(data[start + i]) - np.int64(wanted[wanted_start + i])
    return n - m


@kernel
def find_documents(docid_bytes, docid_end, rank_doc, wanted, wanted_end, positions):
    """Positions int32[m] of the documents whose docids are given, -1 where there is none; rank_doc sorts docids by bytes.

    Docids are wanted uint8[bytes] up to wanted_end int64[m], as docid_bytes up to docid_end int64[documents].
    """
    start = np.int64(0)
    for i in range(len(wanted_end)):
        end = wanted_end[i]
        lo, hi = 0, len(rank_doc)
        while lo < hi:
            mid = (lo + hi) // 2
            doc = np.int64(rank_doc[mid])
            if _order(docid_bytes, docid_end[doc - 1] if doc > 0 else np.int64(0), docid_end[doc], wanted, start, end) < 0:
                lo = mid + 1
            else:
                hi = mid
        positions[i] = -1
        if lo < len(rank_doc):
            doc = np.int64(rank_doc[lo])
            if _order(docid_bytes, docid_end[doc - 1] if doc > 0 else np.int64(0), docid_end[doc], wanted, start, end) == 0:
                positions[i] = doc
        start = end
