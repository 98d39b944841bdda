"""Postings that are in memory already, as the rows of a sparse matrix: a document a row, a term a column."""
from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .source import Documents, PostingBatch, SourceInfo

BATCH = 4_000_000


class ArraySource:
    """A source over arrays in CSR form.

    Parameters
    ----------
    ptr : integer[num_docs + 1]
        Row d's postings are terms[ptr[d]:ptr[d + 1]].
    terms : integer[m]
        Columns, distinct within a row, in any order.
    impacts : integer[m]
        Impacts from 1 to 2^31 - 1.
    docids : sequence of str
    vocabulary : sequence of str
        The term of every column; no term twice. Columns without postings are left out.
    """

    def __init__(self, ptr: NDArray[Any], terms: NDArray[Any], impacts: NDArray[Any], docids: Sequence[str],
                 vocabulary: Sequence[str]) -> None:
        num_docs = len(ptr) - 1
        if len(docids) != num_docs or len(terms) != len(impacts) or (len(ptr) and ptr[-1] != len(terms)):
            raise ValueError(f"the arrays do not fit: {num_docs} rows, {len(docids)} docids, {len(terms)} terms, "
                             f"{len(impacts)} impacts")
        order = np.argsort(terms, kind="stable")            # a radix sort for 16-bit columns
        self._docs = np.repeat(np.arange(num_docs, dtype=np.int32), np.diff(ptr))[order]
        self._impacts = np.asarray(impacts)[order].astype(np.int32)
        self._counts = np.bincount(terms, minlength=len(vocabulary)).astype(np.int64)
        self._names = [str(token).encode() for token in vocabulary]
        self._docids = [str(docid).encode() for docid in docids]
        digest = hashlib.sha256()
        for part in (self._docs, self._impacts, self._counts):
            digest.update(np.ascontiguousarray(part).data)
        self.info = SourceInfo("arrays", "<memory>", digest.hexdigest(), num_docs)

    def documents(self) -> Documents:
        ends = np.cumsum([len(docid) for docid in self._docids], dtype=np.int64)
        return Documents(b"".join(self._docids), ends, np.arange(len(self._docids), dtype=np.int32))

    def num_postings_hint(self) -> int | None:
        return len(self._docs)

    def batches(self) -> Iterator[PostingBatch]:
        ends = np.cumsum(self._counts)
        lo = 0
        while lo < len(self._names):
            start = int(ends[lo] - self._counts[lo])
            hi = max(lo + 1, int(np.searchsorted(ends, start + BATCH, "right")))
            mine = [t for t in range(lo, hi) if self._counts[t]]
            counts = self._counts[mine]
            yield PostingBatch([self._names[t] for t in mine], counts, counts, self._docs[start:ends[hi - 1]],
                               self._impacts[start:ends[hi - 1]])
            lo = hi

    def close(self) -> None:
        """Nothing to free."""
