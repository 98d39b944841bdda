"""Document reordering by recursive graph bisection: documents that share terms come to lie in the same blocks.

After Dhulipala, Kabiljo, Karrer, Ottaviano, Pupyrev and Shalita, "Compressing Graphs and Indexes with Recursive Graph
Bisection", KDD 2016: split the documents in two halves, move those to the other half that lower the cost of coding the
gaps of their terms, and go on within each half. A document's gain is the sum of its terms' gains, which are computed once
a term and round. Exchanging only documents whose gains add up to more than 0 is from Mackenzie, Mallia, Petri, Culpepper
and Suel, "Compressing Inverted Indexes with Recursive Graph Bisection", ECIR 2019.
"""
from __future__ import annotations

import sys
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..kernels import kernel

if TYPE_CHECKING:
    from bmp_plugin.adapters.source import Documents, PostingSource

LEAF = 16          # documents that are not split further: below a block, order does not matter
ROUNDS = 12        # exchanges a split; most stop earlier
ALONE = 4096       # a part this small is finished by the thread that has it


def bisection_order(source: PostingSource, documents: Documents, *, threads: int = 1,
                    progress: bool = False) -> NDArray[np.int32]:
    """The documents in their new order: int32[num_docs], indices into ``documents``.

    The order is the same for every number of threads. Needs about 6 bytes a posting of memory.
    """
    num_docs = len(documents.numbers)
    order = np.arange(num_docs, dtype=np.int32)
    if num_docs <= LEAF:
        return order
    ptr, terms, num_terms = _forward_index(source, documents)
    logs = np.log2(np.arange(num_docs + 3).clip(1)).astype(np.float32)
    total = sum(num_docs for _ in range(_depth(num_docs)))
    with tqdm(total=total, unit=" documents", unit_scale=True, desc="reordering", file=sys.stderr,
              disable=None if progress else True) as bar, ThreadPoolExecutor(threads) as pool:
        _run(pool, order, ptr, terms, num_terms, logs, bar)
    return order


def _depth(num_docs: int) -> int:
    depth = 0
    while num_docs > LEAF:
        num_docs = (num_docs + 1) // 2
        depth += 1
    return depth


def _forward_index(source: PostingSource, documents: Documents) -> tuple[NDArray[np.int64], NDArray[np.int32], int]:
    """Terms of each document, two passes over the source: ptr int64[num_docs + 1], terms int32[postings]."""
    num_docs = len(documents.numbers)
    at_number = np.full(int(documents.numbers[-1]) + 1, -1, np.int32)
    at_number[documents.numbers] = np.arange(num_docs, dtype=np.int32)
    lengths = np.zeros(num_docs, np.int64)
    for batch in source.batches():
        lengths += np.bincount(at_number[batch.docs], minlength=num_docs)
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    terms = np.empty(int(ptr[-1]), np.int32)
    fill = ptr[:-1].copy()
    num_terms = 0
    for batch in source.batches():
        _append(np.asarray(batch.counts, np.int64), np.asarray(batch.docs, np.int32), at_number, num_terms, fill, terms)
        num_terms += len(batch.terms)
    return ptr, terms, num_terms


@kernel
def _append(counts, docs, at_number, first_term, fill, terms):
    j = 0
    for i in range(len(counts)):
        for _ in range(counts[i]):
            d = at_number[docs[j]]
            terms[fill[d]] = first_term + i
            fill[d] += 1
            j += 1


def _run(pool: ThreadPoolExecutor, order: NDArray[np.int32], ptr: NDArray[np.int64], terms: NDArray[np.int32],
         num_terms: int, logs: NDArray[np.float32], bar: tqdm[None]) -> None:
    """Split part after part; the parts are disjoint, so threads share nothing that they write."""
    free: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []

    def work(lo: int, hi: int) -> tuple[int, int]:
        degrees, gains = free.pop() if free else (np.zeros((2, num_terms), np.int32), np.empty((2, num_terms), np.float32))
        if hi - lo <= ALONE:
            split_all(order, lo, hi, ptr, terms, degrees, gains, logs, LEAF, ROUNDS)
        else:
            split(order, lo, hi, ptr, terms, degrees, gains, logs, ROUNDS)
        free.append((degrees, gains))
        return lo, hi

    running: set[Future[tuple[int, int]]] = {pool.submit(work, 0, len(order))}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            lo, hi = future.result()
            if hi - lo <= ALONE:
                bar.update((hi - lo) * _depth(hi - lo))
                continue
            bar.update(hi - lo)
            mid = (lo + hi) >> 1
            running |= {pool.submit(work, lo, mid), pool.submit(work, mid, hi)}
    bar.update(bar.total - bar.n)


