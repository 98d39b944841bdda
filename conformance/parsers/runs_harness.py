"""Run files and qrels, compared with simple parsers and ir-measures'; and their comparison and evaluation."""
from __future__ import annotations

import codecs
import gzip
import io
import math
import re
import zlib
from pathlib import Path
from typing import Any

from bmp_plugin.trec.evaluation import LARGEST_GRADE, evaluate, read_qrels
from bmp_plugin.trec.run_comparison import compare as compare_runs
from bmp_plugin.trec.run_file import RunWriter, read_run

from .harness import Harness, WrongError, unless_refused

_WHOLE = re.compile(rb"[+-]?[0-9]{1,4000}")
_NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _plain(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def plain_run(data: bytes) -> dict[str, list[tuple[str, str | None]]]:
    """Returns each query's (docid, score as written); raises ``ValueError``."""
    rows = [row for line in data.removeprefix(codecs.BOM_UTF8).split(b"\n") if (row := line.split())]
    if any(b"\0" in part for row in rows for part in row):
        raise ValueError("a zero byte")
    answers: dict[str, list[tuple[str, str | None]]] = {}
    ranks: dict[str, int] = {}
    ascend = True
    for row in rows:
        if len(row) != len(rows[0]) or len(row) not in (3, 6):
            raise ValueError("columns")
        qid, docid, rank, score = (row[0], row[1], row[2], None) if len(row) == 3 else (row[0], row[2], row[3], row[4])
        if not _WHOLE.fullmatch(rank) or (score is not None and not _NUMBER.fullmatch(score)):
            raise ValueError("numbers")
        if score is not None and not math.isfinite(float(score)):
            raise ValueError("infinite")
        name = qid.decode()
        if name in ranks and int(rank) <= ranks[name]:
            if score is None:
                raise ValueError("ranks")
            ascend = False
        ranks[name] = int(rank)
        answers.setdefault(name, []).append((docid.decode(), None if score is None else score.decode()))
    if not ascend:
        for ranking in answers.values():
            ranking.sort(key=lambda found: found[0].encode(), reverse=True)
            ranking.sort(key=lambda found: float(found[1] or 0), reverse=True)
    return answers


def check_run(path: Path) -> Any:
    """See :class:`.harness.Harness`."""
    run = unless_refused(lambda: read_run(path), path)
    found = None if run is None else {qid: list(run.ranking(qid)) for qid in run.answers}
    try:
        expected = plain_run(_plain(path))
    except (ValueError, EOFError, OSError, zlib.error) as error:
        if found is not None:
            raise WrongError(f"taken though it is not right ({error})") from None
        return None
    if found != expected:
        raise WrongError(f"read as {str(found)[:500]}, which is {str(expected)[:500]}")
    if run is not None and found:
        alone = compare_runs(run, run)
        if not alone.same or not alone.byte_identical:
            raise WrongError("a run that differs from itself")
        other = path.with_name("other.txt")
        with RunWriter(other) as writer:
            writer.write("1", [_Scored("a", 2.0), _Scored("b", 1.0)])
        fixed = read_run(other)
        if compare_runs(run, fixed).same and list(found) != ["1"]:
            raise WrongError("another run is called the same")
        judged = [_qrel(qid, docid) for qid, ranking in found.items() for docid, _ in ranking]
        values = unless_refused(lambda: evaluate({"run": run}, judged), path)
        if values is None or not all(0 <= value <= 1 for of in values["run"].values() for value in of.values()):
            raise WrongError(f"evaluated to {values}")
    return found


def check_qrels(path: Path) -> Any:
    """See :class:`.harness.Harness`."""
    import ir_measures

    found = unless_refused(lambda: read_qrels(path), path)
    try:
        expected = _plain_qrels(_plain(path))
    except (ValueError, EOFError, OSError, zlib.error) as error:
        if found is not None:
            raise WrongError(f"taken though it is not right ({error})") from None
        return None
    if found is None or [(q.query_id, q.iteration, q.doc_id, q.relevance) for q in found] != expected:
        raise WrongError(f"read as {str(found)[:500]}, which is {str(expected)[:500]}")
    text = _plain(path).decode()
    plain = text.isascii() and not re.search("[\x0b\x0c\x1c-\x1f\r]|^\\s*$", text, re.M)
    if plain and list(ir_measures.read_trec_qrels(io.StringIO(text))) != found:  # type: ignore[no-untyped-call]
        raise WrongError("ir-measures reads it otherwise")
    other = path.with_name("run.txt")
    first = next((row for row in expected if row[2] == row[2].strip()), None)
    if first is None:                          # runs are written with docids stripped, as Pyserini does
        return expected
    with RunWriter(other) as writer:
        writer.write(first[0], [_Scored(first[2], 2.0), _Scored("elsewhere", 1.0)])
    values = evaluate({"run": read_run(other)}, found)
    if not all(math.isfinite(value) for of in values["run"].values() for value in of.values()):
        raise WrongError(f"evaluated to {values}")
    return expected


def _plain_qrels(data: bytes) -> list[tuple[str, str, str, int]]:
    rows = [row for line in data.removeprefix(codecs.BOM_UTF8).split(b"\n") if (row := line.split())]
    if rows and rows[0] == [b"query-id", b"corpus-id", b"score"]:
        headers = [row for row in rows if row == rows[0]]
        rows = [[row[0], b"0", *row[1:]] if len(row) == 3 else row for row in rows[len(headers):]]
    if not rows or b"\0" in b"".join(b"".join(row) for row in rows):
        raise ValueError("a zero byte, or nothing")
    if not all(len(row) == 4 and _WHOLE.fullmatch(row[3]) and abs(int(row[3])) <= LARGEST_GRADE for row in rows):
        raise ValueError("not four columns of which the last is a number, or none")
    return [(qid.decode(), iteration.decode(), docid.decode(), int(grade)) for qid, iteration, docid, grade in rows]


class _Scored:
    def __init__(self, docid: str, score: float) -> None:
        self.docid, self.score = docid, score


def _qrel(qid: str, docid: str) -> Any:
    import ir_measures

    return ir_measures.Qrel(qid, docid, 1, "0")


HARNESSES = {"runs": Harness("runs", check_run, "run.trec"), "qrels": Harness("qrels", check_qrels, "qrels.txt")}
