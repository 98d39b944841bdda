"""Threads that share work out; results come in the order of the work, and little of it is pending at once."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH_QUERIES = 32           # largest batch, in queries ...
BATCH_HITS = 16_384          # ... and in hits: the interpreter lock is held while hits are made; an interrupt waits for a batch
REMAINING_BATCHES = 4        # batches that each thread's share of the rest is cut into: the last are short, so all end together


def in_order(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yields ``work(item)`` for every item, in the order of the items; results do not depend on the number of threads.

    The calling thread takes the ``items``, at most ``threads + 1`` ahead of the last result: that bounds memory. With one
    thread, everything happens in the caller's. An exception of ``work`` or ``items`` is raised at its item's place.
    """
    if threads == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                del item
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def in_batches(search: Callable[[slice], Result], n: int, k: int, threads: int) -> list[Result]:
    """Searches n queries for k hits each, batch by batch, in threads; the results come in the order of the queries."""
    batches = _batches(n, k, threads)
    if threads == 1 or len(batches) == 1:
        return list(map(search, batches))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(search, batches))


def _batches(n: int, k: int, threads: int) -> list[slice]:
    largest = max(1, min(BATCH_QUERIES, BATCH_HITS // k))
    batches = []
    first = 0
    while first < n:
        size = largest if threads == 1 else min(largest, -(-(n - first) // (REMAINING_BATCHES * threads)))
        batches.append(slice(first, min(first + size, n)))
        first += size
    return batches
