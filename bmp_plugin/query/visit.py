"""Where a superblock's postings are, asked for before they are needed.

Superblocks that are scored lie far apart, and waiting for their memory one after the other would be most of a search.
So a superblock goes through three steps, with a step of two other superblocks in between: the memory that says where its
postings are is asked for; they are found and asked for; they are scored.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel, leaf
from .instructions import LANES, below, count_bits, lowest_bit, touch
from .skips import BEFORE, RARE_LISTS_A_WORD, SKIP, SKIP_SHIFT, passed, skips_of

Array = NDArray[Any]
STEPS = 4           # visits under way, a power of two above the steps
FEW = 8             # blocks that are scored by themselves; if more may matter, the superblock is scored as one block ...
FEW_DOCUMENTS = 64  # ... and also if they have more documents
WHOLE = 8           # the block_shift of a superblock


class Visits(NamedTuple):
    """Superblocks on their way, one a row, of which there are STEPS, reused in turn; or a window's, see :mod:`.sweep`.

    Attributes
    ----------
    blocks : uint8[rows, FEW]
        Numbers of the blocks that may matter, within the superblock, ascending.
    num_blocks : int64[rows]
    block_shift : int64[rows]
        Of these blocks: the index's, or WHOLE.
    packed8 : uint64[rows, 2]
    packed16 : uint64[rows, 2]
        Their first documents in the superblock, and in the window, four a number, the first one lowest; the last one again
        where there are fewer.
    at : int64[rows, n]
        Frequent lists: first byte of the superblock's postings. Rare lists and those of gaps: the first posting of the
        first skip that may have any of the blocks.
    counts : int64[rows, n]
        Frequent lists: postings in the superblock. Lists of gaps: the document before the first posting.
    skips : int64[rows, n]
        Rare lists and those of gaps: how many skips may have some.
    listed : int64[rows, n]
        The rare lists and those of gaps that may have postings in the blocks.
    num_listed : int64[rows]
    """

    blocks: Array
    num_blocks: Array
    block_shift: Array
    packed8: Array
    packed16: Array
    at: Array
    counts: Array
    skips: Array
    listed: Array
    num_listed: Array


@kernel
def make_visits(rows, n):
    """Workspace for so many superblocks and a query of n lists."""
    return Visits(np.empty((rows, FEW), np.uint8), np.empty(rows, np.int64), np.empty(rows, np.int64),
                  np.empty((rows, 2), np.uint64), np.empty((rows, 2), np.uint64), np.empty((rows, n), np.int64),
                  np.empty((rows, n), np.int64), np.empty((rows, n), np.int64), np.empty((rows, n), np.int64),
                  np.empty(rows, np.int64))


@leaf
def announce(superblock, query, index, block_bounds, per_superblock, marks):
    """Ask for the memory that says where the postings of a superblock are."""
    touch(marks, superblock * marks.shape[1])
    touch(block_bounds, superblock * per_superblock)
    touch(block_bounds, (superblock + 1) * per_superblock - 1)
    starts = index.superblock_start.shape[1]
    for i in range(query.groups[1], query.groups[4]):
        touch(index.superblock_start, query.row[i] * starts + superblock)


@leaf
def choose_blocks(block_bounds, superblock, block_shift, demand, visits, v):
    """Note a superblock's blocks of bound above ``demand``, of which there is one, for visit v; all of it if there are many."""
    lowest = np.uint16(demand + 1)
    per_superblock = np.int64(256) >> block_shift
    base = superblock * per_superblock
    most = min(np.int64(FEW), np.int64(FEW_DOCUMENTS) >> block_shift)
    count = 0
    for b in range(0, per_superblock, LANES):
        if per_superblock < LANES:
            found = np.uint64(0)
            for q in range(per_superblock):
                found |= np.uint64(block_bounds[base + q] >= lowest) << np.uint64(q)
        else:
            found = below(block_bounds, np.uint64(base + b), lowest) ^ np.uint64((1 << LANES) - 1)
        if count + np.int64(count_bits(found)) > most:
            visits.blocks[v, 0] = 0
            count, block_shift = 1, WHOLE
            break
        while found:
            visits.blocks[v, count] = np.uint8(np.uint64(b) + lowest_bit(found))
            count += 1
            found &= found - np.uint64(1)
    visits.num_blocks[v] = count
    visits.block_shift[v] = block_shift
    shift, window = np.uint64(block_shift), np.uint64(superblock & 255) << np.uint64(8)
    for half in range(2):
        eights, sixteens = np.uint64(0), np.uint64(0)
        for x in range(3, -1, -1):
            doc = np.uint64(visits.blocks[v, min(4 * half + x, count - 1)]) << shift
            eights = eights << np.uint64(8) | doc
            sixteens = sixteens << np.uint64(16) | window | doc
        visits.packed8[v, half] = eights
        visits.packed16[v, half] = sixteens


