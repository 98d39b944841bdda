"""The kernels of recursive graph bisection. See :mod:`.recursive_bisection` for the algorithm and its sources.

A part is a contiguous range of the documents. Its postings are contiguous too, in one of two arrays; when the part is split,
they are copied to the other one, so that those of each half are contiguous again. Each half renumbers its terms from 0, without
those that occur in one or all of its documents, so that tables by term have no holes, and are small in small parts.

Large parts are split by several threads, each with a range of the documents and its own table of ``degrees``, the terms'
document frequencies in either half: integers, so that sums are the same for every number of threads.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._internal.kernels import kernel
from ..layout import DEFAULT_BLOCK_SIZE, SUPERBLOCK

BLOCK = DEFAULT_BLOCK_SIZE     # parts of this size are not split: inside a block, order does not matter
DAMPED = 64                    # parts up to this size make half of the exchanges, since all at once would undo one another
FRACTION_BITS = 20             # fractional bits of a term's gain


class PartDocuments(NamedTuple):
    """The documents of a part."""

    order: NDArray[np.int32]         # [n], the documents
    lengths: NDArray[np.int32]       # [n], the number of postings of each


class Halves(NamedTuple):
    """How a part is divided."""

    starts: NDArray[np.int64]        # [n + 1], where each document's postings start
    side: NDArray[np.uint8]          # [n], 0 for the left half, 1 for the right one
    new_ids: NDArray[np.int32]       # [2, terms], the ids of the terms in each half, see renumber_terms


@kernel
def left_half(n):
    """Return how many of n documents go to the left: about half, in whole superblocks or else in whole blocks."""
    unit = SUPERBLOCK if n > SUPERBLOCK else BLOCK
    return ((n // unit + 1) >> 1) * unit


@kernel
def log_slopes(n):
    """Return F(x + 1) - F(x) for x from 0 to n, where F(x) = x log2(x + 1), as fixed-point int32[n + 1]."""
    slopes = np.empty(n + 1, np.int32)
    before = 0.0
    for x in range(n + 1):
        after = (x + 1) * np.log2(x + 2.0)
        slopes[x] = np.int32(np.rint((after - before) * (1 << FRACTION_BITS)))
        before = after
    return slopes


@kernel
def count_degrees(lo, hi, starts, side, postings, degrees):
    """Add to degrees int32[2, terms] in how many of the documents lo to hi - 1 of either side each term occurs."""
    for i in range(np.uint64(lo), np.uint64(hi)):
        s = np.uint64(side[i])
        for j in range(np.uint64(starts[i]), np.uint64(starts[i + np.uint64(1)])):
            degrees[s, postings[j] >> np.uint32(8)] += 1


@kernel
def term_gains(degrees, num_terms, slopes, left, right, gains):
    """Compute how many bits a term gains if one of its documents is on the right instead of the left: gains int32[2, terms].

    A term with x of the n documents of a half costs x log2(n / (x + 1)) there. The document itself does not count in its own
    half: gains[0] is for documents on the left, gains[1] for those on the right. degrees is int32[threads, 2, terms]; left and
    right are the sizes of the halves.
    """
    size = np.int32(np.rint((np.log2(np.float64(left)) - np.log2(np.float64(right))) * (1 << FRACTION_BITS)))
    for t in range(np.uint64(num_terms)):
        x = np.int64(0)
        y = np.int64(0)
        for thread in range(degrees.shape[0]):
            x += degrees[thread, 0, t]
            y += degrees[thread, 1, t]
        gains[0, t] = slopes[y] - slopes[max(x - 1, 0)] + size
        gains[1, t] = slopes[max(y - 1, 0)] - slopes[x] + size


@kernel
def document_gains(lo, hi, starts, side, postings, gains, gain):
    """Compute the gain of each of the documents lo to hi - 1 if it is on the right: gain int64[n]."""
    for i in range(np.uint64(lo), np.uint64(hi)):
        s = np.uint64(side[i])
        total = np.int64(0)
        for j in range(np.uint64(starts[i]), np.uint64(starts[i + np.uint64(1)])):
            posting = postings[j]
            total += np.int64(gains[s, posting >> np.uint32(8)]) * np.int64(posting & np.uint32(255))
        gain[i] = total


@kernel
def smallest(values, n, kth):
    """Return the kth smallest, from 0, of values[:n], which is rearranged (Hoare's quickselect)."""
    lo = np.int64(0)
    hi = np.int64(n - 1)
    while lo < hi:
        a, b, c = values[lo], values[(lo + hi) >> 1], values[hi]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = lo, hi
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if kth <= j:
            hi = j
        elif kth >= i:
            lo = i
        else:
            break
    return values[kth]


@kernel
def choose_exchanges(n, left, gain, side, moves, workspace):
    """Choose the documents to exchange, moves uint8[n]; return the number of pairs.

    To pair the left documents of the largest gains with the right ones of the smallest, as long as a pair gains, is to cut all
    at their median, which takes no sorting. workspace is int64[n].
    """
    for i in range(n):
        workspace[i] = gain[i]
    low = high = smallest(workspace, n, left - 1)            # right ones move if below low, left ones if above high
    from_left = from_right = 0
    for i in range(n):
        from_left += side[i] == 0 and gain[i] > high
        from_right += side[i] == 1 and gain[i] < low
    pairs = max(from_left, from_right)
    if n <= DAMPED and pairs > 1:
        pairs = (pairs + 1) >> 1
        high = side_smallest(n, 0, left - pairs, gain, side, workspace)
        low = side_smallest(n, 1, pairs - 1, gain, side, workspace)
        from_left = from_right = 0
        for i in range(n):
            from_left += side[i] == 0 and gain[i] > high
            from_right += side[i] == 1 and gain[i] < low
    equal_left, equal_right = pairs - from_left, pairs - from_right
    for i in range(n):
        if side[i] == 0:
            move = gain[i] > high
            if gain[i] == high and equal_left > 0:
                move = True
                equal_left -= 1
        else:
            move = gain[i] < low
            if gain[i] == low and equal_right > 0:
                move = True
                equal_right -= 1
        moves[i] = move
    return pairs


@kernel
def side_smallest(n, of_side, kth, gain, side, workspace):
    """Return the kth smallest gain, from 0, of one side."""
    count = 0
    for i in range(n):
        if side[i] == of_side:
            workspace[count] = gain[i]
            count += 1
    return smallest(workspace, count, kth)


@kernel
def exchange(lo, hi, starts, moves, postings, side, degrees):
    """Move the documents lo to hi - 1 for which ``moves`` is set to the other side, and update degrees int32[2, terms]."""
    for i in range(np.uint64(lo), np.uint64(hi)):
        if moves[i]:
            s = np.uint64(side[i])
            other = np.uint64(1) - s
            side[i] = other
            for j in range(np.uint64(starts[i]), np.uint64(starts[i + np.uint64(1)])):
                t = postings[j] >> np.uint32(8)
                degrees[s, t] -= 1
                degrees[other, t] += 1


@kernel
def renumber_terms(degrees, num_terms, left, right, new_ids, kept):
    """Renumber the terms of each half, new_ids int32[2, terms], -1 for those that are dropped there.

    Returns how many terms each half has; kept int64[threads, 2] receives how many postings each thread's documents keep.
    """
    count = np.zeros(2, np.int64)
    kept[:] = 0
    for t in range(num_terms):
        for s in range(2):
            df = np.int64(0)
            for thread in range(degrees.shape[0]):
                df += degrees[thread, s, t]
            new_ids[s, t] = -1
            if 1 < df < (left if s == 0 else right):
                new_ids[s, t] = count[s]
                count[s] += 1
                for thread in range(degrees.shape[0]):
                    kept[thread, s] += degrees[thread, s, t]
    return count[0], count[1]


@kernel
def partition_documents(lo, hi, halves, postings, documents, places, copied, partitioned):
    """Copy the documents lo to hi - 1, each to its half of ``partitioned``, and their postings to ``copied``.

    documents and partitioned are :class:`PartDocuments`, halves :class:`Halves`. places int64[2, 2] holds where the next
    posting of each half goes, and the next document.
    """
    starts, side, new_ids = halves
    to_posting, to_document = places[0], places[1]
    for i in range(np.uint64(lo), np.uint64(hi)):
        s = np.uint64(side[i])
        to = np.uint64(to_posting[s])
        first = to
        for j in range(np.uint64(starts[i]), np.uint64(starts[i + np.uint64(1)])):
            posting = postings[j]
            t = new_ids[s, posting >> np.uint32(8)]
            if t >= 0:
                copied[to] = (np.uint32(t) << np.uint32(8)) | (posting & np.uint32(255))
                to += np.uint64(1)
        to_posting[s] = to
        at = np.uint64(to_document[s])
        partitioned.order[at] = documents.order[i]
        partitioned.lengths[at] = to - first
        to_document[s] += 1


@kernel
def init_part(lengths, first, left, starts, side):
    """Write where each document's postings start, starts int64[n + 1], and its initial side, side uint8[n]."""
    at = np.int64(first)
    for i in range(len(lengths)):
        starts[i] = at
        at += lengths[i]
        side[i] = i >= left
    starts[len(lengths)] = at


@kernel
def finish_part(documents, first, num_terms, postings, spare, slopes, rounds, stop):
    """Split a part and its halves down to blocks, which reorders its documents, :class:`PartDocuments`, in place.

    The part's postings start at postings[first]; there, it owns as many elements of both arrays as it has postings. ``stop``
    uint8[1] ends it early once it is not 0.
    """
    order, lengths = documents
    n0 = len(order)
    starts = np.empty(n0 + 1, np.int64)
    side = np.empty(n0, np.uint8)
    moves = np.empty(n0, np.uint8)
    gain = np.empty(n0, np.int64)
    workspace = np.empty(n0, np.int64)
    new_order = np.empty(n0, np.int32)
    new_lengths = np.empty(n0, np.int32)
    degrees = np.empty((1, 2, num_terms), np.int32)
    gains = np.empty((2, num_terms), np.int32)
    new_ids = np.empty((2, num_terms), np.int32)
    kept = np.empty((1, 2), np.int64)
    places = np.empty((2, 2), np.int64)
    stack = [(np.int64(0), np.int64(n0), np.int64(first), np.int64(num_terms), False)]
    while len(stack) > 0 and stop[0] == 0:
        a, b, first_posting, terms, swapped = stack.pop()
        n = b - a
        if n <= BLOCK or terms == 0:
            continue
        here, there = (spare, postings) if swapped else (postings, spare)
        left = left_half(n)
        init_part(lengths[a:b], first_posting, left, starts, side)
        degrees[0, :, :terms] = 0
        count_degrees(0, n, starts, side, here, degrees[0])
        for _ in range(rounds):
            term_gains(degrees, terms, slopes, left, n - left, gains)
            document_gains(0, n, starts, side, here, gains, gain)
            if choose_exchanges(n, left, gain, side, moves, workspace) == 0:
                break
            exchange(0, n, starts, moves, here, side, degrees[0])
        left_terms, right_terms = renumber_terms(degrees, terms, left, n - left, new_ids, kept)
        places[0, 0], places[0, 1] = first_posting, first_posting + kept[0, 0]
        places[1, 0], places[1, 1] = 0, left
        partition_documents(0, n, Halves(starts, side, new_ids), here, PartDocuments(order[a:b], lengths[a:b]), places, there,
                            PartDocuments(new_order, new_lengths))
        order[a:b] = new_order[:n]
        lengths[a:b] = new_lengths[:n]
        stack.append((a + left, b, first_posting + kept[0, 0], right_terms, not swapped))
        stack.append((a, a + left, first_posting, left_terms, not swapped))


@kernel
def count_terms(lo, hi, postings, counts):
    """Add to counts int32[terms] how often each term occurs in postings[lo:hi]."""
    for j in range(np.uint64(lo), np.uint64(hi)):
        counts[postings[j] >> np.uint32(8)] += 1


@kernel
def replace_terms(lo, hi, postings, new_ids):
    """Replace the term ids in postings[lo:hi] by their new_ids int32[terms]."""
    for j in range(np.uint64(lo), np.uint64(hi)):
        posting = postings[j]
        postings[j] = (np.uint32(new_ids[posting >> np.uint32(8)]) << np.uint32(8)) | (posting & np.uint32(255))
