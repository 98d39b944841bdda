"""Why a document has its score: what every token of the query adds to it, and what becomes of the sum."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import Query, checked_weights, kept_terms
from .index.index import BmpIndex
from .index.layout import KernelIndex
from .query.rescore import read_impacts
from .tie_adjustment import adjust_ties


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


def impacts_of(index: KernelIndex, terms: NDArray[np.int32], docs: NDArray[np.int32]) -> NDArray[np.int64]:
    """Impacts int64[terms, documents] of the documents with internal document ids ``docs``; 0 where one lacks the term."""
    impacts = np.zeros((len(terms), len(docs)), np.int64)
    read_impacts(terms=terms, docs=docs.astype(np.int64), index=index, impacts=impacts)
    return impacts


def products_of(impacts: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.float32]:
    """Products float32[terms, documents], multiplied in float32."""
    return impacts.astype(np.float32) * weights.astype(np.float32)[:, np.newaxis]


class Found(NamedTuple):
    """A document that is to be explained: its number in the source, and what the tokens that it has add."""

    lucene_docid: int
    contributions: list[Contribution]


class Ahead(NamedTuple):
    """What of an index, or of a shard, ranks before a document.

    Attributes
    ----------
    above : float32[n]
        Higher scores of documents that match, in no order.
    ties : int
        How many more have the same score and come first.
    """

    above: NDArray[np.float32]
    ties: int


def find(index: BmpIndex, kernel_index: KernelIndex, keeps: NDArray[np.bool_], query: Query, docid: str) -> Found | None:
    """What a document has of a query, in the order of the query; None for a docid that the index does not have.

    keeps bool[terms] tells which terms count. Raises ``ValueError`` for a bad weight.
    """
    ids, values = index.term_ids(query), checked_weights(query).tolist()
    doc = index.docs_of([docid])
    if doc[0] < 0:
        return None
    kept = [(token, term, value) for token, term, value in zip(query, ids, values, strict=True) if term >= 0 and keeps[term]]
    terms, weights = np.array([term for _, term, _ in kept], np.int32), np.array([value for *_, value in kept], np.int64)
    impacts = impacts_of(kernel_index, terms, doc)
    products = products_of(impacts, weights)[:, 0].tolist()
    parts = [Contribution(token, impact, value, product) for (token, _, value), impact, product
             in zip(kept, impacts[:, 0].tolist(), products, strict=True) if impact]
    return Found(int(index.arrays["source_docid"][doc[0]]), parts)


def ahead(scores: NDArray[np.float32], matched: NDArray[np.bool_], first: NDArray[np.bool_], score: float) -> Ahead:
    """Documents that rank before one with a score: scores float32, whether they match, and whether they come first."""
    mine = np.float32(score)
    return Ahead(scores[matched & (scores > mine)], int(np.count_nonzero(matched & first & (scores == mine))))


def left_out(tokens: Iterable[str], ids: Iterable[int], df: NDArray[np.int64], num_docs: int, min_idf: float) -> dict[str, str]:
    """Why tokens count for no document: tokens and their numbers, df int64[terms], and documents of the source."""
    reasons = {}
    for token, term in zip(tokens, ids, strict=True):
        if term < 0:
            reasons[token] = "in no document"
        elif not kept_terms(df[term:term + 1], num_docs, min_idf)[0]:
            every = df[term] >= num_docs
            idf = math.log(num_docs / int(df[term]))
            reasons[token] = "in every document" if every else f"its idf {idf:.4f} is not above {min_idf}"
    return reasons


def explained(docid: str, found: Found, reasons: dict[str, str], before: Callable[[float], Sequence[Ahead]],
              adjust: bool) -> Explanation:
    """The explanation of a document that was found.

    ``before`` tells what ranks before it in each part of the collection, given its score; it is asked only if the document
    matches. ``reasons`` are those of tokens that are left out; ``adjust`` says whether ties are adjusted.
    """
    total = float(sum(part.product for part in found.contributions))
    score, rank, adjusted = float(np.float32(total)), None, 0.0
    if found.contributions:
        parts = before(score)
        above = np.sort(np.concatenate([part.above for part in parts]))[::-1]
        ranked = np.concatenate([above, np.full(1 + sum(part.ties for part in parts), score, np.float32)])
        if adjust:
            adjust_ties(ranked, len(ranked))
        rank, adjusted = len(ranked), float(ranked[-1])
    return Explanation(docid, found.lucene_docid, found.contributions, total, score, rank, adjusted - score, adjusted, reasons)
