"""Conversion of JSON documents with vectors to arrays: the part that runs in parallel over a collection."""
from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin.errors import SourceError

from .docid_table import BadDocidError, check_docids
from .json_stream import Block, values_of

MAX_IMPACT = 2**31 - 1


@dataclass
class DocumentBlock:
    """Consecutive documents of a file.

    Attributes
    ----------
    path : Path
    docids : list of str
    lines : int64[len(docids)]
        Line number of each document in the file.
    counts : int64[len(docids)]
        Number of tokens of each document.
    tokens : list of str
        The distinct tokens, in order of first occurrence.
    terms : int32[sum(counts)]
        Indices in ``tokens``.
    weights : int32[sum(counts)]
        Weights, all >= 0.
    """

    path: Path
    docids: list[str]
    lines: NDArray[np.int64]
    counts: NDArray[np.int64]
    tokens: list[str]
    terms: NDArray[np.int32]
    weights: NDArray[np.int32]


class _Vocabulary(dict[str, int]):
    """Maps tokens to consecutive ids, assigned at first lookup."""

    def __missing__(self, token: str) -> int:
        self[token] = term_id = len(self)
        return term_id


def parse(block: Block) -> DocumentBlock:
    """Parses the documents of a block.

    Raises
    ------
    SourceError
        It names the file and the line.
    """
    path = block.path
    vocabulary = _Vocabulary()
    id_of = vocabulary.__getitem__
    docids, lines, counts = [], array("q"), array("q")
    terms, weights = array("i"), array("i")
    for line, document in values_of(block):
        try:
            docid, vector = document["id"], document["vector"]
        except (KeyError, TypeError):
            raise SourceError(_no_document(path, line, document)) from None
        if type(docid) is not str:
            docid = _docid_text(path, line, docid)
        if type(vector) is not dict:
            raise SourceError(f'{path}, line {line}: "vector" of document {docid!r} is not an object of tokens and weights')
        before = len(weights)
        try:
            weights.extend(vector.values())
        except (TypeError, OverflowError):
            del weights[before:]
            weights.extend(_whole_weights(path, line, docid, vector))
        terms.extend(map(id_of, vector))
        docids.append(docid)
        lines.append(line)
        counts.append(len(vector))
    try:
        check_docids(docids)
    except BadDocidError as error:
        raise SourceError(f"{path}, line {lines[error.at]}: {error}") from None
    found = DocumentBlock(path, docids, np.array(lines, np.int64), np.array(counts, np.int64), list(vocabulary),
                          np.array(terms, np.int32), np.array(weights, np.int32))
    if len(weights) and int(found.weights.min()) < 0:
        at = int(np.searchsorted(np.cumsum(found.counts), int(found.weights.argmin()), "right"))
        raise SourceError(f"{path}, line {lines[at]}: document {docids[at]!r} has the weight {int(found.weights.min())}:"
                          " weights must not be negative")
    return found


def _no_document(path: Path, line: int, value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"{path}, line {line}: not a JSON object with id and vector"
    missing = "id" if "id" not in value else "vector"
    return f'{path}, line {line}: no "{missing}": each document needs "id" and "vector"'


def _docid_text(path: Path, line: int, docid: Any) -> str:
    if isinstance(docid, int) and not isinstance(docid, bool):
        return str(docid)
    raise SourceError(f'{path}, line {line}: "id" is {docid!r}: give a string')


def _whole_weights(path: Path, line: int, docid: str, vector: dict[str, Any]) -> list[int]:
    """Checks weights one by one, where not all are int32: accepts integral floats and reports what is wrong with others."""
    weights = []
    for token, weight in vector.items():
        where = f"{path}, line {line}: weight {weight!r} of token {token!r} in document {docid!r}"
        if not isinstance(weight, int | float):
            raise SourceError(f"{where} is not a number")
        if weight != weight or (isinstance(weight, float) and not weight.is_integer() and abs(weight) < MAX_IMPACT):
            raise SourceError(f"{where} is not a whole number: quantize float weights (--quantize 8, or quantize=8)")
        if weight > MAX_IMPACT:
            raise SourceError(f"{where} is above {MAX_IMPACT}: quantize to smaller weights")
        if weight < 0:
            raise SourceError(f"{where} is negative: weights must be 1 or more")
        weights.append(int(weight))
    return weights
