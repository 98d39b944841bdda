"""What must hold of an index before a kernel, which checks no bounds, may trust it.

:func:`check_tables` looks at the term and document tables on every open, in milliseconds; :func:`check_content` at every
posting, for ``bmp-plugin verify``.
"""
from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from ..kernels import kernel
from .layout import DENSE, FILLER_SHARE, FREQUENT, GAPS, RARE, SUPERBLOCK, WINDOW, Geometry

Arrays = dict[str, NDArray[Any]]


def check_tables(folder: Path, arrays: Arrays, geometry: Geometry) -> None:
    """Raise :class:`DamagedIndexError`, naming the file, unless every pointer of the tables stays in its array."""
    a = arrays
    demand = partial(_demand, folder)
    _check_ends(demand, a["term_end"], len(a["term_bytes"]), "term_end")
    kind, width, count = a["list_kind"], a["list_width"], a["list_count"]
    rare, gaps, frequent, dense = (kind == k for k in (RARE, GAPS, FREQUENT, DENSE))
    demand(np.all(kind <= DENSE), "list_kind", "has a kind that there is not")
    demand(np.all((width == 1) | (width == 2) | (width == 4)) and np.all(width[dense | gaps] == 1), "list_width",
           "has a width that there is not")
    demand(np.all((count >= 0) & (count <= geometry.num_docs)), "list_count", "has a count out of range")
    demand(np.all(a["term_df"] >= 0), "term_df", "has a negative document frequency")
    terms, lists = len(a["term_df"]), len(kind)
    demand(lists >= terms, "list_kind", "has fewer lists than there are terms")
    demand(np.all((a["list_max"] >= 0) & ((a["list_max"] > 0) == (count > 0))), "list_max", "has a maximum out of range")
    excess = a["term_excess"]
    demand(np.all((excess == -1) | ((excess >= terms) & (excess < lists))), "term_excess", "names a list that is no excess")

    def within(name: str, mine: NDArray[np.bool_], sizes: NDArray[Any] | int, length: int) -> None:
        first = a[name][mine].astype(np.int64)
        top = sizes[mine].astype(np.int64) if isinstance(sizes, np.ndarray) else sizes
        # compared without adding up, which could overflow
        demand(np.all((first >= 0) & (top >= 0) & (top <= length)) and np.all(first <= length - top), name,
               "points outside of its array")

    listed = rare | gaps
    within("list_entry", listed, a["list_entries"].astype(np.int64) + 1, len(a["entry_window"]))
    within("list_entry", ~listed, 1, len(a["block_max"]))
    within("list_entries", dense, 1, len(a["dense_impacts"]))
    length = np.zeros(lists, np.int64)                      # postings and fillers
    length[listed] = a["entry_start"][a["list_entry"][listed] + a["list_entries"][listed]]
    fillers = length - count
    demand(np.all(fillers[rare] == 0) and np.all((fillers[gaps] >= 0) & (fillers[gaps] * FILLER_SHARE <= count[gaps])),
           "entry_start", "ends a list where its count does not")
    within("list_docs", rare, length, len(a["rare_docs"]))
    within("list_docs", gaps, length, len(a["gaps"]))
    within("list_docs", frequent, count * (1 + width.astype(np.int64)), len(a["frequent"]))
    for bytes_, name in ((1, "impacts8"), (2, "impacts16"), (4, "impacts32")):
        within("list_impacts", (width == bytes_) & listed, length, len(a[name]))


def _demand(folder: Path, holds: bool | np.bool_, name: str, what: str) -> None:
    if not holds:
        raise DamagedIndexError(f"{folder / (name + '.bin')}: {what}; build the index again")


def _check_ends(demand: Any, ends: NDArray[np.int64], length: int, name: str) -> None:
    demand((not len(ends) and length == 0) or (len(ends) and ends[0] >= 0 and ends[-1] == length
                                               and np.all(ends[1:] >= ends[:-1])), name, "does not ascend to its end")


