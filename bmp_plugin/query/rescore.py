"""What posting lists add to the scores of a few documents: each list is looked up for one document after the other.

Documents come in ascending order, so that lists of a window's postings are gone through once at most.
"""
from __future__ import annotations

import numpy as np

from ..kernels import kernel, leaf
from .instructions import touch
from .lists import order_lists
from .scores import read_impact

SKIP = 32               # gaps that are added up at once to pass over them


@kernel
def rescore(lists, weights, docs, sums, geometry, index):
    """Add to sums int64[n] what lists int32[m] with weights int64[m] add to positions docs int64[n], ascending."""
    query = order_lists(lists, weights, np.zeros(len(lists), np.int64), index, geometry[3])
    groups = query.groups
    at = np.empty(len(docs), np.int64)
    counts = np.empty(len(docs), np.int64)
    for i in range(groups[0], groups[1]):
        for x in range(len(docs)):
            touch(index.dense_impacts, query.dense_row[i] * index.dense_impacts.shape[1] + docs[x])
    for i in range(groups[1], groups[4]):
        for x in range(len(docs)):
            touch(index.superblock_start, query.row[i] * index.superblock_start.shape[1] + (docs[x] >> 8))
    for i in range(groups[0], groups[1]):
        for x in range(len(docs)):
            sums[x] += query.weights[i] * np.int64(index.dense_impacts[query.dense_row[i], docs[x]])
    for i in range(groups[1], groups[4]):
        find_frequent(i, query, index, docs, at, counts)
        add_frequent(index.frequent, at, counts, query.width[i], docs, query.weights[i], sums)
    for i in range(groups[4], groups[8]):
        x = 0
        while x < len(docs):
            window = docs[x] >> 16
            end = x + 1
            while end < len(docs) and docs[end] >> 16 == window:
                end += 1
            lo, hi, to = query.first[window, i], query.last[window, i], query.to_impacts[i]
            if i < groups[5]:
                add_gaps(index.gaps, index.impacts8, lo, hi, to, docs, x, end, query.weights[i], sums)
            elif i < groups[6]:
                add_rare(index.rare_docs, index.impacts8, lo, hi, to, docs, x, end, query.weights[i], sums)
            elif i < groups[7]:
                add_rare(index.rare_docs, index.impacts16, lo, hi, to, docs, x, end, query.weights[i], sums)
            else:
                add_rare(index.rare_docs, index.impacts32, lo, hi, to, docs, x, end, query.weights[i], sums)
            x = end


@kernel
def read_impacts(terms, excess, docs, geometry, index, impacts):
    """Impacts of terms int32[m] for positions docs int64[n], ascending, into impacts int64[m, n], which are 0 before.

    excess int32[all terms] names the list of what a term's impacts are above 255, or is -1.
    """
    lists = np.empty(2, np.int32)
    for i in range(len(terms)):
        lists[0], lists[1] = terms[i], excess[terms[i]]
        n = 2 if lists[1] >= 0 else 1
        rescore(lists[:n], np.ones(n, np.int64), docs, impacts[i], geometry, index)


@leaf
def find_frequent(i, query, index, docs, at, counts):
    """Where the postings of the documents' superblocks begin into at int64[n], their number into counts int64[n]."""
    superblocks = index.superblock_start.shape[1]
    for x in range(len(docs)):
        superblock = docs[x] >> 8
        window = superblock >> 8
        start = np.int64(index.superblock_start[query.row[i], superblock])
        end = query.last[window, i] - query.first[window, i]
        if superblock & 255 != 255 and superblock + 1 != superblocks:
            end = np.int64(index.superblock_start[query.row[i], superblock + 1])
        at[x] = query.docs[i] + (query.first[window, i] + start) * (1 + query.width[i])
        counts[x] = end - start
        touch(index.frequent, at[x])
        touch(index.frequent, at[x] + counts[x] * (1 + query.width[i]) - 1)


@leaf
def add_frequent(frequent, at, counts, width, docs, weight, sums):
    """Add a frequent list's impacts of the documents, as found by :func:`find_frequent`."""
    for x in range(len(docs)):
        mine = np.uint8(docs[x] & 255)
        begin, n = np.uint64(at[x]), np.uint64(counts[x])
        for j in range(begin, begin + n):
            if frequent[j] == mine:
                sums[x] += weight * read_impact(frequent, at[x] + counts[x] + (np.int64(j) - at[x]) * width, width)
                break


@leaf
def add_gaps(gaps, impacts, lo, hi, to_impacts, docs, x, end, weight, sums):
    """Add the impacts of documents x to before ``end``, all of one window, in a list of gaps whose postings are lo to hi."""
    j = np.uint64(lo)
    skip, stop, to = np.uint64(SKIP), np.uint64(hi), np.uint64(to_impacts)
    doc = np.int64(-1)                                     # of the posting before j
    for c in range(x, end):
        wanted = docs[c] & 0xFFFF
        while j + skip <= stop:
            far = np.uint32(0)
            for y in range(j, j + skip):
                far += np.uint32(gaps[y])
            if doc + np.int64(far) >= wanted:
                break
            doc += np.int64(far)
            j += skip
        while j < stop and doc + np.int64(gaps[j]) <= wanted:
            doc += np.int64(gaps[j])
            j += np.uint64(1)
        if doc == wanted and j > np.uint64(lo):
            sums[c] += weight * np.int64(impacts[j - np.uint64(1) + to])


@leaf
def add_rare(docs16, impacts, lo, hi, to_impacts, docs, x, end, weight, sums):
    """The same for a rare list."""
    a = lo
    for c in range(x, end):
        wanted = docs[c] & 0xFFFF
        b = hi
        while a < b:
            mid = (a + b) >> 1
            below = np.int64(docs16[mid]) < wanted
            a = mid + 1 if below else a
            b = b if below else mid
        if a < hi and np.int64(docs16[a]) == wanted:
            sums[c] += weight * np.int64(impacts[a + to_impacts])
