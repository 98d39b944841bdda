"""From postings in document order to postings in term order, within a memory budget.

Postings come in chunks of ascending documents. Up to ``budget`` of them are kept; then they are turned round into a
*run* (counting sort by term, which keeps documents ascending within a term) and, if more follow, the run is written to
a temporary folder. Runs hold ascending ranges of documents, so merging a term is putting its parts one after the other.
"""
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmp_plugin.kernels import kernel

DEFAULT_BUDGET = 64_000_000
"""Postings held in memory at most: 12 bytes each, and 8 more while a run is turned round."""

BATCH_POSTINGS = 4_000_000
"""Postings of a batch at most, unless a single term has more."""


@kernel
def _count_terms(terms, counts):
    """Add to ``counts`` (int64[num_terms]) how often each term number occurs in ``terms``."""
    for i in range(terms.size):
        counts[terms[i]] += 1


@kernel
def _scatter(terms, docs, impacts, cursors, out_docs, out_impacts):
    """Put each posting where its term's cursor stands, and advance the cursor."""
    for i in range(terms.size):
        at = cursors[terms[i]]
        out_docs[at] = docs[i]
        out_impacts[at] = impacts[i]
        cursors[terms[i]] = at + 1


@dataclass
class _Run:
    starts: NDArray[np.int64]  # int64[num_terms + 1]; terms that came later than the run are beyond its end
    docs: NDArray[np.int32]
    impacts: NDArray[np.int32]

    def start(self, term: int) -> int:
        return int(self.starts[min(term, self.starts.size - 1)])


class Inverter:
    """Collects postings in document order and gives them back by term.

    Parameters
    ----------
    budget : int
        Postings held in memory before a run is spilled.
    temp_dir : str or Path, optional
        Where the folder for spilled runs is made; the system's temporary folder if not given.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET, temp_dir: str | Path | None = None) -> None:
        if budget < 1:
            raise ValueError(f"budget is {budget}: give at least 1 posting")
        self.num_postings = 0
        self._budget = budget
        self._temp_dir = temp_dir
        self._spill_dir: Path | None = None
        self._chunks: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]] = []
        self._pending = 0
        self._runs: list[_Run] = []
        self._counts = np.zeros(0, np.int64)

    @property
    def num_runs(self) -> int:
        """Runs made so far; more than one means that they were spilled."""
        return len(self._runs)

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64[num_terms], postings of each term; complete after :meth:`finish`."""
        return self._counts

    def add(self, terms: NDArray[np.int32], docs: NDArray[np.int32], impacts: NDArray[np.int32]) -> None:
        """Take int32[n] term numbers, documents (ascending, also from call to call) and impacts; kept, not copied."""
        if self._pending and self._pending + terms.size > self._budget:
            self._make_run(spill=True)
        self._chunks.append((terms, docs, impacts))
        self._pending += terms.size
        self.num_postings += terms.size

    def finish(self, num_terms: int) -> None:
        """Turn round what is pending; ``num_terms`` is the number of terms of all postings."""
        if self._pending:
            self._make_run(spill=bool(self._runs))
        if self._counts.size < num_terms:
            self._counts = np.concatenate([self._counts, np.zeros(num_terms - self._counts.size, np.int64)])

    def _make_run(self, spill: bool) -> None:
        num_terms = 1 + max(int(terms.max()) for terms, _, _ in self._chunks if terms.size)
        counts = np.zeros(num_terms, np.int64)
        for terms, _, _ in self._chunks:
            _count_terms(terms, counts)
        starts = np.zeros(num_terms + 1, np.int64)
        np.cumsum(counts, out=starts[1:])
        docs, impacts = np.empty(self._pending, np.int32), np.empty(self._pending, np.int32)
        cursors = starts[:-1].copy()
        for chunk in self._chunks:
            _scatter(*chunk, cursors, docs, impacts)
        self._chunks, self._pending = [], 0
        if spill:
            docs, impacts = self._spilled("docs", docs), self._spilled("impacts", impacts)
        self._runs.append(_Run(starts, docs, impacts))
        if self._counts.size < num_terms:
            counts[: self._counts.size] += self._counts
            self._counts = counts
        else:
            self._counts[:num_terms] += counts

    def _spilled(self, name: str, values: NDArray[np.int32]) -> NDArray[np.int32]:
        if self._spill_dir is None:
            self._spill_dir = Path(tempfile.mkdtemp(prefix="bmp-plugin-", dir=self._temp_dir))
        path = self._spill_dir / f"{len(self._runs)}.{name}.npy"
        np.save(path, values)
        return np.load(path, mmap_mode="r")

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
                docs, impacts = self._merge(first, last, counts)
                present = np.flatnonzero(counts)
                yield present + first, counts[present], docs, impacts
            first = last

    def _merge(
        self, first: int, last: int, counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        if len(self._runs) == 1:
            run = self._runs[0]
            part = slice(run.start(first), run.start(last))
            return run.docs[part], run.impacts[part]
        cursors = np.cumsum(counts) - counts
        total = int(counts.sum())
        docs, impacts = np.empty(total, np.int32), np.empty(total, np.int32)
        for run in self._runs:
            part = slice(run.start(first), run.start(last))
            in_run = np.diff(run.starts[first : last + 1]) if first < run.starts.size - 1 else np.zeros(0, np.int64)
            terms = np.repeat(np.arange(in_run.size, dtype=np.int32), in_run)
            _scatter(terms, np.array(run.docs[part]), np.array(run.impacts[part]), cursors, docs, impacts)
        return docs, impacts

    def close(self) -> None:
        """Forget all postings and remove what was spilled; may be called twice."""
        self._chunks, self._runs, self._pending = [], [], 0
        if self._spill_dir is not None:
            shutil.rmtree(self._spill_dir, ignore_errors=True)
            self._spill_dir = None
