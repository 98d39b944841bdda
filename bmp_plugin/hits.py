"""Hits: what a search returns, with the attributes of Pyserini's hits."""
from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .index.index import BmpIndex


class _Docids:
    """The docids of one result, read from the index when the first of them is asked for."""

    __slots__ = ("index", "names", "positions")

    def __init__(self, index: BmpIndex, positions: NDArray[np.int32]) -> None:
        self.index = index
        self.positions = positions
        self.names: list[str] | None = None

    def __getitem__(self, at: int) -> str:
        if self.names is None:
            self.names = self.index.docids(self.positions)
        return self.names[at]


class Hit:
    """A document that was found.

    Attributes
    ----------
    docid : str
        Its collection docid.
    lucene_docid : int
        Its number in the source index.
    score : float
        Its float32 score after tie adjustment; may be assigned.
    """

    __slots__ = ("_at", "_docids", "lucene_docid", "score")

    def __init__(self, docids: _Docids, at: int, lucene_docid: int, score: float) -> None:
        self._docids = docids
        self._at = at
        self.lucene_docid = lucene_docid
        self.score = score

    @property
    def docid(self) -> str:
        return self._docids[self._at]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(docid={self.docid!r}, score={self.score!r}, lucene_docid={self.lucene_docid!r})"


def make_hits(index: BmpIndex, positions: NDArray[np.int32], scores: NDArray[np.float32],
              kind: type[Hit] = Hit) -> list[Hit]:
    """Hits of ranked positions int32[n] and scores float32[n], as instances of ``kind``."""
    numbers = index.arrays["doc_number"][positions].tolist()
    return list(map(kind, repeat(_Docids(index, positions)), range(len(positions)), numbers, scores.tolist()))
