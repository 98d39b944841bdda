"""One shard's answers: what runs in a thread of this process, or in a Ray actor on some node."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..searcher import QUERIES_A_TURN, BmpSearcher
from .index import open_shard
from .manifest import ShardEntry


class Question(NamedTuple):
    """Some queries, for one shard after the other.

    Attributes
    ----------
    queries : sequence of dict
        Tokens that min_idf keeps in the whole collection, with weights that are checked.
    k, alpha, beta, budget
        As of :meth:`bmp_plugin.BmpSearcher.search`; ``budget`` is the shard's.
    floors : float32[queries]
        Scores that k documents of other shards reach, or 0: what scores less need not be found. What ties must be.
    threads : int
        Threads of the shard.
    """

    queries: Sequence[Mapping[str, int]]
    k: int
    alpha: float
    beta: float
    budget: int | None
    floors: NDArray[np.float32]
    threads: int


class Answers(NamedTuple):
    """A shard's best documents for the queries of a question, query after query, best first; ties not adjusted.

    Attributes
    ----------
    ends : int64[queries]
        Where each query's documents end.
    scores : float32[n]
    numbers : int64[n]
        Numbers in the source of the whole collection.
    docid_bytes : uint8[...]
    docid_ends : int64[n]
        Docids, UTF-8, and where each ends.
    work : int64[queries, 2]
        Superblocks of the shard, and how many were scored.
    """

    ends: NDArray[np.int64]
    scores: NDArray[np.float32]
    numbers: NDArray[np.int64]
    docid_bytes: NDArray[np.uint8]
    docid_ends: NDArray[np.int64]
    work: NDArray[np.int64]


class Shard(Protocol):
    """What is asked: blocks until there is an answer. Threads may ask at the same time.

    Errors: :class:`bmp_plugin.errors.ShardLostError` if there is none to be had.
    """

    entry: ShardEntry

    def open(self) -> None: ...

    def answer(self, question: Question) -> Answers: ...

    def close(self) -> None: ...


class ShardServer:
    """A shard, opened when it is first asked; Ray makes actors of this class.

    Parameters
    ----------
    entry : ShardEntry
    location : str
        Path or URL, as seen from here.
    """

    def __init__(self, entry: ShardEntry, location: str) -> None:
        self.entry = entry
        self.location = location
        self._searcher: BmpSearcher | None = None

    def open(self) -> None:
        """Open the shard, and copy it here before if it is in an object store.

        Errors: ``FileNotFoundError``, :class:`bmp_plugin.BmpError`.
        """
        # the whole collection's min_idf has filtered the queries already
        self._searcher = BmpSearcher(open_shard(self.entry, self.location), min_idf=float("-inf"))

    def node(self) -> str:
        """The Ray node that this runs on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def answer(self, question: Question) -> Answers:
        """Search the question's queries."""
        if self._searcher is None:
            self.open()
        n = len(question.queries)
        size = QUERIES_A_TURN if question.threads > 1 else max(n, 1)
        turns = [slice(first, first + size) for first in range(0, n, size)]
        if len(turns) == 1:
            parts = [self._rank(question, turns[0])]
        else:
            with ThreadPoolExecutor(question.threads) as pool:
                parts = list(pool.map(lambda turn: self._rank(question, turn), turns))
        return self._answers([query for ranked, _ in parts for query in ranked], np.concatenate([work for _, work in parts]))

    def _rank(self, question: Question, turn: slice) -> tuple[list[tuple[NDArray[np.int32], NDArray[np.float32]]],
                                                              NDArray[np.int64]]:
        assert self._searcher is not None
        return self._searcher.rank(question.queries[turn], question.k, question.alpha, question.beta, question.budget,
                                   question.floors[turn])

    def _answers(self, ranked: list[tuple[NDArray[np.int32], NDArray[np.float32]]], work: NDArray[np.int64]) -> Answers:
        assert self._searcher is not None
        index = self._searcher.index
        docs = np.concatenate([docs for docs, _ in ranked])
        raw, ends = index.docid_table(docs)
        return Answers(np.cumsum([len(docs) for docs, _ in ranked], dtype=np.int64),
                       np.concatenate([scores for _, scores in ranked]),
                       index.arrays["doc_number"][docs] + np.int64(self.entry.first_lucene_docid), raw, ends, work)

    def close(self) -> None:
        """Nothing to free: the maps go with the index."""
