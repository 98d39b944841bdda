"""Runs: the postings of some documents in a row, by term, small enough to be turned round in the processor's cache.

Turning round is a counting sort, which keeps documents ascending within a term. Runs hold ascending ranges of documents,
so merging a term is putting its parts one after the other. A run of at most 65,536 documents stores them in 16 bits, and
impacts as narrow as they are; those beyond a budget are written to a file that has no name, hence vanishes whatever happens.
"""
from __future__ import annotations

import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin.kernels import kernel

RUN_DOCUMENTS = 2**16
RUN_POSTINGS = 2**23
"""Postings of a run at most (one document may have more): while it is turned round, some 15 bytes each."""


@dataclass
class Run:
    """Postings of documents first_doc, first_doc + 1, ..., by term.

    Attributes
    ----------
    first_doc : int
    counts : int64[num_terms]
        Postings of each term; terms that came later than the run are beyond its end.
    docs : uint16[m]
        Documents, from first_doc on.
    impacts : uint8[m], uint16[m] or int32[m]
    """

    first_doc: int
    counts: NDArray[np.int64]
    docs: NDArray[np.uint16]
    impacts: NDArray[Any]


def make_run(first_doc: int, terms: NDArray[np.int32], docs: NDArray[np.int32], impacts: NDArray[np.int32]) -> Run:
    """Turn round int32[m] term numbers, ascending documents (all below first_doc + 65,536) and impacts."""
    counts = np.zeros(int(terms.max()) + 1 if terms.size else 0, np.int64)
    _count_terms(terms, counts)
    out_docs, out_impacts = np.empty(terms.size, np.uint16), np.empty(terms.size, np.int32)
    _turn_round(first_doc, terms, docs, impacts, np.cumsum(counts) - counts, out_docs, out_impacts)
    return Run(first_doc, counts, out_docs, _narrowed(out_impacts))


def _narrowed(impacts: NDArray[np.int32]) -> NDArray[Any]:
    if impacts.size and impacts.min() < 0:
        return impacts
    top = int(impacts.max()) if impacts.size else 0
    return impacts.astype(np.uint8 if top < 2**8 else np.uint16 if top < 2**16 else np.int32, copy=False)


class RunStore:
    """Runs in ascending order of their documents: the first ones in memory, the others in a temporary file.

    Parameters
    ----------
    budget : int
        Postings kept in memory.
    temp_dir : str or Path, optional
        Folder of the file; the system's temporary folder if not given.
    """

    def __init__(self, budget: int, temp_dir: str | Path | None = None) -> None:
        self._budget = budget
        self._temp_dir = temp_dir
        self._file: IO[bytes] | None = None
        self._runs: list[_Stored] = []
        self.num_postings = 0

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def spilled(self) -> bool:
        """Whether some runs are in the file."""
        return self._file is not None

    def append(self, run: Run) -> None:
        """Keep one more run. Errors: ``OSError`` where the folder has no room."""
        self.num_postings += run.docs.size
        starts = np.zeros(run.counts.size + 1, np.uint32)
        np.cumsum(run.counts, out=starts[1:])
        parts = (starts, run.docs, run.impacts)
        if self.num_postings <= self._budget and self._file is None:
            self._runs.append(_Stored(run.first_doc, run.counts.size, *(_InMemory(part) for part in parts)))
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._temp_dir)         # noqa: SIM115 (closed by close)
            weakref.finalize(self, self._file.close)
        self._runs.append(_Stored(run.first_doc, run.counts.size, *(_InFile.written(self._file, part) for part in parts)))

    def merged(self, first: int, last: int, counts: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Documents and impacts of the terms first to last - 1, which have int64[last - first] ``counts`` postings."""
        cursors = np.cumsum(counts) - counts
        total = int(counts.sum())
        docs, impacts = np.empty(total, np.int32), np.empty(total, np.int32)
        for run in self._runs:
            end = min(last, run.num_terms)
            if first >= end:
                continue
            starts = run.starts.read(first, end + 1).astype(np.int64)
            lo, hi = int(starts[0]), int(starts[-1])
            if lo < hi:
                _put(run.first_doc, starts, run.docs.read(lo, hi), run.impacts.read(lo, hi).astype(np.int32), cursors, docs,
                     impacts)
        return docs, impacts

    def close(self) -> None:
        """Forget all runs, and the file; may be called twice."""
        self._runs, self.num_postings = [], 0
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
    """Add to ``counts`` (int64[num_terms]) how often each term number occurs in ``terms``."""
    for i in range(terms.size):
        counts[terms[i]] += 1


@kernel
def _turn_round(first_doc, terms, docs, impacts, cursors, out_docs, out_impacts):
    """Put each posting where its term's cursor stands, and advance the cursor; out_docs uint16 count from first_doc."""
    for i in range(terms.size):
        at = cursors[terms[i]]
        out_docs[at] = np.uint16(docs[i] - first_doc)
        out_impacts[at] = impacts[i]
        cursors[terms[i]] = at + 1


@kernel
def _put(first_doc, starts, docs, impacts, cursors, out_docs, out_impacts):
    """Put each term's part of a run where its cursor stands, and advance the cursor.

    starts int64[n + 1] count from starts[0], where docs and impacts begin; cursors int64[n or more].
    """
    base = starts[0]
    for i in range(len(starts) - 1):
        at = cursors[i]
        for j in range(starts[i] - base, starts[i + 1] - base):
            out_docs[at] = np.int32(docs[j]) + np.int32(first_doc)
            out_impacts[at] = impacts[j]
            at += 1
        cursors[i] = at