@leaf
def locate(superblock, query, index, skips, marks, visits, v):
    """Find the postings of a superblock's chosen blocks, for visit v, and ask for them."""
    groups = query.groups
    window, v = np.uint64(superblock >> 8), np.uint64(v)
    shift = visits.block_shift[v]
    columns = index.dense_impacts.shape[1]
    for b in range(visits.num_blocks[v]):
        doc = (superblock << 8) + (np.int64(visits.blocks[v, b]) << shift)
        touch(index.doc_rank, doc)
        for i in range(groups[0], groups[1]):
            touch(index.dense_impacts, query.dense_row[i] * columns + doc)
            if shift == WHOLE:
                for line in range(64, 256, 64):
                    touch(index.dense_impacts, query.dense_row[i] * columns + doc + line)
    ends_window = superblock & 255 == 255 or superblock + 1 == index.superblock_start.shape[1]
    here, after = np.uint64(superblock), np.uint64(superblock + 1)
    for i in range(np.uint64(groups[1]), np.uint64(groups[4])):
        row = np.uint64(query.row[i])
        start = np.int64(index.superblock_start[row, here])
        end = query.last[window, i] - query.first[window, i]
        if not ends_window:
            end = np.int64(index.superblock_start[row, after])
        at = query.docs[i] + (query.first[window, i] + start) * (1 + query.width[i])
        visits.at[v, i] = at
        visits.counts[v, i] = end - start
        touch(index.frequent, at)
        touch(index.frequent, at + (end - start) * (1 + query.width[i]) - 1)
    start = (superblock & 255) << 8                        # document of the window
    first = start + (np.int64(visits.blocks[v, 0]) << shift)
    end = start + ((np.int64(visits.blocks[v, visits.num_blocks[v] - 1]) + 1) << shift) - 1
    n = 0
    for i in range(np.uint64(groups[4]), np.uint64(groups[5])):
        lo, hi = query.first[window, i], query.last[window, i]
        if lo < hi:
            skip = skips_of(query, i, lo)
            over = passed(skips, skip, (hi - lo) >> SKIP_SHIFT, first)
            if lo + (over << SKIP_SHIFT) < hi:
                visits.counts[v, i] = np.int64(skips[skip + over - 1]) if over > 0 else np.int64(BEFORE)
                note(i, lo, hi, skip, over, end, skips, visits, v, n)
                n += 1
                touch(index.gaps, lo + (over << SKIP_SHIFT))
                touch(index.impacts8, lo + (over << SKIP_SHIFT) + query.to_impacts[i])
    for word in range(np.uint64(marks.shape[1])):
        rest = marks[here, word]
        while rest:
            i = np.uint64(groups[5]) + word * np.uint64(RARE_LISTS_A_WORD) + lowest_bit(rest)
            rest &= rest - np.uint64(1)
            lo, hi = query.first[window, i], query.last[window, i]
            skip = skips_of(query, i, lo)
            over = passed(skips, skip, (hi - lo) >> SKIP_SHIFT, first)
            if lo + (over << SKIP_SHIFT) < hi:
                note(i, lo, hi, skip, over, end, skips, visits, v, n)
                n += 1
                touch(index.rare_docs, lo + (over << SKIP_SHIFT))
                if i < np.uint64(groups[6]):
                    touch(index.impacts8, lo + (over << SKIP_SHIFT) + query.to_impacts[i])
    visits.num_listed[v] = n


@leaf
def note(i, lo, hi, skip, over, end, skips, visits, v, n):
    """Note list i, postings lo to hi in the window, as visit v's n-th: from skip ``over`` on to that of document ``end``."""
    last = (hi - lo) >> SKIP_SHIFT
    x = over
    while x < last and np.int64(skips[skip + x]) < end:
        x += 1
    visits.at[v, i] = lo + (over << SKIP_SHIFT)
    visits.skips[v, i] = min(x + 1, (hi - lo + SKIP - 1) >> SKIP_SHIFT) - over
    visits.listed[v, n] = i
