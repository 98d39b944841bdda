"""Topics: queries that are already encoded, as Pyserini's TSV or as JSONL vectors, plain or gzipped."""
from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from bmp_plugin.compressed import damage_named, open_maybe_gzip
from bmp_plugin.errors import SourceError

Query = dict[str, int] | dict[str, float]

_JAVA_TRIMMED = "".join(map(chr, range(0x21)))


def read_topics(path: str | Path) -> list[tuple[str, Query]]:
    """Read topics in the order in which Pyserini's command line runs them.

    A file whose first character is ``{`` is JSONL, ``{"qid": ..., "vector": {token: weight}}`` (``id`` will do for
    ``qid``); any other is TSV, ``qid<TAB>token token token``, where a token's count is its weight. As in Pyserini,
    query ids of digits become numbers (``007`` is ``7``), topics are sorted by id (as text, unless all ids are numbers
    or none is), further columns are left out, and tokens are divided as by ``str.split``.

    Returns
    -------
    list of (str, dict of str to number)
        Query id, and token to weight; a JSONL vector may be empty.

    Errors: ``FileNotFoundError``; SourceError naming file and line for malformed lines and duplicate query ids.
    """
    path = Path(path)
    rows: list[tuple[int, str, Query]] = []
    with damage_named(path), open_maybe_gzip(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8")
        rows.extend(_rows(path, text))
    if not rows:
        raise SourceError(f"{path}: no topics: give lines of qid<TAB>tokens, or JSON objects with qid and vector")
    return _in_order(path, rows)


def _rows(path: Path, text: TextIO) -> Iterator[tuple[int, str, Query]]:
    parse = None
    for number, line in enumerate(text, 1):
        line = line.strip(_JAVA_TRIMMED)
        if not line:
            continue
        if parse is None:
            if line.startswith("\ufeff"):
                raise SourceError(f"{path}: begins with a byte order mark: save it as UTF-8 without one")
            parse = _json_row if line.startswith("{") else _tsv_row
        try:
            qid, query = parse(line)
        except ValueError as error:
            raise SourceError(f"{path}, line {number}: {error}") from None
        yield number, qid, query


def _tsv_row(line: str) -> tuple[str, Query]:
    columns = line.split("\t", 2)
    if len(columns) < 2 or not columns[1].strip():
        raise ValueError("not qid<TAB>tokens: write a query id, a tab and at least one token")
    if not columns[0].strip():
        raise ValueError("no query id before the tab")
    return columns[0], dict(Counter(columns[1].strip(_JAVA_TRIMMED).split()))


def _json_row(line: str) -> tuple[str, Query]:
    try:
        topic = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON ({error.msg}): write one object a line") from None
    if not isinstance(topic, dict):
        raise ValueError("not a JSON object with qid and vector")
    qid = topic.get("qid", topic.get("id"))
    if not isinstance(qid, str | int) or isinstance(qid, bool) or not str(qid).strip():
        raise ValueError('no "qid", or not a string: each topic needs "qid" and "vector"')
    vector = topic.get("vector")
    if not isinstance(vector, dict):
        raise ValueError(f'"vector" of query {qid} is missing or not an object of tokens and weights')
    for token, weight in vector.items():
        if not isinstance(weight, int | float) or isinstance(weight, bool) or weight != weight:
            raise ValueError(f"weight {weight!r} of token {token!r} in query {qid} is not a number")
        if weight < 0 or weight >= 2**31:
            raise ValueError(f"weight {weight!r} of token {token!r} in query {qid} is not between 0 and {2**31 - 1}")
    return str(qid), vector


def _in_order(path: Path, rows: list[tuple[int, str, Query]]) -> list[tuple[str, Query]]:
    all_int32 = all(_is_int32(qid) for _, qid, _ in rows)
    keyed: dict[int | str, tuple[int, Query]] = {}
    for number, qid, query in rows:
        text = str(int(qid)) if all_int32 else qid
        key = int(text) if text.isdecimal() else text
        if key in keyed:
            before = keyed[key][0]
            raise SourceError(f"{path}, line {number}: query id {key} came before (line {before}): ids must differ")
        keyed[key] = (number, query)
    kinds = {type(key) for key in keyed}
    order = sorted(keyed) if len(kinds) == 1 else sorted(keyed, key=str)  # type: ignore[type-var]
    return [(str(key), keyed[key][1]) for key in order]


def _is_int32(text: str) -> bool:
    """Whether Java's ``Integer.valueOf`` takes it."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    return digits.isdecimal() and -(2**31) <= int(text) < 2**31
