"""One query in several threads: each searches a share of the windows, and all of them use what the others have found."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._internal.parallel import in_parallel
from ..index.layout import MAXIMA_SHARE, KernelIndex
from ..query.batch import Results, search_many
from ..query.block_max_pruning import WindowShare
from ..query.topk import BINS, RANK_MASK

LEAST_WORK = 250_000
"""Postings for a thread, below which waking it up takes as long as it saves.

``python -m bmp_plugin.conformance.bench --engines ours ours:threads=2`` measures it.
"""

WORK_A_HIT = 500             # postings that are added to upper bounds in the time in which one of the k best is found


def whole_share() -> WindowShare:
    """Returns the share of the only thread."""
    return WindowShare(0, 1, np.empty((1, BINS), np.int64))


def threads_worthwhile(ids: NDArray[np.int64], k: int, index: KernelIndex, threads: int) -> int:
    """Returns how many of so many threads make a query of terms ``ids``, -1 for unknown ones, faster, at least 1."""
    most = min(threads, index.num_windows)
    if most == 1:
        return 1
    postings = np.minimum(index.list_count.take(ids[ids >= 0]), index.num_docs // MAXIMA_SHARE).sum()
    return max(1, min(most, int(postings + k * WORK_A_HIT) // LEAST_WORK))


def search_in_threads(arguments: Mapping[str, Any], threads: int) -> None:
    """Calls :func:`..query.batch.search_many` for one query, whose search is safe, in so many threads.

    The k best of all are among the k best of each share, and keys order them as one search does: the results do not depend on
    the number of threads, nor on what they knew of each other.
    """
    results, index = arguments["results"], arguments["index"]
    tallies = np.zeros((threads, BINS), np.int64)
    parts = [Results(*map(np.empty_like, results)) for _ in range(threads)]

    def search(thread: int) -> None:
        search_many(**{**arguments, "share": WindowShare(thread, threads, tallies), "results": parts[thread]})

    in_parallel(search, threads)
    results.outcomes[:] = parts[0].outcomes
    if results.outcomes[0, 0] < 0:           # the query does not fit, whatever the share
        return
    results.outcomes[0, 3] = sum(part.outcomes[0, 3] for part in parts)
    docs = np.concatenate([part.docs[0, :part.outcomes[0, 0]] for part in parts])
    scores = np.concatenate([part.scores[0, :part.outcomes[0, 0]] for part in parts])
    keys = scores.view(np.uint32).astype(np.uint64) << np.uint64(32) | RANK_MASK - index.doc_rank.take(docs).astype(np.uint64)
    best = np.argsort(keys)[::-1][:results.docs.shape[1]]
    results.outcomes[0, 0] = len(best)
    results.docs[0, :len(best)], results.scores[0, :len(best)] = docs[best], scores[best]
