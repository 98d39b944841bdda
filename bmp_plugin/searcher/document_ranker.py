"""Ranks the documents of an index for queries, as internal document ids with scores."""
from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.block_max_index import BmpIndex
from ..index.layout import kernel_index
from ..index.quantization import quantize_query, scale_of
from ..query.batch import Queries, Results, search_many
from ..query.block_max_pruning import SearchOptions
from ..query.exhaustive import best_documents, sum_scores
from .checked_arguments import Query, checked_weights, weights_of
from .compiled_search import is_search_compiled
from .min_idf import IdfFilter
from .query_threads import search_in_threads, threads_worthwhile, whole_share

Ranked = tuple[NDArray[np.int32], NDArray[np.float32]]
Terms = tuple[NDArray[np.int32], NDArray[np.int64]]


class DocumentRanker:
    """Ranks documents by Block-Max Pruning, or exhaustively where that cannot be used.

    Parameters
    ----------
    index : BmpIndex, path or URL
        See :meth:`bmp_plugin.BmpIndex.open`.
    min_idf : float
        See :mod:`.min_idf`.

    Attributes
    ----------
    num_uncompiled : int
        How many queries were scored exhaustively because the search was still being compiled, see :mod:`.compiled_search`.
    """

    def __init__(self, index: BmpIndex | str | Path, min_idf: float = 0) -> None:
        self.index = index if isinstance(index, BmpIndex) else BmpIndex.open(index)
        self.min_idf = min_idf
        self.num_uncompiled = 0
        source = self.index.manifest["source"]
        self._source_docs: int = source["num_docs"]
        self._scale = scale_of(source["details"])              # of the documents' weights
        self._kernel_index = kernel_index(self.index.arrays, self.index.geometry)
        self._idf_filter = IdfFilter(self.index.arrays["term_df"], self._source_docs)

    def rank(self, queries: Sequence[Query], k: int, alpha: float = 1.0, beta: float = 1.0, budget: int | None = None,
             floors: NDArray[np.float32] | None = None, threads: int = 1) -> tuple[list[Ranked], NDArray[np.int64]]:
        """Ranks documents for some queries by one call of the kernels, without tie adjustment; options are not checked.

        Parameters
        ----------
        queries, k, alpha, beta, budget
            See :meth:`batch_search`.
        floors : float32[queries], optional
            Initial thresholds: scores that k documents of other shards reach, or 0. Documents that score less may be missing.
        threads : int
            Largest number of threads for a single query, see :meth:`search`.

        Returns
        -------
        list of (int32[n], float32[n])
            Internal document ids and scores of each query, n <= k.
        int64[queries, 2]
            Number of superblocks, and number of those that were scored.
        """
        n = len(queries)
        if self.index.num_docs == 0 or n == 0:
            for query in queries:
                checked_weights(self._scaled(query))
            return [(np.empty(0, np.int32), np.empty(0, np.float32))] * n, np.zeros((n, 2), np.int64)
        k = min(int(k), self.index.num_docs)
        starts, ids, values = self._tokens(queries)
        most = self.index.geometry.num_superblocks if budget is None else int(budget)
        floors = np.zeros(n, np.float32) if floors is None else np.array(floors, np.float32)
        results = Results(np.empty((n, k), np.int32), np.empty((n, k), np.float32), np.zeros((n, 4), np.int64))
        arguments: dict[str, Any] = {
            "queries": Queries(starts, ids, values, floors), "kept": self._keeps(), "index": self._kernel_index,
            "options": SearchOptions(k, float(alpha), float(beta), most), "share": whole_share(self._kernel_index),
            "results": results}
        is_safe = alpha == beta == 1 and budget is None
        ranked: list[Ranked] = []
        while len(ranked) < n and not is_search_compiled(self.index.path, arguments, is_safe):
            ranked.append(self._exhaustive(self._encode(queries[len(ranked)]), k))
            self.num_uncompiled += 1
        docs, scores, outcomes = results
        done = len(ranked)
        outcomes[:done, 2:] = self.index.geometry.num_superblocks
        if done:
            arguments["queries"] = Queries(starts[done:], ids, values, floors[done:])
            arguments["results"] = Results(docs[done:], scores[done:], outcomes[done:])
        useful = threads_worthwhile(len(ids), k, self._kernel_index, threads) if done == 0 and n == 1 and is_safe else 1
        if useful > 1:
            search_in_threads(arguments, useful)
        elif done < n:
            search_many(**arguments)
        for q, (found, zeros, _, _) in enumerate(outcomes[done:].tolist(), done):
            if found < 0:
                ranked.append(self._exhaustive(self._encode(queries[q]), k))
            elif found < k and zeros and budget is None and not floors[q]:   # else documents that score above 0 may be missing
                ranked.append(self._with_zeros(self._encode(queries[q]), k, docs[q, :found], scores[q, :found]))
            else:
                ranked.append((docs[q, :found], scores[q, :found]))
        return ranked, outcomes[:, 2:]

    def _scaled(self, query: Query) -> Query:
        """Returns the query, multiplied by the documents' scale if they are quantized."""
        return query if self._scale is None else quantize_query(query, self._scale)

    def _tokens(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Returns the concatenated tokens of queries: where each query begins, int64[queries + 1]; term ids or -1; weights."""
        if self._scale is not None:
            queries = [self._scaled(query) for query in queries]
        ids = self.index.term_ids([token for query in queries for token in query])
        starts = np.array([0, *itertools.accumulate(map(len, queries))], np.int64)
        return starts, np.array(ids, np.int64), weights_of(queries)

    def _encode(self, query: Query) -> Terms:
        """Returns the terms of a query that min_idf keeps, and their weights; raises ``ValueError`` if a weight is invalid."""
        ids, weights = np.array(self.index.term_ids(query), np.int64), checked_weights(self._scaled(query))
        known = np.flatnonzero(ids >= 0)
        kept = known[self._keeps()[ids[known]]]
        return ids[kept].astype(np.int32), weights[kept]

    def _keeps(self) -> NDArray[np.bool_]:
        """Tells for each term whether it counts: bool[num_terms]; min_idf may be assigned between searches."""
        return self._idf_filter.kept(self.min_idf)

    def _exhaustive(self, query: Terms, k: int) -> Ranked:
        return best_documents(*self._sums(*query), self.index.arrays["doc_rank"], k)

    def _with_zeros(self, query: Terms, k: int, docs: NDArray[np.int32], scores: NDArray[np.float32]) -> Ranked:
        """Appends the documents that match by tokens of weight 0 alone, by rank, to all documents with a positive score."""
        terms, weights = query
        _, matched = self._sums(terms[weights == 0], weights[weights == 0])
        matched[docs] = False
        ranks = np.sort(self.index.arrays["doc_rank"][np.flatnonzero(matched)])[:k - len(docs)]
        more = self.index.arrays["rank_doc"][ranks]
        return np.concatenate([docs, more]), np.concatenate([scores, np.zeros(len(more), np.float32)])

    def _sums(self, terms: NDArray[np.int32], weights: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Returns the scores of all documents, float64[num_docs], and whether they match, bool[num_docs]."""
        return sum_scores(terms, weights, self._kernel_index)
