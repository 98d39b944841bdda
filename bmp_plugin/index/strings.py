"""Many short strings out of one array of bytes."""
from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel


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
def copy_strings(raw, ends, numbers, bounds, out):
    """The strings ``numbers`` into out uint8, as :func:`measure_strings` says."""
    for i in range(len(numbers)):
        start = ends[numbers[i] - 1] if numbers[i] > 0 else np.int64(0)
        for j in range(bounds[i + 1] - bounds[i]):
            out[bounds[i] + j] = raw[start + j]


def select(raw: NDArray[np.uint8], ends: NDArray[np.int64],
           numbers: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Some of the strings that follow one another in ``raw``; string i ends at ends[i].

    Returns them likewise, and int64[n + 1]: where each begins, and the last one ends.
    """
    bounds = np.empty(len(numbers) + 1, np.int64)
    measure_strings(ends, numbers, bounds)
    out = np.empty(bounds[-1], np.uint8)
    copy_strings(raw, ends, numbers, bounds, out)
    return out, bounds


def decode(raw: NDArray[np.uint8], ends: NDArray[np.int64], numbers: NDArray[np.int32]) -> list[str]:
    """The same of strings in UTF-8, decoded."""
    out, bounds = select(raw, ends, numbers)
    data = out.tobytes()
    limits = bounds.tolist()
    if data.isascii():                          # decoded at once, bytes and characters count alike
        text = data.decode("ascii")
        return [text[lo:hi] for lo, hi in pairwise(limits)]
    return [data[lo:hi].decode("utf-8") for lo, hi in pairwise(limits)]
