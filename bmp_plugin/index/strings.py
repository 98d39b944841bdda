"""Strings that are stored in one array of bytes: string i ends at ends[i], and begins where the one before it ends."""
from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from .._internal.kernels import kernel, small_kernel

NEWLINE = 10


def gather(raw: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the slices raw[starts[i]:ends[i]], concatenated."""
    out = np.empty(int((ends - starts).sum()), np.uint8)
    copy_slices(raw=raw, starts=starts, ends=ends, out=out)
    return out


@kernel
def copy_slices(raw, starts, ends, out):
    """Concatenate the slices raw[starts[i]:ends[i]] in out; raw and out uint8, starts and ends int64."""
    at = 0
    for i in range(len(starts)):
        for j in range(starts[i], ends[i]):
            out[at] = raw[j]
            at += 1


@small_kernel
def measure_strings(ends, indices, bounds):
    """Compute the bounds int64[n + 1] of the strings with these indices int32[n] when they are concatenated."""
    bounds[0] = 0
    for i in range(len(indices)):
        start = ends[indices[i] - 1] if indices[i] > 0 else np.int64(0)
        bounds[i + 1] = bounds[i] + ends[indices[i]] - start


@small_kernel
def copy_strings(raw, ends, indices, bounds, out, newlines):
    """Concatenate the strings with these indices in out uint8, at the bounds of :func:`measure_strings`, each with a newline if
    ``newlines``."""
    for i in range(len(indices)):
        start = ends[indices[i] - 1] if indices[i] > 0 else np.int64(0)
        size = bounds[i + 1] - bounds[i]
        at = bounds[i] + (i if newlines else 0)
        for j in range(size):
            out[at + j] = raw[start + j]
        if newlines:
            out[at + size] = NEWLINE


def select(raw: NDArray[np.uint8], ends: NDArray[np.int64],
           indices: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Select strings by their indices.

    Returns their bytes, concatenated, and their bounds, int64[n + 1]: where each begins, and the last one ends.
    """
    return _copy(raw, ends, indices, False)


def decode(raw: NDArray[np.uint8], ends: NDArray[np.int64], indices: NDArray[np.int32]) -> list[str]:
    """Select UTF-8 strings by their indices, decoded."""
    lines, bounds = _copy(raw, ends, indices, True)
    found = lines.tobytes().decode("utf-8").split("\n")           # three times as fast as slicing every string
    found.pop()
    if len(found) != len(indices):                                # some contain newlines
        data = select(raw, ends, indices)[0].tobytes()
        found = [data[lo:hi].decode("utf-8") for lo, hi in pairwise(bounds.tolist())]
    return found


def _copy(raw: NDArray[np.uint8], ends: NDArray[np.int64], indices: NDArray[np.int32],
          newlines: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    bounds = np.empty(len(indices) + 1, np.int64)
    measure_strings(ends=ends, indices=indices, bounds=bounds)
    out = np.empty(bounds[-1] + (len(indices) if newlines else 0), np.uint8)
    copy_strings(raw=raw, ends=ends, indices=indices, bounds=bounds, out=out, newlines=newlines)
    return out, bounds


def encode(strings: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return strings in UTF-8, concatenated, and int64[n], where each ends."""
    encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
    ends = np.array(list(accumulate(map(len, encoded))), np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


@kernel
def count_before(raw, ends, order, wanted, wanted_ends, counts):
    """Count the strings that come before each wanted one, in the order of their bytes: counts int64[m].

    The strings are raw uint8[bytes] with ends int64[n], in the order int32[n], which sorts them; the wanted ones are
    wanted uint8[bytes] with wanted_ends int64[m].
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
def compare(raw, ends, i, wanted, start, end):
    """Return an int64 below, equal to or above 0 if string i comes before wanted[start:end], is equal, or comes after it."""
    first = ends[i - 1] if i > 0 else np.int64(0)
    for j in range(min(ends[i] - first, end - start)):
        if raw[first + j] != wanted[start + j]:
            return np.int64(raw[first + j]) - np.int64(wanted[start + j])
    return (ends[i] - first) - (end - start)
