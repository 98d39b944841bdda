"""Fusion of runs: a convex combination of their scores, normalized query by query.

Bruch, Gai, Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023: a convex combination of
normalized scores is more effective than reciprocal rank fusion, and normalization by the theoretical minimum of the scores
(TM2C2) is more stable than by the least score in the list. :mod:`pyserini.fusion` has reciprocal rank fusion.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import SourceError
from .run_file import Run, read_run


class Fused(NamedTuple):
    """A document of a fused ranking."""

    docid: str
    score: float


def normalized(scores: Mapping[str, float], least: float | None = None) -> dict[str, float]:
    """Normalizes the scores of a query linearly, so that the largest becomes 1.

    Parameters
    ----------
    scores : mapping of str to float
        Scores by docid.
    least : float, optional
        The theoretical minimum of the scores, which becomes 0; by default the least of ``scores`` (min-max). If all scores
        equal it, they become 1.

    Raises
    ------
    ValueError
        If a score is below ``least``.
    """
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if least is None:
        least = low
    elif low < least:
        raise ValueError(f"score {low:g} is below {least:g}, the given minimum: give the right one")
    span = high - least
    return {docid: (score - least) / span if span > 0 else 1.0 for docid, score in scores.items()}


def fuse(rankings: Sequence[Mapping[str, float]], weights: Sequence[float],
         minima: Sequence[float | None]) -> list[Fused]:
    """Fuses the rankings of one query: a document's score is the sum of weight times normalized score, 0 where it is missing.

    Parameters
    ----------
    rankings : sequence of mappings of str to float
        Scores by docid, one mapping per run.
    weights : sequence of float
        One per run.
    minima : sequence of float or None
        One per run, see :func:`normalized`.

    Returns
    -------
    list of Fused
        Best first; equal scores by docid, ascending as UTF-8 bytes.
    """
    sums: dict[str, float] = {}
    for scores, weight, least in zip(rankings, weights, minima, strict=True):
        for docid, score in normalized(scores, least).items():
            sums[docid] = sums.get(docid, 0.0) + weight * score
    return [Fused(docid, sums[docid]) for docid in sorted(sums, key=lambda docid: (-sums[docid], docid.encode()))]


def fuse_runs(paths: Sequence[str | Path], weights: Sequence[float] | None = None,
              minima: Sequence[float | None] | None = None, k: int = 1000) -> dict[str, list[Fused]]:
    """Fuses TREC runs, see :func:`fuse`.

    Parameters
    ----------
    paths : sequence of path
        Two or more TREC runs, plain or gzipped.
    weights : sequence of float, optional
        One per run, at least 0; divided by their sum. Equal by default.
    minima : sequence of float or None, optional
        One per run; None, the default, is min-max.
    k : int
        Number of documents per query.

    Returns
    -------
    dict of str to list of Fused
        By query id, for all queries of any run, in order of first occurrence.

    Raises
    ------
    FileNotFoundError
    SourceError
        If a file is not a TREC run.
    ValueError
        If the weights or minima are invalid, or their number is not that of the runs.
    """
    if len(paths) < 2:
        raise ValueError(f"{len(paths)} run: give two or more to fuse")
    weights = [1.0] * len(paths) if weights is None else list(weights)
    minima = [None] * len(paths) if minima is None else list(minima)
    for name, values in (("weights", weights), ("minima", minima)):
        if len(values) != len(paths):
            raise ValueError(f"{name}: there are {len(values)} for {len(paths)} runs: give each run one")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or sum(weights) <= 0:
        raise ValueError(f"weights {weights}: give numbers of at least 0, not all 0")
    if k < 1:
        raise ValueError(f"k={k} is not at least 1")
    shares = [weight / sum(weights) for weight in weights]
    runs = [_trec_run(path) for path in paths]
    fused: dict[str, list[Fused]] = {}
    for qid in dict.fromkeys(qid for run in runs for qid in run.answers):
        try:
            fused[qid] = fuse([_scores(run, qid) for run in runs], shares, minima)[:k]
        except ValueError as error:
            raise ValueError(f"query {qid}: {error}") from None
    return fused


def _trec_run(path: str | Path) -> Run:
    run = read_run(path)
    if run.run_format != "trec":
        raise SourceError(f"{path}: an MS MARCO run has no scores to combine: give a TREC run")
    return run


def _scores(run: Run, qid: str) -> dict[str, float]:
    if qid not in run.answers:
        return {}
    scores: dict[str, float] = {}
    for docid, score in run.ranking(qid):
        if docid in scores:
            raise ValueError(f"{run.path}: document {docid} occurs twice: get the run again")
        scores[docid] = float(score or 0)
    return scores
