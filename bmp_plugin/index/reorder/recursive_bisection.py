"""Document reordering by recursive graph bisection, which places documents that share heavy terms in the same blocks.

After Dhulipala, Kabiljo, Karrer, Ottaviano, Pupyrev and Shalita, "Compressing Graphs and Indexes with Recursive Graph
Bisection", KDD 2016: split the documents in two halves, move those to the other half that lower the cost of coding the
gaps of their terms, and go on within each half. Exchanging only documents whose gains add up to more than 0 is from
Mackenzie, Mallia, Petri, Culpepper and Suel, "Compressing Inverted Indexes with Recursive Graph Bisection", ECIR 2019;
cutting at the median instead of sorting from Mackenzie, Petri and Moffat, "Faster Index Reordering with Bipartite Graph
Partitioning", SIGIR 2021.

Unlike there, the aim is not compression but tight upper bounds: only the heaviest postings are used, weighted by their impacts
(see :mod:`.forward_index`), and parts are split at the boundaries of superblocks and blocks.
"""
from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..._internal.progress import tqdm
from . import bisection_kernels as bisection
from .forward_index import Forward, forward_index

if TYPE_CHECKING:
    from ..source import Documents, PostingSource

ROUNDS = 20                # rounds of exchanges per split; with 12, 1 % more superblocks are scored, with 40, 1 % fewer
MIN_SERIAL_PART = 4096     # documents of a part that one thread finishes alone: at least, ...
MAX_SERIAL_PART = 65536    # ... at most, so that progress is visible and an interruption takes effect, ...
SERIAL_PARTS = 64          # ... and in between so that there are about this many parts


def bisection_order(source: PostingSource, documents: Documents, folder: Path, *, threads: int = 1,
                    progress: bool = False) -> NDArray[np.int32]:
    """Return the documents in their new order: int32[num_docs], indices into ``documents``.

    The order is the same for every number of threads. The source, which may raise, is read three times. Memory is about 60
    bytes per document; temporary files in ``folder`` take 8 bytes for every posting that is used (see :mod:`.forward_index`).

    Raises
    ------
    OSError
        If ``folder`` has no room.
    """
    num_docs = len(documents.source_docids)
    if num_docs <= bisection.BLOCK:
        return np.arange(num_docs, dtype=np.int32)
    hint = source.num_postings_hint()
    hidden = None if progress else True
    stop = np.zeros(1, np.uint8)
    with ThreadPoolExecutor(threads) as pool:
        try:
            with tqdm(total=3 * hint if hint else None, unit=" postings", unit_scale=True, desc="reading to reorder",
                      disable=hidden, file=sys.stderr) as reading, \
                    forward_index(source, documents, folder, pool, threads, reading) as forward:
                reading.close()
                with tqdm(total=num_docs * _depth(num_docs), unit=" documents", unit_scale=True, desc="reordering",
                          disable=hidden, file=sys.stderr) as bar:
                    return _Bisection(forward, pool, threads, stop, bar).run()
        except BaseException:
            stop[0] = 1
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _depth(num_docs: int) -> int:
    """Return how often a document's part is split, at most."""
    depth = 0
    while num_docs > bisection.BLOCK:
        num_docs = max(left := int(bisection.left_half(num_docs)), num_docs - left)
        depth += 1
    return depth


@dataclass
class _Part:
    """Documents lo to hi - 1 of the order; their postings start at ``first``, in the spare array if ``swapped``."""

    lo: int
    hi: int
    first: int
    num_terms: int
    swapped: bool
    level: int