@kernel
def split_all(order, lo, hi, ptr, terms, degrees, gains, logs, leaf, rounds):
    """Split order[lo:hi] and its halves down to parts of at most ``leaf`` documents."""
    stack = [(lo, hi)]
    while len(stack) > 0:
        a, b = stack.pop()
        if b - a <= leaf:
            continue
        split(order, a, b, ptr, terms, degrees, gains, logs, rounds)
        mid = (a + b) >> 1
        stack.append((a, mid))
        stack.append((mid, b))


@kernel
def split(order, lo, hi, ptr, terms, degrees, gains, logs, rounds):
    """Exchange documents between order[lo:mid] and order[mid:hi] until no exchange gains, at most ``rounds`` times.

    degrees int32[2, num_terms] comes and is left as zeros; gains float32[2, num_terms] is a workspace; logs
    float32[num_docs + 3] holds the binary logarithms.
    """
    mid = (lo + hi) >> 1
    for i in range(lo, hi):
        side = 0 if i < mid else 1
        for j in range(ptr[order[i]], ptr[order[i] + 1]):
            degrees[side, terms[j]] += 1
    gain = np.empty(hi - lo, np.float32)
    for _ in range(rounds):
        document_gains(order, lo, mid, hi, ptr, terms, degrees, gains, logs, gain)
        left = np.argsort(-gain[:mid - lo])
        right = np.argsort(-gain[mid - lo:])
        swapped = 0
        for x in range(min(len(left), len(right))):
            p, q = lo + left[x], mid + right[x]
            if gain[p - lo] + gain[q - lo] <= 0:
                break
            for j in range(ptr[order[p]], ptr[order[p] + 1]):
                degrees[0, terms[j]] -= 1
                degrees[1, terms[j]] += 1
            for j in range(ptr[order[q]], ptr[order[q] + 1]):
                degrees[1, terms[j]] -= 1
                degrees[0, terms[j]] += 1
            order[p], order[q] = order[q], order[p]
            swapped += 1
        if swapped == 0:
            break
    for i in range(lo, hi):
        for j in range(ptr[order[i]], ptr[order[i] + 1]):
            degrees[0, terms[j]] = 0
            degrees[1, terms[j]] = 0


@kernel
def document_gains(order, lo, mid, hi, ptr, terms, degrees, gains, logs, gain):
    """What moving each document to the other half gains, in bits: gain float32[hi - lo].

    A term with x of n documents in one half costs about x * log2(n / (x + 1)) bits there.
    """
    for i in range(lo, hi):
        for j in range(ptr[order[i]], ptr[order[i] + 1]):
            gains[0, terms[j]] = np.float32(np.inf)          # not computed yet
            gains[1, terms[j]] = np.float32(np.inf)
    size_l, size_r = logs[mid - lo], logs[hi - mid]
    for i in range(lo, hi):
        side = 0 if i < mid else 1
        total = np.float32(0)
        for j in range(ptr[order[i]], ptr[order[i] + 1]):
            t = terms[j]
            g = gains[side, t]
            if g == np.float32(np.inf):
                x, y = degrees[0, t], degrees[1, t]
                now = x * (size_l - logs[x + 1]) + y * (size_r - logs[y + 1])
                if side == 0:
                    then = (x - 1) * (size_l - logs[x]) + (y + 1) * (size_r - logs[y + 2])
                else:
                    then = (x + 1) * (size_l - logs[x + 2]) + (y - 1) * (size_r - logs[y])
                g = np.float32(now - then)
                gains[side, t] = g
            total += g
        gain[i - lo] = total
