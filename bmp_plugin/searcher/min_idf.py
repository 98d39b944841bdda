"""Which terms count in queries: Pyserini drops a token unless ``ln(N / df) > min_idf``, at 0 one of every document."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def kept_terms(df: NDArray[np.int64], num_docs: int, min_idf: float) -> NDArray[np.bool_]:
    """Tells for each term whether ``ln(num_docs / df) > min_idf``: bool[terms], of document frequencies int64[terms]."""
    if min_idf == 0:                           # ln(N / df) > 0
        return df < num_docs
    with np.errstate(divide="ignore"):
        return np.log(num_docs / df) > min_idf


class IdfFilter:
    """The terms of a collection that are kept, for a ``min_idf`` that may change between searches.

    Parameters
    ----------
    df : int64[terms]
        Document frequencies.
    num_docs : int
        Number of documents of the source.
    """

    def __init__(self, df: NDArray[np.int64], num_docs: int) -> None:
        self._df, self._num_docs = df, num_docs
        self._last: tuple[float, NDArray[np.bool_]] | None = None

    def kept(self, min_idf: float) -> NDArray[np.bool_]:
        """Tells for each term whether it counts: bool[terms]."""
        last = self._last
        if last is None or last[0] != min_idf:
            last = self._last = (min_idf, kept_terms(self._df, self._num_docs, min_idf))
        return last[1]
