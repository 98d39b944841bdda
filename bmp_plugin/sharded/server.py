"""One shard's answers: what runs in a thread of this process, or in a Ray actor on some node."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..explanation import Ahead, Found
from ..parallel import in_batches
from ..searcher import BmpSearcher, Ranked
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

    Queries are as those of a :class:`Question`; numbers are those in the source of the whole collection.

    Errors: :class:`bmp_plugin.errors.ShardLostError` if there is none to be had.
    """

    entry: ShardEntry

    def open(self) -> None: ...

    def answer(self, question: Question) -> Answers: ...

    def score(self, query: Mapping[str, int], docids: Sequence[str]) -> NDArray[np.float32]: ...

    def find(self, query: Mapping[str, int], docid: str) -> Found | None: ...

    def ahead(self, query: Mapping[str, int], score: float, docid: str, number: int) -> Ahead: ...

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
        searcher = self._opened()
        parts = in_batches(lambda batch: searcher.rank(question.queries[batch], question.k, question.alpha, question.beta,
                                                       question.budget, question.floors[batch]),
                           len(question.queries), question.k, question.threads)
        return self._answers([query for ranked, _ in parts for query in ranked], np.concatenate([work for _, work in parts]))

    def score(self, query: Mapping[str, int], docids: Sequence[str]) -> NDArray[np.float32]:
        """Scores of documents, nan for those of other shards: see :meth:`bmp_plugin.BmpSearcher.score`."""
        return self._opened().score(query, docids)

    def find(self, query: Mapping[str, int], docid: str) -> Found | None:
        """What a document has of a query, None if it is not in this shard: see :meth:`bmp_plugin.BmpSearcher.find`."""
        found = self._opened().find(query, docid)
        return found and found._replace(lucene_docid=found.lucene_docid + self.entry.first_lucene_docid)

    def ahead(self, query: Mapping[str, int], score: float, docid: str, number: int) -> Ahead:
        """What of this shard ranks before a document: see :meth:`bmp_plugin.BmpSearcher.ahead`."""
        return self._opened().ahead(query, score, docid, number - self.entry.first_lucene_docid)

    def _opened(self) -> BmpSearcher:
        if self._searcher is None:
            self.open()
        assert self._searcher is not None
        return self._searcher

    def _answers(self, ranked: list[Ranked], work: NDArray[np.int64]) -> Answers:
        index = self._opened().index
        docs = np.concatenate([docs for docs, _ in ranked])
        raw, ends = index.docid_table(docs)
        return Answers(np.cumsum([len(docs) for docs, _ in ranked], dtype=np.int64),
                       np.concatenate([scores for _, scores in ranked]),
                       index.arrays["doc_number"][docs] + np.int64(self.entry.first_lucene_docid), raw, ends, work)

    def close(self) -> None:
        """Nothing to free: the maps go with the index."""
