"""The interface that every source of postings implements, whatever its format."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LARGEST_IMPACT = 2**31 - 1
"""Largest impact, as in Lucene."""


@dataclass
class Documents:
    """The documents of a source, in ascending order of their source document ids.

    Attributes
    ----------
    docid_bytes : bytes
        All collection docids, UTF-8, concatenated.
    docid_ends : int64[num_docs]
        Where each docid ends in ``docid_bytes``.
    source_docids : int32[num_docs]
        Source document ids (Lucene's docids), ascending; with gaps where documents are deleted.
    """

    docid_bytes: bytes
    docid_ends: NDArray[np.int64]
    source_docids: NDArray[np.int32]


@dataclass
class PostingBatch:
    """Some terms, each with all its postings.

    Attributes
    ----------
    terms : list of bytes
        UTF-8 terms, in any order; a term occurs only once in a source.
    dfs : int64[len(terms)]
        Document frequency as the source reports it (Lucene counts deleted documents), for the ``min_idf`` filter.
    counts : int64[len(terms)]
        Number of postings of each term in this batch; 0 is allowed (all its documents are deleted).
    docs : int32[sum(counts)]
        Source document ids, ascending within a term, only of documents listed in :class:`Documents`.
    impacts : int32[sum(counts)]
        Impacts, all >= 1.
    """

    terms: list[bytes]
    dfs: NDArray[np.int64]
    counts: NDArray[np.int64]
    docs: NDArray[np.int32]
    impacts: NDArray[np.int32]


@dataclass
class SourceInfo:
    """What the index manifest records about a source."""

    kind: str                                  # "lucene", "ciff", "json-vectors"
    path: str                                  # absolute
    fingerprint: str                           # changes when the source's content changes
    num_docs: int                              # N of the min_idf filter: Pyserini's stats()['documents']
    ties_by_docid: bool = True                 # False: Lucene 8 indexes, which Anserini neither sorts by docid nor adjusts
    details: dict[str, Any] = field(default_factory=dict)      # e.g. {"field": "contents", "lucene": "9.9.1"}


class PostingSource(Protocol):
    """A source of postings, opened for reading.

    ``batches`` may be called again after it was exhausted: reordering reads twice. Methods raise ``FileNotFoundError`` for a
    path that does not exist, and :class:`bmp_plugin.errors.SourceError`, which names the file, for unreadable content.
    """

    @property
    def info(self) -> SourceInfo:
        """Describes where the postings come from."""

    def documents(self) -> Documents:
        """Returns all live documents. May be called before, between or after ``batches``."""

    def num_postings_hint(self) -> int | None:
        """Estimates how many postings ``batches`` will yield, for the progress bar; returns None if unknown."""

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every term once. Memory is bounded by a batch: a few million postings, or one larger term."""

    def close(self) -> None:
        """Frees processes, files and temporary folders; may be called twice."""
