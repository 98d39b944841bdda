"""Why a document has its score: what every token of the query adds to it, and what becomes of the sum."""
from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .index.index import BmpIndex
from .query.batch import adjust_ties
from .query.lists import Index
from .query.lookup import find_documents, find_impacts


@dataclass(frozen=True)
class Contribution:
    """What one token adds: the document's impact times the query's weight, multiplied in float32 as Lucene does."""

    token: str
    impact: int
    weight: int
    product: float


@dataclass(frozen=True)
class Explanation:
    """A document's score for a query.

    Attributes
    ----------
    docid : str
    lucene_docid : int
        Its number in the source index.
    contributions : list of Contribution
        Of the tokens that the document has, in the order of the query.
    sum : float
        Of the products, in float64.
    score : float
        The sum in float32: what documents are ranked by.
    rank : int or None
        Its place among all documents that match, from 1; None if it does not match.
    adjustment : float
        What tie adjustment adds to the score at that place.
    adjusted : float
        The float32 score that a search returns.
    left_out : dict of str to str
        Tokens of the query that count for no document, and why.
    """

    docid: str
    lucene_docid: int
    contributions: list[Contribution]
    sum: float
    score: float
    rank: int | None
    adjustment: float
    adjusted: float
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def matches(self) -> bool:
        """Whether the document has a token of the query, be it of weight 0."""
        return bool(self.contributions)

    def as_dict(self) -> dict[str, Any]:
        """For JSON output."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.docid}: {self.adjusted:.6f}" + (f", rank {self.rank}" if self.rank else ", no match")]
        width = max((len(part.token) for part in self.contributions), default=0)
        lines += [f"  {part.token:<{width}} {part.impact} * {part.weight} = {part.product:g}" for part in self.contributions]
        lines += [f"  sum {self.sum!r}, as float32 {self.score!r}, tie adjustment {self.adjustment:g}"]
        return "\n".join(lines + [f"  {token}: left out, {why}" for token, why in self.left_out.items()])


def positions_of(index: BmpIndex, docids: Sequence[str]) -> NDArray[np.int32]:
    """Positions int32[docids] of documents by collection docid, -1 for those that the index does not have."""
    if not index.manifest["source"]["ties_by_docid"]:                # ranks do not follow docids
        return np.array([-1 if found is None else found for found in map(index.position_of, docids)], np.int32)
    encoded = [docid.encode("utf-8", "surrogatepass") for docid in docids]
    ends = np.array(list(itertools.accumulate(map(len, encoded))), np.int64)
    positions = np.empty(len(encoded), np.int32)
    arrays = index.arrays
    find_documents(arrays["docid_bytes"], arrays["docid_end"], arrays["rank_doc"], np.frombuffer(b"".join(encoded), np.uint8),
                   ends, positions)
    return positions


def impacts_of(arrays: Index, excess: NDArray[np.int32], terms: NDArray[np.int32],
               positions: NDArray[np.int32]) -> NDArray[np.int64]:
    """Impacts int64[terms, documents] of the documents at ``positions``; 0 where a document lacks the term.

    excess int32[all terms] is the index's ``term_excess``.
    """
    impacts = np.empty((len(terms), len(positions)), np.int64)
    find_impacts(terms, excess[terms], positions, arrays, impacts)
    return impacts


def products_of(impacts: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.float32]:
    """Products float32[terms, documents], multiplied in float32."""
    return impacts.astype(np.float32) * weights.astype(np.float32)[:, np.newaxis]


def place(index: BmpIndex, position: int, scores: NDArray[np.float32], matched: NDArray[np.bool_],
          adjust: bool) -> tuple[int, float]:
    """A document's rank among all that match, and its score after tie adjustment.

    scores float32[documents] and matched bool[documents] are all documents' ones, by position.
    """
    mine = scores[position]
    above = np.sort(scores[matched & (scores > mine)])[::-1]
    ranks = index.arrays["doc_rank"]
    before = int(np.count_nonzero(matched & (scores == mine) & (ranks < ranks[position])))
    ranked = np.concatenate([above, np.full(before + 1, mine, np.float32)])
    if adjust:
        adjust_ties(ranked, len(ranked))
    return len(ranked), float(ranked[-1])
