"""What every source of postings offers, whatever its format: the one interface between adapters and the index."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LARGEST_IMPACT = 2**31 - 1
"""What an impact may be at most, as in Lucene."""


@dataclass
class Documents:
    """The documents of a source, in ascending order of their number in the source.

    Attributes
    ----------
    docid_bytes : bytes
        All collection docids, UTF-8, one after the other.
    docid_ends : int64[num_docs]
        Where each docid ends in ``docid_bytes``.
    numbers : int32[num_docs]
        Each document's number in the source (Lucene's docid), ascending; gaps where documents are deleted.
    """

    docid_bytes: bytes
    docid_ends: NDArray[np.int64]
    numbers: NDArray[np.int32]


@dataclass
class PostingBatch:
    """Some whole terms with all their postings.

    Attributes
    ----------
    terms : list of bytes
        UTF-8 terms; no term comes twice in a source. Any order.
    dfs : int64[len(terms)]
        Document frequency as the source reports it (Lucene counts deleted documents), for the ``min_idf`` filter.
    counts : int64[len(terms)]
        Postings of each term in this batch; 0 is allowed (all its documents are deleted).
    docs : int32[sum(counts)]
        Document numbers of the source, ascending within a term, only documents listed in :class:`Documents`.
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
    """What the index manifest keeps of a source."""

    kind: str                                  # "lucene", "ciff", "json-vectors"
    path: str                                  # absolute
    fingerprint: str                           # changes when the source's content changes
    num_docs: int                              # N of the min_idf filter: Pyserini's stats()['documents']
    ties_by_docid: bool = True                 # False: Lucene 8 indexes, which Anserini neither sorts by docid nor adjusts
    details: dict[str, Any] = field(default_factory=dict)      # e.g. {"field": "contents", "lucene": "9.9.1"}


class PostingSource(Protocol):
    """A source opened for reading. ``batches`` may be called again after it was exhausted (reordering reads twice).

    Errors: :class:`bmp_plugin.errors.SourceError` naming the file for content that cannot be read,
    ``FileNotFoundError`` for a path that is not there.
    """

    @property
    def info(self) -> SourceInfo:
        """Where the postings come from."""

    def documents(self) -> Documents:
        """All live documents. May be called before, between or after ``batches``."""

    def num_postings_hint(self) -> int | None:
        """About how many postings ``batches`` will yield, for the progress bar; None if unknown."""

    def batches(self) -> Iterator[PostingBatch]:
        """Every term once; memory is bounded by a batch, which holds a few million postings or one larger term."""

    def close(self) -> None:
        """Free processes, files and temporary folders; may be called twice."""
