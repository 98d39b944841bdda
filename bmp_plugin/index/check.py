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
from ..kernels import kernel
from .decode import decode_list
from .layout import DIGIT_SHIFTS, MOST_BYTES, PADDING, SUPERBLOCK, Geometry, kernel_index

Arrays = dict[str, NDArray[Any]]
Demand = Callable[[bool | np.bool_, str, str], None]
AT_ONCE = 2**18              # elements of a table


def check_tables(folder: Path, arrays: Arrays, geometry: Geometry, num_postings: int) -> None:
    """Check the tables of terms and of posting lists.

    Raises
    ------
    DamagedIndexError
        Naming the file, unless every pointer stays in its array.
    """
    demand = partial(_demand, folder)
    terms, lists = len(arrays["term_df"]), len(arrays["list_count"])
    check_terms(folder, arrays)
    overflow = arrays["term_overflow"]
    steps = (np.diff(overflow[part.start:part.stop + 1]) for part in _parts(terms))
    demand(overflow[0] == terms and overflow[-1] == lists and all(
        np.all((step >= 0) & (step <= len(DIGIT_SHIFTS))) for step in steps), "term_overflow", "does not ascend to the last list")
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
    count, largest, row = tables["list_count"], tables["list_max"], tables["list_row"]
    entry, entries = tables["list_entry"], tables["list_entries"].astype(np.int64)
    demand(np.all((count >= 0) & (count <= geometry.num_docs)), "list_count", "has a count out of range")
    demand(np.all((largest > 0) == (count > 0)), "list_max", "has a maximum out of range")
    demand(np.all(np.isin(tables["list_shift"], DIGIT_SHIFTS)), "list_shift", "has a shift that no digit has")
    demand(np.all((row >= -1) & (row < len(arrays["block_max"]))), "list_row", "points outside of its array")
    demand(np.all((entries >= 0) & (entries <= geometry.num_windows)) and np.all(entries[row >= 0] == 0)
           and np.all((entries > 0) == ((count > 0) & (row < 0))), "list_entries", "has a count out of range")
    # compared without adding up, which could overflow
    demand(np.all((entry >= 0) & (entry <= len(arrays["entry_end"]) - entries)), "list_entry", "points outside of its array")
    length, sparse = count.copy(), entries > 0                  # postings and jumps
    length[sparse] = arrays["entry_end"][entry[sparse] + entries[sparse] - 1]
    demand(np.all((length >= count) & (length <= count * MOST_BYTES)), "entry_end", "ends a list where its count does not")
    start, end = tables["list_start"], len(arrays["postings"]) - PADDING - 2 * length
    demand(np.all((start >= 0) & (start <= end)), "list_start", "points outside of its array")


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
    """Check all else: documents, and all postings, as the decoder hands them out.

    Raises
    ------
    DamagedIndexError
        Naming the file, unless they are what the layout says.
    """
    a = arrays
    demand = partial(_demand, folder)
    n = geometry.num_docs
    _check_ends(demand, a["docid_end"], len(a["docid_bytes"]), "docid_end")
    _check_text(demand, a["docid_bytes"], a["docid_end"], "docid")
    check_term_text(folder, a)
    demand(_are_inverse(a["doc_rank"], a["rank_doc"]), "rank_doc", "is not the inverse of doc_rank")
    demand(all(np.all(a["source_docid"][part] >= 0) for part in _parts(n)), "source_docid", "has a negative number")
    for row in range(len(a["superblock_start"])):
        steps = np.diff(a["superblock_start"][row].astype(np.int64), prepend=0)
        demand(steps[0] == 0 and np.all((steps >= 0) & (steps <= SUPERBLOCK)), "superblock_start", "does not ascend in steps")
    with_maxima = np.flatnonzero(a["list_row"] >= 0)
    demand(np.array_equal(a["superblock_start"][a["list_row"][with_maxima], -1], a["list_count"][with_maxima]),
           "superblock_start", "ends a list where its count does not")
    index = kernel_index(a, geometry)
    room = int(a["list_count"].max(initial=0)) * MOST_BYTES
    bad = find_bad_list(index, np.empty(room, np.int32), np.empty(room, np.uint8))
    demand(bad < 0, "postings", f"does not have the postings of list {bad} as its tables say")


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
def find_bad_list(index, docs, impacts):
    """The first list whose windows, runs or documents do not ascend, or of which others are decoded than counted; or -1.

    docs int32[m] and impacts uint8[m] have room for the postings and jumps of the longest list.
    """
    for t in range(len(index.list_count)):
        begin, window = np.int64(0), np.int64(-1)
        for e in range(index.list_entry[t], index.list_entry[t] + index.list_entries[t]):
            if np.int64(index.entry_end[e]) <= begin or np.int64(index.entry_window[e]) <= window:
                return t
            begin, window = np.int64(index.entry_end[e]), np.int64(index.entry_window[e])
        if window >= index.num_windows:
            return t
        n = decode_list(t, index, docs, impacts)
        if n != index.list_count[t]:
            return t
        last = np.int64(-1)
        for j in range(n):
            if docs[j] <= last or docs[j] >= index.num_docs:
                return t
            last = np.int64(docs[j])
    return -1
