"""The oracle: every rule of the host's ranking, spelled out and exhaustive, to compare engines with. Slow on purpose."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np


def rank(docids: Sequence[str], vectors: Sequence[Mapping[str, int]], query: Mapping[str, int], k: int,
         min_idf: float = 0) -> list[tuple[str, np.float32]]:
    """The k best documents as (docid, score): what LuceneImpactSearcher answers.

    Products of impact and weight are float32, their sum is float64, the score float32; documents are ordered by score
    descending, then docid bytes ascending, cut at k, and ties are then adjusted.
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
    """Anserini's ScoreTiesAdjusterReranker: scores to 1e-4, then 1e-6 off for each further one of a tie."""
    adjusted: list[tuple[str, np.float32]] = []
    ties = 0
    for docid, score in ranked:
        value = float(score) * 10000.0
        nearest = math.floor(value + 0.5) if value < 2**52 else int(value)
        now = np.float32(min(nearest, 2**63 - 1) / 10000.0)
        ties = ties + 1 if adjusted and adjusted[-1][1] - now <= np.float32(1e-4) else 0
        adjusted.append((docid, now - np.float32(1e-6) * np.float32(ties) if ties else now))
    return adjusted
