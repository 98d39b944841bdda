"""What must hold of an index before a kernel, which checks no bounds, may trust it.

:func:`check_tables` looks at the term and list tables on every open, in milliseconds; :func:`check_content` at all else,
before content is used for the first time on a machine and for ``bmp-plugin verify``: see :mod:`.proof`. Both take the tables
in parts, so that their memory is bounded whatever the files say.

Together they prove that no kernel reads or writes out of bounds, which is so of any files that pass, whoever made them. That
impacts and block maxima, which bounds only sums and orders, are those that were indexed is for the checksums to say.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from ..kernels import kernel, leaf
from .layout import DENSE, FILLER_SHARE, FREQUENT, GAPS, RARE, SUPERBLOCK, WINDOW, Geometry

Arrays = dict[str, NDArray[Any]]
Demand = Callable[[bool | np.bool_, str, str], None]
AT_ONCE = 2**18              # elements of a table
LISTS_AT_ONCE = 4096


def check_tables(folder: Path, arrays: Arrays, geometry: Geometry, num_postings: int) -> None:
    """Raise :class:`DamagedIndexError`, naming the file, unless every pointer of the tables stays in its array."""
    demand = partial(_demand, folder)
    terms, lists = len(arrays["term_df"]), len(arrays["list_kind"])
    check_terms(folder, arrays)
    demand(lists >= terms, "list_kind", "has fewer lists than there are terms")
    for part in _parts(terms):
        excess = arrays["term_excess"][part]
        demand(np.all((excess == -1) | ((excess >= terms) & (excess < lists))), "term_excess", "names a list that is no excess")
    for part in _parts(lists):
        tables = {name: table[part] for name, table in arrays.items() if name.startswith("list_")}
        _check_lists(demand, tables, arrays, geometry)
    demand(sum(int(arrays["list_count"][part].sum()) for part in _parts(terms)) == num_postings, "list_count",
           "counts other postings than the manifest")


def check_terms(folder: Path, arrays: Arrays) -> None:
    """The same of the table of terms, which a sharded index has too."""
    demand = partial(_demand, folder)
    _check_ends(demand, arrays["term_end"], len(arrays["term_bytes"]), "term_end")
    demand(all(np.all(arrays["term_df"][part] >= 0) for part in _parts(len(arrays["term_df"]))), "term_df",
           "has a negative document frequency")


def _parts(length: int) -> Iterator[slice]:
    return (slice(first, min(first + AT_ONCE, length)) for first in range(0, length, AT_ONCE))


def _check_lists(demand: Demand, tables: Arrays, arrays: Arrays, geometry: Geometry) -> None:
    """Check some of the lists, tables being the parts of ``list_...`` that are about them."""
    a = arrays
    kind, width, count = tables["list_kind"], tables["list_width"], tables["list_count"]
    rare, gaps, frequent, dense = (kind == k for k in (RARE, GAPS, FREQUENT, DENSE))
    demand(np.all(kind <= DENSE), "list_kind", "has a kind that there is not")
    demand(np.all((width == 1) | (width == 2) | (width == 4)) and np.all(width[dense | gaps] == 1), "list_width",
           "has a width that there is not")
    demand(np.all((count >= 0) & (count <= geometry.num_docs)), "list_count", "has a count out of range")
    largest = tables["list_max"]
    demand(np.all((largest >= 0) & ((largest > 0) == (count > 0))), "list_max", "has a maximum out of range")

    def within(name: str, mine: NDArray[np.bool_], sizes: NDArray[Any] | int, length: int) -> None:
        first = tables[name][mine].astype(np.int64)
        top = sizes[mine].astype(np.int64) if isinstance(sizes, np.ndarray) else sizes
        # compared without adding up, which could overflow
        demand(np.all((first >= 0) & (top >= 0) & (top <= length)) and np.all(first <= length - top), name,
               "points outside of its array")

    listed = rare | gaps
    entries = tables["list_entries"].astype(np.int64)
    demand(np.all(entries[listed] >= 0), "list_entries", "has a count out of range")
    within("list_entry", listed, entries + 1, len(a["entry_window"]))
    within("list_entry", ~listed, 1, len(a["block_max"]))
    within("list_entries", dense, 1, len(a["dense_impacts"]))
    length = np.zeros(len(kind), np.int64)                  # postings and fillers
    length[listed] = a["entry_start"][tables["list_entry"][listed] + entries[listed]]
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


def _check_ends(demand: Demand, ends: NDArray[np.int64], length: int, name: str) -> None:
    """Ends of strings must ascend from 0 to where their bytes end."""
    what = "does not ascend to its end"
    demand(int(ends[-1]) == length if len(ends) else length == 0, name, what)
    before = 0
    for part in _parts(len(ends)):
        mine = ends[part]
        demand(mine[0] >= before and np.all(mine[1:] >= mine[:-1]), name, what)
        before = mine[-1]


def check_content(folder: Path, arrays: Arrays, geometry: Geometry) -> None:
    """Raise :class:`DamagedIndexError`, naming the file, unless documents and postings are what the layout says."""
    a = arrays
    demand = partial(_demand, folder)
    n = geometry.num_docs
    _check_ends(demand, a["docid_end"], len(a["docid_bytes"]), "docid_end")
    _check_text(demand, a["docid_bytes"], a["docid_end"], "docid")
    check_term_text(folder, a)
    demand(_are_inverse(a["doc_rank"], a["rank_doc"]), "rank_doc", "is not the inverse of doc_rank")
    demand(all(np.all(a["doc_number"][part] >= 0) for part in _parts(n)), "doc_number", "has a negative number")
    for first in range(0, len(a["list_kind"]), LISTS_AT_ONCE):
        bad = check_postings(first, min(first + LISTS_AT_ONCE, len(a["list_kind"])), a["list_kind"], a["list_count"],
                             a["list_width"], a["list_docs"], a["list_impacts"], a["list_entry"], a["list_entries"],
                             a["entry_window"], a["entry_start"], a["rare_docs"], a["gaps"], a["impacts8"],
                             a["window_start"], a["superblock_start"], a["frequent"], a["dense_impacts"], n)
        if bad >= 0:
            kind = a["list_kind"][bad]
            name = "dense_impacts" if kind == DENSE else "superblock_start" if kind == FREQUENT else "entry_start"
            demand(False, name, f"does not describe the postings of list {bad}")


def check_term_text(folder: Path, arrays: Arrays) -> None:
    """The same of the terms' bytes."""
    _check_text(partial(_demand, folder), arrays["term_bytes"], arrays["term_end"], "term")


