"""The kernels of recursive graph bisection. See :mod:`.reorder` for the algorithm and its sources.

A part is some documents in a row. Its postings stand in a row too, in one of two arrays; when the part is split they are
copied to the other one, so that each half's documents lie side by side again, with terms numbered anew from 0 in each half
and without those that occur in one or all of its documents. Tables by term are so always dense, and small in small parts.

Large parts are worked on by several threads, each with a range of the documents and a table of its own (``degrees``,
weights apart, of integers, so that sums are the same for every number of threads).
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel
from .layout import DEFAULT_BLOCK_SIZE, SUPERBLOCK

BLOCK = DEFAULT_BLOCK_SIZE     # parts are not split further: inside a block, order does not matter
DAMPED = 64                    # in parts this small, all exchanges at once would undo one another
FRACTION = 20                  # bits of a term's gain after the point


class PartDocuments(NamedTuple):
    """The documents of a part."""

    order: NDArray[np.int32]         # [n], the documents
    lengths: NDArray[np.int32]       # [n], how many postings each has


class Halves(NamedTuple):
    """How a part is divided."""

    starts: NDArray[np.int64]        # [n + 1], where each document's postings start
    side: NDArray[np.uint8]          # [n], 0 for the left half, 1 for the right one
    numbers: NDArray[np.int32]       # [2, terms], new numbers of the terms in each half, see number_terms


@kernel
def left_half(n):
    """How many of n documents go to the left: about half, and whole superblocks or else whole blocks."""
    unit = SUPERBLOCK if n > SUPERBLOCK else BLOCK
    return ((n // unit + 1) >> 1) * unit


@kernel
def log_slopes(n):
    """F(x + 1) - F(x) for x from 0 to n, where F(x) = x log2(x + 1), as fixed-point int32[n + 1]."""
    slopes = np.empty(n + 1, np.int32)
    before = 0.0
    for x in range(n + 1):
        after = (x + 1) * np.log2(x + 2.0)
        slopes[x] = np.int32(np.rint((after - before) * (1 << FRACTION)))
        before = after
    return slopes


@kernel
def count_degrees(lo, hi, starts, side, postings, degrees):
    """Add to degrees int32[2, terms] in how many of the documents lo to hi of either side each term occurs."""
    for i in range(np.uint64(lo), np.uint64(hi)):
        s = np.uint64(side[i])
        for j in range(np.uint64(starts[i]), np.uint64(starts[i + np.uint64(1)])):
            degrees[s, postings[j] >> np.uint32(8)] += 1


@kernel
def term_gains(degrees, num_terms, slopes, left, right, gains):
    """What it gains to have a term's document on the right instead of the left, into gains int32[2, terms], in bits.

    A term with x of the n documents of a half costs x log2(n / (x + 1)) there. The document itself is left out of its
    half's count: gains[0] is for documents on the left, gains[1] for those on the right. degrees int32[threads, 2, terms];
    left and right are the halves' numbers of documents.
    """
    size = np.int32(np.rint((np.log2(np.float64(left)) - np.log2(np.float64(right))) * (1 << FRACTION)))
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
    """What it gains to have each of the documents lo to hi on the right, into gain int64[n]."""
    for i in range(np.uint64(lo), np.uint64(hi)):
        s = np.uint64(side[i])
        total = np.int64(0)
        for j in range(np.uint64(starts[i]), np.uint64(starts[i + np.uint64(1)])):
            posting = postings[j]
            total += np.int64(gains[s, posting >> np.uint32(8)]) * np.int64(posting & np.uint32(255))
        gain[i] = total


@kernel
def smallest(values, n, kth):
    """The kth smallest, from 0, of values[:n], which it rearranges (quickselect)."""
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
    """Which documents to exchange, into moves uint8[n]; returns how many pairs.

    Pairing the left documents of most gain with the right ones of least, as long as a pair gains, is the same as cutting
    all at their median; so no sorting. workspace int64[n].
    """
    for i in range(n):
        workspace[i] = gain[i]
    low = high = smallest(workspace, n, left - 1)            # right ones move below low, left ones above high
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
    """The kth smallest gain, from 0, of one side."""
    count = 0
    for i in range(n):
        if side[i] == of_side:
            workspace[count] = gain[i]
            count += 1
    return smallest(workspace, count, kth)


@kernel
def exchange(lo, hi, starts, moves, postings, side, degrees):
    """Move those of the documents lo to hi that ``moves`` marks to the other side; degrees int32[2, terms] follow."""
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
def number_terms(degrees, num_terms, left, right, numbers, kept):
    """Number the terms of each half anew, into numbers int32[2, terms], -1 for those that are left out there.

    Returns how many terms each half has; kept int64[threads, 2] receives how many postings each thread's documents keep.
    """
    count = np.zeros(2, np.int64)
    kept[:] = 0
    for t in range(num_terms):
        for s in range(2):
            df = np.int64(0)
            for thread in range(degrees.shape[0]):
                df += degrees[thread, s, t]
            numbers[s, t] = -1
            if 1 < df < (left if s == 0 else right):
                numbers[s, t] = count[s]
                count[s] += 1
                for thread in range(degrees.shape[0]):
                    kept[thread, s] += degrees[thread, s, t]
    return count[0], count[1]


@kernel
def part_documents(lo, hi, halves, postings, documents, places, copied, parted):
    """Copy the documents lo to hi, :class:`PartDocuments`, to ``parted``, each to its half, and their postings to ``copied``.

    halves is :class:`Halves`. places int64[2, 2] says where the next posting of each half goes, and the next document.
    """
    starts, side, numbers = halves
    to_posting, to_document = places[0], places[1]
    for i in range(np.uint64(lo), np.uint64(hi)):
        s = np.uint64(side[i])
        to = np.uint64(to_posting[s])
        first = to
        for j in range(np.uint64(starts[i]), np.uint64(starts[i + np.uint64(1)])):
            posting = postings[j]
            t = numbers[s, posting >> np.uint32(8)]
            if t >= 0:
                copied[to] = (np.uint32(t) << np.uint32(8)) | (posting & np.uint32(255))
                to += np.uint64(1)
        to_posting[s] = to
        at = np.uint64(to_document[s])
        parted.order[at] = documents.order[i]
        parted.lengths[at] = to - first
        to_document[s] += 1


@kernel
def begin_part(lengths, first, left, starts, side):
    """Where each document's postings start, into starts int64[n + 1], and the side it is on at first, side uint8[n]."""
    at = np.int64(first)
    for i in range(len(lengths)):
        starts[i] = at
        at += lengths[i]
        side[i] = i >= left
    starts[len(lengths)] = at


