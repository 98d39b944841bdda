"""Hits, which a search returns, with the attributes of Pyserini's hits."""
from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from .tie_adjustment import adjust_ties


class Hit(msgspec.Struct, eq=False, gc=False):
    """A document that was found; a struct, because a thousand of them are created per query. Copies are equal.

    Attributes
    ----------
    docid : str
        Its collection docid.
    lucene_docid : int
        Its source document id.
    score : float
        Its float32 score after tie adjustment; may be assigned.
    """

    docid: str
    lucene_docid: int
    score: float

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hit):
            return NotImplemented
        return (self.docid, self.lucene_docid, self.score) == (other.docid, other.lucene_docid, other.score)

    def __hash__(self) -> int:
        return hash((self.docid, self.lucene_docid))        # not of the score, which may be assigned


def finish_hits(docids: list[str], lucene_docids: NDArray[np.integer], scores: NDArray[np.float32], adjust: bool,
                kind: type[Hit] = Hit) -> list[Hit]:
    """Returns the hits of a final ranking.

    Parameters
    ----------
    docids : list of str
        Best first.
    lucene_docids : integer[n]
        Source document ids.
    scores : float32[n]
        Changed in place by tie adjustment.
    adjust : bool
        Whether Anserini adjusts the ties of this index.
    kind : type
        The class of the hits.
    """
    if adjust:
        adjust_ties(scores, len(scores))
    return list(map(kind, docids, lucene_docids.tolist(), scores.tolist()))
