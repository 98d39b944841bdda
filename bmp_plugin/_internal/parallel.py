"""Threads that share work out; results come in the order of the work, and little of it is pending at once."""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
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


def in_batches(search: Callable[[slice, int], Result], n: int, k: int, threads: int) -> list[Result]:
    """Searches n queries for k hits each, batch by batch, in threads; the results come in the order of the queries.

    ``search`` is called with the queries of a batch, and with the number of threads that they may use: 1, or all for a single
    query.
    """
    batches = _batches(n, k, threads)
    if threads == 1 or len(batches) == 1:
        return [search(batch, threads) for batch in batches]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda batch: search(batch, 1), batches))


def in_parallel(work: Callable[[int], None], n: int) -> None:
    """Calls ``work(0)`` in the caller's thread and ``work(1)`` to ``work(n - 1)`` in others, which are kept for the next time.

    What no thread has begun when the caller is done, it does as well. An exception of ``work`` is raised when all that has
    begun has ended.
    """
    global _helpers
    if _helpers is None:
        _helpers = ThreadPoolExecutor(max(32, os.cpu_count() or 1), "bmp-plugin")
    submitted = [_helpers.submit(work, i) for i in range(1, n)]
    try:
        work(0)
        for i, future in enumerate(submitted, 1):
            if future.cancel():
                work(i)
            else:
                future.result()
    except BaseException:
        for future in submitted:
            future.cancel()
        wait(submitted)
        raise


_helpers: ThreadPoolExecutor | None = None


def _forget_helpers() -> None:
    """Runs in a forked process, which has none of the threads."""
    global _helpers
    _helpers = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)


def _batches(n: int, k: int, threads: int) -> list[slice]:
    largest = max(1, min(BATCH_QUERIES, BATCH_HITS // k))
    batches = []
    first = 0
    while first < n:
        size = largest if threads == 1 else min(largest, -(-(n - first) // (REMAINING_BATCHES * threads)))
        batches.append(slice(first, min(first + size, n)))
        first += size
    return batches
