"""Bulk encoding of CIFF posting lists in protobuf's wire format; the bytes are those that the library would write.

Kernels encode the lists of a batch one after the other. All values are at least 0; zeros are omitted, as in proto3.
"""
from __future__ import annotations

import numpy as np

from bmp_plugin._internal.kernels import kernel

_TERM, _DF, _CF, _POSTINGS = 0x0A, 0x10, 0x18, 0x22          # field number and wire type
_DOCID, _TF = 0x08, 0x10


@kernel
def _length_size(value):
    """Returns the size of a varint in bytes."""
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@kernel
def _put_length(out, at, value):
    """Writes a varint; returns the offset after it."""
    while value > 127:
        out[at] = np.uint8(value & 0x7F | 0x80)
        value >>= 7
        at += 1
    out[at] = np.uint8(value)
    return at + 1


@kernel
def _size(value):
    """Returns the size in bytes of a field with a one-byte tag; 0 for the value 0, which is omitted."""
    return 0 if value == 0 else 1 + _length_size(value)


@kernel
def _put(out, at, tag, value):
    """Writes a field with a one-byte tag; returns the offset after it."""
    if value == 0:
        return at
    out[at] = tag
    return _put_length(out, at + 1, value)


@kernel
def measure_lists(counts, docs, impacts, term_sizes, sizes, cfs):
    """Computes the size of each list's message without its length prefix, int64[n] ``sizes``, and sums of impacts, ``cfs``.

    counts int64[n], docs int32[m] ascending within a list, impacts int32[m], term_sizes int64[n] in bytes.
    """
    lo = np.int64(0)
    for i in range(len(counts)):
        hi = lo + counts[i]
        cf = np.int64(0)
        size = np.int64(0)
        last = np.int64(0)
        for j in range(lo, hi):
            doc, impact = np.int64(docs[j]), np.int64(impacts[j])
            size += 2 + _size(doc - last) + _size(impact)
            cf += impact
            last = doc
        cfs[i] = cf
        sizes[i] = size + (1 + _length_size(term_sizes[i]) + term_sizes[i] if term_sizes[i] else 0) + _size(counts[i]) \
            + _size(cf)
        lo = hi


@kernel
def encode_lists(counts, docs, impacts, terms, term_sizes, sizes, cfs, out):
    """Writes each list after its length into uint8 ``out``, which needs 10 spare bytes per list; returns the bytes written.

    terms uint8 are the concatenated terms; sizes and cfs come from :func:`measure_lists`.
    """
    lo, at, term = np.int64(0), np.int64(0), np.int64(0)
    for i in range(len(counts)):
        hi = lo + counts[i]
        at = _put_length(out, at, sizes[i])
        if term_sizes[i]:
            out[at] = _TERM
            at = _put_length(out, at + 1, term_sizes[i])
            for x in range(term_sizes[i]):
                out[at + x] = terms[term + x]
            at += term_sizes[i]
            term += term_sizes[i]
        at = _put(out, at, _DF, counts[i])
        at = _put(out, at, _CF, cfs[i])
        last = np.int64(0)
        for j in range(lo, hi):
            doc, impact = np.int64(docs[j]), np.int64(impacts[j])
            out[at] = _POSTINGS
            end = _put(out, _put(out, at + 2, _DOCID, doc - last), _TF, impact)
            out[at + 1] = np.uint8(end - at - 2)         # at most 2 fields of 6 bytes
            at = end
            last = doc
        lo = hi
    return at
