"""BmpSearcher, which answers queries with the hits of Pyserini's LuceneImpactSearcher."""
from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._internal.parallel import in_batches
from ..index.block_max_index import BmpIndex
from .checked_arguments import (
    Query,
    check_docids,
    check_options,
    check_qids,
    check_queries,
)
from .document_queries import document_queries
from .document_ranker import DocumentRanker
from .explanation import Ahead, Explanation, Found, ahead, explained, find, impacts_of, left_out, products_of
from .hits import Hit, finish_hits
from .recall_calibration import QUERIES, RecallCalibration, Setting, load


class BmpSearcher(DocumentRanker):
    """Searches a block-max index; may be shared between threads, and pickled: other processes open the index at its path.

    Answers are those of ``LuceneImpactSearcher`` on the index's source: the same documents, order and float32 scores. If the
    index has quantized weights, queries' weights are multiplied by the documents' scale, and rounded alike.

    Parameters
    ----------
    index : BmpIndex, path or URL
        See :meth:`bmp_plugin.BmpIndex.open`.
    min_idf : float
        A token is used only if ``ln(N / df) > min_idf``; at 0, a token of every document is dropped, as in Pyserini.

    Attributes
    ----------
    num_uncompiled : int
        How many queries were scored exhaustively because the search was still being compiled, see :mod:`.compiled_search`.

    Raises
    ------
    FileNotFoundError
    bmp_plugin.BmpError
        If there is no index there, or a damaged one.
    """

    hit_type: type[Hit] = Hit

    def __init__(self, index: BmpIndex | str | Path, min_idf: float = 0) -> None:
        super().__init__(index, min_idf)
        self._adjust: bool = self.index.manifest["source"]["ties_by_docid"]
        self._calibration: RecallCalibration | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.index, self.min_idf)

    def __repr__(self) -> str:
        return f"BmpSearcher({self.index!r}, min_idf={self.min_idf:g})"

    def __enter__(self) -> BmpSearcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Does nothing: memory maps are released with the index."""

    def search(self, query: Query, k: int = 10, alpha: float = 1.0, beta: float = 1.0, budget: int | None = None,
               threads: int = 1, target_recall: float | None = None) -> list[Hit]:
        """Returns the k best documents for a query, each with its exact score, even if the search is approximate.

        Parameters
        ----------
        query : mapping of str to number
            Token to weight, a whole number unless the index is quantized. A weight of 0 matches with score 0. Unknown tokens
            are ignored.
        k : int
            Number of hits, at least 1; there are fewer if fewer documents match.
        alpha : float in (0, 1]
            Upper bounds are multiplied by it, so blocks are pruned that could still contain one of the k best. 1 is safe;
            a lower value is faster and may lose documents.
        beta : float in (0, 1]
            Below 1, the search has two steps. The heaviest tokens, those that can add most to a score, choose k + 5 sqrt(k)
            candidates by their own sum; all tokens together then choose the k best of these. About n s / (n + s) of n tokens
            are heavy, where s = 12 beta / (1 - beta): nearly all of few, and never more than s of many, which is 48 at 0.8.
            1 is safe; a lower value is faster, unless k is many hundreds, and may lose documents.
        budget : int, optional
            Number of superblocks of 256 documents to score at most, the most promising ones, which limits the time of the
            longest queries. None is safe.
        threads : int
            Largest number of threads that share a safe search; the hits are the same. Where that takes longer than it saves,
            as on a few hundred thousand documents for few hits, there is one. Threads for many queries are better given to
            :meth:`batch_search`, which searches several at once.
        target_recall : float in (0, 1], optional
            Approximate search by one number, instead of ``alpha``, ``beta`` and ``budget``: the share of the safe k best
            documents to find, in the mean over many queries. The settings for it are measured on this index: once for a
            searcher, on queries made from its documents, in a second for two million documents, or by ``bmp-plugin tune``,
            which keeps them in the index. None and 1 are safe.

        Returns
        -------
        list of Hit
            Best first: float32 score descending, then docid ascending as UTF-8 bytes; ties adjusted as by Anserini.

        Raises
        ------
        ValueError
            If a weight is not a whole number from 0 to 2^31 - 1, or an option is out of range.
        TypeError
            If the query is not a mapping.
        """
        check_queries([query])
        check_options(k, threads, alpha, beta, budget, target_recall)
        alpha, beta = self.setting(k, target_recall, Setting(alpha, beta))
        return self._answer([query], k, alpha, beta, budget, threads)[0]

    def batch_search(self, queries: Iterable[Query], qids: Iterable[str], k: int = 10, threads: int = 1,
                     alpha: float = 1.0, beta: float = 1.0, budget: int | None = None,
                     target_recall: float | None = None) -> dict[str, list[Hit]]:
        """Searches many queries, in threads that run without the interpreter lock.

        Parameters
        ----------
        queries : iterable of mapping
        qids : iterable of str
            The query id of each query; of queries with the same id, the last one counts.
        k, alpha, beta, budget, target_recall
            See :meth:`search`.
        threads : int
            Number of threads, at least 1. A single query is searched as by :meth:`search`.

        Returns
        -------
        dict of str to list of Hit
            The hits by query id, in the order of ``qids``.

        Raises
        ------
        ValueError
            As by :meth:`search`, or if ``threads`` is below 1, or ``queries`` and ``qids`` differ in length.
        """
        queries, qids = list(queries), list(qids)
        check_queries(queries)
        check_qids(len(queries), len(qids))
        check_options(k, threads, alpha, beta, budget, target_recall)
        alpha, beta = self.setting(k, target_recall, Setting(alpha, beta))
        answers = in_batches(lambda batch, share: self._answer(queries[batch], k, alpha, beta, budget, share),
                             len(queries), k, threads)
        return dict(zip(qids, itertools.chain.from_iterable(answers), strict=True))

    def setting(self, k: int, target_recall: float | None, otherwise: Setting) -> Setting:
        """Returns the setting that reaches a target recall at k, ``otherwise`` if there is no target."""
        return otherwise if target_recall is None else self.calibration.setting(k, target_recall)

    @property
    def calibration(self) -> RecallCalibration:
        """Returns the measured recall of approximate settings: that in the index, or else on queries from its documents.

        Raises
        ------
        DamagedIndexError
            If what ``bmp-plugin tune`` has kept cannot be read.
        """
        if self._calibration is None:
            self._calibration = RecallCalibration(self.found, lambda: self.document_queries(QUERIES), load(self.index.path))
        return self._calibration

    def document_queries(self, n: int) -> list[dict[str, int]]:
        """Returns at most n queries made from documents, see :func:`.document_queries.document_queries`."""
        return document_queries(self.index, self._kernel_index, n)

    def found(self, queries: Sequence[Query], k: int, setting: Setting) -> list[NDArray[np.int32]]:
        """Returns the internal document ids of the k best documents, an array for each query."""
        parts = in_batches(lambda batch, _: self.rank(queries[batch], k, *setting)[0], len(queries), k, 1)
        return [docs.copy() for part in parts for docs, _ in part]

    def score(self, query: Query, docids: Sequence[str]) -> NDArray[np.float32]:
        """Returns the scores of given documents without searching.

        Parameters
        ----------
        query : mapping of str to number
            See :meth:`search`.
        docids : sequence of str
            Where several documents have a docid, as indexes of Lucene may, the first of them in the source is scored.

        Returns
        -------
        float32[docids]
            The scores by which documents are ranked, before tie adjustment: 0 for a document without any token of the query,
            nan for a docid that the index does not have.

        Raises
        ------
        ValueError
            If a weight is invalid, as by :meth:`search`, or ``docids`` is a string.
        """
        check_queries([query])
        check_docids(docids)
        terms, weights = self._encode(query)
        docs = self.index.docs_of(docids)
        known = docs >= 0
        impacts = impacts_of(self._kernel_index, terms, docs[known])
        products = products_of(impacts, weights)
        scores = np.full(len(docs), np.nan, np.float32)
        scores[known] = products.sum(axis=0, dtype=np.float64)
        return scores

    def explain(self, query: Query, docid: str) -> Explanation:
        """Explains the score of a document for a query; scores all documents to find its rank, which tie adjustment depends on.

        Parameters
        ----------
        query : mapping of str to number
            See :meth:`search`.
        docid : str
            Where several documents have it, the first of them in the source is explained.

        Returns
        -------
        Explanation

        Raises
        ------
        ValueError
            If the index does not have the docid, or a weight is invalid, as by :meth:`search`.
        """
        check_queries([query])
        found = self.find(query, docid)
        if found is None:
            raise ValueError(f"docid {docid!r} is not in {self.index.path}")
        reasons = left_out(query, self.index.term_ids(query), self.index.arrays["term_df"], self._source_docs, self.min_idf)
        scaled = self._scaled(query)
        reasons |= {token: "its weight rounds to 0" for token in query if token not in scaled}
        return explained(docid, found, reasons, lambda score: [self.ahead(query, score, docid, found.lucene_docid)],
                         self._adjust)

    def find(self, query: Query, docid: str) -> Found | None:
        """Returns how a document matches a query, None if the index does not have it: see :func:`.explanation.find`."""
        return find(self.index, self._kernel_index, self._keeps(), self._scaled(query), docid)

    def ahead(self, query: Query, score: float, docid: str, lucene_docid: int) -> Ahead:
        """Returns what ranks ahead of a document of this or another shard, whose source document id is relative to this one."""
        sums, matched = self._sums(*self._encode(query))
        first = self.index.arrays["doc_rank"] < self.index.rank_of(docid, lucene_docid)
        return ahead(sums.astype(np.float32), matched, first, score)

    def _answer(self, queries: Sequence[Query], k: int, alpha: float, beta: float,
                budget: int | None, threads: int = 1) -> list[list[Hit]]:
        """Returns the hits of some queries, which are searched by one call of the kernels, or one by several threads."""
        ranked, _ = self.rank(queries, k, alpha, beta, budget, threads=threads)
        if not ranked:
            return []
        found = ranked[0][0] if len(ranked) == 1 else np.concatenate([docs for docs, _ in ranked])
        docids, lucene_docids = self.index.docids(found), self.index.arrays["source_docid"].take(found)
        hits, end = [], 0
        for _, scores in ranked:
            start, end = end, end + len(scores)
            hits.append(finish_hits(docids[start:end], lucene_docids[start:end], scores, self._adjust, self.hit_type))
        return hits

def compile_search(index: str) -> None:
    """Compiles all that a search calls, by searching an index; runs in the process that :mod:`.compiled_search` starts."""
    BmpSearcher(index).search({"": 1})
