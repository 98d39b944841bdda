"""Topics, compared with a simple parser: JSON by the json module, TSV by splitting and counting, as Pyserini does."""
from __future__ import annotations

import gzip
import io
import json
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from bmp_plugin.trec.run_file import RunWriter, read_run
from bmp_plugin.trec.topics import LONGEST_QID, read_topics

from .harness import Harness, WrongError, unless_refused

Content = list[tuple[str, dict[str, Any]]]
_TRIMMED = "".join(map(chr, range(33)))


class _Hit:
    docid, score = "d", 1.0


def plain_reading(data: bytes) -> Content:
    """Returns the topics; raises ``ValueError`` or RecursionError."""
    lines = [line for line in io.StringIO(data.decode().removeprefix("\ufeff"), newline=None) if line.strip(_TRIMMED)]
    lines = [_without_blanks(line) for line in lines]
    if not lines:
        raise ValueError("no topics")
    topics = _of_json(lines) if lines[0][0] == "{" else _of_tsv(lines)
    if any(len(qid) > LONGEST_QID for qid in topics):
        raise ValueError("an endless id")
    numbers = all(map(str.isdecimal, topics))
    return [(qid, topics[qid]) for qid in sorted(topics, key=(lambda qid: (int(qid), qid)) if numbers else str)]


def _without_blanks(line: str) -> str:
    """Strips as Java does, but leaves a tab that only an empty query follows."""
    stripped = line.strip(_TRIMMED)
    return stripped if "\t" in stripped or "\t" not in line.lstrip(_TRIMMED) else stripped + "\t"


def _of_json(lines: list[str]) -> dict[str, Any]:
    topics: dict[str, Any] = {}
    for line in lines:
        topic = json.loads(line)
        if not isinstance(topic, dict):
            raise ValueError("not an object")
        qid, vector = topic.get("qid", topic.get("id")), topic.get("vector")
        if type(qid) not in (str, int) or not isinstance(vector, dict):
            raise ValueError("no qid or vector")
        qid = str(qid)
        qid.encode()
        if qid in topics or qid.split() != [qid]:
            raise ValueError("a qid twice, or of several words")
        if not all(type(weight) in (int, float) and 0 <= weight < 2**31 for weight in vector.values()):
            raise ValueError("a weight out of range")
        topics[qid] = vector
    return topics


def _of_tsv(lines: list[str]) -> dict[str, Any]:
    rows = [line.split("\t") for line in lines]
    if not all(len(row) > 1 and len(row[0].split()) == 1 for row in rows):
        raise ValueError("not two columns, or a qid that is not one word")
    if max(len(row[0]) for row in rows) > LONGEST_QID:
        raise ValueError("an endless id")
    signed = [row[0][1:] if row[0][0] in "+-" else row[0] for row in rows]
    all_int = all(digits.isdecimal() for digits in signed) and all(-(2**31) <= int(row[0]) < 2**31 for row in rows)
    topics: dict[str, Any] = {}
    for row in rows:
        qid = str(int(row[0])) if all_int else row[0]
        topics[str(int(qid)) if qid.isdecimal() else qid] = dict(Counter(row[1].strip(_TRIMMED).split()))
    return topics


def check(path: Path) -> Content | None:
    """See :class:`.harness.Harness`."""
    found = unless_refused(lambda: read_topics(path), path)
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        expected = plain_reading(data)
    except (ValueError, RecursionError, EOFError, OSError, zlib.error) as error:
        if found is not None:
            raise WrongError(f"taken though it is not right ({error}): {str(found)[:500]}") from None
        return None
    if found != expected:
        raise WrongError(f"read as {str(found)[:500]}, which is {str(expected)[:500]}")
    if data.lstrip(_TRIMMED.encode())[:1] == b"{":
        run = path.with_name("run.txt")
        with RunWriter(run) as writer:
            for qid, _ in expected:
                writer.write(qid, [_Hit()])
        if list(read_run(run).answers) != [qid for qid, _ in expected]:
            raise WrongError("a query id makes a run that cannot be read")
    return found


HARNESSES = {"topics": Harness("topics", check, "topics.tsv")}
