"""ShardedSearcher: the methods and answers of BmpSearcher, from shards in this process or on a Ray cluster."""
from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import BmpError, ShardLostError
from ..searcher.checked_arguments import (
    Query,
    check_docids,
    check_options,
    check_qids,
    check_queries,
    checked_weights,
)
from ..searcher.explanation import Explanation, explained, left_out
from ..searcher.hits import Hit
from ..searcher.min_idf import IdfFilter
from .merge import ResultMerger
from .request_waves import sample_size, waves
from .shard_server import SearchRequest, Shard, ShardServer
from .sharded_index import ShardedIndex

REQUEST_QUERIES = 32          # few enough to spread over the shards, enough that a request costs little per query
Prepared = Mapping[str, int]
Result = TypeVar("Result")
_open: weakref.WeakSet[ShardedSearcher] = weakref.WeakSet()


class _Options(NamedTuple):
    """The search options of a request to a shard; see :class:`.shard_server.SearchRequest`."""

    k: int
    alpha: float
    beta: float
    budget: int | None
    target_recall: float | None


class ShardedSearcher:
    """Searches a sharded index as if it were one index; may be shared between threads.

    Parameters
    ----------
    index : ShardedIndex, path or URL
    min_idf : float
        See :class:`bmp_plugin.BmpSearcher`; N and the document frequencies are those of the whole collection.
    ray_address : str, optional
        Address of a Ray cluster whose actors serve the shards: "auto", "host:port", "ray://host:port", or "local" to start
        one on this machine; an existing connection of Ray is used as it is. By default, shards are opened in this process.
    shards_at : str, optional
        Folder or URL that contains the shards under their folders' names, as the nodes see it; by default, shards are opened
        at their paths in the manifest.
    allow_partial : bool
        Continue without shards that cannot be opened or are lost for good; ``missing`` lists them.
    patience : float
        Seconds to wait until a cluster has room for a shard, at first and after its process or node died.
    threads : int
        Number of threads of each actor, and of processors that it requests from the cluster; in this process, threads are
        given to :meth:`batch_search` instead.
    actor_options : mapping, optional
        Further options of the Ray actors, such as ``resources``, ``memory`` or ``runtime_env``.

    Attributes
    ----------
    missing : list of str
        Shards that answers lack, each with the reason; empty unless ``allow_partial``.

    Raises
    ------
    FileNotFoundError
    bmp_plugin.errors.ShardLostError
        If a shard, which it names, is lost.
    MissingDependencyError
        If Ray is needed and not installed; opening an index may raise more.
    """

    hit_type: type[Hit] = Hit

    def __init__(self, index: ShardedIndex | str | Path, min_idf: float = 0, *, ray_address: str | None = None,
                 shards_at: str | None = None, allow_partial: bool = False, patience: float = 60.0, threads: int = 1,
                 actor_options: Mapping[str, Any] | None = None) -> None:
        self.index = index if isinstance(index, ShardedIndex) else ShardedIndex.open(index)
        self.min_idf = min_idf
        self._source_docs: int = self.index.manifest["source"]["num_docs"]
        self._allow_partial = allow_partial
        self._idf_filter = IdfFilter(self.index.arrays["term_df"], self._source_docs)
        self._lost: dict[str, str] = {}
        self._release: Callable[[], None] = lambda: None
        locations = [self.index.location(entry, shards_at) for entry in self.index.shards]
        entries = list(zip(self.index.shards, locations, strict=True))
        num_shards = len(entries)
        self._shards: list[Shard]
        if ray_address is None:
            self._in_flight = 0
            self._shards = [ShardServer(*entry) for entry in entries]
            self._workers = min(num_shards, os.cpu_count() or 1)
        else:
            from .ray_actors import RayShard, connect

            self._in_flight = min(num_shards + 1, 16)
            ray, self._release = connect(ray_address)
            options = {"num_cpus": threads} | dict(actor_options or {})
            self._shards = [RayShard(ray, *entry, options, patience) for entry in entries]
            self._workers = 4 * num_shards
        self._threads = threads
        self._start_threads()
        _open.add(self)
        try:
            list(self._pool.map(lambda shard: self._unless_lost(shard, shard.open), self._shards))
            self._check_not_all_lost()
        except BaseException:
            self.close()
            raise

    def _start_threads(self) -> None:
        """Starts threads; a forked process needs its own."""
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(self._workers, "shard")

    def __repr__(self) -> str:
        return f"ShardedSearcher({self.index!r}, min_idf={self.min_idf:g})"

    def __enter__(self) -> ShardedSearcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stops the actors, if any, and the threads; may be called twice."""
        _open.discard(self)
        for shard in self._shards:
            shard.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._release()
        self._release = lambda: None

    @property
    def missing(self) -> list[str]:
        """Returns the shards that answers lack, each with the reason."""
        with self._lock:
            return [f"{name}: {self._lost[name]}" for name in sorted(self._lost)]

    def search(self, query: Query, k: int = 10, alpha: float = 1.0, beta: float = 1.0, budget: int | None = None,
               threads: int = 1, target_recall: float | None = None) -> list[Hit]:
        """Searches for the k best documents, as :meth:`bmp_plugin.BmpSearcher.search` does in one index.

        ``budget`` is divided among the shards, and with ``beta`` below 1 each shard selects tokens by its own impacts, and
        reaches a ``target_recall`` by its own measurements: so approximate answers differ from those of one index. Safe ones
        do not. In this process, shards are
        searched at the same time, by ``threads`` threads or as many as there are shards and processors; actors use their own.
        """
        check_queries([query])
        check_options(k, threads, alpha, beta, budget, target_recall)
        options = self._options(k, alpha, beta, budget, target_recall)
        (merger, q), = self._ask([self._prepared(query)], 0, True, options, threads)
        return merger.hits(q, self.hit_type)

    def batch_search(self, queries: Iterable[Query], qids: Iterable[str], k: int = 10, threads: int = 1,
                     alpha: float = 1.0, beta: float = 1.0, budget: int | None = None,
                     target_recall: float | None = None) -> dict[str, list[Hit]]:
        """Searches for many queries; see :meth:`bmp_plugin.BmpSearcher.batch_search`.

        ``threads`` are those of this process; with Ray, enough requests are in flight to keep all shards busy.
        """
        queries, qids = list(queries), list(qids)
        check_queries(queries)
        check_qids(len(queries), len(qids))
        check_options(k, threads, alpha, beta, budget, target_recall)
        options = self._options(k, alpha, beta, budget, target_recall)
        prepared = [self._prepared(query) for query in queries]
        in_flight = self._in_flight or threads
        size = max(1, min(REQUEST_QUERIES, -(-len(prepared) // in_flight)))
        groups = [prepared[first:first + size] for first in range(0, len(prepared), size)]

        def answer(group: int) -> list[list[Hit]]:
            return [merger.hits(q, self.hit_type)
                    for merger, q in self._ask(groups[group], group % len(self._shards), self._in_flight > 0, options)]

        if in_flight == 1 or len(groups) == 1:
            answers = list(map(answer, range(len(groups))))
        else:
            with ThreadPoolExecutor(in_flight, "request") as pool:
                answers = list(pool.map(answer, range(len(groups))))
        return dict(zip(qids, (hits for group in answers for hits in group), strict=True))

    def score(self, query: Query, docids: Sequence[str]) -> NDArray[np.float32]:
        """Returns the scores of given documents without searching; see :meth:`bmp_plugin.BmpSearcher.score`.

        The score of a document of a ``missing`` shard is nan.
        """
        check_queries([query])
        check_docids(docids)
        prepared, docids = self._prepared(query), list(docids)
        scores = np.full(len(docids), np.nan, np.float32)
        for part in self._answers(self._shards, lambda shard: shard.score(prepared, docids)):
            scores = np.where(np.isnan(scores), part, scores)
        return scores

    def explain(self, query: Query, docid: str) -> Explanation:
        """Explains the score of a document for a query; see :meth:`bmp_plugin.BmpSearcher.explain`.

        Its rank is that among the documents of all shards that are not ``missing``.
        """
        check_queries([query])
        prepared = self._prepared(query)
        found = next(self._answers(self._shards, lambda shard: shard.find(prepared, docid)), None)
        if found is None:
            lost = f", and shards are missing: {'; '.join(self.missing)}" if self.missing else ""
            raise ValueError(f"docid {docid!r} is not in {self.index.path}{lost}")
        reasons = left_out(query, self.index.term_ids(query), self.index.arrays["term_df"], self._source_docs, self.min_idf)
        return explained(docid, found, reasons, lambda score: [*self._answers(
            self._shards, lambda shard: shard.ahead(prepared, score, docid, found.lucene_docid))], self.index.order.adjust_ties)

    def _ask(self, queries: Sequence[Prepared], first: int, at_once: bool, options: _Options,
             threads: int = 1) -> list[tuple[ResultMerger, int]]:
        """Collects the responses of all shards, ``first`` first; returns a merger and the index in it for each query.

        The first shard is asked for fewer than k documents, and its last score is an estimate of the k-th best. The other
        shards return only what scores as much. If in the end k documents score more than the estimate, nothing was missed. For
        the few queries where they do not, all shards are asked again with the threshold that is then certain.
        """
        plan = waves(len(self._shards), first, at_once)
        sample = sample_size(options.k, len(self._shards))
        merger = ResultMerger(len(queries), options.k, self.index.order)
        nothing = np.zeros(len(queries), np.float32)
        self._ask_waves(plan[:1], queries, options._replace(k=sample), nothing, merger, threads)
        guesses = merger.scores_of(sample)
        self._ask_waves(plan[1:], queries, options, np.maximum(guesses, nothing), merger, threads)
        found = [(merger, q) for q in range(len(queries))]
        if sample < options.k:
            known = merger.scores_of(options.k)
            doubtful = np.flatnonzero((guesses >= 0) & (known <= guesses)).tolist()
            if len(doubtful):
                merger = ResultMerger(len(doubtful), options.k, self.index.order)
                floors = np.maximum(known, nothing)[doubtful]
                self._ask_waves(plan, [queries[q] for q in doubtful], options, floors, merger, threads)
                for at, q in enumerate(doubtful):
                    found[q] = merger, at
        return found

    def _ask_waves(self, plan: list[list[int]], queries: Sequence[Prepared], options: _Options, floors: NDArray[np.float32],
                   merger: ResultMerger, threads: int) -> None:
        """Asks shards wave by wave for documents that score at least ``floors`` and the k-th best score so far."""
        for wave in plan:
            each = self._threads if self._in_flight else max(1, threads // len(wave))
            request = SearchRequest(queries, *options, np.maximum(floors, merger.scores_of(options.k)), each)
            for answers in self._answers([self._shards[i] for i in wave], methodcaller("answer", request)):
                merger.add(answers)

    def _answers(self, shards: Sequence[Shard], ask: Callable[[Shard], Result | None]) -> Iterator[Result]:
        """Yields the shards' answers, in their order, without lost shards and empty answers."""
        asked = [shard for shard in shards if shard.entry.name not in self._lost]

        def answer(shard: Shard) -> Result | None:
            return self._unless_lost(shard, lambda: ask(shard))

        answers = map(answer, asked) if len(asked) < 2 else self._pool.map(answer, asked)
        return (found for found in answers if found is not None)

    def _unless_lost(self, shard: Shard, ask: Callable[[], Result]) -> Result | None:
        """Returns the shard's answer, or None if it is lost and partial answers are allowed; else raises ShardLostError."""
        try:
            return ask()
        except (BmpError, OSError) as error:
            lost = error if isinstance(error, ShardLostError) else ShardLostError(f"{shard.entry.name}: {error}")
            if not self._allow_partial:
                raise lost from error
            with self._lock:
                self._lost[shard.entry.name] = str(error).removeprefix(f"{shard.entry.name}: ")
            self._check_not_all_lost()
            return None

    def _check_not_all_lost(self) -> None:
        if len(self._lost) == len(self._shards):
            raise ShardLostError(f"{self.index.path}: all shards are lost: {'; '.join(self.missing)}")

    def _options(self, k: int, alpha: float, beta: float, budget: int | None, target_recall: float | None) -> _Options:
        return _Options(int(k), alpha, beta, None if budget is None else -(-budget // len(self._shards)), target_recall)

    def _prepared(self, query: Query) -> Prepared:
        """Returns the tokens of a query that the min_idf of the whole collection keeps, with integer weights."""
        ids = np.array(self.index.term_ids(query), np.int64)
        weights = checked_weights(query)
        keeps = (ids >= 0) & self._keeps()[ids] if self.index.num_terms else np.zeros(len(ids), np.bool_)
        return {token: weight for token, weight, kept in zip(query, weights.tolist(), keeps.tolist(), strict=True) if kept}

    def _keeps(self) -> NDArray[np.bool_]:
        """Tells for each term whether it counts: bool[num_terms]; min_idf may be assigned between searches."""
        return self._idf_filter.kept(self.min_idf)


def _start_threads() -> None:
    for searcher in list(_open):
        searcher._start_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_threads)
