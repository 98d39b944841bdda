"""Decodes posting lists: the one place, besides :mod:`.encode`, that knows how postings are stored.

What it hands out is a range of postings as documents and impacts: of a whole list (:func:`decode_list`), or of a sparse
list's run, some at a time (:func:`decode_lanes`). The run of a superblock needs no decoding: :func:`superblock_run` says where
its document bytes and its impact bytes are.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .._internal.intrinsics import DECODED, add_product, everywhere, prefetch, vector
from .._internal.kernels import inline_kernel, kernel
from .layout import BLOCKS_PER_CHUNK, BYTES_PER_CHUNK, LONGEST_GAP, SUPERBLOCK_SHIFT, WINDOW, WINDOW_SHIFT

START_SENTINEL = 0xFFFF  # the document before a window's first, in 16 bits


@intrinsic
def decode_lanes(typing_context: Any, docs: Any, impacts: Any, at: Any, postings: Any, gaps_at: Any, impacts_at: Any,
                 before: Any) -> Any:
    """Decode DECODED postings of a sparse list into docs[at + i], uint16, and impacts[at + i], uint8; returns the last
    document, uint64.

    The document bytes are postings[gaps_at + i], the impact bytes postings[impacts_at + i], uint8; ``before``, uint64, is the
    document before the first. Documents are modulo 2^16. Jumps come as postings of impact 0. The prefix sum has four steps,
    each of which adds to every sum the one so many places before it: a compiler does not see that these can be made side by
    side.
    """
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, narrow = (ir.VectorType(ir.IntType(bits), DECODED) for bits in (8, 16))
        number = ir.IntType(32)
        gap, impact = (builder.load(vector(context, builder, signature, arguments, 3, arguments[at], DECODED), align=1)
                       for at in (4, 5))
        is_jump = builder.icmp_unsigned("==", gap, ir.Constant(byte, [0] * DECODED))
        jump = builder.mul(builder.zext(impact, narrow), ir.Constant(narrow, [LONGEST_GAP] * DECODED))
        sums, zeros = builder.select(is_jump, jump, builder.zext(gap, narrow)), ir.Constant(narrow, [0] * DECODED)
        for step in (1, 2, 4, 8):
            shifted = [max(i - step, -1) % (DECODED + 1) for i in range(DECODED)]
            sums = builder.add(sums, builder.shuffle_vector(sums, zeros, ir.Constant(ir.VectorType(number, DECODED), shifted)))
        sums = builder.add(sums, everywhere(builder, builder.trunc(arguments[6], ir.IntType(16)), DECODED))
        builder.store(sums, vector(context, builder, signature, arguments, 0, arguments[2], DECODED), align=2)
        builder.store(builder.select(is_jump, ir.Constant(byte, [0] * DECODED), impact),
                      vector(context, builder, signature, arguments, 1, arguments[2], DECODED), align=1)
        return builder.zext(builder.extract_element(sums, ir.Constant(number, DECODED - 1)), ir.IntType(64))

    return types.uint64(docs, impacts, types.uint64, postings, types.uint64, types.uint64, types.uint64), generate


@inline_kernel
def superblock_run(index, row, start, superblock):
    """The run of a superblock in a list with block maxima: its first byte in ``postings`` and how many postings it has, uint64.

    row and start are those of the list, superblock is uint64. The run has so many document bytes, offsets in the superblock,
    and then as many impact bytes.
    """
    first = np.uint64(index.superblock_start[np.uint64(row), superblock])
    end = np.uint64(index.superblock_start[np.uint64(row), superblock + np.uint64(1)])
    return np.uint64(start) + np.uint64(2) * first, end - first


@inline_kernel
def window_run(start, begin, end):
    """The run of a window in a sparse list: its first document byte, its first impact byte, uint64, and its length, int64.

    start is the list's first byte; the run is from begin to before end, in postings and jumps from the list's first; int64.
    """
    gaps_at = start + 2 * begin
    return np.uint64(gaps_at), np.uint64(gaps_at + end - begin), end - begin


@inline_kernel
def add_block_maxima(acc, rows, pair, weights, chunk, end, ahead):
    """Add the chunks ``chunk`` to before ``end`` of a pair of rows of block maxima, times their weights, to acc uint16[blocks].

    To read and write acc is half of the work, so two rows are added at once. Sums have to fit 16 bits. On the way the rows that
    are next are prefetched, from the bytes ``ahead`` on: rows lie too far apart for the processor to guess the next one.
    """
    a, b, wa, wb = np.uint64(pair[0]), np.uint64(pair[1]), np.uint16(weights[0]), np.uint16(weights[1])
    ahead_a, ahead_b = ahead
    for c in range(np.uint64(chunk), np.uint64(end)):
        prefetch(rows, ahead_a)
        prefetch(rows, ahead_b)
        ahead_a += BYTES_PER_CHUNK
        ahead_b += BYTES_PER_CHUNK
        byte, low = c * np.uint64(BYTES_PER_CHUNK), c * np.uint64(BLOCKS_PER_CHUNK)
        high = low + np.uint64(BYTES_PER_CHUNK)
        for q in range(np.uint64(BYTES_PER_CHUNK)):
            x, y = np.uint16(rows[a, byte + q]), np.uint16(rows[b, byte + q])
            acc[low + q] = add_product(add_product(acc[low + q], x & np.uint16(15), wa), y & np.uint16(15), wb)
            acc[high + q] = add_product(add_product(acc[high + q], x >> np.uint16(4), wa), y >> np.uint16(4), wb)


@kernel
def decode_list(t, index, docs, impacts):
    """Decode list t into docs int32[>= n] and impacts uint8[>= n]; returns n, or -1 for a run that does not end in its window
    and a jump over nothing.

    index is :class:`.layout.KernelIndex`. There has to be room for the list's postings and jumps.
    """
    n, at, postings = np.int64(0), index.list_start[t], index.postings
    if index.list_row[t] >= 0:
        for s in range(index.num_superblocks):
            run_at, run_count = superblock_run(index, index.list_row[t], index.list_start[t], np.uint64(s))
            for j in range(run_count):
                docs[n] = (s << SUPERBLOCK_SHIFT) | np.int64(postings[run_at + j])
                impacts[n] = postings[run_at + run_count + j]
                n += 1
        return n
    begin = np.int64(0)
    for e in range(index.list_entry[t], index.list_entry[t] + index.list_entries[t]):
        count = np.int64(index.entry_end[e]) - begin
        base, offset = np.int64(index.entry_window[e]) << WINDOW_SHIFT, np.int64(-1)
        for j in range(at, at + count):
            if postings[j] == 0 and postings[j + count] == 0:
                return np.int64(-1)
            if postings[j] == 0:
                offset += LONGEST_GAP * np.int64(postings[j + count])
            else:
                offset += np.int64(postings[j])
                docs[n] = base + offset
                impacts[n] = postings[j + count]
                n += 1
        if offset >= WINDOW:
            return np.int64(-1)
        at += 2 * count
        begin += count
    return n


@kernel
def decode_term(t, index, scratch_docs, scratch_impacts, docs, impacts):
    """Decode all of a term's lists into docs int32[>= n] and whole impacts int64[>= n]; returns n.

    The scratch arrays, int32 and uint8, have room for the longest of the lists, and its jumps.
    """
    n = decode_list(t, index, docs, scratch_impacts)
    for j in range(n):
        impacts[j] = scratch_impacts[j]
    for extra in range(index.term_overflow[t], index.term_overflow[t + 1]):
        shift, x = np.int64(index.list_shift[extra]), np.int64(0)
        for y in range(decode_list(extra, index, scratch_docs, scratch_impacts)):
            while x < n and docs[x] < scratch_docs[y]:
                x += 1
            if x < n and docs[x] == scratch_docs[y]:               # as it is, unless somebody forged the files
                impacts[x] += np.int64(scratch_impacts[y]) << shift
    return n
