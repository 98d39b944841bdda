"""Documents from Python code, PyTerrier's ``docno`` and ``toks``, stored as JSON, one per line."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bmp_plugin.adapters.sources.document_source import VectorSource

from .harness import Harness, WrongError, unless_refused
from .json_vectors_harness import content_of

_LARGEST = 2**31 - 1


def check(path: Path) -> Any:
    """See :class:`.harness.Harness`."""
    try:
        documents = [json.loads(line) for line in path.read_bytes().decode().split("\n") if line.strip()]
    except (ValueError, RecursionError):
        return None
    origin = str(path)
    unless_refused(lambda: content_of(VectorSource(documents, origin=origin, quantize=8)), origin)
    found = unless_refused(lambda: content_of(VectorSource(documents, origin=origin)), origin)
    try:
        expected = _expected(documents)
    except (ValueError, TypeError):
        expected = None
    if found != expected:
        raise WrongError(f"read as {str(found)[:500]}, which is {str(expected)[:500]}")
    return found


def _expected(documents: list[Any]) -> dict[str, dict[str, int]]:
    content: dict[str, dict[str, int]] = {}
    for document in documents:
        if isinstance(document, dict):
            docid, vector = document.get("docno", document.get("id")), document.get("toks", document.get("vector"))
        else:
            docid, vector = document
        docid = str(docid) if type(docid) is int else docid
        if not isinstance(docid, str) or docid.split() != [docid] or not isinstance(vector, dict):
            raise ValueError("not a document")
        if not all(type(weight) in (int, float) and 0 <= weight <= _LARGEST and weight == int(weight)
                   for weight in vector.values()):
            raise ValueError("a weight")
        terms = {token: int(weight) for token, weight in vector.items() if weight}
        if terms:
            if docid in content:                       # documents without terms are not indexed
                raise ValueError("one that was there")
            "".join([docid, *terms]).encode()
            content[docid] = terms
    return content


HARNESSES = {"toks": Harness("toks", check, "toks.jsonl", gzips=False)}
