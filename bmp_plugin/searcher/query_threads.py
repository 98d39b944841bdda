"""One query in several threads: each searches a share of the windows, and all of them use what the others have found."""
from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._internal.parallel import in_parallel
from ..index.layout import WINDOW, KernelIndex
from ..query.batch import Results, merge_shares, search_many
from ..query.block_max_pruning import WindowShare
from ..query.topk import TALLY

LEAST_WORK = 100_000
"""Work of a thread, in postings that are added to upper bounds, below which waking it up takes as long as it saves.

``python -m bmp_plugin.conformance.bench --engines ours ours:threads=2`` measures it.
"""

DOCUMENTS_A_POSTING = 128    # documents for each posting of a sparse list, in the mean over the tokens of SPLADE queries
WORK_A_HIT = 150             # and in the time in which one of the k best is found, as far as threads share it

_memory = threading.local()
"""What a thread keeps: memory that is new for every query takes a tenth of a search on millions of documents."""


def whole_share(index: KernelIndex) -> WindowShare:
    """Returns the share of the only thread."""
    return WindowShare(0, 1, np.empty((1, TALLY), np.int32), _block_bounds(index))


def threads_worthwhile(num_tokens: int, k: int, index: KernelIndex, threads: int) -> int:
    """Returns how many of so many threads make a query of so many tokens faster, at least 1."""
    work = num_tokens * index.num_docs // DOCUMENTS_A_POSTING + k * WORK_A_HIT
    return max(1, min(threads, index.num_windows, work // LEAST_WORK))


def search_in_threads(arguments: Mapping[str, Any], threads: int) -> None:
    """Calls :func:`..query.batch.search_many` for one query, whose search is safe, in so many threads.

    The results do not depend on the number of threads, nor on what they knew of each other.
    """
    index: KernelIndex = arguments["index"]
    tallies, k = np.zeros((threads, TALLY), np.int32), arguments["results"].docs.shape[1]
    parts = Results(np.empty((threads, k), np.int32), np.empty((threads, k), np.float32), np.zeros((threads, 4), np.int64))

    def search(thread: int) -> None:
        row = slice(thread, thread + 1)
        share = WindowShare(thread, threads, tallies, _block_bounds(index))
        search_many(arguments["queries"], arguments["kept"], arguments["options"], share, index,
                    Results(parts.docs[row], parts.scores[row], parts.outcomes[row]))

    in_parallel(search, threads)
    merge_shares(parts, index, arguments["results"])


def _block_bounds(index: KernelIndex) -> NDArray[np.uint16]:
    """Returns memory for the upper bounds of all blocks, which this thread uses again and again."""
    size = index.num_windows * WINDOW >> index.block_shift
    kept: NDArray[np.uint16] | None = getattr(_memory, "block_bounds", None)
    if kept is None or len(kept) < size:
        kept = _memory.block_bounds = np.empty(size, np.uint16)
    return kept
