"""Sorted segments: the postings of consecutive documents, sorted by term, each small enough to be sorted in cache.

The sort is a counting sort, which keeps documents ascending within a term. Segments hold ascending ranges of documents, so
a term is merged by concatenating its part of each. A segment covers at most 65,536 documents, stores them in 16 bits and
impacts in the narrowest type that holds them. Segments beyond the memory budget are written to an unnamed temporary file,
which vanishes with the process.
"""
from __future__ import annotations

import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin._internal.kernels import kernel

SEGMENT_DOCUMENTS = 2**16
SEGMENT_POSTINGS = 2**23
"""Largest number of postings of a segment, unless one document has more; sorting takes some 15 bytes for each."""


Chunk = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
"""Postings in document order: terms, documents, impacts."""


@dataclass
class SortedSegment:
    """Postings of the documents first_doc, first_doc + 1, ..., sorted by term.

    Attributes
    ----------
    first_doc : int
    counts : int64[num_terms]
        Number of postings of each term; terms first seen after this segment are not included.
    docs : uint16[m]
        Documents, relative to first_doc.
    impacts : uint8[m], uint16[m] or int32[m]
    """

    first_doc: int
    counts: NDArray[np.int64]
    docs: NDArray[np.uint16]
    impacts: NDArray[Any]


def sort_segment(first_doc: int, chunks: list[Chunk]) -> SortedSegment:
    """Sorts postings by term.

    Parameters
    ----------
    first_doc : int
    chunks : list of (terms, docs, impacts)
        int32[m] each: term ids; ascending documents, also from chunk to chunk, all below first_doc + 65,536; impacts.
    """
    counts = np.zeros(max((int(terms.max()) + 1 for terms, _, _ in chunks if terms.size), default=0), np.int64)
    for terms, _, _ in chunks:
        _count_terms(terms, counts)
    total = int(counts.sum())
    out_docs, out_impacts = np.empty(total, np.uint16), np.empty(total, np.int32)
    cursors = np.cumsum(counts) - counts
    for terms, docs, impacts in chunks:
        _sort_by_term(first_doc, terms, docs, impacts, cursors, out_docs, out_impacts)
    return SortedSegment(first_doc, counts, out_docs, _narrowed(out_impacts))


def _narrowed(impacts: NDArray[np.int32]) -> NDArray[Any]:
    if impacts.size and impacts.min() < 0:
        return impacts
    top = int(impacts.max()) if impacts.size else 0
    return impacts.astype(np.uint8 if top < 2**8 else np.uint16 if top < 2**16 else np.int32, copy=False)


class SegmentStore:
    """Stores segments in ascending order of their documents: the first ones in memory, the others in a temporary file.

    Parameters
    ----------
    budget : int
        Number of postings kept in memory.
    temp_dir : str or Path, optional
        Folder of the temporary file; the system's by default.
    """

    def __init__(self, budget: int, temp_dir: str | Path | None = None) -> None:
        self._budget = budget
        self._temp_dir = temp_dir
        self._file: IO[bytes] | None = None
        self._segments: list[_Stored] = []
        self.num_postings = 0

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def spilled(self) -> bool:
        """Tells whether some segments are in the file."""
        return self._file is not None

    def append(self, segment: SortedSegment) -> None:
        """Stores one more segment; an ``OSError`` tells of a full disk."""
        self.num_postings += segment.docs.size
        starts = np.zeros(segment.counts.size + 1, np.uint32)
        np.cumsum(segment.counts, out=starts[1:])
        parts = (starts, segment.docs, segment.impacts)
        if self.num_postings <= self._budget and self._file is None:
            self._segments.append(_Stored(segment.first_doc, segment.counts.size, *(_InMemory(part) for part in parts)))
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._temp_dir)         # noqa: SIM115 (closed by close)
            weakref.finalize(self, self._file.close)
        written = (_InFile.written(self._file, part) for part in parts)
        self._segments.append(_Stored(segment.first_doc, segment.counts.size, *written))

    def merged(self, first: int, last: int, counts: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Merges the postings of the terms first to last - 1.

        Parameters
        ----------
        first, last : int
        counts : int64[last - first]
            Number of postings of each term.

        Returns
        -------
        docs, impacts : int32[sum(counts)]
        """
        cursors = np.cumsum(counts) - counts
        total = int(counts.sum())
        docs, impacts = np.empty(total, np.int32), np.empty(total, np.int32)
        for segment in self._segments:
            end = min(last, segment.num_terms)
            if first >= end:
                continue
            starts = segment.starts.read(first, end + 1).astype(np.int64)
            lo, hi = int(starts[0]), int(starts[-1])
            if lo < hi:
                _append(segment.first_doc, starts, segment.docs.read(lo, hi), segment.impacts.read(lo, hi).astype(np.int32),
                        cursors, docs, impacts)
        return docs, impacts

    def close(self) -> None:
        """Drops all segments and the temporary file; may be called twice."""
        self._segments, self.num_postings = [], 0
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass
class _InMemory:
    values: NDArray[Any]

    def read(self, lo: int, hi: int) -> NDArray[Any]:
        return self.values[lo:hi]


@dataclass
class _InFile:
    file: IO[bytes]
    offset: int
    dtype: np.dtype[Any]

    @classmethod
    def written(cls, file: IO[bytes], values: NDArray[Any]) -> _InFile:
        file.seek(0, 2)
        offset = file.tell()
        file.write(values.data)
        return cls(file, offset, values.dtype)

    def read(self, lo: int, hi: int) -> NDArray[Any]:
        values = np.empty(hi - lo, self.dtype)
        self.file.seek(self.offset + lo * self.dtype.itemsize)
        if self.file.readinto(values.data) != values.nbytes:        # type: ignore[attr-defined]
            raise OSError("a temporary file is shorter than what was written to it")
        return values


@dataclass
class _Stored:
    first_doc: int
    num_terms: int
    starts: _InMemory | _InFile          # uint32[num_terms + 1]
    docs: _InMemory | _InFile
    impacts: _InMemory | _InFile


@kernel
def _count_terms(terms, counts):
    """Adds the number of occurrences of each term id in ``terms`` to ``counts`` int64[num_terms]."""
    for i in range(terms.size):
        counts[terms[i]] += 1


@kernel
def _sort_by_term(first_doc, terms, docs, impacts, cursors, out_docs, out_impacts):
    """Scatters each posting to its term's cursor, and advances the cursor; out_docs uint16 are relative to first_doc."""
    for i in range(terms.size):
        at = cursors[terms[i]]
        out_docs[at] = np.uint16(docs[i] - first_doc)
        out_impacts[at] = impacts[i]
        cursors[terms[i]] = at + 1


@kernel
def _append(first_doc, starts, docs, impacts, cursors, out_docs, out_impacts):
    """Appends each term's part of a segment at the term's cursor, and advances the cursor.

    starts int64[n + 1] are relative to starts[0], where docs and impacts begin; cursors int64[n or more].
    """
    base = starts[0]
    for i in range(len(starts) - 1):
        at = cursors[i]
        for j in range(starts[i] - base, starts[i + 1] - base):
            out_docs[at] = np.int32(docs[j]) + np.int32(first_doc)
            out_impacts[at] = impacts[j]
            at += 1
        cursors[i] = at
