"""One batch of posting lists encoded: what of it goes into the arrays, before it is known where in them.

Batches are independent of one another, so threads encode several at once; the build, which puts them one after the other,
moves their pointers.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from . import encode
from .layout import DENSE, DENSE_SHARE, EXCESS_SHARE, FILLER_SHARE, FREQUENT, GAPS, RARE, ROW_SHARE, Geometry, dtype

if TYPE_CHECKING:
    from bmp_plugin.adapters.source import PostingBatch

IMPACTS = {1: "impacts8", 2: "impacts16", 4: "impacts32"}


@dataclass(frozen=True)
class Numbering:
    """How the source numbers documents.

    Attributes
    ----------
    top : int
        Numbers are below it.
    positions : int32[top] or None
        Each number's position, -1 for none; None where numbers are positions.
    source_path : str
        For complaints.
    """

    top: int
    positions: NDArray[np.int32] | None
    source_path: str


@dataclass
class EncodedBatch:
    """A batch's terms and lists (those of terms, then their excesses), pointers counted from the batch's own beginning.

    Attributes
    ----------
    terms : list of bytes
    num_postings : int
    columns : dict of array name -> array
        A value a term (term_*) or a list (list_*), as in the layout.
    arrays : dict of array name -> array
        What goes into the arrays that lists point to.
    """

    terms: list[bytes]
    num_postings: int
    columns: dict[str, NDArray[Any]]
    arrays: dict[str, NDArray[Any]]


def encode_postings(batch: PostingBatch, geometry: Geometry, numbering: Numbering) -> EncodedBatch:
    """Errors: :class:`SourceError` for a posting that is out of order or range."""
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(batch.counts)])
    docs, impacts = np.array(batch.docs, np.int32), np.array(batch.impacts, np.int32)       # both are changed in place
    maxima = np.empty(len(batch.terms), np.int32)
    bad = encode.check_postings(starts, docs, impacts, numbering.top, maxima)
    if bad >= 0:
        term = batch.terms[int(np.searchsorted(starts, bad, "right")) - 1].decode("utf-8", "replace")
        raise SourceError(f"{numbering.source_path}: term {term!r} has document {docs[bad]} out of order or range, or with "
                          f"impact {impacts[bad]}, which is not positive")
    if numbering.positions is not None:
        encode.to_positions(starts, docs, impacts, numbering.positions)
    num_postings = len(docs)
    starts, docs, impacts, maxima, has_excess = _with_excess(starts, docs, impacts, maxima)
    columns, arrays = _encode_lists(geometry, len(batch.terms), starts, docs, impacts, maxima)
    columns["term_df"] = batch.dfs
    columns["term_excess"] = np.where(has_excess, offsets(has_excess), -1)
    return EncodedBatch(batch.terms, num_postings, columns, arrays)


def _encode_lists(geo: Geometry, terms: int, starts: NDArray[np.int64], docs: NDArray[np.int32], impacts: NDArray[np.int32],
                  maxima: NDArray[np.int32]) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Columns and arrays of the terms' own lists and of the excesses that follow them."""
    n = len(maxima)
    counts = np.diff(starts)
    widths = np.where(maxima < 2**8, 1, np.where(maxima < 2**16, 2, 4)).astype(np.uint8)
    kinds = np.where(counts * ROW_SHARE >= geo.num_docs, FREQUENT, RARE).astype(np.uint8)
    kinds[counts == 0] = RARE
    kinds[terms:] = RARE
    kinds[(kinds == FREQUENT) & (counts * DENSE_SHARE >= geo.num_docs) & (widths == 1)] = DENSE
    fillers = np.empty(n, np.int64)
    encode.count_fillers(starts, docs, fillers)
    kinds[(kinds == RARE) & (widths == 1) & (fillers * FILLER_SHARE <= counts) & (counts > 0)] = GAPS
    rare, gaps, frequent, dense = (kinds == k for k in (RARE, GAPS, FREQUENT, DENSE))
    entries = np.empty(n, np.int64)
    encode.count_entries(starts, docs, kinds, entries)
    sizes = {"rare_docs": counts * rare, "gaps": (counts + fillers) * gaps,
             "frequent": counts * frequent * (1 + widths.astype(np.int64))}
    docs_ptr = np.sum([offsets(size) * (size > 0) for size in sizes.values()], axis=0)
    with_impacts = sizes["rare_docs"] + sizes["gaps"]
    entry_ptr, impacts_ptr = offsets(entries), offsets(with_impacts)
    with_row = frequent | dense
    row_of, dense_of = offsets(with_row), offsets(dense)
    num_rows, num_dense = int(with_row.sum()), int(dense.sum())
    shapes: dict[str, Any] = {
        "entry_window": entries.sum(), "entry_start": entries.sum(), "rare_docs": sizes["rare_docs"].sum(),
        "gaps": sizes["gaps"].sum(), "frequent": sizes["frequent"].sum()}
    rows: dict[str, Any] = {
        "window_start": (num_rows, geo.num_windows + 1), "superblock_start": (num_rows, geo.num_superblocks),
        "block_max": (num_rows, geo.counts()["num_row_bytes"]), "dense_impacts": (num_dense, geo.num_positions)}
    out = {name: np.empty(shape, dtype(name)) for name, shape in shapes.items()} \
        | {name: np.zeros(shape, dtype(name)) for name, shape in rows.items()}
    list_impacts = np.empty(with_impacts.sum(), np.int32)
    encode.encode_batch(starts, docs, impacts, kinds, widths, maxima, geo.block_shift, entry_ptr, out["entry_window"],
                        out["entry_start"], docs_ptr, out["rare_docs"], out["gaps"], impacts_ptr, list_impacts,
                        out["frequent"], row_of, dense_of, out["window_start"], out["superblock_start"],
                        out["block_max"], out["dense_impacts"])
    first_impact = np.zeros(n, np.int64)
    for width, name in IMPACTS.items():
        mine = (widths == width) & ~with_row
        first_impact[mine] = offsets(with_impacts * mine)[mine]
        out[name] = list_impacts[np.repeat(mine, with_impacts)].astype(dtype(name))
    columns = {"list_count": counts, "list_max": maxima, "list_kind": kinds, "list_width": widths, "list_docs": docs_ptr,
               "list_impacts": first_impact, "list_entry": np.where(with_row, row_of, entry_ptr),
               "list_entries": np.where(dense, dense_of, entries - 1)}
    return columns, out


