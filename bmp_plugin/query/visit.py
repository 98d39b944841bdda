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
from .instructions import touch
from .postings import NOWHERE
from .scores import FEW

Array = NDArray[Any]
STEPS = 4           # visits under way, a power of two above the steps


class Visits(NamedTuple):
    """Superblocks on their way, one a row; reused in turn.

    Attributes
    ----------
    blocks : uint8[STEPS, 256]
        Numbers of the blocks that may matter, within the superblock; noted only if the query has dense lists.
    num_blocks : int64[STEPS]
    at : int64[STEPS, n]
        Frequent lists: first byte of the superblock's postings. Rare lists and those of gaps: the last posting there.
    counts : int64[STEPS, n]
        Frequent lists: postings in the superblock. Lists of gaps: the last posting's offset in the superblock.
    listed : int64[STEPS, n]
        The rare lists and those of gaps that have postings in the superblock.
    num_listed : int64[STEPS]
    """

    blocks: Array
    num_blocks: Array
    at: Array
    counts: Array
    listed: Array
    num_listed: Array


@kernel
def make_visits(n):
    """Workspace for a query of n lists."""
    return Visits(np.empty((STEPS, 256), np.uint8), np.empty(STEPS, np.int64), np.empty((STEPS, n), np.int64),
                  np.empty((STEPS, n), np.int64), np.empty((STEPS, n), np.int64), np.empty(STEPS, np.int64))


@leaf
def announce(superblock, query, index, where):
    """Ask for the memory that says where the postings of a superblock are."""
    starts = index.superblock_start.shape[1]
    for i in range(query.groups[1], query.groups[4]):
        touch(index.superblock_start, query.row[i] * starts + superblock)
    first = (superblock >> 8) * where.shape[1] * where.shape[2] + (superblock & 255)
    for row in range(query.groups[8] - query.groups[4]):
        touch(where, first + row * where.shape[2])


@leaf
def choose_blocks(acc, superblock, per_superblock, demand, visits, v):
    """Note the superblock's blocks of bound above ``demand``, which is below 65,535, for visit v."""
    lowest = np.uint16(demand + 1)
    base = np.uint64(superblock * per_superblock)
    count = 0
    for b in range(np.uint64(per_superblock)):
        visits.blocks[v, count] = np.uint8(b)
        count += acc[base + b] >= lowest
    visits.num_blocks[v] = count


@leaf
def locate(superblock, query, index, block_shift, where, visits, v):
    """Find the postings of a superblock, for visit v, and ask for them."""
    groups = query.groups
    window = superblock >> 8
    columns = index.dense_impacts.shape[1]
    for i in range(groups[0], groups[1]):
        at = query.dense_row[i] * columns + (superblock << 8)
        if visits.num_blocks[v] <= FEW:
            for b in range(visits.num_blocks[v]):
                touch(index.dense_impacts, at + (np.int64(visits.blocks[v, b]) << block_shift))
        else:
            for line in range(0, 256, 64):
                touch(index.dense_impacts, at + line)
    ends_window = superblock & 255 == 255 or superblock + 1 == index.superblock_start.shape[1]
    for i in range(groups[1], groups[4]):
        start = np.int64(index.superblock_start[query.row[i], superblock])
        end = query.last[window, i] - query.first[window, i]
        if not ends_window:
            end = np.int64(index.superblock_start[query.row[i], superblock + 1])
        at = query.docs[i] + (query.first[window, i] + start) * (1 + query.width[i])
        visits.at[v, i] = at
        visits.counts[v, i] = end - start
        touch(index.frequent, at)
        touch(index.frequent, at + (end - start) * (1 + query.width[i]) - 1)
    n = 0
    for i in range(groups[4], groups[8]):
        last = where[window, i - groups[4], superblock & 255]
        if last != NOWHERE:
            at = query.first[window, i] + np.int64(last >> np.uint32(16))
            visits.at[v, i] = at
            visits.counts[v, i] = np.int64(last & np.uint32(255))
            visits.listed[v, n] = i
            n += 1
            if i < groups[5]:
                touch(index.gaps, at)
            else:
                touch(index.rare_docs, at)
            if i < groups[6]:
                touch(index.impacts8, at + query.to_impacts[i])
    visits.num_listed[v] = n
