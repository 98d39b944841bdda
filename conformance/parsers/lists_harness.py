"""Lists of docids to drop and files of quality scores, compared with simple parsers."""
from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.adapters.sources.pruning import PrunedSource, Pruning

from .harness import Harness, WrongError, unless_refused
from .json_vectors_harness import content_of

_DOCIDS = ["d1", "é", "a\u0085b", "c\u2028d", "n\u00a0b", "10"]
_NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _kept(path: Path, pruning: Pruning) -> list[str] | None:
    n = len(_DOCIDS)

    def read() -> list[str]:
        source = ArraySource(np.arange(n + 1), np.zeros(n, np.int32), np.arange(1, n + 1), _DOCIDS, ["token"])
        return list(content_of(PrunedSource(source, pruning)))

    return unless_refused(read, path)


def _lines(path: Path) -> list[bytes]:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return [stripped for line in data.split(b"\n") if (stripped := line.strip())]


def check_list(path: Path) -> list[str] | None:
    """See :class:`.harness.Harness`."""
    found = _kept(path, Pruning(drop_documents=path))
    try:
        dropped = {line.decode() for line in _lines(path)}
    except (UnicodeDecodeError, EOFError, OSError, zlib.error):
        expected = None
    else:
        expected = None if dropped - set(_DOCIDS) else [docid for docid in _DOCIDS if docid not in dropped]
    return _equal(found, expected)


def check_scores(path: Path) -> list[str] | None:
    """See :class:`.harness.Harness`."""
    found = _kept(path, Pruning(quality=path, min_quality=0.5))
    expected: list[str] | None = None
    try:
        scores: dict[str, float] = {}
        for line in _lines(path):
            docid, score = line.split()
            if not _NUMBER.fullmatch(score) or not math.isfinite(float(score)) or scores.get(docid.decode(), float(score)) \
                    != float(score):
                raise ValueError("not a score, or another one")
            scores[docid.decode()] = float(score)
        expected = [docid for docid in _DOCIDS if scores[docid] >= 0.5]
    except (ValueError, KeyError, EOFError, OSError, zlib.error):
        pass
    return _equal(found, expected)


def _equal(found: list[str] | None, expected: list[str] | None) -> list[str] | None:
    if found != expected:
        raise WrongError(f"keeps {found}, which is {expected}")
    return found


HARNESSES = {"docid-lists": Harness("docid-lists", check_list, "drop.txt"),
             "quality-scores": Harness("quality-scores", check_scores, "quality.tsv")}
