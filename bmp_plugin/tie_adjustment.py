"""Anserini's tie adjustment, which tells documents of the same score apart by their places."""
from __future__ import annotations

import math

import numpy as np

from .kernels import kernel


@kernel
def adjust_ties(scores, n):
    """Adjust the ranked scores float32[n] in place as Anserini's ScoreTiesAdjusterReranker does.

    A score is rounded to 1e-4 as Java's Math.round(double) does; where it is within 1e-4 of the one before it, which is
    adjusted already, 1e-6 times the number of such scores in a row is taken off. The arithmetic is float32 but for the
    rounding, as there.
    """
    dup = 0
    for i in range(n):
        value = np.float64(scores[i]) * 10000.0
        if value < 4503599627370496.0:                     # from 2^52 on a double has no fraction
            value = math.floor(value + 0.5)
        value = min(value, 9223372036854775808.0)          # Math.round ends at Long.MAX_VALUE
        scores[i] = np.float32(value / 10000.0)
        if i == 0 or np.float32(scores[i - 1] - scores[i]) > np.float32(1e-4):
            dup = 0
        else:
            dup += 1
            scores[i] = np.float32(scores[i] - np.float32(np.float32(1e-6) * np.float32(dup)))
