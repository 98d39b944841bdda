"""From postings in document order to postings in term order, within a memory budget; see :mod:`.runs` for how."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .runs import RUN_DOCUMENTS, RUN_POSTINGS, Run, RunStore, make_run

DEFAULT_BUDGET = 64_000_000
"""Postings held in memory at most, 3 to 6 bytes each."""

BATCH_POSTINGS = 4_000_000
"""Postings of a batch at most, unless a single term has more. It shows in an index: see :mod:`bmp_plugin.index.build`."""

Chunk = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]


class Inverter:
    """Collects postings in document order and gives them back by term.

    Parameters
    ----------
    budget : int
        Postings held in memory; what comes after is spilled to a temporary file.
    temp_dir : str or Path, optional
        Folder of that file, which has no name; the system's temporary folder if not given.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET, temp_dir: str | Path | None = None) -> None:
        if budget < 1:
            raise ValueError(f"budget is {budget}: give at least 1 posting")
        self.num_postings = 0
        self._largest_run = min(budget, RUN_POSTINGS)
        self._store = RunStore(budget, temp_dir)
        self._chunks: list[Chunk] = []
        self._pending = 0
        self._counts = np.zeros(0, np.int64)

    @property
    def num_runs(self) -> int:
        """Runs made so far."""
        return len(self._store)

    @property
    def spilled(self) -> bool:
        """Whether postings were written to a temporary file."""
        return self._store.spilled

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64[num_terms], postings of each term; complete after :meth:`finish`."""
        return self._counts

    def add(self, terms: NDArray[np.int32], docs: NDArray[np.int32], impacts: NDArray[np.int32]) -> None:
        """Take int32[n] term numbers, documents (ascending, also from call to call) and impacts; kept, not copied."""
        while terms.size:
            first = int(self._chunks[0][1][0]) if self._pending else int(docs[0])
            fitting = int(np.searchsorted(docs, first + RUN_DOCUMENTS))
            if self._pending and (fitting == 0 or self._pending + fitting > self._largest_run):
                self._end_run()
                continue
            self._chunks.append((terms[:fitting], docs[:fitting], impacts[:fitting]))
            self._pending += fitting
            terms, docs, impacts = terms[fitting:], docs[fitting:], impacts[fitting:]

    def add_run(self, run: Run) -> None:
        """Take a run of documents after those that came before."""
        self._end_run()
        self._store.append(run)
        self.num_postings += run.docs.size
        longer, shorter = (run.counts, self._counts) if run.counts.size > self._counts.size else (self._counts, run.counts)
        self._counts = longer.copy() if longer is run.counts else longer
        self._counts[:shorter.size] += shorter

    def finish(self, num_terms: int) -> None:
        """Turn round what is pending; ``num_terms`` is the number of terms of all postings."""
        self._end_run()
        if self._counts.size < num_terms:
            self._counts = np.concatenate([self._counts, np.zeros(num_terms - self._counts.size, np.int64)])

    def _end_run(self) -> None:
        if self._pending:
            terms, docs, impacts = (np.concatenate(parts) for parts in zip(*self._chunks, strict=True))
            self._chunks, self._pending = [], 0
            self.add_run(make_run(int(docs[0]), terms, docs, impacts))

    def batches(
        self, max_postings: int = BATCH_POSTINGS
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]]:
        """Yield (term numbers, counts, docs, impacts) for ascending ranges of terms, without terms that have none.

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
        """Forget all postings and what was spilled; may be called twice."""
        self._chunks, self._pending = [], 0
        self._store.close()
