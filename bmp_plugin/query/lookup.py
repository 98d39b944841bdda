"""Given documents and their impacts, found without reading whole lists: for scores that are asked for, not searched."""
from __future__ import annotations

import numpy as np

from ..index.layout import DENSE, FREQUENT, GAPS
from ..kernels import kernel
from .scores import read_impact


@kernel
def find_impact(t, doc, index):
    """List t's impact for the document at position ``doc``, int64; 0 if it has none."""
    row, first, width = np.int64(index.list_entry[t]), np.int64(index.list_docs[t]), np.int64(index.list_width[t])
    if index.list_kind[t] == DENSE:
        return np.int64(index.dense_impacts[index.list_entries[t], doc])
    if index.list_kind[t] == FREQUENT:
        s = doc >> 8
        start = np.int64(index.window_start[row, s >> 8]) + np.int64(index.superblock_start[row, s])
        end = np.int64(index.window_start[row, (s >> 8) + 1])
        if s + 1 < index.superblock_start.shape[1] and (s + 1) & 255 != 0:
            end = np.int64(index.window_start[row, s >> 8]) + np.int64(index.superblock_start[row, s + 1])
        at = first + start * (1 + width)
        for j in range(end - start):
            if np.int64(index.frequent[at + j]) == doc & 255:
                return read_impact(index.frequent, at + end - start + j * width, width)
        return np.int64(0)
    for e in range(row, row + index.list_entries[t]):
        if np.int64(index.entry_window[e]) != doc >> 16:
            continue
        offset = np.int64(-1)
        for j in range(index.entry_start[e], index.entry_start[e + 1]):
            if index.list_kind[t] == GAPS:
                offset += np.int64(index.gaps[first + j])
            else:
                offset = np.int64(index.rare_docs[first + j])
            if offset >= doc & 65535:
                return _impact(index, index.list_impacts[t] + j, width) if offset == doc & 65535 else np.int64(0)
    return np.int64(0)


@kernel
def _impact(index, at, width):
    if width == 1:
        return np.int64(index.impacts8[at])
    if width == 2:
        return np.int64(index.impacts16[at])
    return np.int64(index.impacts32[at])


@kernel
def find_impacts(terms, excess, docs, index, impacts):
    """Impacts of terms int32[n] for the documents at positions docs int32[m], into impacts int64[n, m]; 0 for none.

    excess int32[n] names the list of what a term's impacts are above 255, or is -1.
    """
    for i in range(len(terms)):
        for j in range(len(docs)):
            impacts[i, j] = find_impact(terms[i], np.int64(docs[j]), index)
            if excess[i] >= 0 and impacts[i, j] > 0:
                impacts[i, j] += find_impact(excess[i], np.int64(docs[j]), index)


@kernel
def _order(data, start, end, wanted, wanted_start, wanted_end):
    """Below 0, 0 or above 0 as data[start:end] comes before wanted[wanted_start:wanted_end], is it, or comes after."""
    n, m = end - start, wanted_end - wanted_start
    for i in range(min(n, m)):
        if data[start + i] != wanted[wanted_start + i]:
            return np.int64(data[start + i]) - np.int64(wanted[wanted_start + i])
    return n - m


@kernel
def find_documents(docid_bytes, docid_end, rank_doc, wanted, wanted_end, positions):
    """Positions int32[m] of the documents whose docids are given, -1 where there is none; rank_doc sorts docids by bytes.

    Docids are wanted uint8[bytes] up to wanted_end int64[m], as docid_bytes up to docid_end int64[documents].
    """
    start = np.int64(0)
    for i in range(len(wanted_end)):
        end = wanted_end[i]
        lo, hi = 0, len(rank_doc)
        while lo < hi:
            mid = (lo + hi) // 2
            doc = np.int64(rank_doc[mid])
            if _order(docid_bytes, docid_end[doc - 1] if doc > 0 else np.int64(0), docid_end[doc], wanted, start, end) < 0:
                lo = mid + 1
            else:
                hi = mid
        positions[i] = -1
        if lo < len(rank_doc):
            doc = np.int64(rank_doc[lo])
            if _order(docid_bytes, docid_end[doc - 1] if doc > 0 else np.int64(0), docid_end[doc], wanted, start, end) == 0:
                positions[i] = doc
        start = end
