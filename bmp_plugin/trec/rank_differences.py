"""Differences of two rankings of a query, rank by rank, and their kinds."""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["formatting", "score", "tie order", "order", "cut-off", "missing document", "extra document",
               "missing query"]
Ranking = Sequence[tuple[str, str | None]]        # (docid, score as written, or None where there are none)

HARMLESS: frozenset[Kind] = frozenset({"formatting", "tie order", "cut-off"})
"""Kinds of differences that leave an engine correct: another number format, another order of ties."""

MEANINGS: dict[Kind, str] = {
    "formatting": "the same document and number, in another format",
    "score": "the same document with another score",
    "tie order": "documents of equal score in another order",
    "order": "documents of different scores in another order",
    "cut-off": "another choice among the documents that tie at the end of the list",
    "missing document": "B lacks a document of A",
    "extra document": "B has a document that A lacks",
    "missing query": "one run lacks the query",
}

TIE = 2e-6
"""Scores this close are tied: Anserini's tie adjustment subtracts 1e-6 for each further document of a tie."""
LARGEST_STEP = 0.02
"""Where float32 is coarser than this, the adjustment has no effect, and adjacent numbers are different scores."""


@dataclass
class Difference:
    """A rank at which the answers to a query differ.

    Attributes
    ----------
    kind : Kind
        See :data:`MEANINGS`.
    rank : int
        Counted from 1; 0 for a missing query.
    a, b : str
        The entries ``docid score`` at that rank; empty if there is none.
    """

    qid: str
    kind: Kind
    rank: int
    a: str
    b: str

    @property
    def harmless(self) -> bool:
        """Tells whether the difference leaves both answers correct."""
        return self.kind in HARMLESS


def differences(qid: str, a: Ranking, b: Ranking, tolerance: float = 0.0) -> Iterator[Difference]:
    """Yields all ranks at which two rankings differ, from the first; scores that differ by at most ``tolerance`` are equal.

    Scores are compared if both rankings have them. Documents are tied if the score of each is within the tolerance of the next,
    or as close as Anserini's tie adjustment puts them.
    """
    scored = all(score is not None for ranking in (a, b) for _, score in ranking)
    sides = _Side(a, tolerance, scored), _Side(b, tolerance, scored)
    for i in range(max(len(a), len(b))):
        kind = _kind(*sides, i, tolerance, scored)
        if kind is not None:
            yield Difference(qid, kind, i + 1, _shown(a, i), _shown(b, i))


class _Side:
    """A ranking: the rank of each document, and which ranks are tied (``group`` has one number per tie)."""

    def __init__(self, ranking: Ranking, tolerance: float, scored: bool) -> None:
        self.ranking = ranking
        self.at = {docid: i for i, (docid, _) in reversed(list(enumerate(ranking)))}
        self.scores = [float(score) if scored and score is not None else math.nan for _, score in ranking]
        self.group: list[int] = []
        for i, score in enumerate(self.scores):
            tied = i > 0 and abs(self.scores[i - 1] - score) <= max(tolerance, _tie(score))
            self.group.append(self.group[-1] if tied else i)


def _tie(score: float) -> float:
    step = float(np.spacing(np.float32(abs(score)))) if math.isfinite(score) else 0.0
    return max(TIE, step if step <= LARGEST_STEP else 0.0)


def _kind(a: _Side, b: _Side, i: int, tolerance: float, scored: bool) -> Kind | None:
    if i >= len(b.ranking):
        return "missing document"
    if i >= len(a.ranking):
        return "extra document"
    (x, written_a), (y, written_b) = a.ranking[i], b.ranking[i]
    close = not scored or abs(a.scores[i] - b.scores[i]) <= tolerance
    if x == y:
        if not scored or written_a == written_b or (close and tolerance):
            return None
        return "formatting" if close else "score"
    if x in b.at and y in a.at:
        tied = a.group[a.at[y]] == a.group[i] and b.group[b.at[x]] == b.group[i]
        return "tie order" if tied and close and scored else "order"
    at_the_end = len(a.ranking) == len(b.ranking) and a.group[i] == a.group[-1] and b.group[i] == b.group[-1]
    if at_the_end and close and scored:
        return "cut-off"
    return "missing document" if x not in b.at else "extra document"


def _shown(ranking: Ranking, i: int) -> str:
    return " ".join(part for part in ranking[i] if part is not None) if i < len(ranking) else ""
