"""A window's superblocks scored list by list, where many of them may matter.

To find where a superblock's postings are takes as long as to pass over some dozens of them. So where a tier has many
superblocks in one window, each of the query's lists is gone through once, and what it has in chosen blocks is added to sums of
the whole window. The sums are those that :mod:`.visit` and :mod:`.scores` come to, superblock by superblock.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel, leaf
from .instructions import touch
from .postings import ROOM, START, Chunk, decode_docs, make_chunk
from .scores import BYTES, Found, add_dense, add_found_frequent, find_frequent, make_found, read_impact
from .skips import BEFORE
from .visit import WHOLE, Visits, choose_blocks, make_visits

Array = NDArray[Any]
FINDING = 24             # postings passed over in the time that it takes to find those of one list in one superblock
LEAST = 8                # superblocks of a window below which there is no sweep
AHEAD = 4                # superblocks whose bounds are asked for before their turn
DOCUMENTS = 65_536       # of a window
SUPERBLOCKS = 256        # of a window


class Sweep(NamedTuple):
    """Workspace for one thread.

    Attributes
    ----------
    visits : :class:`.visit.Visits`
        The chosen blocks of the window's superblocks that may matter.
    chosen : uint8[DOCUMENTS >> block_shift]
        Whether each of the window's blocks is one of them.
    sums : int32[DOCUMENTS]
        Of the documents in chosen blocks.
    hits : uint16[ROOM + 1]
        Postings in chosen blocks.
    chunk : :class:`.postings.Chunk`
    at : int64[2, SUPERBLOCKS]
        Where a frequent list's postings begin, of each superblock; of two lists in turn.
    counts : int64[2, SUPERBLOCKS]
        And how many these are.
    found : :class:`.scores.Found`
        Those in chosen blocks.
    """

    visits: Visits
    chosen: Array
    sums: Array
    hits: Array
    chunk: Chunk
    at: Array
    counts: Array
    found: Found


@kernel
def make_sweep(block_shift):
    """Workspace for one query."""
    at_most = SUPERBLOCKS * (256 // BYTES)     # numbers of what is found; room of a list is for more than 16
    return Sweep(make_visits(SUPERBLOCKS, 0), np.empty(DOCUMENTS >> block_shift, np.uint8), np.empty(DOCUMENTS, np.int32),
                 np.empty(ROOM + 1, np.uint16), make_chunk(),
                 np.empty((2, SUPERBLOCKS), np.int64), np.empty((2, SUPERBLOCKS), np.int64),
                 make_found(at_most // 16))


@leaf
def next_part(todo, at, end, query):
    """From superblock todo[at] on, where the part of todo[:end] ends that is scored in one way, and whether it is swept.

    Parts without a sweep go on over as many windows as need none; int64 and bool.
    """
    groups, stop = query.groups, at
    while stop < end:
        window, after = np.int64(todo[stop]) >> 8, stop + 1
        while after < end and np.int64(todo[after]) >> 8 == window:
            after += 1
        if after - stop >= LEAST:
            postings = np.int64(0)
            for i in range(groups[4], groups[8]):
                postings += query.last[window, i] - query.first[window, i]
            if postings < (after - stop) * FINDING * (groups[8] - groups[4]):
                if stop == at:
                    return after, True
                return stop, False
        stop = after
    return stop, False


@leaf
def choose(sweep, superblocks, first, end, block_bounds, block_shift, demand, index):
    """Choose the blocks of bound above ``demand`` in superblocks[first:end], of one window, each of which has one."""
    sweep.chosen[:] = 0
    per = np.int64(256) >> block_shift
    for x in range(first, end):
        s = np.int64(superblocks[x])
        ahead = np.int64(superblocks[min(x + AHEAD, end - 1)]) * per
        touch(block_bounds, ahead)
        touch(block_bounds, ahead + per - 1)
        choose_blocks(block_bounds, s, block_shift, demand, sweep.visits, x - first)
        shift, base = np.uint64(sweep.visits.block_shift[x - first]), np.uint64(s & 255) << np.uint64(8)
        for d in range(base, base + np.uint64(256)):
            sweep.sums[d] = 0
        for b in range(sweep.visits.num_blocks[x - first]):
            begin = base + (np.uint64(sweep.visits.blocks[x - first, b]) << shift)
            touch(index.doc_rank, (s >> 8 << 16) + np.int64(begin))
            last = begin + (np.uint64(1) << shift)
            for c in range(begin >> np.uint64(block_shift), last >> np.uint64(block_shift)):
                sweep.chosen[c] = 1


@leaf
def sweep_gaps(sweep, gaps, impacts, first, last, to_impacts, block_shift, weight):
    """Add a list of gaps uint8, its postings in the window from first to before last; see :func:`.postings.add_bytes`."""
    chunk = sweep.chunk
    doc, shift, start, to = np.uint64(BEFORE), np.uint64(block_shift), np.uint64(START), np.uint64(to_impacts)
    for at in range(first, last, ROOM):
        n = min(last - at, ROOM)
        doc = decode_docs(chunk, gaps, at, n, doc)
        found = np.uint64(0)
        for j in range(np.uint64(n)):
            sweep.hits[found] = np.uint16(j)
            found += np.uint64(sweep.chosen[np.uint64(chunk.docs[start + j]) >> shift])
        a = np.uint64(at) + to
        for x in range(found):
            j = np.uint64(sweep.hits[x])
            sweep.sums[chunk.docs[start + j]] += np.int32(weight * np.int32(impacts[a + j]))


@leaf
def sweep_rare(sweep, docs, impacts, first, last, to_impacts, block_shift, weight):
    """The same of a rare list, documents uint16, impacts of any width."""
    to, shift = np.uint64(to_impacts), np.uint64(block_shift)
    for j in range(np.uint64(first), np.uint64(last)):
        if sweep.chosen[np.uint64(docs[j]) >> shift]:
            sweep.sums[docs[j]] += np.int32(weight * np.int32(impacts[j + to]))


@leaf
def touch_dense(sweep, superblocks, first, end, rows, row):
    """Ask for a dense list's row in the chosen blocks, which are a cache line or less unless they are the superblock."""
    for x in range(first, end):
        base = row * rows.shape[1] + (np.int64(superblocks[x]) << 8)
        for b in range(sweep.visits.num_blocks[x - first]):
            touch(rows, base + (np.int64(sweep.visits.blocks[x - first, b]) << sweep.visits.block_shift[x - first]))


