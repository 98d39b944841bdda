"""The conversion of regular documents, compared with the parser of any: the same documents, or the same refusal."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_plugin.adapters.sources.json_documents import DocumentBlock, parse
from bmp_plugin.adapters.sources.json_stream import Lines
from bmp_plugin.adapters.sources.regular_documents import MAX_TOKENS, parse_mostly_regular
from bmp_plugin.errors import SourceError

# what decides whether a document is regular: its parts, blanks, numbers, escapes, other values, and what JSON refuses
PARTS = (
    "{", "}", "[", "]", ",", ":", " ", "\t", "\r", "\n", '"', "\\", "\\u0069d", '"id"', '"vector"', '"vector":{',
    '"contents":"', '"a":1', "é", '"\\u00e9":1', '"é":2', "\\ud800", "\x01", "\udcff", '"two words":1', '"' + "t" * 300 + '":1',
    "0", "07", "7", "-1", "1.0", "2.5", ".", "1e2", "12345678", "2147483648", "true", "null",
    '"x":null,', '"x":[1.5,{"id":2}],', '"x":{"y":"}]"},', '"x":,', '"x":[,', '"x":],', '"x":{]},', '"x":' + "[" * 1100,
)


def documents_in(parse_block: Callable[[Lines], list[DocumentBlock]], text: bytes) -> tuple[list[object], list[str]] | str:
    """(each document with its line and vector, the tokens in order of first occurrence), or the refusal."""
    documents: list[object] = []
    tokens: dict[str, None] = {}
    try:
        parts = parse_block(Lines(Path("a.jsonl"), 5, text))
    except SourceError as error:
        return str(error)
    for part in parts:
        ends = np.cumsum(part.counts).tolist()
        for docid, number, lo, hi in zip(part.docids, part.lines.tolist(), [0, *ends], ends, strict=False):
            named = [part.tokens[term] for term in part.terms[lo:hi].tolist()]
            documents.append((docid, number, list(zip(named, part.weights[lo:hi].tolist(), strict=True))))
        tokens |= dict.fromkeys(part.tokens)
    return documents, list(tokens)


lines_of_json = st.tuples(
    st.one_of(st.integers(-2, 10**20), st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)),
    st.dictionaries(st.text(st.sampled_from('ab"\\ é\n'), max_size=9), st.integers(0, 2**31 - 1) | st.sampled_from([3.0, 10]),
                    max_size=4),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 12), st.sampled_from(PARTS)), max_size=3),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(lines_of_json, max_size=6), st.booleans(), st.booleans())
def test_regular_documents_are_those_that_the_parser_finds(documents: list[Any], ascii_only: bool, compact: bool) -> None:
    text = b""
    for docid, vector, cuts in documents:
        written = json.dumps({"id": docid, "contents": "a\n\u00e9", "vector": vector}, ensure_ascii=ascii_only,
                             separators=(",", ":") if compact else None)
        for at, length, put in cuts:
            written = written[:at] + put + written[at + length:]
        text += written.encode("utf-8", "surrogateescape") + b"\n"
    assert documents_in(parse_mostly_regular, text) == documents_in(lambda block: [parse(block)], text)


def test_more_tokens_than_are_converted_at_once() -> None:
    vectors = [{f"t{number}": 1 + number for number in range(lo, lo + size)} for lo, size in
               ((0, 3), (10, MAX_TOKENS - 3), (5, 9), (90_000, MAX_TOKENS), (0, 2), (0, MAX_TOKENS + 1), (3, 1))]
    text = "".join(json.dumps({"id": number, "vector": vector}) + "\n" for number, vector in enumerate(vectors)).encode()
    assert documents_in(parse_mostly_regular, text) == documents_in(lambda block: [parse(block)], text)
