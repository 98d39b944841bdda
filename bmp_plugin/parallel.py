"""Work done by threads, in the order in which it came, and never much of it at once."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

QUERIES_A_TURN = 32          # queries a thread takes at a time, at most ...
HITS_A_TURN = 16_384         # ... and hits: threads wait for each other where they make hits, and an interrupt for a turn's end
TURNS_LEFT = 4               # turns that a thread's share of what is left makes: the last ones are short, so all end together


def in_order(work: Callable[[Given], Made], items: Iterable[Given], threads: int) -> Iterator[Made]:
    """``work(item)`` of every item, in the order of the items; what is made does not depend on the number of threads.

    ``items`` are taken by the calling thread, at most ``threads + 1`` ahead of what was yielded: that bounds memory. With
    one thread everything happens in the caller's. What ``work`` or ``items`` raise is raised here, at the item's place.
    """
    if threads == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Made]] = deque()
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


def in_turns(search: Callable[[slice], Made], n: int, k: int, threads: int) -> list[Made]:
    """``search`` of n queries with k hits each, some of them at a time, in threads; returned in the order of the queries."""
    turns = _turns(n, k, threads)
    if threads == 1 or len(turns) == 1:
        return list(map(search, turns))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(search, turns))


def _turns(n: int, k: int, threads: int) -> list[slice]:
    most = max(1, min(QUERIES_A_TURN, HITS_A_TURN // k))
    turns = []
    first = 0
    while first < n:
        size = most if threads == 1 else min(most, -(-(n - first) // (TURNS_LEFT * threads)))
        turns.append(slice(first, min(first + size, n)))
        first += size
    return turns
