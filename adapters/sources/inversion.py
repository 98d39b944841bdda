"""Inversion: postings in document order become postings in term order, within a memory budget.

Sort-based inversion (I. Witten, A. Moffat, T. Bell, "Managing Gigabytes", 2nd edition, chapter 5), here with the
sorted segments of :mod:`.sorted_segments`.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .sorted_segments import SEGMENT_DOCUMENTS, SEGMENT_POSTINGS, Chunk, SegmentStore, SortedSegment, sort_segment

DEFAULT_BUDGET = 64_000_000
"""Largest number of postings held in memory, 3 to 6 bytes each."""

BATCH_POSTINGS = 4_000_000
"""Largest number of postings of a batch, unless one term has more. Indexes depend on it: see :mod:`bmp_plugin.index.build`."""


class Inverter:
    """Collects postings in document order and returns them in term order.

    Parameters
    ----------
    budget : int
        Number of postings held in memory; further ones are spilled to a temporary file.
    temp_dir : str or Path, optional
        Folder of that unnamed file; the system's by default.

    Raises
    ------
    ValueError
        If ``budget`` is below 1.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET, temp_dir: str | Path | None = None) -> None:
        if budget < 1:
            raise ValueError(f"budget is {budget}: give at least 1 posting")
        self.num_postings = 0
        self._largest_segment = min(budget, SEGMENT_POSTINGS)
        self._store = SegmentStore(budget, temp_dir)
        self._chunks: list[Chunk] = []
        self._pending = 0
        self._counts = np.zeros(0, np.int64)

    @property
    def num_segments(self) -> int:
        """Returns the number of segments so far."""
        return len(self._store)

    @property
    def spilled(self) -> bool:
        """Tells whether postings were spilled to a temporary file."""
        return self._store.spilled

    @property
    def counts(self) -> NDArray[np.int64]:
        """Returns the number of postings of each term, int64[num_terms]; complete after :meth:`finish`."""
        return self._counts

    def add(self, terms: NDArray[np.int32], docs: NDArray[np.int32], impacts: NDArray[np.int32]) -> None:
        """Adds postings: int32[n] term ids, documents (ascending, also from call to call) and impacts; kept, not copied."""
        while terms.size:
            first = int(self._chunks[0][1][0]) if self._pending else int(docs[0])
            fitting = int(np.searchsorted(docs, first + SEGMENT_DOCUMENTS))
            if self._pending and (fitting == 0 or self._pending + fitting > self._largest_segment):
                self._end_segment()
                continue
            self._chunks.append((terms[:fitting], docs[:fitting], impacts[:fitting]))
            self._pending += fitting
            terms, docs, impacts = terms[fitting:], docs[fitting:], impacts[fitting:]

    def add_segment(self, segment: SortedSegment) -> None:
        """Adds a segment, whose documents come after all earlier ones."""
        self._end_segment()
        self._store.append(segment)
        self.num_postings += segment.docs.size
        counts = segment.counts
        longer, shorter = (counts, self._counts) if counts.size > self._counts.size else (self._counts, counts)
        self._counts = longer.copy() if longer is counts else longer
        self._counts[:shorter.size] += shorter

    def finish(self, num_terms: int) -> None:
        """Sorts the pending postings; ``num_terms`` is the number of terms of all postings."""
        self._end_segment()
        if self._counts.size < num_terms:
            self._counts = np.concatenate([self._counts, np.zeros(num_terms - self._counts.size, np.int64)])

    def _end_segment(self) -> None:
        if self._pending:
            chunks, self._chunks, self._pending = self._chunks, [], 0
            self.add_segment(sort_segment(int(chunks[0][1][0]), chunks))

    def batches(
        self, max_postings: int = BATCH_POSTINGS
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]]:
        """Yields (term ids, counts, docs, impacts) for ascending ranges of terms; terms without postings are omitted.

        A batch has at most ``max_postings`` postings, unless one term alone has more. May be called again.
        """
        ends = np.cumsum(self._counts)
        first = 0
        while first < self._counts.size:
            before = int(ends[first - 1]) if first else 0
            last = max(int(np.searchsorted(ends, before + max_postings, side="right")), first + 1)
            counts = self._counts[first:last]
            if int(ends[last - 1]) > before:
                docs, impacts = self._store.merged(first, last, counts)
                present = np.flatnonzero(counts)
                yield present + first, counts[present], docs, impacts
            first = last

    def close(self) -> None:
        """Drops all postings, spilled ones included; may be called twice."""
        self._chunks, self._pending = [], 0
        self._store.close()
