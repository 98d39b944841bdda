"""Encodes batches of posting lists into pieces of the arrays.

Threads encode several batches at once; the build appends their pieces to the arrays, and adjusts their pointers.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .encode import Encoded, Postings, encode_lists, find_bad_posting, renumber
from .layout import DIGIT_SHIFTS, LARGEST_IMPACT, MAXIMA_SHARE, MOST_BYTES, Geometry, dtype

if TYPE_CHECKING:
    from .source import PostingBatch


@dataclass(frozen=True)
class DocidMap:
    """The map from source document ids to internal ones."""

    end: int                                         # source document ids are below it
    internal_docids: NDArray[np.int32] | None        # [end], -1 for no document; None if they are the source's
    source_path: str                                 # for messages


@dataclass
class EncodedBatch:
    """A batch's terms and lists, overflow lists last; pointers are relative to the batch's own arrays."""

    terms: list[bytes]
    num_postings: int                        # of the source, without overflow lists
    dfs: NDArray[np.int64]                   # [terms]
    overflow_terms: NDArray[np.int64]        # [overflow lists], index of the term in the batch
    columns: dict[str, NDArray[Any]]         # [lists], the list_* arrays of the layout
    arrays: dict[str, NDArray[Any]]          # its pieces of the other arrays of postings


def encode_batch(batch: PostingBatch, geometry: Geometry, docid_map: DocidMap) -> EncodedBatch:
    """Encode a batch of a source, in internal document ids.

    Raises
    ------
    SourceError
        If a posting is out of order or range.
    """
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(batch.counts)])
    lists = Postings(starts, np.array(batch.docs, np.int32), np.array(batch.impacts, np.int32))     # changed in place
    bad = find_bad_posting(lists=lists, num_source_docids=docid_map.end)
    if bad >= 0:
        term = batch.terms[int(np.searchsorted(starts, bad, "right")) - 1].decode("utf-8", "replace")
        raise SourceError(f"{docid_map.source_path}: term {term!r} has document {lists.docs[bad]} out of order or range, or "
                          f"with impact {lists.impacts[bad]}, which is not positive")
    if docid_map.internal_docids is not None:
        renumber(lists=lists, internal_docids=docid_map.internal_docids)
    lists, overflow_terms, shifts = split_overflow(lists)
    columns, arrays = _encode(lists, geometry)
    columns["list_shift"] = shifts
    return EncodedBatch(batch.terms, len(batch.docs), batch.dfs, overflow_terms, columns, arrays)


def split_overflow(lists: Postings) -> tuple[Postings, NDArray[np.int64], NDArray[np.uint8]]:
    """Cap impacts at LARGEST_IMPACT, in place, and append overflow lists of the base-256 digits of what is above.

    Returns all lists, the term of every overflow list, int64[overflow lists], and the shift of every list, uint8[lists].
    """
    large = np.flatnonzero(lists.impacts > LARGEST_IMPACT)
    owners = np.searchsorted(lists.starts, large, "right") - 1
    rest, docs = lists.impacts[large] - LARGEST_IMPACT, lists.docs[large]
    lists.impacts[large] = LARGEST_IMPACT
    counts, terms, shifts = [np.diff(lists.starts)], [np.empty(0, np.int64)], [np.zeros(len(lists.starts) - 1, np.uint8)]
    all_docs, all_impacts = [lists.docs], [lists.impacts]
    for shift in DIGIT_SHIFTS:
        digits = (rest >> shift) & 255
        present = digits > 0
        mine, count = np.unique(owners[present], return_counts=True)
        counts.append(count)
        terms.append(mine)
        shifts.append(np.full(len(mine), shift, np.uint8))
        all_docs.append(docs[present])
        all_impacts.append(digits[present])
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(counts))])
    lists = Postings(starts, np.concatenate(all_docs), np.concatenate(all_impacts))
    return lists, np.concatenate(terms), np.concatenate(shifts)


def _encode(lists: Postings, geometry: Geometry) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Encode lists whose impacts are bytes; return their columns, without list_shift, and arrays."""
    counts = np.diff(lists.starts)
    n = len(counts)
    is_sparse = (counts * MAXIMA_SHARE < geometry.num_docs) | (counts == 0)
    rows = int(n - is_sparse.sum())
    most_entries = int(np.minimum(counts[is_sparse], geometry.num_windows).sum())
    shapes = {"entry_window": most_entries, "entry_end": most_entries, "superblock_start": (rows, geometry.num_superblocks + 1),
              "postings": 2 * int(counts.sum() + (MOST_BYTES - 1) * counts[is_sparse].sum())}
    arrays = {name: np.empty(shape, dtype(name)) for name, shape in shapes.items()}
    arrays["block_max"] = np.zeros((rows, geometry.row_bytes), dtype("block_max"))
    columns = {name: np.empty(n, dtype(name)) for name in Encoded._fields if name.startswith("list_")}
    entries, num_bytes = encode_lists(lists=lists, is_sparse=is_sparse, block_shift=geometry.block_shift,
                                      out=Encoded(**columns, **arrays))
    for name, length in (("entry_window", entries), ("entry_end", entries), ("postings", num_bytes)):
        arrays[name] = arrays[name][:length]
    return columns | {"list_count": counts}, arrays
