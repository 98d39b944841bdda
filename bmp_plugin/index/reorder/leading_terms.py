"""Document reordering by leading terms: documents whose heaviest postings belong to the same terms become neighbours.

This is a coarse clustering that takes one pass and a sort. It is cheaper than recursive graph bisection, and has most of its
gain at k = 1000; at k = 10 on a shuffled collection neither gains much.
"""
from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..._internal.kernels import kernel
from ..._internal.progress import tqdm
from .forward_index import lower_bound

if TYPE_CHECKING:
    from ..source import Documents, PostingSource

LEADING = 3          # number of leading terms of a document, those of the largest impacts; by impact * idf it gains less


def leading_order(source: PostingSource, documents: Documents, *, threads: int = 1,
                  progress: bool = False) -> NDArray[np.int32]:
    """Return the documents in their new order: int32[num_docs], indices into ``documents``.

    Documents are sorted by the term of their largest impact, then of the second and of the third, frequent terms first; equal
    documents stay in the source's order. The order is the same for every number of threads. The source, which may raise, is
    read once; memory is about 60 bytes per document.
    """
    num_docs = len(documents.source_docids)
    if num_docs == 0:
        return np.empty(0, np.int32)
    num_source_docids = int(documents.source_docids[-1]) + 1
    bounds = (documents.source_docids[num_docs * i // threads] for i in range(1, threads))
    ranges = list(pairwise([0, *map(int, bounds), num_source_docids]))     # one per thread, so that none waits for another
    leaders = np.full((num_source_docids, LEADING), -1, np.int32)
    impacts = np.zeros((num_source_docids, LEADING), np.int32)
    dfs: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    num_terms = 0
    with tqdm(total=source.num_postings_hint(), unit=" postings", unit_scale=True, desc="reading to reorder",
              disable=None if progress else True, file=sys.stderr) as bar, ThreadPoolExecutor(threads) as pool:
        for batch in source.batches():
            counts = np.asarray(batch.counts, np.int64)
            taking = [pool.submit(take_leaders, low=low, high=high, counts=counts, num_terms=num_terms, leaders=leaders,
                                  docs=np.ascontiguousarray(batch.docs, np.int32), largest=impacts,
                                  impacts=np.ascontiguousarray(batch.impacts, np.int32)) for low, high in ranges]
            for done in taking:
                done.result()
            dfs.append(counts)
            num_terms += len(batch.terms)
            bar.update(len(batch.docs))
    del impacts
    rank = np.empty(num_terms + 1, np.int32)
    rank[np.argsort(-np.concatenate(dfs), kind="stable")] = np.arange(num_terms, dtype=np.int32)
    rank[num_terms] = num_terms                                      # of -1, where a document has fewer terms
    keys = rank[leaders[documents.source_docids]]
    return np.lexsort([keys[:, i] for i in reversed(range(LEADING))]).astype(np.int32)


@kernel
def take_leaders(low, high, counts, docs, impacts, num_terms, leaders, largest):
    """Keep the terms of the largest impacts of the documents with source docids low to high - 1, the first ones among equals.

    leaders int32[source docids, LEADING] are terms in descending order of their impacts, largest int32[source docids, LEADING];
    ``num_terms`` is the id of the first term of the batch. Documents that are out of range are omitted; the build reports them.
    """
    depth = leaders.shape[1]
    end = np.int64(0)
    for i in range(len(counts)):
        start, end = end, end + counts[i]
        for j in range(lower_bound(docs, start, end, low), end):
            doc = docs[j]
            if doc >= high:
                break
            if doc < low or impacts[j] <= largest[doc, depth - 1]:
                continue
            at = depth - 1
            while at > 0 and largest[doc, at - 1] < impacts[j]:
                largest[doc, at] = largest[doc, at - 1]
                leaders[doc, at] = leaders[doc, at - 1]
                at -= 1
            largest[doc, at] = impacts[j]
            leaders[doc, at] = num_terms + i
