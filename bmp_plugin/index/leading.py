"""Document reordering by leading terms: documents whose heaviest postings are of the same terms come to lie together.

A coarse clustering that needs one pass and a sort. Cheaper than recursive graph bisection, and most of its gain where many
documents are asked for (k = 1000); at k = 10 on a shuffled collection neither gains much.
"""
from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel
from ..progress import tqdm
from .forward import first_at_least

if TYPE_CHECKING:
    from bmp_plugin.adapters.source import Documents, PostingSource

LEADING = 3          # terms of a document that are looked at; impacts alone say which: by impact * idf it gains less


def leading_order(source: PostingSource, documents: Documents, *, threads: int = 1,
                  progress: bool = False) -> NDArray[np.int32]:
    """The documents in their new order: int32[num_docs], indices into ``documents``.

    Sorts documents by the term of their largest impact, then of the second and of the third, frequent terms first; documents
    that agree stay in the source's order. The order is the same for every number of threads. Reads the source once; needs
    about 60 bytes of memory a document. Errors: those of the source.
    """
    num_docs = len(documents.numbers)
    if num_docs == 0:
        return np.empty(0, np.int32)
    num_numbers = int(documents.numbers[-1]) + 1
    bounds = (documents.numbers[num_docs * i // threads] for i in range(1, threads))
    ranges = list(pairwise([0, *map(int, bounds), num_numbers]))     # a thread each, so that none waits for another
    leaders = np.full((num_numbers, LEADING), -1, np.int32)
    impacts = np.zeros((num_numbers, LEADING), np.int32)
    dfs: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    num_terms = 0
    with tqdm(total=source.num_postings_hint(), unit=" postings", unit_scale=True, desc="reading to reorder",
              disable=None if progress else True, file=sys.stderr) as bar, ThreadPoolExecutor(threads) as pool:
        for batch in source.batches():
            postings = (np.asarray(batch.counts, np.int64), np.ascontiguousarray(batch.docs, np.int32),
                        np.ascontiguousarray(batch.impacts, np.int32))
            for done in [pool.submit(take_leaders, *r, *postings, num_terms, leaders, impacts) for r in ranges]:
                done.result()
            dfs.append(postings[0])
            num_terms += len(batch.terms)
            bar.update(len(batch.docs))
    del impacts
    rank = np.empty(num_terms + 1, np.int32)
    rank[np.argsort(-np.concatenate(dfs), kind="stable")] = np.arange(num_terms, dtype=np.int32)
    rank[num_terms] = num_terms                                      # of -1: has fewer terms
    keys = rank[leaders[documents.numbers]]
    return np.lexsort([keys[:, i] for i in reversed(range(LEADING))]).astype(np.int32)


@kernel
def take_leaders(low, high, counts, docs, impacts, num_terms, leaders, largest):
    """Keep the postings of the largest impacts of the documents numbered low to high, those that come first among equals.

    leaders int32[numbers, LEADING] terms, in descending order of largest int32[numbers, LEADING]; ``num_terms`` is the number
    of the first term here. Documents of the source's that are out of range are left out: the build says what is wrong.
    """
    depth = leaders.shape[1]
    end = np.int64(0)
    for i in range(len(counts)):
        start, end = end, end + counts[i]
        for j in range(first_at_least(docs, start, end, low), end):
            number = docs[j]
            if number >= high:
                break
            if number < low or impacts[j] <= largest[number, depth - 1]:
                continue
            at = depth - 1
            while at > 0 and largest[number, at - 1] < impacts[j]:
                largest[number, at] = largest[number, at - 1]
                leaders[number, at] = leaders[number, at - 1]
                at -= 1
            largest[number, at] = impacts[j]
            leaders[number, at] = num_terms + i
