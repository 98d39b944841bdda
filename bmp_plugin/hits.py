"""Hits: what a search returns, with the attributes of Pyserini's hits."""
from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .index.index import BmpIndex


class Hit(msgspec.Struct, eq=False, gc=False):
    """A document that was found. A thousand of them a query are made, hence a struct that costs next to nothing.

    Attributes
    ----------
    docid : str
        Its collection docid.
    lucene_docid : int
        Its number in the source index.
    score : float
        Its float32 score after tie adjustment; may be assigned.
    """

    docid: str
    lucene_docid: int
    score: float


def make_hits(index: BmpIndex, positions: NDArray[np.int32], scores: NDArray[np.float32],
              kind: type[Hit] = Hit) -> list[Hit]:
    """Hits of ranked positions int32[n] and scores float32[n], as instances of ``kind``."""
    numbers = index.arrays["doc_number"][positions].tolist()
    return list(map(kind, index.docids(positions), numbers, scores.tolist()))
