"""Searches many queries in one call, which threads run without holding the interpreter."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.kernels import kernel
from .prepare import LISTS_OF_TERM, prepare
from .topk import finish, make_key
from .two_steps import search_in_two_steps


class Queries(NamedTuple):
    """Several queries; query q has the tokens starts[q] to starts[q + 1]."""

    starts: NDArray[np.int64]        # [queries + 1]
    ids: NDArray[np.int64]           # [tokens], terms, -1 for unknown tokens
    values: NDArray[np.int64]        # [tokens], weights
    floors: NDArray[np.float32]      # [queries], documents that score less may be left out; 0 leaves out none


class Results(NamedTuple):
    """The results of several queries."""

    docs: NDArray[np.int32]          # [queries, >= k], internal document ids, best first
    scores: NDArray[np.float32]      # [queries, >= k]
    outcomes: NDArray[np.int64]      # [queries, 4], documents found, or below 0 for TOO_LARGE, OUT_OF_RANGE or UNFIT; terms of
    #                                  weight 0; superblocks, and how many were visited


@kernel
def search_many(queries, kept, options, share, index, results):
    """Search :class:`Queries` into :class:`Results`.

    kept bool[terms] says which terms count; options is :class:`.block_max_pruning.SearchOptions`, share
    :class:`.block_max_pruning.WindowShare`, index :class:`..index.layout.KernelIndex`. If several threads share the windows,
    there is one query, and it is searched safely.
    """
    longest = np.int64(0)
    for q in range(len(queries.starts) - 1):
        longest = max(longest, queries.starts[q + 1] - queries.starts[q])
    lists, weights = np.empty(LISTS_OF_TERM * longest, np.int32), np.empty(LISTS_OF_TERM * longest, np.int64)
    for q in range(len(queries.starts) - 1):
        tokens = slice(queries.starts[q], queries.starts[q + 1])
        results.outcomes[q, 1], n = prepare(queries.ids[tokens], queries.values[tokens], kept, index, lists, weights)
        if n > 0:
            n = search_in_two_steps(lists[:n], weights[:n], queries.floors[q], options, share, index, results.docs[q],
                                    results.scores[q], results.outcomes[q, 2:])
        results.outcomes[q, 0] = n


@kernel
def merge_shares(parts, index, results):
    """Merge what each thread has found of one query, :class:`Results` with a row for each, into the single row of results.

    The k best of all are among the k best of each share, and keys order them as one search does.
    """
    threads, k = parts.docs.shape
    keys, n = np.empty(threads * k, np.uint64), np.int64(0)
    results.outcomes[0] = parts.outcomes[0]
    results.outcomes[0, 3] = 0
    for thread in range(threads):
        results.outcomes[0, 3] += parts.outcomes[thread, 3]
        for x in range(parts.outcomes[thread, 0]):           # none, if the query does not fit
            keys[n] = make_key(parts.scores[thread, x], index.doc_rank[parts.docs[thread, x]])
            n += 1
    if n > 0:
        results.outcomes[0, 0] = finish(keys, n, k, index.rank_doc, results.docs[0], results.scores[0])