@kernel
def finish_part(documents, first, num_terms, postings, spare, slopes, rounds, stop):
    """Split a part and its halves down to blocks; the order of its documents, :class:`PartDocuments`, changes.

    Its postings start at postings[first], and both arrays are its own from there on, as far as its postings go. ``stop``
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
    numbers = np.empty((2, num_terms), np.int32)
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
        begin_part(lengths[a:b], first_posting, left, starts, side)
        degrees[0, :, :terms] = 0
        count_degrees(0, n, starts, side, here, degrees[0])
        for _ in range(rounds):
            term_gains(degrees, terms, slopes, left, n - left, gains)
            document_gains(0, n, starts, side, here, gains, gain)
            if choose_exchanges(n, left, gain, side, moves, workspace) == 0:
                break
            exchange(0, n, starts, moves, here, side, degrees[0])
        left_terms, right_terms = number_terms(degrees, terms, left, n - left, numbers, kept)
        places[0, 0], places[0, 1] = first_posting, first_posting + kept[0, 0]
        places[1, 0], places[1, 1] = 0, left
        part_documents(0, n, Halves(starts, side, numbers), here, PartDocuments(order[a:b], lengths[a:b]), places, there,
                       PartDocuments(new_order, new_lengths))
        order[a:b] = new_order[:n]
        lengths[a:b] = new_lengths[:n]
        stack.append((a + left, b, first_posting + kept[0, 0], right_terms, not swapped))
        stack.append((a, a + left, first_posting, left_terms, not swapped))


@kernel
def count_terms(lo, hi, postings, counts):
    """Add to counts int32[terms] how often each term is in postings[lo:hi]."""
    for j in range(np.uint64(lo), np.uint64(hi)):
        counts[postings[j] >> np.uint32(8)] += 1


@kernel
def rename_terms(lo, hi, postings, names):
    """Give the terms in postings[lo:hi] their numbers of names int32[terms]."""
    for j in range(np.uint64(lo), np.uint64(hi)):
        posting = postings[j]
        postings[j] = (np.uint32(names[posting >> np.uint32(8)]) << np.uint32(8)) | (posting & np.uint32(255))
