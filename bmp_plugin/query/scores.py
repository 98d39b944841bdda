"""Scoring one superblock: the postings that the chosen lists have there, added up in 256 integers.

Loops index whole arrays instead of slicing them: a slice costs a reference count, which is more than a short list.
Indices are unsigned: for a signed one the compiler allows for counting from the end, and no longer vectorizes.
"""
from __future__ import annotations

import numpy as np

from ..kernels import kernel, leaf

FEW = 12         # blocks up to which a dense list's impacts are taken block by block


@leaf
def add_dense(acc, rows, row, base, weight):
    """acc[d] += weight * rows[row, base + d] for the 256 documents from base; 0 where a document lacks the term."""
    r, b = np.uint64(row), np.uint64(base)
    for d in range(np.uint64(256)):
        acc[d] += np.int32(weight * np.int32(rows[r, b + d]))


@leaf
def add_dense_blocks(acc, rows, row, base, weight, blocks, v, num_blocks, block_shift):
    """The same for the documents of some blocks only, blocks uint8[visits, 256]."""
    r, b = np.uint64(row), np.uint64(base)
    shift = np.uint64(block_shift)
    for x in range(num_blocks):
        first = np.uint64(blocks[v, x]) << shift
        for d in range(first, first + (np.uint64(1) << shift)):
            acc[d] += np.int32(weight * np.int32(rows[r, b + d]))


@leaf
def add_frequent(acc, frequent, at, n, weight):
    """acc[doc] += weight * impact for the n postings whose bytes begin at ``at``: n documents, then n impacts of 8 bits."""
    a, count = np.uint64(at), np.uint64(n)
    for j in range(a, a + count):
        acc[frequent[j]] += np.int32(weight * np.int32(frequent[j + count]))


@leaf
def add_frequent_wide(acc, frequent, at, n, width, weight):
    """The same for impacts of ``width`` bytes."""
    for j in range(n):
        acc[frequent[at + j]] += np.int32(weight * np.int32(read_impact(frequent, at + n + j * width, width)))


@kernel
def read_impact(frequent, at, width):
    """The impact, int64, of ``width`` bytes at ``at``."""
    impact = np.int64(0)
    for b in range(width):
        impact |= np.int64(frequent[at + b]) << (8 * b)
    return impact


@leaf
def add_rare(acc, docs, impacts, first, j, high_byte, to_impacts, weight):
    """The same for a rare list: the postings of the superblock, backwards from j, its last; docs uint16.

    ``first`` is the window's first posting; high_byte the superblock's number in the window.
    """
    to, one, first, j = np.uint64(to_impacts), np.uint64(1), np.uint64(first), np.uint64(j)
    mine = np.uint16(high_byte)
    while docs[j] >> np.uint16(8) == mine:
        acc[np.uint8(docs[j])] += np.int32(weight * np.int32(impacts[j + to]))
        if j == first:
            break
        j -= one


@leaf
def add_gaps(acc, gaps, impacts, first, j, offset, to_impacts, weight):
    """The same for a list of gaps uint8, the superblock's last posting being at the given offset; fillers add 0."""
    to, one, first, j = np.uint64(to_impacts), np.uint64(1), np.uint64(first), np.uint64(j)
    d = np.int64(offset)
    while d >= 0 and j >= first:
        acc[np.uint64(d)] += np.int32(weight * np.int32(impacts[j + to]))
        d -= np.int64(gaps[j])
        j -= one


@leaf
def score_superblock(superblock, query, index, block_shift, visits, v, acc):
    """Sums of a superblock's documents, as visit v found them, into acc int32[256].

    In blocks that were chosen they are whole; in others they may lack parts, and are never above the whole.
    """
    groups, weights = query.groups, query.weights
    acc[:] = 0
    base = superblock << 8
    for i in range(groups[0], groups[1]):
        if visits.num_blocks[v] <= FEW:
            add_dense_blocks(acc, index.dense_impacts, query.dense_row[i], base, weights[i], visits.blocks, v,
                             visits.num_blocks[v], block_shift)
        else:
            add_dense(acc, index.dense_impacts, query.dense_row[i], base, weights[i])
    for i in range(groups[1], groups[2]):
        add_frequent(acc, index.frequent, visits.at[v, i], visits.counts[v, i], weights[i])
    for i in range(groups[2], groups[4]):
        add_frequent_wide(acc, index.frequent, visits.at[v, i], visits.counts[v, i], query.width[i], weights[i])
    high_byte, window = superblock & 255, superblock >> 8
    for x in range(visits.num_listed[v]):
        i = visits.listed[v, x]
        at, to, first = visits.at[v, i], query.to_impacts[i], query.first[window, i]
        if i < groups[5]:
            add_gaps(acc, index.gaps, index.impacts8, first, at, visits.counts[v, i], to, weights[i])
        elif i < groups[6]:
            add_rare(acc, index.rare_docs, index.impacts8, first, at, high_byte, to, weights[i])
        elif i < groups[7]:
            add_rare(acc, index.rare_docs, index.impacts16, first, at, high_byte, to, weights[i])
        else:
            add_rare(acc, index.rare_docs, index.impacts32, first, at, high_byte, to, weights[i])
