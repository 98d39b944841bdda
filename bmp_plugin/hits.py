"""Hits: what a search returns, with the attributes of Pyserini's hits."""
from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from .query.batch import adjust_ties


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


def finish_hits(docids: list[str], numbers: NDArray[np.integer], scores: NDArray[np.float32], adjust: bool,
                kind: type[Hit] = Hit) -> list[Hit]:
    """A final ranking as hits, instances of ``kind``: docids, numbers in the source and scores float32[n], best first.

    ``adjust`` says whether Anserini adjusts ties in it; then ``scores`` is changed in place.
    """
    if adjust:
        adjust_ties(scores, len(scores))
    return list(map(kind, docids, numbers.tolist(), scores.tolist()))