def _with_excess(starts: NDArray[np.int64], docs: NDArray[np.int32], impacts: NDArray[np.int32], maxima: NDArray[np.int32]
                 ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """Lists of the terms, then their excesses: starts, docs, impacts and maxima of all; and which terms have an excess.

    ``impacts`` is changed in place.
    """
    large = np.zeros(len(maxima), np.int64)
    if len(maxima) and maxima.max() > 255:
        encode.count_large(starts, impacts, large)
    split = (large > 0) & (large * EXCESS_SHARE <= np.diff(starts))
    if not split.any():
        return starts, docs, impacts, maxima, split
    excess_docs, excess_impacts = np.empty(large[split].sum(), np.int32), np.empty(large[split].sum(), np.int32)
    encode.split_excess(starts, split, docs, impacts, excess_docs, excess_impacts)
    return (np.concatenate([starts, starts[-1] + np.cumsum(large[split])]), np.concatenate([docs, excess_docs]),
            np.concatenate([impacts, excess_impacts]), np.concatenate([np.where(split, 255, maxima), maxima[split] - 255]),
            split)


def offsets(sizes: NDArray[Any]) -> NDArray[np.int64]:
    """Where each part begins when parts of these sizes follow one another."""
    ends: NDArray[np.int64] = np.cumsum(sizes, dtype=np.int64)
    starts: NDArray[np.int64] = ends - sizes
    return starts
