"""The block-max layout: which arrays an index consists of, their types and shapes, and what each is for.

This is the one place that says how an index looks on disk. Documents are numbered by *position*, the order in which
the index stores them. Three units divide the positions:

- a *block* of ``block_size`` documents is what has block maxima, hence an upper bound for a query;
- a *superblock* of 256 documents is what is visited at once: its documents need 8 bits each, its scores fit the L1 cache;
- a *window* of 65,536 documents is what upper bounds are computed for at once: its documents need 16 bits each.

A posting list is stored in one of four ways, by its number of postings:

- *rare*: a list of 16-bit offsets in the window, found through the entries of the windows in which it occurs. Its block
  maxima are taken from the postings themselves at query time;
- *gaps*: the same, but with 8-bit gaps from posting to posting, the first counted from before the window. Where a gap is
  longer than 255, fillers come in between: gaps of 255 to a document that has not the term, with impact 0. So a kernel
  need not know of them. Taken where fillers are few, and impacts below 2^8;
- *frequent* (at least one document in ``ROW_SHARE``): for every superblock the 8-bit offsets in it and after them the
  impacts, so that both are read together; a start for every superblock; and a row with the maximum of every block, in
  4 bits: units of a fifteenth of the list's largest impact, rounded up;
- *dense* (at least one document in ``DENSE_SHARE``, impacts up to 255): a row with the impact of every document, 0 where
  there is none, and a row of block maxima.

Impacts are stored exactly, in the narrowest of 8, 16 or 32 bits that holds the list's largest. A term has one posting
list, or two: where few of its impacts are above 255, its own list has 255 for them, and what is missing stands in a
second, rare list, the term's *excess*. A score is a sum, so a query takes both with the same weight.

A row of block maxima comes in chunks of 64 bytes, a cache line each, that hold the maxima of 128 blocks: the first 64
blocks' in the low, the next 64 blocks' in the high 4 bits.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FORMAT = "bmp-plugin block-max index"
VERSION = 4               # 3 has the same arrays, and a manifest without a seal
UNSEALED = 3

SUPERBLOCK = 256
WINDOW = 65_536
SUPERBLOCKS_PER_WINDOW = WINDOW // SUPERBLOCK
BLOCK_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
DEFAULT_BLOCK_SIZE = 4
ROW_SHARE = 32
DENSE_SHARE = 4
FILLER_SHARE = 4      # gaps are taken where fillers are at most one in so many postings
LONGEST_GAP = 255

RARE, GAPS, FREQUENT, DENSE = 0, 1, 2, 3
LARGEST_MAXIMUM = 15
EXCESS_SHARE = 8      # at most one posting in so many may be above 255 for them to stand in a list of their own
BLOCKS_PER_CHUNK = 128
BYTES_PER_CHUNK = 64


@dataclass(frozen=True)
class ArraySpec:
    """One array of the index: ``shape`` names counts of the manifest or of :class:`Geometry`."""

    dtype: str
    shape: tuple[str, ...]
    meaning: str


ARRAYS: dict[str, ArraySpec] = {
    # documents, by position
    "doc_number": ArraySpec("<i4", ("num_docs",), "the document's number in the source (Lucene's docid)"),
    "doc_rank": ArraySpec("<i4", ("num_docs",), "place in the order that breaks ties, a permutation"),
    "rank_doc": ArraySpec("<i4", ("num_docs",), "the inverse of doc_rank"),
    "docid_bytes": ArraySpec("|u1", ("docid_bytes",), "collection docids, UTF-8"),
    "docid_end": ArraySpec("<i8", ("num_docs",), "where each docid ends in docid_bytes"),
    # terms, in ascending order of their UTF-8 bytes
    "term_bytes": ArraySpec("|u1", ("term_bytes",), "terms, UTF-8"),
    "term_end": ArraySpec("<i8", ("num_terms",), "where each term ends in term_bytes"),
    "term_df": ArraySpec("<i8", ("num_terms",), "document frequency as the source reports it, for min_idf"),
    "term_excess": ArraySpec("<i4", ("num_terms",), "the list of what its impacts are above 255, or -1"),
    # posting lists: list i of the first num_terms is term i's, the others are excesses
    "list_count": ArraySpec("<i8", ("num_lists",), "postings"),
    "list_max": ArraySpec("<i4", ("num_lists",), "largest impact, 0 without postings"),
    "list_kind": ArraySpec("|u1", ("num_lists",), "0 rare, 1 gaps, 2 frequent, 3 dense"),
    "list_width": ArraySpec("|u1", ("num_lists",), "bytes of an impact: 1, 2 or 4"),
    "list_docs": ArraySpec("<i8", ("num_lists",), "where it begins in rare_docs, gaps or frequent"),
    "list_impacts": ArraySpec("<i8", ("num_lists",), "rare, gaps: first impact in impacts8, impacts16 or impacts32"),
    "list_entry": ArraySpec("<i8", ("num_lists",), "rare, gaps: first entry; else: its row of block_max"),
    "list_entries": ArraySpec("<i4", ("num_lists",), "rare, gaps: entries but the last; dense: its row of dense_impacts"),
    # rare lists and lists of gaps
    "entry_window": ArraySpec("<u2", ("num_entries",), "a window in which the list has postings, ascending; one more to end"),
    "entry_start": ArraySpec("<u4", ("num_entries",), "first posting there, counted from the list's first, fillers included"),
    "rare_docs": ArraySpec("<u2", ("num_rare_postings",), "offset in the window, ascending"),
    "gaps": ArraySpec("|u1", ("num_gaps",), "distance from the posting before, or from the position before the window"),
    # frequent lists; rows are shared with dense ones, which leave their starts at 0
    "window_start": ArraySpec("<u4", ("num_rows", "num_windows_1"), "first posting of the window, from the list's first"),
    "superblock_start": ArraySpec("<u2", ("num_rows", "num_superblocks"), "first posting there, from the window's first"),
    "frequent": ArraySpec("|u1", ("num_frequent_bytes",), "a superblock's offsets, ascending, then its impacts, little-endian"),
    "block_max": ArraySpec("|u1", ("num_rows", "num_row_bytes"), "block maxima in units of maximum_unit(list_max), rounded up"),
    "dense_impacts": ArraySpec("|u1", ("num_dense", "num_positions"), "impact of every document, 0 for none"),
    # impacts of rare lists and of lists of gaps
    "impacts8": ArraySpec("|u1", ("num_impacts8",), "impacts of lists whose largest is below 2^8"),
    "impacts16": ArraySpec("<u2", ("num_impacts16",), "impacts of lists whose largest is below 2^16"),
    "impacts32": ArraySpec("<u4", ("num_impacts32",), "impacts of the others"),
}


@dataclass(frozen=True)
class Geometry:
    """What follows from the number of documents and the block size."""

    num_docs: int
    block_size: int

    @property
    def block_shift(self) -> int:
        return self.block_size.bit_length() - 1

    @property
    def num_windows(self) -> int:
        return -(-self.num_docs // WINDOW)

    @property
    def num_superblocks(self) -> int:
        return -(-self.num_docs // SUPERBLOCK)

    @property
    def num_positions(self) -> int:
        """Documents rounded up to whole superblocks: rows have no ragged end, so kernels need no case for it."""
        return self.num_superblocks * SUPERBLOCK

    @property
    def num_blocks(self) -> int:
        return self.num_positions // self.block_size

    @property
    def num_chunks(self) -> int:
        return -(-self.num_blocks // BLOCKS_PER_CHUNK)

    def counts(self) -> dict[str, int]:
        return {"num_docs": self.num_docs, "num_windows": self.num_windows, "num_windows_1": self.num_windows + 1,
                "num_superblocks": self.num_superblocks, "num_positions": self.num_positions,
                "num_row_bytes": self.num_chunks * BYTES_PER_CHUNK}


def check_block_size(block_size: int) -> None:
    """Raise ``ValueError`` unless ``block_size`` is one that the layout has."""
    if block_size not in BLOCK_SIZES:
        raise ValueError(f"block size {block_size!r} is not one of {', '.join(map(str, BLOCK_SIZES))}")


def dtype(name: str) -> np.dtype:
    return np.dtype(ARRAYS[name].dtype)
