"""Bulk decoding of CIFF posting lists from protobuf's wire format, a hundred times faster than one object per posting.

Kernels decode messages that are complete within a window of the file, and never read beyond the window.
"""
from __future__ import annotations

import numpy as np

from bmp_plugin._internal.kernels import kernel

# Outcomes that the kernels report for a list
FINE, MALFORMED, NOT_ASCENDING, OUT_OF_RANGE, BAD_IMPACT, WRONG_DF = range(6)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TERM, _DF, _CF, _POSTINGS = 1, 2, 3, 4
_DOCID, _TF = 1, 2
POSTING_BYTES = 6
"""Least size of a posting: tag and length, tag and gap, tag and impact. Only a list's first posting may omit a gap of 0."""
_LARGEST_FIELD = 2**29 - 1
_MAX_INT32 = 2**31 - 1


@kernel
def _varint(data, at, end):
    """Decodes a varint: (value, offset after it); offset -1 if it does not end before ``end``."""
    if at < end and data[at] < 0x80:                     # tags, lengths and most gaps and impacts
        return np.int64(data[at]), at + 1
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < np.uint64(70):
        byte = data[at]
        at += 1
        if shift < np.uint64(64):
            value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return np.int64(value), at
        shift += np.uint64(7)
    return np.int64(0), np.int64(-1)


@kernel
def _after_field(data, at, end, tag, known):
    """Returns the offset after an unknown field; -1 if it is malformed.

    Known fields, numbered up to ``known``, get here only with a wrong wire type.
    """
    wire_type = tag & 7
    if tag >> 3 <= known or tag >> 3 > _LARGEST_FIELD:
        return np.int64(-1)
    if wire_type == _VARINT:
        _, at = _varint(data, at, end)
        return at
    if wire_type == _BYTES:
        length, at = _varint(data, at, end)
        return at + length if at >= 0 and 0 <= length <= end - at else np.int64(-1)
    width = 8 if wire_type == _FIXED64 else 4 if wire_type == _FIXED32 else np.int64(2**62)
    return at + width if width <= end - at else np.int64(-1)


@kernel
def frames(data, at, max_frames, largest, starts, ends):
    """Finds complete messages from ``at`` on and fills int64 ``starts`` and ``ends``.

    Returns (number of messages found, offset after them, whether a length is malformed or above ``largest``).
    """
    found = 0
    while found < max_frames:
        length, begin = _varint(data, at, data.size)
        if begin < 0:
            return found, at, data.size - at >= 10
        if length < 0 or length > largest:
            return found, at, True
        if length > data.size - begin:
            break
        starts[found], ends[found] = begin, begin + length
        found += 1
        at = begin + length
    return found, at, False


@kernel
def list_head(data, at, end):
    """Returns the document frequency that a list states, without its postings; -1 if malformed."""
    while at < end:
        tag, at = _varint(data, at, end)
        if at < 0:
            return np.int64(-1)
        if tag == (_DF << 3 | _VARINT):
            df, at = _varint(data, at, end)
            return df if at >= 0 else np.int64(-1)
        if tag == (_POSTINGS << 3 | _BYTES):
            return np.int64(0)
        at = _after_field(data, at, end, tag, 0)
        if at < 0:
            return np.int64(-1)
    return np.int64(0)


@kernel
def stated_dfs(data, starts, ends, count):
    """Returns the sum of the document frequencies that ``count`` lists state; -1 if one is malformed."""
    total = np.int64(0)
    for i in range(count):
        df = list_head(data, starts[i], ends[i])
        if df < 0:
            return np.int64(-1)
        total += df
    return total


@kernel
def _posting(data, at, end):
    """Decodes (gap, impact) of a posting; gap -1 if malformed. Absent fields are 0, as in proto3."""
    gap, impact = np.int64(0), np.int64(0)
    while at < end:
        tag, at = _varint(data, at, end)
        if at < 0:
            return np.int64(-1), impact
        if tag == (_DOCID << 3 | _VARINT):
            gap, at = _varint(data, at, end)
            if gap < 0:
                gap = np.int64(2**62)  # a negative int32, reported as out of range
        elif tag == (_TF << 3 | _VARINT):
            impact, at = _varint(data, at, end)
        else:
            at = _after_field(data, at, end, tag, _TF)
        if at < 0:
            return np.int64(-1), impact
    return gap, impact


@kernel
def decode_lists(data, starts, ends, count, num_docs, terms, dfs, docs, impacts):
    """Decodes ``count`` posting lists.

    Fills int64[count, 2] ``terms`` (start and end of each term in ``data``), int64 ``dfs``, and int32 ``docs`` and
    ``impacts``, which must have room for one posting per list and one per POSTING_BYTES of the lists. Postings of impact 0,
    which quantization may write, are left out, and not counted in ``dfs``. Returns (FINE or an error code, the list with that
    error, number of postings written, number of postings left out).
    """
    written, left_out = 0, 0
    for i in range(count):
        at, end = starts[i], ends[i]
        first, zeros = written, 0
        doc = np.int64(-1)
        stated = np.int64(0)
        terms[i, 0] = terms[i, 1] = at
        while at < end:
            tag, at = _varint(data, at, end)
            if at < 0:
                return MALFORMED, i, written, left_out
            if tag == (_POSTINGS << 3 | _BYTES):
                length, at = _varint(data, at, end)
                if at < 0 or length < 0 or length > end - at:
                    return MALFORMED, i, written, left_out
                gap, impact = _posting(data, at, at + length)
                at += length
                if gap < 0:
                    return MALFORMED, i, written, left_out
                if doc >= 0 and gap == 0:
                    return NOT_ASCENDING, i, written, left_out
                if gap >= num_docs:                          # the sum might overflow int64
                    return OUT_OF_RANGE, i, written, left_out
                doc = gap if doc < 0 else doc + gap
                if doc >= num_docs:
                    return OUT_OF_RANGE, i, written, left_out
                if impact < 0 or impact > _MAX_INT32:
                    return BAD_IMPACT, i, written, left_out
                if impact == 0:
                    zeros += 1
                else:
                    docs[written] = doc
                    impacts[written] = impact
                    written += 1
            elif tag == (_TERM << 3 | _BYTES):
                length, at = _varint(data, at, end)
                if at < 0 or length < 0 or length > end - at:
                    return MALFORMED, i, written, left_out
                terms[i, 0], terms[i, 1] = at, at + length
                at += length
            elif tag == (_DF << 3 | _VARINT):
                stated, at = _varint(data, at, end)
            elif tag == (_CF << 3 | _VARINT):
                _, at = _varint(data, at, end)
            else:
                at = _after_field(data, at, end, tag, _POSTINGS)
            if at < 0:
                return MALFORMED, i, written, left_out
        if stated != written - first + zeros:
            return WRONG_DF, i, written, left_out
        dfs[i] = written - first
        left_out += zeros
    return FINE, count, written, left_out