def check_content(folder: Path, arrays: Arrays, geometry: Geometry) -> None:
    """Raise :class:`DamagedIndexError`, naming the file, unless documents and postings are what the layout says."""
    a = arrays
    demand = partial(_demand, folder)
    _check_ends(demand, a["docid_end"], len(a["docid_bytes"]), "docid_end")
    n = geometry.num_docs
    ranks, docs = a["doc_rank"], a["rank_doc"]
    demand(np.all((ranks >= 0) & (ranks < n)), "doc_rank", "has a rank out of range")
    demand(np.all((docs >= 0) & (docs < n)) and np.array_equal(docs[ranks], np.arange(n)), "rank_doc",
           "is not the inverse of doc_rank")
    demand(np.all(a["doc_number"] >= 0), "doc_number", "has a negative number")
    bad = check_postings(a["list_kind"], a["list_count"], a["list_width"], a["list_docs"], a["list_impacts"], a["list_entry"],
                         a["list_entries"], a["entry_window"], a["entry_start"], a["rare_docs"], a["gaps"], a["impacts8"],
                         a["window_start"], a["superblock_start"], a["frequent"], n)
    listed = bad >= 0 and a["list_kind"][bad] in (RARE, GAPS)
    demand(bad < 0, "entry_start" if listed else "superblock_start", f"does not describe the postings of list {bad}")


@kernel
def check_postings(kind, count, width, first_doc, first_impact, entry, entries, entry_window, entry_start, rare_docs, gaps,
                   impacts8, window_start, superblock_start, frequent, num_docs):
    """The first list whose starts do not ascend or whose documents are out of order or range, or -1."""
    for t in range(len(kind)):
        if kind[t] == RARE or kind[t] == GAPS:
            if not _check_listed(kind[t], count[t], first_doc[t], first_impact[t], entry[t], entries[t], entry_window,
                                 entry_start, rare_docs, gaps, impacts8, num_docs):
                return t
        elif kind[t] == FREQUENT and not _check_frequent(count[t], width[t], first_doc[t], entry[t], window_start,
                                                         superblock_start, frequent, num_docs):
            return t
    return -1


@kernel
def _check_listed(kind, count, first_doc, first_impact, entry, entries, entry_window, entry_start, rare_docs, gaps, impacts8,
                  num_docs):
    found = 0
    if entry_start[entry] != 0 or entry_window[entry + entries] != 0xFFFF:
        return False
    for at in range(entry, entry + entries):
        start, end = np.int64(entry_start[at]), np.int64(entry_start[at + 1])
        base = np.int64(entry_window[at]) * WINDOW
        if start >= end or (at > entry and entry_window[at] <= entry_window[at - 1]):
            return False
        last = np.int64(-1)
        for j in range(start, end):
            if kind == RARE:
                doc = np.int64(rare_docs[first_doc + j])
                found += 1
            else:
                doc = last + np.int64(gaps[first_doc + j])
                found += impacts8[first_impact + j] > 0
            if doc <= last or doc >= WINDOW or base + doc >= num_docs:
                return False
            last = doc
    return found == count


@kernel
def _check_frequent(count, width, first_doc, row, window_start, superblock_start, frequent, num_docs):
    windows = window_start.shape[1] - 1
    if window_start[row, 0] != 0 or np.int64(window_start[row, windows]) != count:
        return False
    superblocks = superblock_start.shape[1]
    for s in range(superblocks):
        begin = np.int64(window_start[row, s >> 8]) + np.int64(superblock_start[row, s])
        end = np.int64(window_start[row, (s >> 8) + 1])
        if s + 1 < superblocks and (s + 1) & 255 != 0:
            end = np.int64(window_start[row, s >> 8]) + np.int64(superblock_start[row, s + 1])
        if (s & 255 == 0 and superblock_start[row, s] != 0) or begin > end or end > count:
            return False
        last = np.int64(-1)
        at = first_doc + begin * (1 + np.int64(width))
        for j in range(at, at + end - begin):
            doc = np.int64(frequent[j])
            if doc <= last or s * SUPERBLOCK + doc >= num_docs:
                return False
            last = doc
    return True
