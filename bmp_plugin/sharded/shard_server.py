"""The server of one shard, which runs in a thread of this process or in a Ray actor."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .._internal.parallel import in_batches
from ..searcher.bmp_searcher import BmpSearcher
from ..searcher.document_ranker import Ranked
from ..searcher.explanation import Ahead, Found
from ..searcher.recall_calibration import Setting
from .sharded_index import open_shard
from .sharded_manifest import ShardEntry


class SearchRequest(NamedTuple):
    """A request to search one shard for some queries.

    Attributes
    ----------
    queries : sequence of dict
        Tokens that the min_idf of the whole collection keeps, with validated weights.
    k, alpha, beta, budget
        See :meth:`bmp_plugin.BmpSearcher.search`; ``budget`` is that of the shard.
    target_recall : float, optional
        Likewise; the shard's own calibration chooses alpha and beta.
    floors : float32[queries]
        Initial thresholds: scores that k documents of other shards reach, or 0. Documents that score less may be missing;
        documents that tie are not.
    threads : int
        Number of threads of the shard.
    """

    queries: Sequence[Mapping[str, int]]
    k: int
    alpha: float
    beta: float
    budget: int | None
    target_recall: float | None
    floors: NDArray[np.float32]
    threads: int


class SearchResponse(NamedTuple):
    """A shard's best documents for the queries of a request, query after query, best first; their ties are not adjusted.

    Attributes
    ----------
    ends : int64[queries]
        Where each query's documents end.
    scores : float32[n]
    lucene_docids : int64[n]
        Source document ids in the whole collection.
    docid_bytes : uint8[...]
    docid_ends : int64[n]
        Docids, UTF-8, and where each ends.
    work : int64[queries, 2]
        Number of superblocks of the shard, and number of those that were scored.
    """

    ends: NDArray[np.int64]
    scores: NDArray[np.float32]
    lucene_docids: NDArray[np.int64]
    docid_bytes: NDArray[np.uint8]
    docid_ends: NDArray[np.int64]
    work: NDArray[np.int64]


class Shard(Protocol):
    """The interface of a shard. Methods block until they return, and threads may call them concurrently.

    Queries are as in a :class:`SearchRequest`; source document ids are those of the whole collection. Methods raise
    :class:`bmp_plugin.errors.ShardLostError` if the shard is lost.
    """

    entry: ShardEntry

    def open(self) -> None: ...

    def answer(self, request: SearchRequest) -> SearchResponse: ...

    def score(self, query: Mapping[str, int], docids: Sequence[str]) -> NDArray[np.float32]: ...

    def find(self, query: Mapping[str, int], docid: str) -> Found | None: ...

    def ahead(self, query: Mapping[str, int], score: float, docid: str, lucene_docid: int) -> Ahead: ...

    def close(self) -> None: ...


class ShardServer:
    """A shard, opened on first use; Ray creates actors of this class.

    Parameters
    ----------
    entry : ShardEntry
    location : str
        Path or URL, as seen from this process.
    """

    def __init__(self, entry: ShardEntry, location: str) -> None:
        self.entry = entry
        self.location = location
        self._searcher: BmpSearcher | None = None

    def open(self) -> None:
        """Opens the shard, and copies it first if it is in an object store.

        Raises
        ------
        FileNotFoundError
        bmp_plugin.BmpError
            If it cannot be read.
        """
        # the whole collection's min_idf has filtered the queries already
        self._searcher = BmpSearcher(open_shard(self.entry, self.location), min_idf=float("-inf"))

    def node(self) -> str:
        """Returns the id of the Ray node that this process runs on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def answer(self, request: SearchRequest) -> SearchResponse:
        """Searches for the queries of a request."""
        searcher, k = self._opened(), request.k
        setting = searcher.setting(k, request.target_recall, Setting(request.alpha, request.beta))
        parts = in_batches(lambda batch, threads: searcher.rank(request.queries[batch], k, *setting, request.budget,
                                                                request.floors[batch], threads),
                           len(request.queries), k, request.threads)
        return self._answers([query for ranked, _ in parts for query in ranked], np.concatenate([work for _, work in parts]))

    def score(self, query: Mapping[str, int], docids: Sequence[str]) -> NDArray[np.float32]:
        """Returns the scores of documents, nan for those of other shards: see :meth:`bmp_plugin.BmpSearcher.score`."""
        return self._opened().score(query, docids)

    def find(self, query: Mapping[str, int], docid: str) -> Found | None:
        """Returns how a document matches a query, None if it is not in this shard: see :meth:`bmp_plugin.BmpSearcher.find`."""
        found = self._opened().find(query, docid)
        return found and found._replace(lucene_docid=found.lucene_docid + self.entry.first_lucene_docid)

    def ahead(self, query: Mapping[str, int], score: float, docid: str, lucene_docid: int) -> Ahead:
        """Returns what ranks ahead of a document in this shard: see :meth:`bmp_plugin.BmpSearcher.ahead`."""
        return self._opened().ahead(query, score, docid, lucene_docid - self.entry.first_lucene_docid)

    def _opened(self) -> BmpSearcher:
        if self._searcher is None:
            self.open()
        assert self._searcher is not None
        return self._searcher

    def _answers(self, ranked: list[Ranked], work: NDArray[np.int64]) -> SearchResponse:
        index = self._opened().index
        docs = np.concatenate([docs for docs, _ in ranked])
        raw, ends = index.docid_table(docs)
        return SearchResponse(np.cumsum([len(docs) for docs, _ in ranked], dtype=np.int64),
                       np.concatenate([scores for _, scores in ranked]),
                       index.arrays["source_docid"][docs] + np.int64(self.entry.first_lucene_docid), raw, ends, work)

    def close(self) -> None:
        """Does nothing: memory maps are released with the index."""
