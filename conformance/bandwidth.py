"""What this machine gives: bytes a second in order, cache lines out of order, and how much more two threads get done."""
from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np

WORDS = 2**25                # 256 MiB: more than caches hold
CACHE_LINE = 64
WORDS_A_LINE = CACHE_LINE // 8
LINES = 2**20
STEPS = 10_000_000


class Bandwidth(NamedTuple):
    """``bytes_a_second`` read in order; ``line_seconds`` for one of many independent reads of cache lines anywhere."""

    bytes_a_second: float
    line_seconds: float


def measure() -> Bandwidth:
    """The best of three passes over 256 MiB, each way."""
    words = np.ones(WORDS, np.uint64)
    lines = np.random.default_rng(0).integers(0, WORDS // WORDS_A_LINE, LINES)
    stream(words[:8])
    gather(words, lines[:8])
    in_order = min(_seconds(stream, words) for _ in range(3))
    anywhere = min(_seconds(gather, words, lines) for _ in range(3))
    return Bandwidth(words.nbytes / in_order, anywhere / LINES)


def gain_of_threads(threads: int) -> float:
    """How many times one thread's work so many get done that share nothing, not even the interpreter: cores are not all alike.

    Each reads cache lines anywhere in 16 MiB of its own and computes where the next one is, for about a tenth of a second.
    """
    words = [np.ones(2**21, np.uint64) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        def rate(active: int) -> float:
            started = time.perf_counter()
            list(pool.map(wander, words[:active], [STEPS] * active))
            return active / (time.perf_counter() - started)

        rate(threads)                                      # compiled, and the pages are there
        return rate(threads) / rate(1)


def _seconds(function, *arguments) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


@numba.njit         # not kept, as kernels of the package are
def stream(words: Any) -> Any:
    """The sum of words uint64[n]."""
    total = np.uint64(0)
    for i in range(np.uint64(len(words))):
        total += words[i]
    return total


@numba.njit         # not kept, as kernels of the package are
def gather(words: Any, lines: Any) -> Any:
    """The sum of one word of each of the cache lines int64[m]."""
    total = np.uint64(0)
    for i in range(np.uint64(len(lines))):
        total += words[np.uint64(lines[i]) * np.uint64(WORDS_A_LINE)]
    return total


@numba.njit(nogil=True)         # not kept, as kernels of the package are
def wander(words: Any, steps: Any) -> Any:
    """The sum of words uint64[2**n] met on a walk at random (xorshift64)."""
    at, total, last = np.uint64(88172645463325252), np.uint64(0), np.uint64(len(words) - 1)
    for _ in range(steps):
        at ^= at << np.uint64(13)
        at ^= at >> np.uint64(7)
        at ^= at << np.uint64(17)
        total += words[at & last]
    return total
