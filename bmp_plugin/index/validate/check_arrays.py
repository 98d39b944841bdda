"""What must hold of an index before a kernel, which checks no bounds, may trust it.

:func:`check_tables` looks at the term and list tables on every open, in milliseconds; :func:`check_content` at all else,
before content is used for the first time on a machine and for ``bmp-plugin verify``: see :mod:`.proof`. Both take the tables
in parts, so that their memory is bounded whatever the files say.

Together they prove that no kernel reads or writes out of bounds, whoever made the files. That impacts and block maxima are
those that were indexed is for the checksums to say.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._internal.kernels import kernel
from ..decode import decode_list
from ..layout import DIGIT_SHIFTS, MOST_BYTES, PADDING, SUPERBLOCK, Geometry, kernel_index
from .check_strings import Demand, check_strings, check_term_text, check_terms, check_text, demand_in, parts

Arrays = dict[str, NDArray[Any]]


def check_tables(folder: Path, arrays: Arrays, geometry: Geometry, num_postings: int) -> None:
    """Check the tables of terms and of posting lists.

    Raises
    ------
    DamagedIndexError
        Naming the file, unless every pointer stays in its array.
    """
    demand = demand_in(folder)
    check_terms(folder, arrays)
    num_terms, num_lists, overflow = len(arrays["term_df"]), len(arrays["list_count"]), arrays["term_overflow"]
    steps = [np.diff(overflow[part.start:part.stop + 1]) for part in parts(num_terms)]
    demand(overflow[0] == num_terms and overflow[-1] == num_lists, "term_overflow", "does not begin or end with the lists")
    demand(all(np.all((step >= 0) & (step <= len(DIGIT_SHIFTS))) for step in steps), "term_overflow", "does not ascend")
    for part in parts(num_lists):
        _check_lists(demand, {name: arrays[name][part] for name in arrays if name.startswith("list_")}, arrays, geometry)
    demand(sum(int(arrays["list_count"][part].sum()) for part in parts(num_terms)) == num_postings, "list_count",
           "counts other postings than the manifest")


def _check_lists(demand: Demand, tables: Arrays, arrays: Arrays, geometry: Geometry) -> None:
    """Check some of the lists, tables being the parts of ``list_...`` that are about them."""
    count, row = tables["list_count"], tables["list_row"]
    entry, entries = tables["list_entry"], tables["list_entries"].astype(np.int64)
    outside = "points outside of its array"
    demand(np.all((count >= 0) & (count <= geometry.num_docs)), "list_count", "has a count out of range")
    demand(np.all((tables["list_max"] > 0) == (count > 0)), "list_max", "has a maximum out of range")
    demand(np.all(np.isin(tables["list_shift"], DIGIT_SHIFTS)), "list_shift", "has a shift that no digit has")
    demand(np.all((row >= -1) & (row < len(arrays["block_max"]))), "list_row", outside)
    demand(np.all((entries >= 0) & (entries <= geometry.num_windows) & ((entries > 0) == ((count > 0) & (row < 0)))),
           "list_entries", "has a count out of range")
    # compared without adding up, which could overflow
    demand(np.all((entry >= 0) & (entry <= len(arrays["entry_end"]) - entries)), "list_entry", outside)
    length = _lengths(tables, arrays)
    demand(np.all((length >= count) & (length <= count * MOST_BYTES)), "entry_end", "ends a list where its count does not")
    start, end = tables["list_start"], len(arrays["postings"]) - PADDING - 2 * length
    demand(np.all((start >= 0) & (start <= end)), "list_start", outside)


def _lengths(tables: Arrays, arrays: Arrays) -> NDArray[np.int64]:
    """The lengths of lists, in postings and jumps."""
    length, sparse = tables["list_count"].copy(), tables["list_entries"] > 0
    length[sparse] = arrays["entry_end"][tables["list_entry"][sparse] + tables["list_entries"][sparse] - 1]
    return length


def check_content(folder: Path, arrays: Arrays, geometry: Geometry) -> None:
    """Check all else: documents, and all postings, as the decoder hands them out.

    Raises
    ------
    DamagedIndexError
        Naming the file, unless they are what the layout says.
    """
    demand = demand_in(folder)
    check_strings(demand, arrays["docid_end"], len(arrays["docid_bytes"]), "docid_end")
    check_text(demand, arrays["docid_bytes"], arrays["docid_end"], "docid")
    check_term_text(folder, arrays)
    demand(all(_are_inverse(arrays["doc_rank"][part], arrays["rank_doc"], part.start) for part in parts(geometry.num_docs)),
           "rank_doc", "is not the inverse of doc_rank")
    demand(all(np.all(arrays["source_docid"][part] >= 0) for part in parts(geometry.num_docs)), "source_docid",
           "has a negative number")
    room = max((int(_lengths({name: arrays[name][part] for name in arrays if name.startswith("list_")}, arrays).max())
                for part in parts(len(arrays["list_count"]))), default=0)
    bad = find_bad_list(index=kernel_index(arrays, geometry), docs=np.empty(room, np.int32), impacts=np.empty(room, np.uint8))
    demand(bad < 0, "postings", f"does not have the postings of list {bad} as its tables say")


def _are_inverse(ranks: NDArray[np.int32], docs: NDArray[np.int32], first: int) -> bool:
    """Whether ``docs`` has each of the documents from ``first`` on at its rank; if so for all, both are permutations."""
    in_range = np.all((ranks >= 0) & (ranks < len(docs)))
    return bool(in_range and np.array_equal(docs[ranks], np.arange(first, first + len(ranks))))


@kernel
def find_bad_list(index, docs, impacts):
    """The first list whose windows, runs or documents do not ascend, or which has more or fewer postings than counted; or -1.

    docs int32[m] and impacts uint8[m] have room for the postings and jumps of the longest list.
    """
    for t in range(len(index.list_count)):
        begin, window = np.int64(0), np.int64(-1)
        for e in range(index.list_entry[t], index.list_entry[t] + index.list_entries[t]):
            if np.int64(index.entry_end[e]) <= begin or np.int64(index.entry_window[e]) <= window:
                return t
            begin, window = np.int64(index.entry_end[e]), np.int64(index.entry_window[e])
        last = np.int64(0)
        for s in range(index.num_superblocks + 1 if index.list_row[t] >= 0 else 0):
            start = np.int64(index.superblock_start[index.list_row[t], s])
            if start < last or start > last + (SUPERBLOCK if s > 0 else 0):
                return t
            last = start
        if window >= index.num_windows or (index.list_row[t] >= 0 and last != index.list_count[t]):
            return t
        n, last = decode_list(t, index, docs, impacts), np.int64(-1)
        if n != index.list_count[t]:
            return t
        for j in range(n):
            if docs[j] <= last or docs[j] >= index.num_docs:
                return t
            last = np.int64(docs[j])
    return -1
