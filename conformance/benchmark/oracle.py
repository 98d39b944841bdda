"""The oracle: every rule of Pyserini's ranking, spelled out and exhaustive, as a reference for engines. Slow on purpose."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np


def rank(docids: Sequence[str], vectors: Sequence[Mapping[str, int]], query: Mapping[str, int], k: int,
         min_idf: float = 0) -> list[tuple[str, np.float32]]:
    """Returns the k best documents as (docid, score), as LuceneImpactSearcher does.

    Products of impact and weight are float32, their sum is float64, and the score float32. Documents are sorted by score,
    descending, then by docid bytes, ascending, and cut at k; then ties are adjusted.
    """
    df = {token: sum(token in vector for vector in vectors) for token in query}
    used = {token: np.float32(weight) for token, weight in query.items()
            if df[token] and np.log(len(vectors) / df[token]) > min_idf}
    found = []
    for docid, vector in zip(docids, vectors, strict=True):
        products = [float(np.float32(vector[token]) * weight) for token, weight in used.items() if token in vector]
        if products:
            found.append((docid, np.float32(math.fsum(products))))
    found.sort(key=lambda hit: (-hit[1], hit[0].encode()))
    return adjust_ties(found[:k])


def adjust_ties(ranked: Sequence[tuple[str, np.float32]]) -> list[tuple[str, np.float32]]:
    """Adjusts ties as Anserini's ScoreTiesAdjusterReranker: scores are rounded to 1e-4, then 1e-6 less for each further tie."""
    adjusted: list[tuple[str, np.float32]] = []
    ties = 0
    for docid, score in ranked:
        value = float(score) * 10000.0
        nearest = math.floor(value + 0.5) if value < 2**52 else int(value)
        now = np.float32(min(nearest, 2**63 - 1) / 10000.0)
        ties = ties + 1 if adjusted and adjusted[-1][1] - now <= np.float32(1e-4) else 0
        adjusted.append((docid, now - np.float32(1e-6) * np.float32(ties) if ties else now))
    return adjusted
