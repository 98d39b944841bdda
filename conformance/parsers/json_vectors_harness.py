"""JSON vectors, compared with the json module and Anserini's rules, spelled out."""
from __future__ import annotations

import gzip
import json
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

from bmp_plugin.adapters.sources import json_vector_source
from bmp_plugin.adapters.sources.document_source import VectorSource, json_documents
from bmp_plugin.adapters.sources.json_vector_source import JsonVectorSource, lucene_tokens

from .harness import Harness, WrongError, unless_refused

Content = dict[str, dict[str, int]]
_DEEP = 150                      # depth of nesting from which parsers may refuse
_LARGEST = 2**31 - 1
_BLANK = b" \t\r\n"


def content_of(source: Any) -> Content:
    """Returns each document's terms and impacts, with documents in their order."""
    documents = source.documents()
    ends = [0, *documents.docid_ends.tolist()]
    docids = [documents.docid_bytes[lo:hi].decode() for lo, hi in pairwise(ends)]
    place = dict(zip(documents.source_docids.tolist(), docids, strict=True))
    content: Content = {docid: {} for docid in docids}
    for batch in source.batches():
        at = 0
        for term, count in zip(batch.terms, batch.counts.tolist(), strict=True):
            for doc, impact in zip(batch.docs[at:at + count].tolist(), batch.impacts[at:at + count].tolist(), strict=True):
                vector = content[place[doc]]
                if term.decode() in vector:
                    raise WrongError(f"document {place[doc]!r} has {term!r} twice")
                vector[term.decode()] = impact
            at += count
    source.close()
    return content


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float("inf")


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=_no_constant, parse_int=_integer)


def values(data: bytes) -> list[Any]:
    """Returns the JSON values of a file, an array's elements separately; raises ``ValueError`` or RecursionError."""
    lines = [line.strip(_BLANK) for line in data.split(b"\n")]
    lines = [line for line in lines if line]
    decoder = _decoder()
    found: list[Any] = []
    try:
        if lines:
            decoder.decode(lines[0].decode())
    except (ValueError, RecursionError):
        text, at = data.decode(), 0
        while (rest := text[at:].lstrip(" \t\r\n")):
            at = len(text) - len(rest)
            value, at = decoder.raw_decode(text, at)
            found += value if isinstance(value, list) and not found else [value]
    else:
        for line in lines:
            value = decoder.decode(line.decode())
            found += value if isinstance(value, list) else [value]
    json.dumps(found, ensure_ascii=False).encode()                 # no half of a surrogate pair
    return found


def expected_content(found: list[Any]) -> Content:
    """Applies Anserini's rules, and our refusals, to values; raises ``ValueError``."""
    content: Content = {}
    for document in found:
        if not isinstance(document, dict):
            raise ValueError("not an object")
        docid, vector = document.get("id"), document.get("vector")
        if type(docid) is int and abs(docid) < 2**63:
            docid = str(docid)
        if not isinstance(docid, str) or not docid or not isinstance(vector, dict):
            raise ValueError("no id or vector")
        terms: dict[str, int] = {}
        present = False
        for token, weight in vector.items():
            # true is 1, as in Anserini
            if type(weight) not in (int, float, bool) or not 0 <= weight <= _LARGEST or weight != int(weight):
                raise ValueError("no whole weight")
            if weight == 0:
                continue
            parts = lucene_tokens(token)
            present |= parts == [token] or any(letter > " " for letter in token)
            for part in parts:
                terms[part] = terms.get(part, 0) + int(weight)
        if max(terms.values(), default=0) > _LARGEST:
            raise ValueError("weights that add up to too much")
        if present:
            if docid in content:
                raise ValueError("an id twice")
            content[docid] = terms
    return content


def check(path: Path) -> Content | None:
    """See :class:`.harness.Harness`."""
    with mock.patch.object(json_vector_source, "is_compiled", return_value=False):
        found = unless_refused(lambda: content_of(JsonVectorSource(path)), path)
    with mock.patch.object(json_vector_source, "COMPILED_FROM", 0):
        converted = unless_refused(lambda: content_of(JsonVectorSource(path)), path)
    if converted != found or list(converted or ()) != list(found or ()):
        raise WrongError(f"converted to {str(converted)[:500]}, which is {str(found)[:500]}")
    other = unless_refused(lambda: content_of(VectorSource(json_documents(path), origin=str(path))), path)
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        given = values(data)
        expected = expected_content(given)
    except (ValueError, RecursionError, EOFError, OSError, zlib.error) as error:
        if found is not None and not (isinstance(error, RecursionError) or _is_deep(data)):
            raise WrongError(f"taken though it is not right ({error}): {str(found)[:500]}") from None
        return found
    if found is None and _is_deep(data):
        return None
    if found != expected or (found is not None and list(found) != list(expected)):
        raise WrongError(f"read as {str(found)[:500]}, which is {str(expected)[:500]}")
    plain = all(lucene_tokens(token) == [token] for document in given for token in document["vector"])
    if other is not None and plain and other != expected:
        raise WrongError(f"read for quantization as {str(other)[:500]}, which is {str(expected)[:500]}")
    return found


def _is_deep(data: bytes) -> bool:
    return data.count(b"[") + data.count(b"{") > _DEEP


HARNESSES = {"json-vectors": Harness("json-vectors", check, "vectors.jsonl")}
