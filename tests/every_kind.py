"""A collection with lists with block maxima, sparse lists and overflow lists of every digit, and its impacts as a matrix."""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin import BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.index.layout import WINDOW, KernelIndex
from bmp_plugin.query.prepare import LISTS_OF_TERM, prepare
from bmp_plugin.query.query_lists import QueryLists, make_query_lists
from bmp_plugin.query.upper_bounds import scale_weights

NUM_DOCS = 150_000
SHARES = (0.5, 0.28, 0.1, 0.07, 0.06, 0.04, 0.03, 0.02, 0.012, 0.008, 0.005, 0.004, 0.001, 0.0001, 0.00002)
LARGEST_IMPACTS = (255, 255, 300, 100_000, 2_000, 255, 3, 255, 200, 40, 70_000, 2_000, 255, 256, 300_000)


def make_impacts() -> NDArray[np.int64]:
    """Returns impacts int64[documents, terms] with lists of every kind, some of whose documents are consecutive."""
    rng = np.random.default_rng(8)
    impacts = np.zeros((NUM_DOCS, len(SHARES)), np.int64)
    for t, (share, largest) in enumerate(zip(SHARES, LARGEST_IMPACTS, strict=True)):
        alone = rng.random(NUM_DOCS) < share / 2
        consecutive = np.repeat(rng.random(NUM_DOCS // 6) < share / 2, 6)
        present = alone | consecutive
        present[-1] = present[65_535] = present[65_536] = True
        impacts[present, t] = np.minimum(rng.integers(1, largest, present.sum(), endpoint=True),
                                       rng.integers(1, largest, present.sum(), endpoint=True))
    return impacts


def source_of(impacts: NDArray[np.int64]) -> ArraySource:
    docs, terms = np.nonzero(impacts)
    ptr = np.concatenate([[0], np.cumsum(np.count_nonzero(impacts, axis=1))])
    return ArraySource(ptr, terms.astype(np.uint16), impacts[docs, terms], [f"d{i}" for i in range(NUM_DOCS)],
                       [f"t{t:02}" for t in range(len(SHARES))])


def random_query(rng: np.random.Generator, size: int) -> dict[str, int]:
    return {f"t{t:02}": int(rng.integers(1, 50)) for t in rng.permutation(len(SHARES))[:size]}


def lists_of(searcher: BmpSearcher, query: dict[str, int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Returns the posting lists of a query, including overflow lists, and their weights."""
    terms, weights = searcher._encode(query)
    lists, list_weights = np.empty(LISTS_OF_TERM * len(terms), np.int32), np.empty(LISTS_OF_TERM * len(terms), np.int64)
    _, n = prepare(terms.astype(np.int64), weights, searcher._keeps(), searcher._kernel_index, lists, list_weights)
    return lists[:n], list_weights[:n]


def query_lists(index: KernelIndex, lists: NDArray[np.int32], weights: NDArray[np.int64]) -> tuple[QueryLists, float]:
    """Returns a query's lists as kernels take them, and the scale of its upper bounds."""
    scaled = np.empty(len(lists), np.int64)
    scale = scale_weights(lists, weights, index, scaled)
    return QueryLists(*make_query_lists(lists, weights, scaled, index)), scale


def memory_of_bounds(index: KernelIndex) -> NDArray[np.uint16]:
    """Returns memory for the upper bounds of all blocks, which hold something else before."""
    return np.full(index.num_windows * WINDOW >> index.block_shift, 43_210, np.uint16)


def columns_of(index: Any, lists: NDArray[np.int32], impacts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Returns the impacts, int64[documents], in each of a query's lists: those of the terms, and overflow lists."""
    columns = []
    for x in lists.tolist():
        if x < len(SHARES):
            columns.append(np.minimum(impacts[:, x], 255))
        else:
            term = int(np.searchsorted(index.term_overflow, x, "right")) - 1
            columns.append(np.maximum(impacts[:, term] - 255, 0) >> int(index.list_shift[x]) & 255)
    return columns
