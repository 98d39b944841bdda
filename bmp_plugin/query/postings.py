"""Upper bounds' part of the lists without rows: their postings themselves.

A posting's part is its impact times the list's scaled weight; the largest of a list's parts in a block is added to the
block's bound. Most of these postings are in lists of gaps. There all but the adding is done for many postings side by side:
their documents, their parts, and by how much each raises its block's bound beyond what the list has added to it already.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel, leaf
from .instructions import BEHIND, LANES, add_up, raise_lanes, touch, weigh_lanes
from .skips import APART, BEFORE, SKIP_SHIFT, mark, note_skips, skips_of

Array = NDArray[Any]

FRACTION = 16            # fractional bits of the scaled weight of a list with impacts above 255
FRACTION_OF_BYTES = 8    # the same for lists of smaller ones, whose scaled weights are below 2^16
FEW = 64                 # postings of a rare list in a window below which a chunk is not worth its while
ROOM = 256               # postings a chunk, whole skips
FETCHED = 256            # postings that are asked for before their list's turn
CACHE_LINE = 64
START = LANES            # where a chunk's own begin, behind some of the chunk before


class Chunk(NamedTuple):
    """Postings in a row of a list of gaps in one window; the last ones before them stand at START - BEHIND.

    Attributes
    ----------
    docs : uint16[START + ROOM]
        Offsets in the window.
    parts : uint16[START + ROOM]
    rises : uint16[START + ROOM]
        What each adds to its block's bound.
    """

    docs: Array
    parts: Array
    rises: Array


@kernel
def make_chunk():
    """Workspace for one thread."""
    return Chunk(np.zeros(START + ROOM, np.uint16), np.zeros(START + ROOM, np.uint16), np.zeros(START + ROOM, np.uint16))


@leaf
def decode_docs(chunk, gaps, first, n, doc):
    """The documents of n postings of a list of gaps uint8 from ``first`` on; returns the last one, given the last before."""
    f, start, one = np.uint64(first), np.uint64(START), np.uint64(16)
    doc = np.uint64(doc)
    whole = np.uint64(n) & ~np.uint64(15)
    for j in range(np.uint64(0), whole, one):
        doc = add_up(chunk.docs, start + j, gaps, f + j, doc)
    for j in range(whole, np.uint64(n)):
        doc = (doc + np.uint64(gaps[f + j])) & np.uint64(0xFFFF)
        chunk.docs[start + j] = np.uint16(doc)
    return doc


@leaf
def weigh(chunk, impacts, first, n, weight):
    """The parts of n postings with impacts uint8 from ``first`` on; the scaled weight is below 2^16.

    Some impacts behind them are read with the last ones, unless the array ends there.
    """
    f, start, count = np.uint64(first), np.uint64(START), np.uint64(n)
    fast = (count + np.uint64(LANES - 1)) & ~np.uint64(LANES - 1)
    if f + fast > np.uint64(len(impacts)):
        fast = count & ~np.uint64(LANES - 1)
    for j in range(np.uint64(0), fast, np.uint64(LANES)):
        weigh_lanes(chunk.parts, start + j, impacts, f + j, np.uint16(weight))
    for j in range(fast, count):
        part = (np.uint64(impacts[f + j]) * np.uint64(weight) >> np.uint64(FRACTION_OF_BYTES)) + np.uint64(1)
        chunk.parts[start + j] = np.uint16(part)


@leaf
def compare_in_small_blocks(chunk, n, block_shift):
    """By how much each of n postings raises its block, for blocks of at most 4 documents: BEHIND before it may be there."""
    start, upper = np.uint64(START), np.uint16(0xFFFF << block_shift & 0xFFFF)
    for i in range(start, start + np.uint64(n), np.uint64(LANES)):
        raise_lanes(chunk.rises, i, chunk.docs, i, chunk.parts, i, upper)


@leaf
def compare(chunk, n, block_shift, block, had):
    """The same for blocks of any size; given the last block before and its list's part, returns the same for after."""
    start, shift = np.uint64(START), np.uint16(block_shift)
    for i in range(start, start + np.uint64(n)):
        mine = chunk.docs[i] >> shift
        had = had if mine == block else np.uint16(0)
        now = max(chunk.parts[i], had)
        chunk.rises[i] = now - had
        had, block = now, mine
    return block, had


@leaf
def scatter(acc, chunk, n, block_shift):
    """Raise the bounds acc uint16[blocks of the window] by a chunk's n postings.

    Neighbours are often of one block, so those APART follow one another.
    """
    shift, apart, end = np.uint64(block_shift), np.uint64(APART), np.uint64(START) + np.uint64(n)
    first = np.uint64(START)
    while first + apart * apart <= end:
        for x in range(first, first + apart):
            for i in range(x, x + apart * apart, apart):
                acc[np.uint64(chunk.docs[i]) >> shift] += chunk.rises[i]
        first += apart * apart
    for i in range(first, end):
        acc[np.uint64(chunk.docs[i]) >> shift] += chunk.rises[i]


@leaf
def copy_docs(chunk, docs, first, n):
    """The documents of n postings of a rare list uint16 from ``first`` on."""
    f, start = np.uint64(first), np.uint64(START)
    for j in range(np.uint64(n)):
        chunk.docs[start + j] = docs[f + j]


