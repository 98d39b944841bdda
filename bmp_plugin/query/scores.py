"""Scoring a superblock's chosen blocks: the postings that the query's lists have there, added up in integers.

Loops index whole arrays instead of slicing them: a slice costs a reference count, which is more than a short list.
Indices are unsigned: for a signed one the compiler allows for counting from the end, and no longer vectorizes.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel, leaf
from .instructions import add_up, in_blocks, lowest_bit
from .skips import SKIP
from .visit import WHOLE

Array = NDArray[Any]
BYTES = 64           # documents of frequent lists that are compared at once, as many as a number has bits
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


class Found(NamedTuple):
    """Postings of a superblock's blocks before they are added up, those of a few in a row by one number.

    Finding them takes long enough for the processor to go on to others meanwhile, if it need not know whether there are any.

    Attributes
    ----------
    bits : uint64[m]
        Which of the postings in a row.
    docs : uint64[m]
        Frequent lists: where the first one's document is.
    impacts : uint64[m]
        Where its impact is.
    bases : uint64[m]
        Frequent lists: where the sums of its superblock begin.
    weights : int32[m]
    near : uint16[SKIP m]
        Lists of gaps: the documents.
    """

    bits: Array
    docs: Array
    impacts: Array
    bases: Array
    weights: Array
    near: Array


@kernel
def make_found(n):
    """Workspace for a query of n lists, of which none has more than 256 postings in a superblock."""
    m = n * (256 // SKIP + 1)                              # the first and the last skip may be part of others' superblocks
    return Found(np.empty(m, np.uint64), np.empty(m, np.uint64), np.empty(m, np.uint64), np.empty(m, np.uint64),
                 np.empty(m, np.int32), np.empty(m * SKIP, np.uint16))


@leaf
def add_dense(acc, at, rows, row, base, weight, visits, v):
    """acc[at + d] += weight * rows[row, base + d] for the documents of visit v's blocks; 0 where a document lacks the term."""
    r, b, a = np.uint64(row), np.uint64(base), np.uint64(at)
    size = np.uint64(1) << np.uint64(visits.block_shift[v])
    for x in range(visits.num_blocks[v]):
        first = np.uint64(visits.blocks[v, x]) << np.uint64(visits.block_shift[v])
        for d in range(first, first + size):
            acc[a + d] += np.int32(weight * np.int32(rows[r, b + d]))


@leaf
def add_frequent(acc, frequent, at, n, width, weight):
    """acc[doc] += weight * impact for the n postings whose bytes begin at ``at``: n documents, then n impacts."""
    a, count = np.uint64(at), np.uint64(n)
    if width == 1:
        for j in range(a, a + count):
            acc[frequent[j]] += np.int32(weight * np.int32(frequent[j + count]))
    else:
        for j in range(n):
            acc[frequent[at + j]] += np.int32(weight * np.int32(read_impact(frequent, at + n + j * width, width)))


@kernel
def read_impact(frequent, at, width):
    """The impact, int64, of ``width`` bytes at ``at``."""
    impact = np.int64(frequent[at])
    for b in range(1, width):
        impact |= np.int64(frequent[at + b]) << (8 * b)
    return impact


@leaf
def in_blocks_one_by_one(docs, first, n, upper, blocks, bits):
    """The same as :func:`.instructions.in_blocks` for the last n documents of an array, of a type with so many bits."""
    found = np.uint64(0)
    for j in range(np.uint64(n)):
        for q in range(4):
            block = blocks >> np.uint64(q * bits) & ((np.uint64(1) << np.uint64(bits)) - np.uint64(1))
            found |= np.uint64(np.uint64(docs[first + j] & upper) == block) << j
    return found