@leaf
def sweep_dense(sweep, superblocks, first, end, rows, row, weight):
    """Add a dense list's row."""
    for x in range(first, end):
        s = np.int64(superblocks[x])
        add_dense(sweep.sums, (s & 255) << 8, rows, row, s << 8, weight, sweep.visits, x - first)


@leaf
def locate_frequent(sweep, turn, superblocks, first, end, query, i, index):
    """Where frequent list i's postings of the superblocks are, and ask for them."""
    row, width, last_superblock = query.row[i], query.width[i], index.superblock_start.shape[1] - 1
    window = np.int64(superblocks[first]) >> 8
    begin, stop = query.docs[i] + query.first[window, i] * (1 + width), query.last[window, i] - query.first[window, i]
    for x in range(first, end):
        s = np.int64(superblocks[x])
        start = np.int64(index.superblock_start[row, s])
        after = stop
        if s & 255 != 255 and s != last_superblock:
            after = np.int64(index.superblock_start[row, s + 1])
        at, count = begin + start * (1 + width), after - start
        sweep.at[turn, x - first] = at
        sweep.counts[turn, x - first] = count
        touch(index.frequent, at)
        touch(index.frequent, at + count * (1 + width) - 1)


@leaf
def sweep_frequent(sweep, turn, superblocks, first, end, block_shift, query, i, index):
    """Add frequent list i, of impacts of 8 bits, where :func:`locate_frequent` found it."""
    frequent, visits, found, weight = index.frequent, sweep.visits, sweep.found, query.weights[i]
    upper, n = np.uint8(0xFF << block_shift & 0xFF), np.uint64(0)
    for y in range(np.uint64(end - first)):
        a, c = np.uint64(sweep.at[turn, y]), np.uint64(sweep.counts[turn, y])
        base = np.uint64(superblocks[np.uint64(first) + y] & 255) << np.uint64(8)
        if visits.block_shift[y] == WHOLE:
            for j in range(a, a + c):
                sweep.sums[base + np.uint64(frequent[j])] += np.int32(weight * np.int32(frequent[j + c]))
            continue
        n = find_frequent(found, n, base, frequent, a, c, 1, weight, visits.packed8[y, 0], visits.packed8[y, 1],
                          visits.num_blocks[y] > 4, upper)
    add_found_frequent(sweep.sums, frequent, found, n)


