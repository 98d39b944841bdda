"""Topics: encoded queries, as Pyserini's TSV or as JSONL vectors, plain or gzipped."""
from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from .._internal.compressed import damage_named, lines_of, open_maybe_gzip
from ..errors import SourceError

Query = dict[str, int] | dict[str, float]
Encode = Callable[[str], Any]
Parser = Callable[[str], tuple[str, Query]]

LONGEST_QID = 1000
"""Longest query id in characters; Python can convert numbers of so many digits."""

_JAVA_TRIMMED = "".join(map(chr, range(0x21)))
_TOKEN = re.compile(r"\S+")


def read_topics(path: str | Path, encode: Encode | None = None) -> list[tuple[str, Query]]:
    """Reads topics in the order in which Pyserini's command line runs them.

    A file whose first character is ``{`` is JSONL, ``{"qid": ..., "vector": {token: weight}}`` (``id`` is accepted for
    ``qid``); any other is TSV, ``qid<TAB>token token token``, where the weight of a token is its count. As in Pyserini, topics
    are sorted by id (as text, unless all ids are numbers or none is). In TSV, ids of digits become numbers (``007`` is
    ``7``), the last of several lines with one id counts, further columns are ignored, and tokens are split as by
    ``str.split``. In JSONL, ids are kept as they are and must be unique. Queries may be empty, as in query logs.

    Parameters
    ----------
    path : path
    encode : callable of str to a mapping of str to number, optional
        A query encoder: TSV lines are then ``qid<TAB>text``.

    Returns
    -------
    list of (str, dict of str to number)
        Query id, and token to weight, of which there may be none.

    Raises
    ------
    FileNotFoundError
    SourceError
        If a line is malformed, or an id occurs twice in JSONL; it names the file and the line.
    """
    path = Path(path)
    rows: list[tuple[int, str, Query]] = []
    is_jsonl = False
    with damage_named(path), open_maybe_gzip(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8")
        for number, (parse, qid, query) in _rows(path, text, partial(_tsv_row, encode=encode or count_tokens)):
            is_jsonl = parse is _json_row
            rows.append((number, qid, query))
    if not rows:
        raise SourceError(f"{path}: no topics: give lines of qid<TAB>tokens, or JSON objects with qid and vector")
    return _in_order(_distinct(path, rows) if is_jsonl else _as_pyserini_reads_ids(rows))


def _rows(path: Path, text: TextIO, tsv_row: Parser) -> Iterator[tuple[int, tuple[Parser, str, Query]]]:
    parse = None
    for number, line in lines_of(path, text):
        is_empty_query = line.strip(_JAVA_TRIMMED.replace("\t", "")).endswith("\t")
        line = line.strip(_JAVA_TRIMMED)
        if not line:
            continue
        if is_empty_query and "\t" not in line:
            line += "\t"
        if parse is None:
            parse = _json_row if line.startswith("{") else tsv_row
        try:
            qid, query = parse(line)
            if len(qid) > LONGEST_QID:
                raise ValueError(f"a query id of {len(qid)} characters: give one of at most {LONGEST_QID}")
        except ValueError as error:
            raise SourceError(f"{path}, line {number}: {error}") from None
        yield number, (parse, qid, query)


def _tsv_row(line: str, encode: Encode) -> tuple[str, Query]:
    columns = line.split("\t", 2)
    if len(columns) < 2:
        raise ValueError("not qid<TAB>tokens: write a query id, a tab and the tokens")
    if len(columns[0].split()) != 1:                            # it becomes a column of the run
        raise ValueError(f"query id {columns[0]!a} before the tab is not one word: give one without white space")
    text = columns[1].strip(_JAVA_TRIMMED)
    return columns[0], encode(text) if text.strip() else {}


def count_tokens(text: str) -> dict[str, int]:
    """Returns the count of each token of ``text.split()``, in order of first occurrence.

    Weights are written out as repeated tokens, hundreds in a row. The length of each repetition is found by comparing the text
    with the token repeated 1, 2, 4, ... times, in a tenth of the time of splitting it.
    """
    counts: dict[str, int] = {}
    at = tokens = repetitions = 0
    while found := _TOKEN.search(text, at):
        token, at = found[0], found.end()
        again, step, length = " " + token, 1, 1
        while text.startswith(again * step, at):
            at += len(again) * step
            length += step
            step *= 2
        while step > 1:
            step //= 2
            if text.startswith(again * step, at):
                at += len(again) * step
                length += step
        if length > 1 and at < len(text) and not text[at].isspace():      # the last one begins a longer token
            at -= len(again)
            length -= 1
        counts[token] = counts.get(token, 0) + length
        tokens += length
        repetitions += 1
        if repetitions > 8 and tokens < 4 * repetitions:             # few repetitions: splitting is faster
            for token, count in Counter(text[at:].split()).items():
                counts[token] = counts.get(token, 0) + count
            break
    return counts


def _json_row(line: str) -> tuple[str, Query]:
    topic = json_of(line)
    if not isinstance(topic, dict):
        raise ValueError("not a JSON object with qid and vector")
    qid = topic.get("qid", topic.get("id"))
    if not isinstance(qid, str | int) or isinstance(qid, bool) or not str(qid).strip():
        raise ValueError('no "qid", or not a string: each topic needs "qid" and "vector"')
    qid = str(qid)
    if qid.split() != [qid] or not _is_utf8(qid):              # it becomes a column of the run
        raise ValueError(f"query id {qid!a} is not one word: give one without white space")
    vector = topic.get("vector")
    if not isinstance(vector, dict):
        raise ValueError(f'"vector" of query {qid} is missing or not an object of tokens and weights')
    check_vector(vector, f"query {qid}")
    return qid, vector


def json_of(line: str | bytes) -> Any:
    """Parses the JSON value of a line; raises ``ValueError`` with a short message."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON ({error.msg}): write one object per line") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8: convert the file") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply: write one object per line") from None
    except ValueError:                                          # Python's limit on digits
        raise ValueError("a number of thousands of digits: write one object per line") from None


def check_vector(vector: dict[str, Any], whose: str) -> None:
    """Raises ``ValueError`` for a weight that is not a number from 0 to 2^31 - 1."""
    for token, weight in vector.items():
        if not isinstance(weight, int | float) or isinstance(weight, bool) or weight != weight:
            raise ValueError(f"weight {weight!r} of token {token!r} in {whose} is not a number")
        if weight < 0 or weight >= 2**31:
            raise ValueError(f"weight {weight!r} of token {token!r} in {whose} is not between 0 and {2**31 - 1}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:                                  # a lone surrogate
        return False
    return True


def _as_pyserini_reads_ids(rows: list[tuple[int, str, Query]]) -> dict[str, Query]:
    all_int32 = all(_is_int32(qid) for _, qid, _ in rows)
    topics: dict[str, Query] = {}
    for _, qid, query in rows:
        text = str(int(qid)) if all_int32 else qid
        topics[str(int(text)) if text.isdecimal() else text] = query
    return topics


def _distinct(path: Path, rows: list[tuple[int, str, Query]]) -> dict[str, Query]:
    topics: dict[str, Query] = {}
    for number, qid, query in rows:
        if qid in topics:
            raise SourceError(f"{path}, line {number}: query id {qid} occurs twice: ids must be unique")
        topics[qid] = query
    return topics


def _in_order(topics: dict[str, Query]) -> list[tuple[str, Query]]:
    """Sorts as Pyserini's iterator does: by number, or by text if some ids are not numbers."""
    digits = [qid.isdecimal() for qid in topics]
    order = sorted(topics, key=lambda qid: (int(qid), qid)) if digits and all(digits) else sorted(topics)
    return [(qid, topics[qid]) for qid in order]


def _is_int32(text: str) -> bool:
    """Tells whether Java's ``Integer.valueOf`` accepts the text."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    return digits.isdecimal() and -(2**31) <= int(text) < 2**31
