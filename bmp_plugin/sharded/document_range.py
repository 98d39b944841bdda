"""A range of a source's documents as a source of its own, from which a shard is built."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..index.source import Documents, PostingBatch, PostingSource


class DocumentRange:
    """A source over the documents lo to hi - 1 of another one.

    Source document ids are relative to the first document's. Terms without postings in the range are omitted.

    Parameters
    ----------
    source : PostingSource
        Stays open when this one is closed.
    documents : Documents
        All documents of ``source``.
    lo, hi : int
        Indices in ``documents``; lo < hi, or both 0 for an empty range.
    dfs : dict of bytes to int, optional
        Filled with the document frequency in ``source`` of every term, while batches are read.
    """

    def __init__(self, source: PostingSource, documents: Documents, lo: int, hi: int,
                 dfs: dict[bytes, int] | None = None) -> None:
        self._source, self._documents, self._lo, self._hi, self._dfs = source, documents, lo, hi, dfs
        self.first = int(documents.source_docids[lo]) if hi > lo else 0
        self._end = int(documents.source_docids[hi - 1]) + 1 if hi > lo else 0
        info = source.info
        details = {name: value for name, value in info.details.items() if name != "max_doc"}
        self.info = replace(info, fingerprint=f"{info.fingerprint}[{lo}:{hi}]", num_docs=hi - lo,
                            details=details | {"documents": f"{lo}:{hi}", "first_lucene_docid": self.first})

    def documents(self) -> Documents:
        """Returns the documents of the range."""
        ends = self._documents.docid_ends
        start = int(ends[self._lo - 1]) if self._lo else 0
        stop = int(ends[self._hi - 1]) if self._hi else 0
        return Documents(self._documents.docid_bytes[start:stop], ends[self._lo:self._hi] - start,
                         self._documents.source_docids[self._lo:self._hi] - np.int32(self.first))

    def num_postings_hint(self) -> int | None:
        """Estimates the number of postings from the range's share of the documents."""
        whole, num_docs = self._source.num_postings_hint(), len(self._documents.source_docids)
        return None if whole is None or not num_docs else whole * (self._hi - self._lo) // num_docs

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every term that has postings in the range."""
        for batch in self._source.batches():
            if self._dfs is not None:
                self._dfs.update(zip(batch.terms, batch.dfs.tolist(), strict=True))
            mine = (batch.docs >= self.first) & (batch.docs < self._end)
            before = np.concatenate([np.zeros(1, np.int64), np.cumsum(mine, dtype=np.int64)])
            ends = np.cumsum(batch.counts)
            counts = before[ends] - before[ends - batch.counts]
            kept = np.flatnonzero(counts)
            if len(kept):
                yield PostingBatch([batch.terms[i] for i in kept], counts[kept], counts[kept],
                                   batch.docs[mine] - np.int32(self.first), batch.impacts[mine])

    def close(self) -> None:
        """Does nothing: the source belongs to the caller."""
