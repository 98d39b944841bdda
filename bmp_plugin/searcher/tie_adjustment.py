"""Anserini's tie adjustment, which makes the scores of tied documents distinct."""
from __future__ import annotations

import math

import numpy as np

from .._internal.kernels import small_kernel


@small_kernel
def adjust_ties(scores, n):
    """Adjusts the ranked scores float32[n] in place.

    A score is rounded to 1e-4 as by Java's Math.round(double). If it is within 1e-4 of the already adjusted score before it,
    1e-6 times the number of such scores in a row is subtracted. Except for the rounding, the arithmetic is float32.

    Notes
    -----
    The algorithm is that of Anserini's ``ScoreTiesAdjusterReranker``.
    """
    dup = 0
    for i in range(n):
        value = np.float64(scores[i]) * 10000.0
        if value < 4503599627370496.0:                     # from 2^52 on a double has no fraction
            value = math.floor(value + 0.5)
        value = min(value, 9223372036854775808.0)          # Math.round saturates at Long.MAX_VALUE
        scores[i] = np.float32(value / 10000.0)
        if i == 0 or np.float32(scores[i - 1] - scores[i]) > np.float32(1e-4):
            dup = 0
        else:
            dup += 1
            scores[i] = np.float32(scores[i] - np.float32(np.float32(1e-6) * np.float32(dup)))