def _check_text(demand: Demand, raw: NDArray[np.uint8], ends: NDArray[np.int64], name: str) -> None:
    """Every string must be UTF-8 by itself; ends ascend."""
    first = 0
    for part in _parts(len(ends)):
        mine = ends[part]
        text = raw[first:int(mine[-1])]
        if text.size and text.max() > 127:
            starts = mine[:-1][mine[:-1] < mine[-1]] - first
            demand(not np.any((text[starts] & 0xC0) == 0x80), f"{name}_end", "cuts a character in two")
            try:
                bytes(text).decode("utf-8")
            except UnicodeDecodeError:
                demand(False, f"{name}_bytes", "is not UTF-8")
        first = int(mine[-1])


@kernel
def _are_inverse(ranks, docs):
    """Whether ranks int32[n] and docs int32[n] are permutations, and each is the other's inverse."""
    n = len(ranks)
    wrong = 0
    for i in range(n):
        if ranks[i] < 0 or ranks[i] >= n or docs[ranks[i]] != i:
            wrong = 1
            break
    return wrong == 0


@kernel
def check_postings(begin, end, kind, count, width, first_doc, first_impact, entry, entries, entry_window, entry_start,
                   rare_docs, gaps, impacts8, window_start, superblock_start, frequent, dense_impacts, num_docs):
    """The first of the lists begin to before end whose starts do not ascend or whose documents are out of order or range,
    or -1."""
    for t in range(begin, end):
        if kind[t] == RARE or kind[t] == GAPS:
            if not _check_listed(kind[t], count[t], first_doc[t], first_impact[t], entry[t], entries[t], entry_window,
                                 entry_start, rare_docs, gaps, impacts8, num_docs):
                return t
        elif kind[t] == FREQUENT:
            if not _check_frequent(count[t], width[t], first_doc[t], entry[t], window_start, superblock_start, frequent,
                                   num_docs):
                return t
        elif not _check_dense(count[t], entries[t], dense_impacts, num_docs):
            return t
    return -1


@kernel
def _check_dense(count, row, dense_impacts, num_docs):
    found = np.int64(0)
    for doc in range(num_docs):
        found += np.int64(dense_impacts[row, doc] > 0)
    for doc in range(num_docs, dense_impacts.shape[1]):            # which are no documents
        if dense_impacts[row, doc] > 0:
            return False
    return found == count


@kernel
def _check_listed(kind, count, first_doc, first_impact, entry, entries, entry_window, entry_start, rare_docs, gaps, impacts8,
                  num_docs):
    found, length = np.int64(0), np.int64(entry_start[entry + entries])
    if entry_start[entry] != 0 or entry_window[entry + entries] != 0xFFFF:
        return False
    for at in range(entry, entry + entries):
        start, end = np.int64(entry_start[at]), np.int64(entry_start[at + 1])
        base = np.int64(entry_window[at]) * WINDOW
        if start >= end or end > length or (at > entry and entry_window[at] <= entry_window[at - 1]):
            return False
        if kind == RARE:
            last = np.int64(rare_docs[first_doc + end - 1])
            found += end - start
            if not _ascend(rare_docs, first_doc + start, first_doc + end):
                return False
        else:
            last = _add_up(gaps, first_doc + start, first_doc + end) - 1
            found += _count(impacts8, first_impact + start, first_impact + end)
        if last < 0 or last >= WINDOW or base + last >= num_docs:
            return False
    return found == count


@leaf
def _ascend(docs, first, end):
    """Whether docs[first:end] ascend. Without an early end and by unsigned indices, as the compiler can vectorize it."""
    wrong = 0
    for j in range(np.uint64(first), np.uint64(end - 1)):
        wrong |= docs[j] >= docs[j + np.uint64(1)]
    return wrong == 0


@leaf
def _add_up(gaps, first, end):
    """The sum of gaps[first:end], or 0 if one of them is 0."""
    total, lowest = np.uint64(0), np.uint8(255)
    for j in range(np.uint64(first), np.uint64(end)):
        total += np.uint64(gaps[j])
        lowest = min(lowest, gaps[j])
    return np.int64(total) if lowest > 0 else np.int64(0)


@leaf
def _count(impacts, first, end):
    """How many of impacts[first:end] are not 0."""
    found = np.uint64(0)
    for j in range(np.uint64(first), np.uint64(end)):
        found += np.uint64(impacts[j] > 0)
    return np.int64(found)


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
        if begin == end:
            continue
        at = first_doc + begin * (1 + np.int64(width))
        if not _ascend(frequent, at, at + end - begin) or s * SUPERBLOCK + frequent[at + end - begin - 1] >= num_docs:
            return False
    return True
