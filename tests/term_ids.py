"""Sources of documents given as {term id: impact}, with and without deleted documents in between."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.index.source import Documents, PostingBatch


class WithDeletions(ArraySource):
    """Source document ids are 5, 8, 11 and so on, as if those in between had been deleted."""

    def documents(self) -> Documents:
        found = super().documents()
        return Documents(found.docid_bytes, found.docid_ends, found.source_docids * 3 + 5)

    def batches(self) -> Iterator[PostingBatch]:
        for batch in super().batches():
            batch.docs = batch.docs * 3 + 5
            yield batch


def source_of(documents: Sequence[Mapping[int, int]], num_terms: int, deletions: bool = False) -> ArraySource:
    """Returns a source whose docids are in another order than the documents, and whose terms are t0, t1 and so on."""
    ptr = np.cumsum([0] + [len(document) for document in documents])
    terms = np.array([t for document in documents for t in document], np.int64)
    impacts = np.array([x for document in documents for x in document.values()], np.int64)
    kind = WithDeletions if deletions else ArraySource
    docids = [f"d{i * 7919 % 10_007}" for i in range(len(documents))]
    return kind(ptr, terms, impacts, docids, [f"t{t}" for t in range(num_terms)])
