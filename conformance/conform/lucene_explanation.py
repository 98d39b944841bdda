"""Lucene's explanation of a document's score: ``IndexSearcher.explain`` of the query that Anserini builds."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FIELD = "contents"


@dataclass(frozen=True)
class LuceneExplanation:
    """Lucene's explanation.

    Attributes
    ----------
    score : float
        The float32 score, before tie adjustment; 0 without a match.
    impacts : dict of str to int
        The frequency of each query token in the document, as the explanation states it.
    text : str
        Lucene's own text.
    """

    score: float
    impacts: dict[str, int]
    text: str


class LuceneExplainer:
    """Explains scores of a LuceneImpactSearcher (except with ONNX encoders, RM3 or Rocchio)."""

    def __init__(self, searcher: Any) -> None:
        from pyserini.pyclass import autoclass

        self._searcher = searcher
        # Anserini opens its own searcher only at the first query
        self._lucene = autoclass("org.apache.lucene.search.IndexSearcher")(searcher.object.reader)
        self._lucene.setSimilarity(searcher.object.similarity)

    def explain(self, query: Mapping[str, Any], docid: str) -> LuceneExplanation:
        """Explains the score of a document, by its collection docid.

        Raises
        ------
        ValueError
            If the docid is not in the index.
        """
        from pyserini.pyclass import JFloat, JHashMap, autoclass

        term, term_query = autoclass("org.apache.lucene.index.Term"), autoclass("org.apache.lucene.search.TermQuery")
        found = self._lucene.search(term_query(term("id", docid)), 1).scoreDocs
        if not found:
            raise ValueError(f"docid {docid!r} is not in {self._searcher.index_dir}")
        weights = JHashMap()
        tokens = []
        onnx = self._searcher.encoder_type == "onnx"             # to which min_idf does not apply
        for token, weight in query.items():
            if token in self._searcher.idf and (onnx or self._searcher.idf[token] > self._searcher.min_idf):
                weights.put(token, JFloat(float(int(weight))))
                tokens.append(token)
        if not tokens:
            return LuceneExplanation(0.0, {}, "no token of the query is searched for")
        whole = self._lucene.explain(self._searcher.object.generator.buildQuery(FIELD, weights), found[0].doc)
        impacts: dict[str, int] = {}
        _collect(whole, impacts)
        return LuceneExplanation(whole.getValue().floatValue() if whole.isMatch() else 0.0, impacts, whole.toString())


def _collect(part: Any, impacts: dict[str, int]) -> None:
    """Collects impacts: ``weight(contents:TOKEN in N) [ImpactSimilarity], result of:`` contains ``impact(freq=F)``."""
    text = part.getDescription()
    start = f"weight({FIELD}:"
    if part.isMatch() and text.startswith(start):
        token = text[len(start):text.rindex(" in ", 0, text.rindex(") ["))]
        impacts[token] = int(part.getDetails()[0].getValue().floatValue())
        return
    for detail in part.getDetails():
        _collect(detail, impacts)
