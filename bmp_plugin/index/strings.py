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


def decode(raw: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[str]:
    """The slices raw[starts[i]:ends[i]] as strings; they are UTF-8."""
    data = gather(raw, starts, ends).tobytes()
    bounds = [0, *np.cumsum(ends - starts).tolist()]
    if data.isascii():                          # decoded at once, bytes and characters count alike
        text = data.decode("ascii")
        return [text[lo:hi] for lo, hi in pairwise(bounds)]
    return [data[lo:hi].decode("utf-8") for lo, hi in pairwise(bounds)]
