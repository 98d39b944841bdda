"""A block-max index as a source of postings, for exports. Its source document ids are the index's internal ones."""
from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from bmp_plugin import BmpIndex
from bmp_plugin._internal.kernels import kernel
from bmp_plugin.index.decode import decode_term
from bmp_plugin.index.layout import kernel_index
from bmp_plugin.index.source import Documents, PostingBatch, SourceInfo
from bmp_plugin.index.strings import gather

BATCH = 4_000_000
"""Largest number of postings of a batch, unless a single term has more."""


class BlockMaxSource:
    """A :class:`~bmp_plugin.index.source.PostingSource` over an index, in its current document order.

    Terms are in ascending order of their UTF-8 bytes; those without live documents are omitted.

    Parameters
    ----------
    index : BmpIndex
    """

    def __init__(self, index: BmpIndex) -> None:
        self._index = index
        self._counts = index.arrays["list_count"][: index.num_terms]
        source = index.manifest["source"]
        self.info = SourceInfo("block-max", str(index.path), source["fingerprint"], index.num_docs, source["ties_by_docid"])

    @property
    def num_terms(self) -> int:
        """The number of terms that have postings."""
        return int(np.count_nonzero(self._counts))

    def documents(self) -> Documents:
        """Returns all documents, in the order of the index."""
        arrays = self._index.arrays
        return Documents(arrays["docid_bytes"].tobytes(), np.array(arrays["docid_end"]),
                         np.arange(self._index.num_docs, dtype=np.int32))

    def num_postings_hint(self) -> int | None:
        """Returns the exact number of postings."""
        return self._index.num_postings

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every term once, in ascending order."""
        arrays = self._index.arrays
        index, term_end = kernel_index(arrays, self._index.geometry), arrays["term_end"]
        term_start = np.concatenate([np.zeros(1, np.int64), term_end[:-1]])
        ends = np.cumsum(self._counts)
        first = 0
        while first < self._counts.size:
            before = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + BATCH, "right")))
            total = int(ends[last - 1]) - before
            docs, impacts = np.empty(total, np.int32), np.empty(total, np.int32)
            read_terms(first=first, last=last, index=index, docs=docs, impacts=impacts)
            mine = first + np.flatnonzero(self._counts[first:last])
            names = gather(arrays["term_bytes"], term_start[mine], term_end[mine]).tobytes()
            cuts = [0, *np.cumsum(term_end[mine] - term_start[mine]).tolist()]
            counts = self._counts[mine].astype(np.int64)
            yield PostingBatch([names[a:b] for a, b in pairwise(cuts)], counts, counts, docs, impacts)
            first = last

    def close(self) -> None:
        """Does nothing: memory maps are released with the index."""


@kernel
def read_terms(first, last, index, docs, impacts):
    """Decodes the postings of terms first to last - 1 into docs int32[m] and impacts int32[m], concatenated."""
    longest = np.int64(0)
    for t in range(first, last):
        longest = max(longest, index.list_count[t])
    scratch_docs, scratch_impacts = np.empty(longest, np.int32), np.empty(longest, np.uint8)
    term_impacts, at = np.empty(longest, np.int64), np.int64(0)
    for t in range(first, last):
        n = decode_term(t, index, scratch_docs, scratch_impacts, docs[at:], term_impacts)
        for j in range(n):
            impacts[at + j] = np.int32(term_impacts[j])
        at += n