@leaf
def add_bytes(acc, skips, skip, chunk, docs, in_gaps, impacts, first, last, to_impacts, block_shift, weight):
    """Raise a window's bounds acc uint16[blocks] by the postings of a list with impacts uint8, from first to before last;
    posting j has impact j + to_impacts. Its documents are gaps uint8, or uint16. Its skips are noted from ``skip`` on.
    """
    doc = np.uint64(BEFORE)
    block, had = np.uint16(0), np.uint16(0)
    for b in range(START - BEHIND, START):
        chunk.parts[b] = 0
    for at in range(first, last, ROOM):
        n = min(last - at, ROOM)
        if in_gaps:
            doc = decode_docs(chunk, docs, at, n, doc)
        else:
            copy_docs(chunk, docs, at, n)
        note_skips(skips, skip + ((at - first) >> SKIP_SHIFT), chunk.docs, START, n)
        weigh(chunk, impacts, at + to_impacts, n, weight)
        if 1 << block_shift <= BEHIND + 1:
            compare_in_small_blocks(chunk, n, block_shift)
            for b in range(START - BEHIND, START):
                chunk.docs[b] = chunk.docs[b + n]
                chunk.parts[b] = chunk.parts[b + n]
        else:
            block, had = compare(chunk, n, block_shift, block, had)
        scatter(acc, chunk, n, block_shift)


@leaf
def add_rare(acc, docs, impacts, first, last, to_impacts, block_shift, weight, fraction):
    """The same for a rare list's documents uint16, with impacts of any width: too few for a chunk to be worth its while.

    An impact below 2^31 times a scaled weight stays below 2^63, since it is the list's part of at most 2^16, times 2^16,
    and the rounding's of an impact. ``fraction`` is FRACTION_OF_BYTES for impacts of 8 bits, else FRACTION.
    """
    to, shift, factor, bits = np.uint64(to_impacts), np.uint64(block_shift), np.uint64(weight), np.uint64(fraction)
    up = (np.uint64(1) << bits) - np.uint64(1)
    block = np.uint64(0xFFFFFFFFFFFFFFFF)
    before = np.uint16(0)                                  # the block's bound without this list
    now = np.uint16(0)                                     # and with it: what was just stored is slow to load again
    for j in range(np.uint64(first), np.uint64(last)):
        mine = np.uint64(docs[j]) >> shift
        part = np.uint16((np.uint64(impacts[j + to]) * factor + up) >> bits)
        same = mine == block
        stored = acc[mine]
        now = now if same else stored
        before = before if same else now
        now = max(now, np.uint16(before + part))
        acc[mine] = now
        block = mine


@leaf
def fetch(window, i, query, index):
    """Ask for the first postings of list i in a window: the processor guesses what comes after them, but not where they are."""
    groups = query.groups
    lo, hi = query.first[window, i], query.last[window, i]
    if i < np.uint64(groups[5]):
        for line in range(lo, min(hi, lo + FETCHED), CACHE_LINE):
            touch(index.gaps, line)
            touch(index.impacts8, line + query.to_impacts[i])
    elif i < np.uint64(groups[6]):
        for line in range(lo, min(hi, lo + FETCHED), CACHE_LINE):
            touch(index.rare_docs, line)
            touch(index.impacts8, line + query.to_impacts[i])


@leaf
def add_postings(window, query, index, block_shift, acc, skips, marks, chunk):
    """Add the rare lists and those of gaps to a window's acc uint16[blocks]; note their skips, and the rare ones' marks."""
    groups = query.groups
    w, end_of_gaps, end_of_8 = np.uint64(window), np.uint64(groups[5]), np.uint64(groups[6])
    for i in range(np.uint64(groups[4]), np.uint64(groups[8])):
        lo, hi, to, weight = query.first[w, i], query.last[w, i], query.to_impacts[i], query.scaled[i]
        if i + np.uint64(1) < np.uint64(groups[8]):
            fetch(w, i + np.uint64(1), query, index)
        if lo == hi:
            continue
        skip = skips_of(query, i, lo)
        if i < end_of_gaps:
            add_bytes(acc, skips, skip, chunk, index.gaps, True, index.impacts8, lo, hi, to, block_shift, weight)
            continue
        mark(marks, i - end_of_gaps, w, index.rare_docs, lo, hi)
        if i < end_of_8 and hi - lo >= FEW:
            add_bytes(acc, skips, skip, chunk, index.rare_docs, False, index.impacts8, lo, hi, to, block_shift, weight)
            continue
        note_skips(skips, skip, index.rare_docs, lo, hi - lo)
        if i < end_of_8:
            add_rare(acc, index.rare_docs, index.impacts8, lo, hi, to, block_shift, weight, FRACTION_OF_BYTES)
        elif i < np.uint64(groups[7]):
            add_rare(acc, index.rare_docs, index.impacts16, lo, hi, to, block_shift, weight, FRACTION)
        else:
            add_rare(acc, index.rare_docs, index.impacts32, lo, hi, to, block_shift, weight, FRACTION)