class _Bisection:
    """A bisection: all threads together split large parts, then each thread finishes smaller ones alone."""

    def __init__(self, forward: Forward, pool: ThreadPoolExecutor, threads: int, stop: NDArray[np.uint8],
                 bar: tqdm) -> None:
        self._forward = forward
        self._num_docs = len(forward.lengths)
        self._order = np.arange(self._num_docs, dtype=np.int32)
        self._slopes = bisection.log_slopes(self._num_docs)
        self._pool, self._threads, self._stop, self._bar = pool, threads, stop, bar

    def run(self) -> NDArray[np.int32]:
        self._renumber_by_frequency()
        serial = min(MAX_SERIAL_PART, max(MIN_SERIAL_PART, self._num_docs // SERIAL_PARTS))
        large = [_Part(0, self._num_docs, 0, self._forward.num_terms, False, 0)]
        small: list[_Part] = []
        while large:
            part = large.pop()
            if part.hi - part.lo <= serial or part.num_terms == 0:
                small.append(part)
            else:
                large += self._split(part)
        depth = _depth(self._num_docs)
        running: dict[Future[None], _Part] = {self._pool.submit(self._finish, part): part for part in small}
        for future in as_completed(running):
            future.result()
            part = running[future]
            self._bar.update((part.hi - part.lo) * (depth - part.level))
        return self._order

    def _each(self, work: Callable[[int, int, int], None], n: int) -> None:
        """Call ``work(thread, lo, hi)`` in every thread, each with its range of n, and wait."""
        bounds = [n * i // self._threads for i in range(self._threads + 1)]
        list(self._pool.map(work, range(self._threads), bounds[:-1], bounds[1:]))

    def _renumber_by_frequency(self) -> None:
        """Give the most frequent terms the smallest ids, so that their gains share cache lines."""
        postings, num_terms = self._forward.postings, self._forward.num_terms
        counts = np.zeros((self._threads, num_terms), np.int32)
        self._each(lambda thread, lo, hi: bisection.count_terms(lo=lo, hi=hi, postings=postings, counts=counts[thread]),
                   len(postings))
        new_ids = np.empty(num_terms, np.int32)
        new_ids[np.argsort(-counts.sum(axis=0), kind="stable")] = np.arange(num_terms, dtype=np.int32)
        self._each(lambda _, lo, hi: bisection.replace_terms(lo=lo, hi=hi, postings=postings, new_ids=new_ids), len(postings))

    def _arrays(self, part: _Part) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Return the array of the part's postings, and the one that they are copied to."""
        postings, spare = self._forward.postings, self._forward.spare
        return (spare, postings) if part.swapped else (postings, spare)

    def _split(self, part: _Part) -> list[_Part]:
        """Split a part by all threads together, as ``finish_part`` does; return its halves."""
        n, terms = part.hi - part.lo, part.num_terms
        left = int(bisection.left_half(n))
        here, there = self._arrays(part)
        order, lengths = self._order[part.lo:part.hi], self._forward.lengths[part.lo:part.hi]
        starts = np.empty(n + 1, np.int64)
        side, moves = np.empty(n, np.uint8), np.empty(n, np.uint8)
        gain, workspace = np.empty(n, np.int64), np.empty(n, np.int64)
        degrees = np.zeros((self._threads, 2, terms), np.int32)
        gains, new_ids = np.empty((2, terms), np.int32), np.empty((2, terms), np.int32)
        bisection.init_part(lengths=lengths, first=part.first, left=left, starts=starts, side=side)
        self._each(lambda i, lo, hi: bisection.count_degrees(lo=lo, hi=hi, starts=starts, side=side, postings=here,
                                                            degrees=degrees[i]), n)
        for _ in range(ROUNDS):
            bisection.term_gains(degrees=degrees, num_terms=terms, slopes=self._slopes, left=left, right=n - left, gains=gains)
            self._each(lambda _, lo, hi: bisection.document_gains(lo=lo, hi=hi, starts=starts, side=side, postings=here,
                                                                 gains=gains, gain=gain), n)
            if bisection.choose_exchanges(n=n, left=left, gain=gain, side=side, moves=moves, workspace=workspace) == 0:
                break
            self._each(lambda i, lo, hi: bisection.exchange(lo=lo, hi=hi, starts=starts, moves=moves, postings=here, side=side,
                                                           degrees=degrees[i]), n)
        kept = np.empty((self._threads, 2), np.int64)
        left_terms, right_terms = bisection.renumber_terms(degrees=degrees, num_terms=terms, left=left, right=n - left,
                                                           new_ids=new_ids, kept=kept)
        right_first = part.first + int(kept[:, 0].sum())
        to_posting = np.cumsum(kept, axis=0) - kept + np.array([part.first, right_first])
        to_document = self._left_and_right_before(side) + np.array([0, left])
        places = np.stack([to_posting, to_document], axis=1)                     # per thread
        partitioned = bisection.PartDocuments(np.empty(n, np.int32), np.empty(n, np.int32))
        self._each(lambda i, lo, hi: bisection.partition_documents(
            lo=lo, hi=hi, halves=bisection.Halves(starts, side, new_ids), postings=here, places=places[i], copied=there,
            documents=bisection.PartDocuments(order, lengths), partitioned=partitioned), n)
        order[:], lengths[:] = partitioned
        self._bar.update(n)
        mid = part.lo + left
        return [_Part(mid, part.hi, right_first, int(right_terms), not part.swapped, part.level + 1),
                _Part(part.lo, mid, part.first, int(left_terms), not part.swapped, part.level + 1)]

    def _left_and_right_before(self, side: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return how many documents of each side come before each thread's range: int64[threads, 2]."""
        n = len(side)
        before = np.array([n * i // self._threads for i in range(self._threads)])
        right = np.array([np.count_nonzero(side[:i]) for i in before])
        return np.stack([before - right, right], axis=1)

    def _finish(self, part: _Part) -> None:
        here, there = self._arrays(part)
        documents = bisection.PartDocuments(self._order[part.lo:part.hi], self._forward.lengths[part.lo:part.hi])
        bisection.finish_part(documents=documents, first=part.first, num_terms=part.num_terms, postings=here, spare=there,
                              slopes=self._slopes, rounds=ROUNDS, stop=self._stop)
