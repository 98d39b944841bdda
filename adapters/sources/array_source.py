"""Postings as a sparse matrix in CSR form, in memory or memory-mapped: one row per document, one column per term."""
from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin._internal.parallel import in_order
from bmp_plugin._internal.progress import tqdm
from bmp_plugin.index.source import LARGEST_IMPACT, Documents, PostingBatch, SourceInfo

from .inversion import DEFAULT_BUDGET, Inverter
from .sorted_segments import SEGMENT_DOCUMENTS, SEGMENT_POSTINGS, SortedSegment, sort_segment

DOCIDS_AT_ONCE = 100_000


class ArraySource:
    """A source over a sparse matrix in CSR form: one row per document, one column per term.

    The arrays must not change while the source is used. They are inverted on first use.

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
        The term of every column; no term occurs twice. Columns without postings are omitted.
    threads : int
        Number of threads that invert the matrix.
    budget : int
        Number of postings held in memory, up to 6 bytes each; further ones are spilled to a temporary file until ``close``.
    temp_dir : str or Path, optional
        Folder of that unnamed file; the system's by default.
    progress : bool
        Show a progress bar during inversion.

    Raises
    ------
    ValueError
        If the array lengths disagree, a column is beyond the vocabulary, or an impact is out of range.
    """

    def __init__(self, ptr: NDArray[Any], terms: NDArray[Any], impacts: NDArray[Any], docids: Sequence[str],
                 vocabulary: Sequence[str], *, threads: int = 1, budget: int = DEFAULT_BUDGET,
                 temp_dir: str | Path | None = None, progress: bool = False) -> None:
        num_docs = len(ptr) - 1
        if len(docids) != num_docs or len(terms) != len(impacts) or (len(ptr) and ptr[-1] != len(terms)):
            raise ValueError(f"the arrays do not fit: {num_docs} rows, {len(docids)} docids, {len(terms)} terms, "
                             f"{len(impacts)} impacts")
        self._ptr, self._terms, self._impacts = ptr, terms, impacts
        self._docids = docids
        self._names = [str(token).encode() for token in vocabulary]
        self._threads, self._budget, self._temp_dir, self._progress = threads, budget, temp_dir, progress
        self._inverter: Inverter | None = None

    @cached_property
    def info(self) -> SourceInfo:
        """Describes the source; the fingerprint covers the bytes of all arrays, docids and terms."""
        digest = hashlib.sha256()
        for part in (self._ptr, self._terms, self._impacts):
            digest.update(np.ascontiguousarray(part).data)
        for strings in (*self._encoded_docids(), self._names):
            digest.update(b"\0".join(strings) + b"\1")
        return SourceInfo("arrays", "<memory>", digest.hexdigest(), len(self._docids))

    def documents(self) -> Documents:
        """Returns one document per row."""
        num_docs = len(self._docids)
        joined, lengths, at = bytearray(), np.empty(num_docs, np.int64), 0
        for docids in self._encoded_docids():
            joined += b"".join(docids)
            lengths[at:at + len(docids)] = np.fromiter(map(len, docids), np.int64, len(docids))
            at += len(docids)
        return Documents(bytes(joined), np.cumsum(lengths), np.arange(num_docs, dtype=np.int32))

    def _encoded_docids(self) -> Iterator[list[bytes]]:
        for lo in range(0, len(self._docids), DOCIDS_AT_ONCE):
            yield [str(docid).encode() for docid in self._docids[lo:lo + DOCIDS_AT_ONCE]]

    def num_postings_hint(self) -> int | None:
        """Returns the exact number of postings."""
        return len(self._terms)

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every term once, in ascending order of its column."""
        if self._inverter is None:
            inverter = Inverter(self._budget, self._temp_dir)
            try:
                with tqdm(total=len(self._terms), unit=" postings", unit_scale=True, desc="inverting",
                          disable=not self._progress, file=sys.stderr) as bar:
                    for segment in in_order(self._segment, pairwise(self._bounds()), self._threads):
                        inverter.add_segment(segment)
                        bar.update(segment.docs.size)
                inverter.finish(len(self._names))
            except BaseException:
                inverter.close()
                raise
            self._inverter = inverter
        for numbers, counts, docs, impacts in self._inverter.batches():
            yield PostingBatch([self._names[t] for t in numbers.tolist()], counts, counts, docs, impacts)

    def _bounds(self) -> list[int]:
        """Returns the rows at which segments begin, and the end."""
        num_docs = len(self._docids)
        bounds = [0]
        while bounds[-1] < num_docs:
            lo = bounds[-1]
            fitting = int(np.searchsorted(self._ptr, self._ptr[lo] + SEGMENT_POSTINGS, "right")) - 1
            bounds.append(min(max(fitting, lo + 1), lo + SEGMENT_DOCUMENTS, num_docs))
        return bounds

    def _segment(self, rows: tuple[int, int]) -> SortedSegment:
        lo, hi = rows
        part = slice(int(self._ptr[lo]), int(self._ptr[hi]))
        terms, impacts = self._terms[part], self._impacts[part]
        if terms.size and not (terms.min() >= 0 and terms.max() < len(self._names)):
            raise ValueError(f"rows {lo} to {hi - 1} have terms that are not below {len(self._names)}, the vocabulary's size")
        if impacts.size and not (impacts.min() >= 1 and impacts.max() <= LARGEST_IMPACT):
            raise ValueError(f"rows {lo} to {hi - 1} have impacts that are not 1 to {LARGEST_IMPACT}")
        docs = np.repeat(np.arange(lo, hi, dtype=np.int32), np.diff(self._ptr[lo:hi + 1]))
        return sort_segment(lo, [(np.ascontiguousarray(terms, np.int32), docs, np.ascontiguousarray(impacts, np.int32))])

    def close(self) -> None:
        """Drops the inverted postings and their temporary file; may be called twice."""
        if self._inverter is not None:
            self._inverter.close()
            self._inverter = None