@leaf
def find_frequent(found, n, base, frequent, at, count, width, weight, blocks, more, many, upper):
    """Find the postings of some blocks in a frequent list, whose ``count`` postings of the superblock begin at byte ``at``.

    Their superblock's sums begin at ``base``, uint64. blocks and upper are as :func:`.instructions.in_blocks` takes them;
    ``more`` are blocks as well if there are ``many``.
    Returns how many numbers are in ``found``, where there were n.
    """
    a, c = np.uint64(at), np.uint64(count)
    for first in range(np.uint64(0), c, np.uint64(BYTES)):
        here = min(c - first, np.uint64(BYTES))
        if a + first + np.uint64(BYTES) <= np.uint64(len(frequent)):
            bits = in_blocks(frequent, a + first, upper, blocks)
            if many:
                bits |= in_blocks(frequent, a + first, upper, more)
        else:
            bits = in_blocks_one_by_one(frequent, a + first, here, upper, blocks, 8)
            bits |= in_blocks_one_by_one(frequent, a + first, here, upper, more, 8)
        found.bits[n] = bits & (ALL >> (np.uint64(BYTES) - here))
        found.docs[n] = a + first
        found.impacts[n] = a + c + first * np.uint64(width)
        found.bases[n] = base
        found.weights[n] = weight
        n += np.uint64(1)
    return n


@leaf
def add_found_frequent(acc, frequent, found, n):
    """Add what was found in frequent lists with impacts of 8 bits.

    A number's first posting is added whether there is one or not, since that cannot be foretold; others are not frequent.
    """
    for e in range(n):
        bits, docs, impacts, base, weight = found.bits[e], found.docs[e], found.impacts[e], found.bases[e], found.weights[e]
        j = lowest_bit(bits | np.uint64(bits == 0))
        factor = weight if bits else np.int32(0)
        acc[base + np.uint64(frequent[docs + j])] += np.int32(factor * np.int32(frequent[impacts + j]))
        bits &= bits - np.uint64(1)
        while bits:
            j = lowest_bit(bits)
            acc[base + np.uint64(frequent[docs + j])] += np.int32(weight * np.int32(frequent[impacts + j]))
            bits &= bits - np.uint64(1)


@leaf
def add_found_wide(acc, frequent, found, begin, end, width, weight):
    """Add what was found in a frequent list with impacts of ``width`` bytes: numbers begin to before ``end``."""
    for e in range(begin, end):
        bits = found.bits[e]
        while bits:
            j = lowest_bit(bits)
            at = np.int64(found.impacts[e] + j * np.uint64(width))
            acc[frequent[found.docs[e] + j]] += np.int32(weight * np.int32(read_impact(frequent, at, width)))
            bits &= bits - np.uint64(1)


@leaf
def find_gaps(found, n, gaps, at, skips, last, before, to_impacts, weight, blocks, more, many, upper):
    """The same as :func:`find_frequent` for a list of gaps: the blocks' postings are in some skips from posting ``at`` on,
    before ``last``, where the window ends; ``before`` is the document before them.
    """
    j, to, doc = np.uint64(at), np.uint64(to_impacts), np.uint64(before)
    for _ in range(skips):
        here = min(np.uint64(last) - j, np.uint64(SKIP))
        near = n * np.uint64(SKIP)
        if j + np.uint64(SKIP) <= np.uint64(len(gaps)):
            doc = add_up(found.near, near, gaps, j, doc)
        else:
            for x in range(here):
                doc += np.uint64(gaps[j + x])
                found.near[near + x] = np.uint16(doc)
        bits = in_blocks(found.near, near, upper, blocks)
        if many:
            bits |= in_blocks(found.near, near, upper, more)
        found.bits[n] = bits & ((np.uint64(1) << here) - np.uint64(1))
        found.impacts[n] = j + to
        found.weights[n] = weight
        n += np.uint64(1)
        j += np.uint64(SKIP)
    return n


@leaf
def add_found_gaps(acc, impacts, found, n):
    """The same as :func:`add_found_frequent` for lists of gaps, whose fillers have impacts of 0."""
    for e in range(n):
        bits, first, near, weight = found.bits[e], found.impacts[e], e * np.uint64(SKIP), found.weights[e]
        j = lowest_bit(bits | np.uint64(bits == 0))
        factor = weight if bits else np.int32(0)
        acc[np.uint8(found.near[near + j])] += np.int32(factor * np.int32(impacts[first + j]))
        bits &= bits - np.uint64(1)
        while bits:
            j = lowest_bit(bits)
            acc[np.uint8(found.near[near + j])] += np.int32(weight * np.int32(impacts[first + j]))
            bits &= bits - np.uint64(1)


