"""Work done by threads, in the order in which it came, and never much of it at once."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


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
