"""Explanations of scores: what every token of a query contributes, and how the sum becomes the score of a hit."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..index.block_max_index import BmpIndex
from ..index.layout import KernelIndex
from ..query.rescore import read_impacts
from .checked_arguments import Query, checked_weights
from .min_idf import kept_terms
from .tie_adjustment import adjust_ties


@dataclass(frozen=True)
class Contribution:
    """The contribution of one token: the document's impact times the query's weight, multiplied in float32 as by Lucene."""

    token: str
    impact: int
    weight: int
    product: float


@dataclass(frozen=True)
class Explanation:
    """An explanation of a document's score for a query.

    Attributes
    ----------
    docid : str
    lucene_docid : int
        Its source document id.
    contributions : list of Contribution
        Those of the tokens that the document has, in the order of the query.
    sum : float
        The sum of the products, in float64.
    score : float
        The sum in float32, by which documents are ranked.
    rank : int or None
        Its rank among all documents that match, from 1; None if it does not match.
    adjustment : float
        What tie adjustment adds to the score at that rank.
    adjusted : float
        The float32 score that a search returns.
    left_out : dict of str to str
        Tokens of the query that are ignored, each with the reason.
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
        """Whether the document has a token of the query, possibly of weight 0."""
        return bool(self.contributions)

    def as_dict(self) -> dict[str, Any]:
        """Returns the explanation as a dict, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.docid}: {self.adjusted:.6f}" + (f", rank {self.rank}" if self.rank else ", no match")]
        width = max((len(part.token) for part in self.contributions), default=0)
        lines += [f"  {part.token:<{width}} {part.impact} * {part.weight} = {part.product:g}" for part in self.contributions]
        lines += [f"  sum {self.sum!r}, as float32 {self.score!r}, tie adjustment {self.adjustment:g}"]
        return "\n".join(lines + [f"  {token}: left out, {why}" for token, why in self.left_out.items()])


def impacts_of(index: KernelIndex, terms: NDArray[np.int32], docs: NDArray[np.int32]) -> NDArray[np.int64]:
    """Returns the impacts of terms in the documents with internal ids ``docs``, 0 where absent: int64[terms, documents]."""
    impacts = np.zeros((len(terms), len(docs)), np.int64)
    read_impacts(terms=terms, docs=docs.astype(np.int64), index=index, impacts=impacts)
    return impacts


def products_of(impacts: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns the products of impacts and weights, multiplied in float32: float32[terms, documents]."""
    return impacts.astype(np.float32) * weights.astype(np.float32)[:, np.newaxis]


class Found(NamedTuple):
    """A document to explain: its source document id, and the contributions of its tokens."""

    lucene_docid: int
    contributions: list[Contribution]


class Ahead(NamedTuple):
    """What ranks ahead of a document in an index or a shard.

    Attributes
    ----------
    above : float32[n]
        Higher scores of documents that match, unordered.
    ties : int
        Number of documents with the same score that precede it.
    """

    above: NDArray[np.float32]
    ties: int


def find(index: BmpIndex, kernel_index: KernelIndex, keeps: NDArray[np.bool_], query: Query, docid: str) -> Found | None:
    """Returns how a document matches a query; None if the index does not have the docid.

    keeps bool[terms] tells which terms min_idf keeps.

    Raises
    ------
    ValueError
        If a weight is invalid.
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
    """Returns what ranks ahead of a document: of all documents, their scores, whether they match, and precede it in a tie."""
    mine = np.float32(score)
    return Ahead(scores[matched & (scores > mine)], int(np.count_nonzero(matched & first & (scores == mine))))


def left_out(tokens: Iterable[str], ids: Iterable[int], df: NDArray[np.int64], num_docs: int, min_idf: float) -> dict[str, str]:
    """Returns why tokens are ignored; ids are their term ids, num_docs is that of the source."""
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
    """Returns the explanation of a document.

    Parameters
    ----------
    docid : str
    found : Found
    reasons : dict of str to str
        Tokens that are ignored, each with the reason.
    before : callable
        Returns what ranks ahead of the document in each shard, given its score; called only if the document matches.
    adjust : bool
        Whether Anserini adjusts the ties of this index.
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
