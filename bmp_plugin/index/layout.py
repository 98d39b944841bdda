"""The block-max layout: which arrays an index consists of, their types and shapes, and what each is for.

This is the one place that says how an index looks on disk. Documents are known by *internal document ids*, the order in which
the index stores them. Three units divide these:

- a *block* of ``block_size`` documents is what has block maxima, hence an upper bound for a query;
- a *superblock* of 256 documents is what is visited at once: its documents need 8 bits each, its scores fit the L1 cache;
- a *window* of 65,536 documents is what upper bounds are computed for at once: its documents need 16 bits each.

Every posting takes two bytes of ``postings``, one for its document and one for its impact. Postings come in *runs*: a run of
n postings is n document bytes and then n impact bytes. There are two kinds of posting lists, by their number of postings:

- lists *with block maxima* (at least one document in ``MAXIMA_SHARE``) have a run for every superblock; a document byte is
  the document's offset in its superblock. ``superblock_start`` says where runs begin, ``block_max`` has the maximum of every
  block in 4 bits: units of a fifteenth of the list's largest impact, rounded up;
- *sparse* lists, the others, have a run for every window in which they occur; a document byte is the gap to the document
  before, the first one counted from before the window. A gap above 255 is divided: a document byte of 0 is no posting but a
  jump over 255 times its impact byte. ``entry_window`` and ``entry_end`` say which windows there are and where runs end. The
  block maxima of a sparse list are found in its postings at query time.

Impacts are bytes. What a term's impacts are above 255 is kept in *overflow lists*, ordinary lists of its digits to base 256: a
posting of impact v has min(v, 255) in the term's own list, and the digits other than 0 of the rest in the lists of
``list_shift`` 0, 8, 16 and 24. A score is a sum, so a query takes all of them, with its weight times 2 ** list_shift.

A row of block maxima comes in chunks of 64 bytes, a cache line each, that hold the maxima of 128 blocks: the first 64
blocks' in the low, the next 64 blocks' in the high 4 bits.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FORMAT = "bmp-plugin block-max index"
VERSION = 5

SUPERBLOCK_SHIFT, WINDOW_SHIFT = 8, 16
SUPERBLOCK, WINDOW = 1 << SUPERBLOCK_SHIFT, 1 << WINDOW_SHIFT
SUPERBLOCKS_PER_WINDOW = WINDOW // SUPERBLOCK
BLOCK_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
DEFAULT_BLOCK_SIZE = 4
MAXIMA_SHARE = 32        # a list with one document in so many has block maxima
LARGEST_IMPACT = 255     # of a list; what is above goes to overflow lists
LONGEST_GAP = 255
MOST_BYTES = 3           # document bytes of one posting at most: its own, and those of two jumps
DIGIT_SHIFTS = (0, 8, 16, 24)
LARGEST_MAXIMUM = 15
BLOCKS_PER_CHUNK = 128
BYTES_PER_CHUNK = 64
PADDING = 64             # bytes behind the last posting, so that kernels may read so many at once anywhere


@dataclass(frozen=True)
class ArraySpec:
    """One array of the index: ``shape`` names counts of the manifest or of :class:`Geometry`."""

    dtype: str
    shape: tuple[str, ...]
    meaning: str


ARRAYS: dict[str, ArraySpec] = {
    # documents, by internal document id
    "source_docid": ArraySpec("<i4", ("num_docs",), "the document's id in the source (Lucene's docid)"),
    "doc_rank": ArraySpec("<i4", ("num_docs",), "place in the order that breaks ties, a permutation"),
    "rank_doc": ArraySpec("<i4", ("num_docs",), "the inverse of doc_rank"),
    "docid_bytes": ArraySpec("|u1", ("docid_bytes",), "collection docids, UTF-8"),
    "docid_end": ArraySpec("<i8", ("num_docs",), "where each docid ends in docid_bytes"),
    # terms, in ascending order of their UTF-8 bytes
    "term_bytes": ArraySpec("|u1", ("term_bytes",), "terms, UTF-8"),
    "term_end": ArraySpec("<i8", ("num_terms",), "where each term ends in term_bytes"),
    "term_df": ArraySpec("<i8", ("num_terms",), "document frequency as the source reports it, for min_idf"),
    "term_overflow": ArraySpec("<i4", ("num_terms_1",), "the term's first overflow list; they end where the next term's begin"),
    # posting lists: list i of the first num_terms is term i's own, the others are overflow lists
    "list_count": ArraySpec("<i8", ("num_lists",), "postings"),
    "list_max": ArraySpec("|u1", ("num_lists",), "largest impact, 0 without postings"),
    "list_shift": ArraySpec("|u1", ("num_lists",), "bits by which impacts are shifted: 0, or the digit of an overflow list"),
    "list_start": ArraySpec("<i8", ("num_lists",), "first byte in postings"),
    "list_row": ArraySpec("<i4", ("num_lists",), "row of block_max and superblock_start; -1 for sparse lists"),
    "list_entry": ArraySpec("<i8", ("num_lists",), "first entry"),
    "list_entries": ArraySpec("<i4", ("num_lists",), "entries: windows in which a sparse list has postings, 0 for others"),
    # the windows of sparse lists
    "entry_window": ArraySpec("<u2", ("num_entries",), "a window in which the list has postings, ascending"),
    "entry_end": ArraySpec("<u4", ("num_entries",), "where its run ends, in postings and jumps from the list's first"),
    # lists with block maxima
    "superblock_start": ArraySpec("<u4", ("num_rows", "num_superblocks_1"), "the superblock's first posting, from the list's"),
    "block_max": ArraySpec("|u1", ("num_rows", "num_row_bytes"), "block maxima in units of maximum_unit(list_max), rounded up"),
    # all lists
    "postings": ArraySpec("|u1", ("num_posting_bytes",), "runs of postings, and PADDING zeros behind them"),
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
    def row_bytes(self) -> int:
        """Bytes of a row of block maxima. Superblocks count whole: rows have no ragged end, so kernels need no case for it."""
        return -(-self.num_superblocks * SUPERBLOCK // self.block_size // BLOCKS_PER_CHUNK) * BYTES_PER_CHUNK


DERIVED = ("num_terms_1", "num_superblocks_1", "num_row_bytes")


def shapes(counts: Mapping[str, int], geometry: Geometry) -> dict[str, tuple[int, ...]]:
    """The shape of every array, from the counts of a manifest, which lack the ``DERIVED`` ones."""
    extents = {**counts, "num_terms_1": counts["num_terms"] + 1, "num_superblocks_1": geometry.num_superblocks + 1,
               "num_row_bytes": geometry.row_bytes}
    return {name: tuple(extents[extent] for extent in spec.shape) for name, spec in ARRAYS.items()}


def check_block_size(block_size: int) -> None:
    """Raise ``ValueError`` unless ``block_size`` is one that the layout has."""
    if block_size not in BLOCK_SIZES:
        raise ValueError(f"block size {block_size!r} is not one of {', '.join(map(str, BLOCK_SIZES))}")


def dtype(name: str) -> np.dtype:
    return np.dtype(ARRAYS[name].dtype)


class KernelIndex(NamedTuple):
    """What kernels see of an index: arrays of the layout, of the same names, and its geometry."""

    term_overflow: NDArray[np.int32]
    list_count: NDArray[np.int64]
    list_max: NDArray[np.uint8]
    list_shift: NDArray[np.uint8]
    list_start: NDArray[np.int64]
    list_row: NDArray[np.int32]
    list_entry: NDArray[np.int64]
    list_entries: NDArray[np.int32]
    entry_window: NDArray[np.uint16]
    entry_end: NDArray[np.uint32]
    superblock_start: NDArray[np.uint32]
    block_max: NDArray[np.uint8]
    postings: NDArray[np.uint8]
    doc_rank: NDArray[np.int32]
    rank_doc: NDArray[np.int32]
    num_docs: int
    num_superblocks: int
    num_windows: int
    block_shift: int


def kernel_index(arrays: Mapping[str, NDArray[Any]], geometry: Geometry) -> KernelIndex:
    """The arrays of an index and its geometry as kernels take them."""
    numbers = {"num_docs": geometry.num_docs, "num_superblocks": geometry.num_superblocks,
               "num_windows": geometry.num_windows, "block_shift": geometry.block_shift}
    fields: dict[str, Any] = {name: arrays[name] for name in KernelIndex._fields if name in ARRAYS} | numbers
    return KernelIndex(**fields)
