"""Memory performance of this machine: bytes per second in sequence, random cache lines, and the speed-up of two threads."""
from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np

WORDS = 2**25                # 256 MiB: larger than the caches
CACHE_LINE = 64
WORDS_A_LINE = CACHE_LINE // 8
LINES = 2**20
STEPS = 10_000_000


class Bandwidth(NamedTuple):
    """``bytes_a_second`` of sequential reads; ``line_seconds`` of one of many independent reads of random cache lines."""

    bytes_a_second: float
    line_seconds: float


def measure() -> Bandwidth:
    """Measures both over 256 MiB; returns the best of three passes."""
    words = np.ones(WORDS, np.uint64)
    lines = np.random.default_rng(0).integers(0, WORDS // WORDS_A_LINE, LINES)
    stream(words[:8])
    gather(words, lines[:8])
    in_order = min(_seconds(stream, words) for _ in range(3))
    anywhere = min(_seconds(gather, words, lines) for _ in range(3))
    return Bandwidth(words.nbytes / in_order, anywhere / LINES)


def gain_of_threads(threads: int) -> float:
    """Returns the throughput of threads that share nothing, not even the interpreter lock, relative to one thread.

    It is below their number, because cores are not all alike. Each thread reads random cache lines in its own 16 MiB and
    computes the next address, for about a tenth of a second.
    """
    words = [np.ones(2**21, np.uint64) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        def rate(active: int) -> float:
            started = time.perf_counter()
            list(pool.map(wander, words[:active], [STEPS] * active))
            return active / (time.perf_counter() - started)

        rate(threads)                                      # compiles, and maps the pages
        return rate(threads) / rate(1)


def _seconds(function, *arguments) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


@numba.njit         # not kept, as kernels of the package are
def stream(words: Any) -> Any:
    """Sums words uint64[n]."""
    total = np.uint64(0)
    for i in range(np.uint64(len(words))):
        total += words[i]
    return total


@numba.njit         # not kept, as kernels of the package are
def gather(words: Any, lines: Any) -> Any:
    """Sums one word of each of the cache lines int64[m]."""
    total = np.uint64(0)
    for i in range(np.uint64(len(lines))):
        total += words[np.uint64(lines[i]) * np.uint64(WORDS_A_LINE)]
    return total


@numba.njit(nogil=True)         # not kept, as kernels of the package are
def wander(words: Any, steps: Any) -> Any:
    """Sums the words uint64[2**n] on a random walk (xorshift64)."""
    at, total, last = np.uint64(88172645463325252), np.uint64(0), np.uint64(len(words) - 1)
    for _ in range(steps):
        at ^= at << np.uint64(13)
        at ^= at >> np.uint64(7)
        at ^= at << np.uint64(17)
        total += words[at & last]
    return total
