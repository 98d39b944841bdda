"""Merging of the responses of all shards into one ranking of the whole collection."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..index.strings import decode
from ..searcher.hits import Hit, finish_hits
from .shard_server import SearchResponse
from .sharded_manifest import Order


class ResultMerger:
    """Collects the responses of shards to a request, and merges them.

    Every shard returns its k best documents, except those that score less than k others; so the k best of all are among them,
    and the order of arrival does not matter.

    Parameters
    ----------
    num_queries, k : int
    order : Order
        How ties break, and whether they are adjusted at the end.
    """

    def __init__(self, num_queries: int, k: int, order: Order) -> None:
        self._k = k
        self._order = order
        self._answers: list[SearchResponse] = []
        self._best = [np.empty(0, np.float32)] * num_queries          # the k best scores so far, in no order

    @property
    def work(self) -> NDArray[np.int64]:
        """Returns the numbers of superblocks and of scored superblocks, over all shards: int64[queries, 2]."""
        return sum((answers.work for answers in self._answers), np.zeros((len(self._best), 2), np.int64))

    def add(self, answers: SearchResponse) -> None:
        """Adds a shard's response."""
        for array in answers:
            array.flags.writeable = False            # kernels are compiled for read-only arrays
        self._answers.append(answers)
        for q in range(len(self._best)):
            scores = np.concatenate([self._best[q], answers.scores[_part(answers, q)]])
            if len(scores) > self._k:
                scores = np.partition(scores, len(scores) - self._k)[-self._k:]
            self._best[q] = scores

    def scores_of(self, rank: int) -> NDArray[np.float32]:
        """Returns each query's score at a rank (from 1, at most k) so far, -1 where there are fewer: float32[queries]."""
        return np.array([np.partition(best, len(best) - rank)[len(best) - rank] if len(best) >= rank else -1
                         for best in self._best], np.float32)

    def hits(self, q: int, kind: type[Hit] = Hit) -> list[Hit]:
        """Returns the final hits of query q: sorted, cut at k, and then with their ties adjusted."""
        floor = self._best[q].min() if len(self._best[q]) else np.float32(0)
        found: list[tuple[float, str, int]] = []
        for answers in self._answers:
            part = _part(answers, q)
            stop = part.start + int(np.searchsorted(-answers.scores[part], -floor, "right"))
            mine = np.arange(part.start, stop, dtype=np.int32)
            docids = decode(answers.docid_bytes, answers.docid_ends, mine)
            found += zip((-answers.scores[mine]).tolist(), docids, answers.lucene_docids[mine].tolist(), strict=True)
        # strings sort by code point, which is the order of their UTF-8 bytes
        found.sort(key=None if self._order.ties == "docid" else _without_docid)
        found = found[:self._k]
        return finish_hits([docid for _, docid, _ in found], np.array([lucene_docid for _, _, lucene_docid in found], np.int64),
                           np.array([-score for score, _, _ in found], np.float32), self._order.adjust_ties, kind)


def _part(answers: SearchResponse, q: int) -> slice:
    return slice(int(answers.ends[q - 1]) if q else 0, int(answers.ends[q]))


def _without_docid(found: tuple[float, str, int]) -> tuple[float, int]:
    return found[0], found[2]
