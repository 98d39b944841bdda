"""Scores the chosen blocks of one superblock: what all lists of the query have there, added up in integers.

Loops index whole arrays instead of slicing them: a slice costs a reference count, which is more than a short list. Indices
are unsigned: for a signed one the compiler allows for counting from the end, and no longer vectorizes.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.intrinsics import DECODED, block_match_mask, lowest_bit
from .._internal.kernels import inline_kernel, inline_part
from ..index.decode import decode_lanes
from ..index.layout import SUPERBLOCK, SUPERBLOCK_SHIFT, SUPERBLOCKS_PER_WINDOW, WINDOW
from .block_selection import ALL
from .query_lists import HEAD, read_run

COMPARED = 64            # document bytes of a superblock that are compared at once, as many as a number has bits


class Matches(NamedTuple):
    """Postings in chosen blocks before they are added up, a *match* being those of a few postings in a row.

    To find them takes long enough for the processor to go on to others meanwhile, if it need not know whether there are any.
    """

    bits: NDArray[np.uint64]                 # [matches], which of the postings in a row
    docs_at: NDArray[np.uint64]              # [matches], where the document of the first one is
    impacts_at: NDArray[np.uint64]           # [matches], where its impact is
    weights: NDArray[np.int32]               # [matches]
    docs: NDArray[np.uint16]                 # [DECODED matches], decoded documents of sparse lists
    impacts: NDArray[np.uint8]               # [DECODED matches], and their impacts


@inline_part
def make_matches(n):
    """Room for a query of n lists, with 256 postings of a superblock and two jumps; two groups may be others' in part."""
    m = n * (SUPERBLOCK // DECODED + 2)
    return Matches(np.empty(m, np.uint64), np.empty(m, np.uint64), np.empty(m, np.uint64), np.empty(m, np.int32),
                   np.empty(m * DECODED, np.uint16), np.empty(m * DECODED, np.uint8))


@inline_kernel
def score_superblock(visits, v, query, index, matches, acc, with_sparse):
    """Add up what the lists have in the blocks of visit v in acc int32[256], the superblock's scores.

    If not ``with_sparse``, acc int32[WINDOW] is a window's, where :func:`add_sparse_lists` has added the sparse lists up.
    """
    at = np.uint64(visits.superblock[v] << SUPERBLOCK_SHIFT & (len(acc) - 1))
    if with_sparse:
        for b in range(visits.num_blocks[v]):
            first = np.uint64(visits.blocks[v, b])
            for d in range(first, first + (np.uint64(1) << np.uint64(visits.block_shift[v]))):
                acc[d] = 0
    n = _match_runs(visits, v, query, index.postings, matches)
    _add_matches(acc, at, index.postings, index.postings, matches, n)
    if with_sparse:
        n = _match_sparse(visits, v, query, index.postings, matches)
        _add_matches(acc, at, matches.docs, matches.impacts, matches, n)


@inline_kernel
def _match_runs(visits, v, query, postings, matches):
    """Find the postings of visit v's blocks in the lists with block maxima; returns the number of matches."""
    blocks, many = visits.packed_blocks[v], visits.num_blocks[v] > 4
    upper, n = np.uint8(0xFF << visits.block_shift[v] & 0xFF), np.uint64(0)
    for i in range(np.uint64(query.num_with_maxima)):
        first, count = visits.docs_at[v, i], np.uint64(visits.counts[v, i])
        for j in range(first, first + count, np.uint64(COMPARED)):
            bits = block_match_mask(postings, j, upper, blocks, np.uint64(0))
            if many:
                bits |= block_match_mask(postings, j, upper, blocks >> np.uint64(32), np.uint64(0))
            matches.bits[n] = bits & (ALL >> (np.uint64(COMPARED) - min(first + count - j, np.uint64(COMPARED))))
            matches.docs_at[n], matches.impacts_at[n], matches.weights[n] = j, j + count, query.weights[i]
            n += np.uint64(1)
    return n


@inline_kernel
def _match_sparse(visits, v, query, postings, matches):
    """Find the postings of visit v's blocks in the sparse lists; returns the number of matches."""
    blocks, many = visits.packed_blocks[v], visits.num_blocks[v] > 4
    base, n = np.uint64(visits.superblock[v] << SUPERBLOCK_SHIFT & (WINDOW - 1)), np.uint64(0)
    upper = np.uint16(0xFFFF << visits.block_shift[v] & 0xFFFF)
    for x in range(np.uint64(query.num_with_maxima), np.uint64(visits.num_ranges[v])):
        docs_at, impacts_at, count = visits.docs_at[v, x], visits.impacts_at[v, x], np.uint64(visits.counts[v, x])
        before, weight = visits.before[v, x], visits.weights[v, x]
        for first in range(np.uint64(0), count, np.uint64(DECODED)):
            at = n * np.uint64(DECODED)
            before = decode_lanes(matches.docs, matches.impacts, at, postings, docs_at + first, impacts_at + first, before)
            bits = block_match_mask(matches.docs, at, upper, blocks, base)
            if many:
                bits |= block_match_mask(matches.docs, at, upper, blocks >> np.uint64(32), base)
            matches.bits[n] = bits & (ALL >> (np.uint64(64) - min(count - first, np.uint64(DECODED))))
            matches.docs_at[n] = matches.impacts_at[n] = at
            matches.weights[n] = weight
            n += np.uint64(1)
    return n


@inline_kernel
def _add_matches(acc, at, docs, impacts, matches, n):
    """Add n matches, of documents and impacts in these arrays, to acc int32, where the superblock begins at ``at``.

    A match's first posting is added whether there is one or not, since processors cannot predict it; more are seldom.
    """
    for m in range(n):
        bits, docs_at, impacts_at, weight = matches.bits[m], matches.docs_at[m], matches.impacts_at[m], matches.weights[m]
        j = lowest_bit(bits | np.uint64(bits == 0))
        factor = weight if bits else np.int32(0)
        acc[at + np.uint64(np.uint8(docs[docs_at + j]))] += factor * np.int32(impacts[impacts_at + j])
        bits &= bits - np.uint64(1)
        while bits:
            j = lowest_bit(bits)
            acc[at + np.uint64(np.uint8(docs[docs_at + j]))] += weight * np.int32(impacts[impacts_at + j])
            bits &= bits - np.uint64(1)


@inline_kernel
def add_sparse_lists(query, index, superblocks, run, sums):
    """Write what the sparse lists have in some superblocks of a window, int32[n], into sums int32[WINDOW].

    What is in other superblocks means nothing. run, :class:`.query_lists.Run`, is workspace.
    """
    window = np.int64(superblocks[0]) // SUPERBLOCKS_PER_WINDOW
    for s in superblocks:
        first = np.uint64(np.int64(s) << SUPERBLOCK_SHIFT & (WINDOW - 1))
        for d in range(first, first + np.uint64(SUPERBLOCK)):
            sums[d] = 0
    for i in range(query.num_with_maxima, len(query.weights)):
        n, weight = read_run(query, i, window, index.postings, run), query.weights[i]
        for j in range(np.uint64(HEAD), np.uint64(HEAD + n)):
            sums[run.docs[j]] += weight * np.int32(run.impacts[j])
