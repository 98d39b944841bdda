"""Block-Max Pruning as in a textbook: plain numpy, no compression, nothing that is there for speed alone.

A test compares its answers with those of the kernels. Mallia, Suel and Tonellotto, "Faster Learned Sparse Retrieval with
Block-Max Pruning", SIGIR 2024.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Query = Mapping[str, int]


class PostingList(NamedTuple):
    """A token's documents, ascending, their impacts, and the largest impact in every block of documents."""

    docs: NDArray[np.int64]
    impacts: NDArray[np.int64]
    block_max: NDArray[np.int64]


class Visit(NamedTuple):
    """A block that was scored: its number, its upper bound, and the threshold afterwards."""

    block: int
    bound: int
    threshold: int


class TextbookIndex:
    """Posting lists with block maxima, of vectors that map tokens to impacts."""

    def __init__(self, vectors: Sequence[Query], block_size: int = 4) -> None:
        self.num_docs, self.block_size = len(vectors), block_size
        self.num_blocks = -(-len(vectors) // block_size)
        postings: dict[str, list[tuple[int, int]]] = {}
        for doc, vector in enumerate(vectors):
            for token, impact in vector.items():
                postings.setdefault(token, []).append((doc, impact))
        self.lists = {token: self._posting_list(np.array(pairs, np.int64)) for token, pairs in postings.items()}

    def _posting_list(self, pairs: NDArray[np.int64]) -> PostingList:
        block_max = np.zeros(self.num_blocks, np.int64)
        np.maximum.at(block_max, pairs[:, 0] // self.block_size, pairs[:, 1])
        return PostingList(pairs[:, 0], pairs[:, 1], block_max)

    def upper_bounds(self, query: Query) -> NDArray[np.int64]:
        """Returns for every block a score that none of its documents exceeds: int64[num_blocks]."""
        bounds = np.zeros(self.num_blocks, np.int64)
        for token in query.keys() & self.lists.keys():
            bounds += query[token] * self.lists[token].block_max
        return bounds

    def block_scores(self, query: Query, block: int) -> NDArray[np.int64]:
        """Returns the scores of a block's documents: int64[block_size]."""
        first, scores = block * self.block_size, np.zeros(self.block_size, np.int64)
        for token in query.keys() & self.lists.keys():
            docs, impacts, _ = self.lists[token]
            start, end = np.searchsorted(docs, [first, first + self.block_size])
            scores[docs[start:end] - first] += query[token] * impacts[start:end]
        return scores

    def search(self, query: Query, k: int) -> tuple[list[tuple[int, int]], list[Visit]]:
        """Returns the k best (document, score), by score and then by document, and the blocks that were scored."""
        best: list[tuple[int, int]] = []                       # (-score, document), ascending
        visits: list[Visit] = []
        for block, bound in self._by_falling_bound(self.upper_bounds(query)):
            threshold = -best[k - 1][0] if len(best) >= k else 1           # scores below it do not enter the top k
            if bound < threshold:
                break                                          # nor can any other: their bounds are not larger
            scores = self.block_scores(query, block)
            best += [(-int(score), block * self.block_size + i) for i, score in enumerate(scores) if score > 0]
            best = sorted(best)[:k]
            visits.append(Visit(block, bound, -best[k - 1][0] if len(best) >= k else 0))
        return [(doc, -negative) for negative, doc in best], visits

    @staticmethod
    def _by_falling_bound(bounds: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        for block in np.argsort(-bounds, kind="stable").tolist():
            yield block, int(bounds[block])
