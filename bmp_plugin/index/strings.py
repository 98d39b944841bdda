"""Many short strings out of one array of bytes."""
from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel

NEWLINE = 10


def gather(raw: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The slices raw[starts[i]:ends[i]], one after the other."""
    out = np.empty(int((ends - starts).sum()), np.uint8)
    copy_slices(raw, starts, ends, out)
    return out


@kernel
def copy_slices(raw, starts, ends, out):
    """The slices raw[starts[i]:ends[i]] into out, all uint8; starts and ends int64."""
    at = 0
    for i in range(len(starts)):
        for j in range(starts[i], ends[i]):
            out[at] = raw[j]
            at += 1


@kernel
def measure_strings(ends, numbers, bounds):
    """Where each of the strings ``numbers`` would end if they followed one another: bounds int64[n + 1], from 0 on."""
    bounds[0] = 0
    for i in range(len(numbers)):
        start = ends[numbers[i] - 1] if numbers[i] > 0 else np.int64(0)
        bounds[i + 1] = bounds[i] + ends[numbers[i]] - start


@kernel
def copy_strings(raw, ends, numbers, bounds, out, between):
    """The strings ``numbers`` into out uint8, as :func:`measure_strings` says; a newline after each if ``between``."""
    for i in range(len(numbers)):
        start = ends[numbers[i] - 1] if numbers[i] > 0 else np.int64(0)
        size = bounds[i + 1] - bounds[i]
        at = bounds[i] + (i if between else 0)
        for j in range(size):
            out[at + j] = raw[start + j]
        if between:
            out[at + size] = NEWLINE


def select(raw: NDArray[np.uint8], ends: NDArray[np.int64],
           numbers: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Some of the strings that follow one another in ``raw``; string i ends at ends[i].

    Returns them likewise, and int64[n + 1]: where each begins, and the last one ends.
    """
    return _copy(raw, ends, numbers, False)


def decode(raw: NDArray[np.uint8], ends: NDArray[np.int64], numbers: NDArray[np.int32]) -> list[str]:
    """The same of strings in UTF-8, decoded."""
    lines, bounds = _copy(raw, ends, numbers, True)
    found = lines.tobytes().decode("utf-8").split("\n")           # three times as fast as one slice a string
    found.pop()
    if len(found) != len(numbers):                                # some have newlines
        data = select(raw, ends, numbers)[0].tobytes()
        found = [data[lo:hi].decode("utf-8") for lo, hi in pairwise(bounds.tolist())]
    return found


def _copy(raw: NDArray[np.uint8], ends: NDArray[np.int64], numbers: NDArray[np.int32],
          between: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    bounds = np.empty(len(numbers) + 1, np.int64)
    measure_strings(ends, numbers, bounds)
    out = np.empty(bounds[-1] + (len(numbers) if between else 0), np.uint8)
    copy_strings(raw, ends, numbers, bounds, out, between)
    return out, bounds


def encode(strings: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Strings in UTF-8, one after the other, and int64[n], where each ends."""
    encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
    ends = np.array(list(accumulate(map(len, encoded))), np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


@kernel
def count_before(raw, ends, order, wanted, wanted_ends, counts):
    """How many strings come before each of those that are wanted, by their bytes, into counts int64[m].

    Strings are raw uint8[bytes] up to ends int64[n], as wanted uint8[bytes] up to wanted_ends int64[m]; order int32[n] sorts
    them.
    """
    start = np.int64(0)
    for i in range(len(wanted_ends)):
        lo, hi = np.int64(0), np.int64(len(order))
        while lo < hi:
            mid = (lo + hi) // 2
            if compare(raw, ends, order[mid], wanted, start, wanted_ends[i]) < 0:
                lo = mid + 1
            else:
                hi = mid
        counts[i] = lo
        start = wanted_ends[i]


@kernel
def compare(raw, ends, number, wanted, start, end):
    """Below 0, 0 or above 0 as string ``number`` comes before wanted[start:end], is the same, or comes after; int64."""
    first = ends[number - 1] if number > 0 else np.int64(0)
    for j in range(min(ends[number] - first, end - start)):
        if raw[first + j] != wanted[start + j]:
            return np.int64(raw[first + j]) - np.int64(wanted[start + j])
    return (ends[number] - first) - (end - start)
