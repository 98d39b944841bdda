"""Where the postings of rare lists and of lists of gaps are, as noted while they are added up to upper bounds.

A *skip* is SKIP postings of a window in a row; noted is its last document. What is noted of a window stands at a place that
follows from the number of postings before it, so that no table is needed: that many, divided by SKIP and rounded down, is
never less than what all windows before have noted.

Most superblocks have no posting of most rare lists. So these are *marked* in the superblocks that have one, a bit a list.
"""
from __future__ import annotations

import numpy as np

from ..kernels import kernel, leaf
from .instructions import LANES, below, count_bits

SKIP_SHIFT = 4
SKIP = 1 << SKIP_SHIFT
BEFORE = 0xFFFF          # the document before a window's first, in 16 bits
RARE_LISTS_A_WORD = 64   # as many as a number has bits
APART = 8                # postings taken one after the other are so many apart: what was just stored is slow to load again


@kernel
def make_skips(query):
    """Room for a query's skips: uint16[n], with as much behind the last as is looked at at once."""
    return np.empty(query.skip[len(query.skip) - 1] + LANES, np.uint16)


@leaf
def skips_of(query, i, first):
    """Where the window whose first posting of list i is ``first`` has its skips; int64."""
    return query.skip[i] + ((first - query.docs[i]) >> SKIP_SHIFT)


@leaf
def note_skips(skips, at, docs, first, n):
    """Note the documents uint16 of n postings from docs[first] on, the first of which begins a skip."""
    step, last = np.uint64(SKIP), np.uint64(first) + np.uint64(SKIP - 1)
    for c in range(np.uint64(n) >> np.uint64(SKIP_SHIFT)):
        skips[np.uint64(at) + c] = docs[last + c * step]


@leaf
def passed(skips, at, n, doc):
    """How many of the n skips from ``at`` on end before a document uint16; int64.

    Looked at first are those around the place where it would be if documents were spread evenly.
    """
    if n > LANES:
        x = min(max(((n * doc) >> 16) - LANES // 2, 0), n - LANES)
        found = np.int64(count_bits(below(skips, np.uint64(at + x), np.uint16(doc))))
        if (found > 0 or x == 0) and (found < LANES or x == n - LANES):
            return x + found
    total = np.int64(0)
    for x in range(0, n, LANES):
        ends = below(skips, np.uint64(at + x), np.uint16(doc))
        if n - x < LANES:
            ends &= (np.uint64(1) << np.uint64(n - x)) - np.uint64(1)
        total += np.int64(count_bits(ends))
    return total


@kernel
def make_marks(query, num_superblocks):
    """Room for the marks of a query's rare lists: uint64[superblocks, words], all 0."""
    num_rare = query.groups[8] - query.groups[5]
    return np.zeros((num_superblocks, (num_rare + RARE_LISTS_A_WORD - 1) // RARE_LISTS_A_WORD), np.uint64)


@leaf
def mark(marks, number, window, docs, first, last):
    """Mark the query's rare list of a number in the superblocks of its postings in a window, docs[first:last] uint16."""
    word, bit = number >> np.uint64(6), np.uint64(1) << (number & np.uint64(63))
    base, eight, apart = window << np.uint64(8), np.uint64(8), np.uint64(APART)
    j, end = np.uint64(first), np.uint64(last)
    while j + apart * apart <= end:
        for x in range(j, j + apart):
            for i in range(x, x + apart * apart, apart):
                marks[base + (np.uint64(docs[i]) >> eight), word] |= bit
        j += apart * apart
    for i in range(j, end):
        marks[base + (np.uint64(docs[i]) >> eight), word] |= bit
