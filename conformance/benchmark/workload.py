"""A workload of requests of all kinds to a searcher, and digests of everything in the answers."""
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from bmp_plugin import BmpSearcher, ShardedSearcher
from bmp_plugin.trec.topics import Query

Searcher = BmpSearcher | ShardedSearcher
SETTINGS: tuple[dict[str, Any], ...] = ({"k": 10}, {"k": 1}, {"k": 100}, {"k": 1000}, {"k": 10, "alpha": 0.9, "beta": 0.8},
                                        {"k": 100, "alpha": 0.8}, {"k": 10, "budget": 20})
BATCH = 16                      # queries per batch
EXPLAINED = 8                   # queries that are explained, which scores all documents


class Request(NamedTuple):
    """A method and its arguments: the numbers of queries, and an index into :data:`SETTINGS`."""

    kind: str
    queries: tuple[int, ...]
    setting: int = 0


class Workload:
    """Sends requests to a searcher; an answer is returned as a digest of everything in it."""

    def __init__(self, searcher: Searcher, queries: Sequence[Query]) -> None:
        self.searcher, self._queries = searcher, queries
        self._best: dict[int, list[str]] = {}

    def requests(self) -> list[Request]:
        """Returns all requests for these queries; to be called before threads send any."""
        everything = range(len(self._queries))
        self._best = {q: [hit.docid for hit in self.searcher.search(self._queries[q], 20)] for q in everything}
        found = [Request("search", (q,), s) for q in everything for s in range(len(SETTINGS))]
        found += [Request("batch", tuple(everything[lo:lo + BATCH]), s)
                  for lo in range(0, len(everything), BATCH) for s in (0, 3, 4)]
        found += [Request("score", (q,)) for q in everything]
        return found + [Request("explain", (q,)) for q in everything if self._best[q]][:EXPLAINED]

    def answer(self, request: Request) -> bytes:
        """Returns the digest of the answer to a request."""
        queries = [self._queries[q] for q in request.queries]
        options = SETTINGS[request.setting]
        if request.kind == "search":
            return _digest(_hits(self.searcher.search(queries[0], **options)))
        if request.kind == "batch":
            qids = [str(q) for q in request.queries]
            answers = self.searcher.batch_search(queries, qids, threads=2, **options)
            return _digest([(qid, _hits(answers[qid])) for qid in qids])
        best = self._best[request.queries[0]]
        if request.kind == "score":
            return _digest(self.searcher.score(queries[0], [*best, "no such docid"]).tolist())
        return _digest(str(self.searcher.explain(queries[0], best[0])))


def _hits(hits: Sequence[Any]) -> list[tuple[str, float, int]]:
    return [(hit.docid, hit.score, hit.lucene_docid) for hit in hits]


def _digest(answer: object) -> bytes:
    return hashlib.blake2b(repr(answer).encode("utf-8", "surrogatepass"), digest_size=16).digest()