@leaf
def add_rare(acc, docs, impacts, at, skips, last, to_impacts, weight, blocks, more, many, upper):
    """Add the blocks' postings of a rare list, which are few enough to be added as they are found; see :func:`find_gaps`."""
    to, j = np.uint64(to_impacts), np.uint64(at)
    for _ in range(skips):
        here = min(np.uint64(last) - j, np.uint64(SKIP))
        if j + np.uint64(SKIP) <= np.uint64(len(docs)):
            bits = in_blocks(docs, j, upper, blocks)
            if many:
                bits |= in_blocks(docs, j, upper, more)
        else:
            bits = in_blocks_one_by_one(docs, j, here, upper, blocks, 16)
            bits |= in_blocks_one_by_one(docs, j, here, upper, more, 16)
        bits &= (np.uint64(1) << here) - np.uint64(1)
        while bits:
            x = j + lowest_bit(bits)
            acc[np.uint8(docs[x])] += np.int32(weight * np.int32(impacts[x + to]))
            bits &= bits - np.uint64(1)
        j += np.uint64(SKIP)


@leaf
def score_superblock(superblock, query, index, visits, v, found, acc):
    """Sums of the documents of visit v's blocks into acc int32[256]; found is workspace."""
    groups, weights, v = query.groups, query.weights, np.uint64(v)
    num_blocks, block_shift = visits.num_blocks[v], visits.block_shift[v]
    shift, many = np.uint64(block_shift), num_blocks > 4
    for x in range(num_blocks):
        first = np.uint64(visits.blocks[v, x]) << shift
        for d in range(first, first + (np.uint64(1) << shift)):
            acc[d] = 0
    for i in range(groups[0], groups[1]):
        add_dense(acc, 0, index.dense_impacts, query.dense_row[i], superblock << 8, weights[i], visits, v)
    if block_shift == WHOLE:
        for i in range(groups[1], groups[4]):
            add_frequent(acc, index.frequent, visits.at[v, i], visits.counts[v, i], query.width[i], weights[i])
    else:
        add_frequent_blocks(acc, query, index, visits, v, found, many, np.uint8(0xFF << block_shift & 0xFF))
    add_listed(acc, superblock, query, index, visits, v, found, many, np.uint16(0xFFFF << block_shift & 0xFFFF))


@leaf
def add_frequent_blocks(acc, query, index, visits, v, found, many, upper):
    """Add what the frequent lists have in visit v's blocks; see :func:`find_frequent`."""
    blocks, more = visits.packed8[v, 0], visits.packed8[v, 1]
    n = np.uint64(0)
    for i in range(np.uint64(query.groups[1]), np.uint64(query.groups[4])):
        width, weight = query.width[i], query.weights[i]
        end = find_frequent(found, n, np.uint64(0), index.frequent, visits.at[v, i], visits.counts[v, i], width, weight, blocks,
                            more, many, upper)
        if width == 1:
            n = end
        else:
            add_found_wide(acc, index.frequent, found, n, end, width, weight)
    add_found_frequent(acc, index.frequent, found, n)


@leaf
def add_listed(acc, superblock, query, index, visits, v, found, many, upper):
    """The same of rare lists and those of gaps; see :func:`find_gaps`."""
    blocks, more, window = visits.packed16[v, 0], visits.packed16[v, 1], np.uint64(superblock >> 8)
    end_of_gaps, end_of_8, end_of_16 = np.uint64(query.groups[5]), np.uint64(query.groups[6]), np.uint64(query.groups[7])
    n = np.uint64(0)
    for x in range(np.uint64(visits.num_listed[v])):
        i = np.uint64(visits.listed[v, x])
        at, skips, last = visits.at[v, i], visits.skips[v, i], query.last[window, i]
        to, weight = query.to_impacts[i], query.weights[i]
        if i < end_of_gaps:
            n = find_gaps(found, n, index.gaps, at, skips, last, visits.counts[v, i], to, weight, blocks, more, many, upper)
        elif i < end_of_8:
            add_rare(acc, index.rare_docs, index.impacts8, at, skips, last, to, weight, blocks, more, many, upper)
        elif i < end_of_16:
            add_rare(acc, index.rare_docs, index.impacts16, at, skips, last, to, weight, blocks, more, many, upper)
        else:
            add_rare(acc, index.rare_docs, index.impacts32, at, skips, last, to, weight, blocks, more, many, upper)
    add_found_gaps(acc, index.impacts8, found, n)