@leaf
def sweep_wide(sweep, turn, superblocks, first, end, block_shift, query, i, index):
    """The same of impacts of more bits."""
    width = query.width[i]
    for y in range(end - first):
        at, n, base = sweep.at[turn, y], sweep.counts[turn, y], (np.int64(superblocks[first + y]) & 255) << 8
        for j in range(n):
            doc = base + np.int64(index.frequent[at + j])
            if sweep.chosen[doc >> block_shift]:
                impact = read_impact(index.frequent, at + n + j * width, width)
                sweep.sums[doc] += np.int32(query.weights[i] * np.int32(impact))


@leaf
def sweep_rows(sweep, superblocks, first, end, block_bounds, block_shift, demand, query, index):
    """Add frequent and dense lists to sums in the blocks of bound above ``demand`` of superblocks[first:end], of one window,
    which are all such that :func:`sweep_window` has been through."""
    groups = query.groups
    for x in range(first, end):
        choose_blocks(block_bounds, np.int64(superblocks[x]), block_shift, demand, sweep.visits, x - first)
    for i in range(groups[0], groups[1]):
        touch_dense(sweep, superblocks, first, end, index.dense_impacts, query.dense_row[i])
    for i in range(groups[1], groups[4] + 1):
        if i < groups[4]:                # before the list before it is gone through, so that it comes from memory meanwhile
            locate_frequent(sweep, i & 1, superblocks, first, end, query, i, index)
        if groups[1] < i <= groups[2]:
            sweep_frequent(sweep, i - 1 & 1, superblocks, first, end, block_shift, query, i - 1, index)
        elif groups[2] < i:
            sweep_wide(sweep, i - 1 & 1, superblocks, first, end, block_shift, query, i - 1, index)
    for i in range(groups[0], groups[1]):
        sweep_dense(sweep, superblocks, first, end, index.dense_impacts, query.dense_row[i], query.weights[i])


@leaf
def sweep_window(sweep, superblocks, first, end, block_bounds, block_shift, demand, query, index):
    """What rare lists and those of gaps add to sums in the blocks of bound above ``demand`` of superblocks[first:end], of one
    window."""
    groups, w = query.groups, np.uint64(superblocks[first]) >> np.uint64(8)
    choose(sweep, superblocks, first, end, block_bounds, block_shift, demand, index)
    for i in range(np.uint64(groups[4]), np.uint64(groups[8])):
        lo, hi, to, weight = query.first[w, i], query.last[w, i], query.to_impacts[i], query.weights[i]
        if lo == hi:
            continue
        if i < np.uint64(groups[5]):
            sweep_gaps(sweep, index.gaps, index.impacts8, lo, hi, to, block_shift, weight)
        elif i < np.uint64(groups[6]):
            sweep_rare(sweep, index.rare_docs, index.impacts8, lo, hi, to, block_shift, weight)
        elif i < np.uint64(groups[7]):
            sweep_rare(sweep, index.rare_docs, index.impacts16, lo, hi, to, block_shift, weight)
        else:
            sweep_rare(sweep, index.rare_docs, index.impacts32, lo, hi, to, block_shift, weight)
