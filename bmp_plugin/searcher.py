"""BmpSearcher: queries in, the hits of Pyserini's LuceneImpactSearcher out."""
from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .hits import Hit, make_hits
from .index.index import BmpIndex
from .quantize import quantize_query, scale_of
from .query.batch import adjust_ties, search_many
from .query.exhaustive import add_terms
from .query.lists import Index
from .query.prepare import LARGEST_WEIGHT, OUT_OF_RANGE, TOO_LARGE, prepare

Query = Mapping[str, float]

QUERIES_A_TURN = 8           # queries a thread takes at a time: few enough to share the work evenly


class _Terms(NamedTuple):
    """A query as the kernels take it.

    Attributes
    ----------
    terms : int32[n]
    weights : int64[n]
        Terms of positive weight that min_idf keeps.
    zeros : int32[m]
        Terms of weight 0.
    lists : int32[l]
    list_weights : int64[l]
        The posting lists of the terms; none if products or sums do not fit the fast kernels.
    small : bool
        Whether they fit.
    """

    terms: NDArray[np.int32]
    weights: NDArray[np.int64]
    zeros: NDArray[np.int32]
    lists: NDArray[np.int32]
    list_weights: NDArray[np.int64]
    small: bool


class BmpSearcher:
    """Searches a block-max index; may be shared between threads.

    Parameters
    ----------
    index : BmpIndex or path
    min_idf : float
        A token is used only if ``ln(N / df) > min_idf``; at 0 a token of every document is left out, as in Pyserini.

    Answers are those of ``LuceneImpactSearcher`` on the index's source: the same documents, order and float32 scores. Of an
    index with quantized weights, queries' weights are multiplied by the documents' scale and rounded alike.
    """

    hit_type: type[Hit] = Hit

    def __init__(self, index: BmpIndex | str | Path, min_idf: float = 0) -> None:
        self.index = index if isinstance(index, BmpIndex) else BmpIndex.open(index)
        self.min_idf = min_idf
        geometry = self.index.geometry
        source = self.index.manifest["source"]
        self._source_docs: int = source["num_docs"]
        self._adjust: bool = source["ties_by_docid"]
        self._scale = scale_of(source["details"])              # of the weights that the documents had
        self._arrays = Index(*(self.index.arrays[name] for name in Index._fields))
        self._excess = excess = self.index.arrays["term_excess"]
        largest = self.index.arrays["list_max"].astype(np.int64)
        self._term_max = largest[:len(excess)] + np.where(excess < 0, 0, largest[excess])
        self._kept: tuple[float, NDArray[np.bool_]] | None = None
        self._geometry = np.array([geometry.num_docs, geometry.num_superblocks, geometry.block_shift,
                                   geometry.num_windows], np.int64)

    def __enter__(self) -> BmpSearcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to do: the maps go with the index. Callers of other searchers expect it."""

    def search(self, query: Query, k: int = 10, alpha: float = 1.0, beta: float = 1.0,
               budget: int | None = None) -> list[Hit]:
        """The k best documents for a query.

        Parameters
        ----------
        query : mapping of str to number
            Token to weight. Floats are cut towards zero; a weight of 0 matches with score 0. Unknown tokens are ignored.
        k : int
            How many hits, at least 1; fewer come where fewer documents match.
        alpha : float in (0, 1]
            Upper bounds are multiplied by it, so blocks are skipped that could still hold one of the k best. 1 is safe;
            lower is faster and may lose documents.
        beta : float in (0, 1]
            Upper bounds are made of the tokens that can add at least (1 - beta) times as much to a score as the query's
            tokens can on average; the others count for scores only. 1 is safe; lower is faster and may lose documents.
        budget : int, optional
            Stop after so many superblocks of 256 documents, the most promising ones: bounds the time of the longest
            queries. None is safe.

        Whatever is skipped, every score that is returned is the document's own.

        Returns
        -------
        list of Hit, best first: float32 score descending, then docid ascending as UTF-8 bytes; ties adjusted as Anserini
        does.

        Errors
        ------
        ValueError for a negative weight, a weight that is not a number or above 2^31 - 1, and for k < 1 or an alpha, beta
        or budget out of range.
        """
        _check_options(k, 1, alpha, beta, budget)
        return self._answer([query], k, alpha, beta, budget)[0]

    def batch_search(self, queries: Sequence[Query], qids: Sequence[str], k: int = 10, threads: int = 1,
                     alpha: float = 1.0, beta: float = 1.0, budget: int | None = None) -> dict[str, list[Hit]]:
        """Search many queries, in threads that do not wait for the interpreter while they search.

        Returns the hits by qid, in the order of ``qids``; of queries with the same qid the last one counts. Parameters
        and errors as in :meth:`search`; ``ValueError`` also if ``queries`` and ``qids`` differ in length or threads < 1.
        """
        if len(queries) != len(qids):
            raise ValueError(f"{len(queries)} queries come with {len(qids)} qids; give one qid a query")
        _check_options(k, threads, alpha, beta, budget)
        turns = [queries[first:first + QUERIES_A_TURN] for first in range(0, len(queries), QUERIES_A_TURN)]
        if threads == 1 or len(turns) == 1:
            answers = [self._answer(turn, k, alpha, beta, budget) for turn in turns]
        else:
            with ThreadPoolExecutor(threads) as pool:
                answers = list(pool.map(lambda turn: self._answer(turn, k, alpha, beta, budget), turns))
        return dict(zip(qids, itertools.chain.from_iterable(answers), strict=True))

    def _answer(self, queries: Sequence[Query], k: int, alpha: float, beta: float,
                budget: int | None) -> list[list[Hit]]:
        """One turn: queries to hits, by one call of the kernels."""
        encoded = [self._encode(query) for query in queries]
        if self.index.num_docs == 0 or not encoded:
            return [[] for _ in queries]
        k = min(int(k), self.index.num_docs)
        n = len(encoded)
        starts = np.array([0, *itertools.accumulate(len(query.lists) for query in encoded)], np.int64)
        lists, weights = encoded[0].lists, encoded[0].list_weights
        if n > 1:
            lists = np.concatenate([query.lists for query in encoded])
            weights = np.concatenate([query.list_weights for query in encoded])
        bounded = np.ones(len(lists), np.bool_)
        if beta < 1.0:
            for q, query in enumerate(encoded):
                bounded[starts[q]:starts[q + 1]] = self._bounded(query, beta)
        whole = budget is None
        budget = self.index.geometry.num_superblocks if budget is None else budget
        docs = np.empty((n, k), np.int32)
        scores = np.empty((n, k), np.float32)
        found = np.zeros(n, np.int64)
        statistics = np.zeros((n, 2), np.int64)
        search_many(starts, lists, weights, bounded, k, float(alpha), int(budget), _first_tier(k), self._geometry, self._arrays,
                    docs, scores, found, statistics)
        return [self._hits(encoded[q], k, docs[q], scores[q], int(found[q]), whole) for q in range(n)]

    def _hits(self, query: _Terms, k: int, docs: NDArray[np.int32], scores: NDArray[np.float32], found: int,
              whole: bool) -> list[Hit]:
        if found < 0 or not query.small:
            docs, scores = self._exhaustive(query, k)
            found = len(docs)
        elif found < k and len(query.zeros) and whole:       # else documents may be missing that score more than 0
            docs, scores = self._with_zeros(query, k, docs[:found], scores[:found])
            found = len(docs)
        if self._adjust:
            adjust_ties(scores, found)
        return make_hits(self.index, docs[:found], scores[:found], self.hit_type)

    def _encode(self, query: Query) -> _Terms:
        if self._scale is not None:
            query = quantize_query(query, self._scale)
        ids = np.array(self.index.term_ids(query), np.int64)
        values = _weights(query)
        n = len(values)
        terms, zeros, lists = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(2 * n, np.int32)
        weights, list_weights = np.empty(n, np.int64), np.empty(2 * n, np.int64)
        num_terms, num_zeros, num_lists = prepare(ids, values, self._keeps(), self._term_max, self._excess, terms, weights,
                                                  zeros, lists, list_weights)
        if num_lists == OUT_OF_RANGE:
            for token, weight in query.items():
                _java_int(token, weight)
        small = num_lists != TOO_LARGE
        num_lists = num_lists if small else 0
        return _Terms(terms[:num_terms], weights[:num_terms], zeros[:num_zeros], lists[:num_lists], list_weights[:num_lists],
                      small)

    def _keeps(self) -> NDArray[np.bool_]:
        """Whether min_idf, which may be assigned, keeps each term: bool[num_terms]."""
        if self._kept is None or self._kept[0] != self.min_idf:
            df = self.index.arrays["term_df"]
            if self.min_idf == 0:                      # ln(N / df) > 0
                keeps = df < self._source_docs
            else:
                with np.errstate(divide="ignore"):
                    keeps = np.log(self._source_docs / df) > self.min_idf
            self._kept = (self.min_idf, keeps)
        return self._kept[1]

    def _bounded(self, query: _Terms, beta: float) -> NDArray[np.bool_]:
        """Which of a query's lists bounds are made of, bool[lists]: those of the terms that can add enough to a score."""
        if not len(query.lists):
            return np.ones(0, np.bool_)
        most = query.weights * self._term_max[query.terms]             # the largest is not below the mean: one is left
        enough = most >= (1.0 - beta) * (int(most.sum()) / len(most))
        return np.repeat(enough, 1 + (self._excess[query.terms] >= 0))     # a term's excess follows its own list

    def _exhaustive(self, query: _Terms, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        sums, matched = self._sums(query.terms, query.weights)
        self._sums(query.zeros, np.zeros(len(query.zeros), np.int64), sums, matched)
        found = np.flatnonzero(matched)
        scores = sums[found].astype(np.float32)
        best = np.lexsort((self.index.arrays["doc_rank"][found], -scores))[:k]
        return found[best].astype(np.int32), scores[best]

    def _with_zeros(self, query: _Terms, k: int, docs: NDArray[np.int32],
                    scores: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """All documents with a positive score are in; those that match by tokens of weight 0 alone follow by rank."""
        _, matched = self._sums(query.zeros, np.zeros(len(query.zeros), np.int64))
        matched[docs] = False
        ranks = np.sort(self.index.arrays["doc_rank"][np.flatnonzero(matched)])[:k - len(docs)]
        more = self.index.arrays["rank_doc"][ranks]
        return np.concatenate([docs, more]), np.concatenate([scores, np.zeros(len(more), np.float32)])

    def _sums(self, terms: NDArray[np.int32], weights: NDArray[np.int64], sums: NDArray[np.float64] | None = None,
              matched: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        if sums is None or matched is None:
            sums, matched = np.zeros(self.index.num_docs), np.zeros(self.index.num_docs, np.bool_)
        add_terms(terms, self._excess[terms], weights.astype(np.float32), self._arrays, sums, matched)
        return sums, matched


def _first_tier(k: int) -> int:
    """Superblocks to score before the rest is looked at: enough for a threshold, few enough to be nearly all needed."""
    return 4 + k // 64


def _weights(query: Query) -> NDArray[np.int64]:
    """The weights as integers; which may be out of range."""
    values = list(query.values())
    if set(map(type, values)) <= {int}:
        try:
            return np.array(values, np.int64)
        except OverflowError:
            pass                                       # refused below, by name
    return np.array([_java_int(token, weight) for token, weight in query.items()], np.int64)


def _java_int(token: str, weight: Any) -> int:
    """The weight as Java's Integer takes it from Python, with numpy's numbers accepted too."""
    if not isinstance(token, str):
        raise ValueError(f"query token {token!r} is not a string")
    if not isinstance(weight, numbers.Real) or isinstance(weight, bool):
        raise ValueError(f"weight {weight!r} of query token {token!r} is not a number")
    if not math.isfinite(weight):
        raise ValueError(f"weight {weight!r} of query token {token!r} is not finite")
    value = int(weight)  # type: ignore[call-overload]
    if value < 0:
        raise ValueError(f"weight {weight!r} of query token {token!r} is negative; weights are at least 0")
    if value > LARGEST_WEIGHT:
        raise ValueError(f"weight {weight!r} of query token {token!r} is above {LARGEST_WEIGHT}")
    return value


def _check_options(k: int, threads: int, alpha: float, beta: float, budget: int | None) -> None:
    if not isinstance(k, numbers.Integral) or k < 1:
        raise ValueError(f"k={k!r} is not a whole number of at least 1")
    if not isinstance(threads, numbers.Integral) or threads < 1:
        raise ValueError(f"threads={threads!r} is not a whole number of at least 1")
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0.0 < value <= 1.0:
            raise ValueError(f"{name}={value!r} is not above 0 and at most 1")
    if budget is not None and (not isinstance(budget, numbers.Integral) or budget < 1):
        raise ValueError(f"budget={budget!r} is not a whole number of at least 1, or None")
