"""Similarity of two rankings, from 0 to 1."""
from __future__ import annotations

from collections.abc import Sequence

PERSISTENCE = 0.9
"""The p of rank-biased overlap: 0.9 puts 86 % of the weight on the first ten ranks."""


def overlap(a: Sequence[str], b: Sequence[str], k: int) -> float:
    """Returns the share of A's first k documents that are among B's first k; 1 if both are empty."""
    wanted, found = set(a[:k]), set(b[:k])
    if not wanted:
        return float(not found)
    return len(wanted & found) / len(wanted)


def rank_biased_overlap(a: Sequence[str], b: Sequence[str], p: float = PERSISTENCE) -> float:
    """Computes the extrapolated rank-biased overlap of two rankings of distinct documents, which may differ in length.

    Two empty rankings have overlap 1.

    Notes
    -----
    W. Webber, A. Moffat, J. Zobel, "A Similarity Measure for Indefinite Rankings", ACM TOIS 28(4), 2010, equation 32. Ties
    do not share a rank: the order as written counts.
    """
    if list(a) == list(b):
        return 1.0
    short, long = sorted((a, b), key=len)
    s, n = len(short), len(long)
    if s == 0:
        return 0.0
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    common, common_at_s, total, weight = 0, 0, 0.0, 1.0
    for d in range(1, n + 1):
        weight *= p
        seen_long.add(long[d - 1])
        common += long[d - 1] in seen_short
        if d <= s:
            seen_short.add(short[d - 1])
            common += short[d - 1] in seen_long
            common_at_s = common
        else:
            total += weight * common_at_s * (d - s) / (s * d)
        total += weight * common / d
    return (1 - p) / p * total + ((common - common_at_s) / n + common_at_s / s) * weight
