"""Effectiveness of runs by ir-measures, query by query, and the significance of differences between two runs."""
from __future__ import annotations

import importlib
import importlib.util
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._internal.compressed import damage_named, lines_of, open_maybe_gzip
from ..errors import SourceError
from .run_file import Run

MEASURES = ("nDCG@10", "RR@10", "R@1000", "AP")
LARGEST_GRADE = 1_000_000         # trec_eval has a counter for every relevance up to the largest
BATCH_QUERIES = 500           # queries of a run that are held in memory as objects

Values = dict[str, dict[str, float]]        # measure to query id to value


def read_qrels(path: str | Path) -> list[Any]:
    """Reads TREC qrels (``qid 0 docid relevance``), plain or gzipped, as ``ir_measures.Qrel``.

    BEIR's, which have three columns below a header (``query-id corpus-id score``), are read too.

    Raises
    ------
    FileNotFoundError
    SourceError
        It names the file and the line.
    """
    import ir_measures

    path, from_beir = Path(path), False
    judged: list[Any] = []
    with damage_named(path), open_maybe_gzip(path) as file:
        for number, line in lines_of(path, file):
            parts = line.split()
            if not parts:
                continue
            if not judged and parts == [b"query-id", b"corpus-id", b"score"]:
                from_beir = True
                continue
            if from_beir and len(parts) == 3:
                parts.insert(1, b"0")
            if b"\0" in line:                     # trec_eval would cut the docid there, and abort at two equal ones
                raise SourceError(f"{path}, line {number}: has a zero byte: not TREC qrels, or damaged ones")
            try:
                qid, iteration, docid, relevance = parts
                grade = int(relevance)
                if b"_" in relevance or abs(grade) > LARGEST_GRADE:
                    raise ValueError("a number that only Python takes, or too large")
                judged.append(ir_measures.Qrel(qid.decode(), docid.decode(), grade, iteration.decode()))
            except UnicodeDecodeError:
                raise
            except ValueError:
                raise SourceError(f"{path}, line {number}: not TREC qrels (qid 0 docid relevance, which is a whole number of"
                                  f" {-LARGEST_GRADE} to {LARGEST_GRADE})") from None
    if not judged:
        raise SourceError(f"{path}: no judgements: give TREC qrels (qid 0 docid relevance)")
    return judged


def measures_named(names: Iterable[str]) -> list[Any]:
    """Returns measures of ir-measures by name; raises ``ValueError`` for an unknown name."""
    import ir_measures

    measures = []
    for name in names:
        try:
            measures.append(ir_measures.parse_measure(name))
        except (NameError, ValueError, SyntaxError):
            raise ValueError(f"measure {name!r} is not one of ir-measures': give nDCG@10, for example") from None
    return measures


def measures_within(names: Iterable[str], hits: int) -> list[str]:
    """Returns the measures whose cut-off, if they have one, is at most ``hits``: R@1000 says nothing of ten hits."""
    return [name for name, measure in ((name, measures_named([name])[0]) for name in names)
            if measure.params.get("cutoff", 0) <= hits]


def evaluate(runs: Mapping[str, Run], judged: Sequence[Any], measures: Iterable[str] = MEASURES,
             judgements: str | Path = "the qrels") -> dict[str, Values]:
    """Evaluates runs.

    Queries are evaluated in batches, so that memory does not grow with the run.

    Parameters
    ----------
    runs : mapping of str to Run
    judged : sequence of ir_measures.Qrel
    measures : iterable of str
    judgements : str or Path
        Name of the qrels in error messages.

    Returns
    -------
    dict of str to Values
        The values of each run by measure and judged query; a judged query that a run lacks counts as an empty answer.

    Raises
    ------
    SourceError
        If no query of a run is judged.
    """
    parsed = measures_named(measures)
    by_query: dict[str, list[Any]] = {}
    for qrel in judged:
        by_query.setdefault(qrel.query_id, []).append(qrel)
    for qid, own in by_query.items():
        if max(qrel.relevance for qrel in own) < 0:        # trec_eval crashes: it counts from 0 to the largest
            by_query[qid] = [qrel._replace(relevance=0) for qrel in own]
    result: dict[str, Values] = {}
    for name, run in runs.items():
        if by_query.keys().isdisjoint(run.answers):
            raise SourceError(f"{judgements}: judges no query of {run.path}: give the qrels of its topics")
        result[name] = _values(run, by_query, parsed)
    return result


def _values(run: Run, by_query: Mapping[str, list[Any]], measures: Sequence[Any]) -> Values:
    import ir_measures

    values: Values = {str(measure): {} for measure in measures}
    qids = list(by_query)
    for first in range(0, len(qids), BATCH_QUERIES):
        batch = qids[first:first + BATCH_QUERIES]
        qrels = [qrel for qid in batch for qrel in by_query[qid]]
        for found in ir_measures.iter_calc(measures, qrels, list(_scored(run, batch))):
            values[str(found.measure)][found.query_id] = float(found.value)
    return values


def _scored(run: Run, qids: Sequence[str]) -> Iterator[Any]:
    import ir_measures

    for qid in qids:
        if qid in run.answers:
            for rank, (docid, score) in enumerate(run.ranking(qid), 1):
                yield ir_measures.ScoredDoc(qid, docid, float(score) if score is not None else -float(rank))


def averages(values: Values) -> dict[str, float]:
    """Returns a run's value of each measure over all judged queries, aggregated by ir-measures."""
    import ir_measures

    found = {}
    for name, by_query in values.items():
        aggregator = ir_measures.parse_measure(name).aggregator()
        for value in by_query.values():
            aggregator.add(value)
        found[name] = float(aggregator.result())
    return found


def paired(a: Values, b: Values) -> dict[str, dict[str, float | None]]:
    """Compares two runs by each measure.

    Returns
    -------
    dict
        By measure: the number of queries that B answers better, worse and equally well, the mean difference B - A, and
        ``p`` of a two-sided paired t-test by scipy; None if scipy is not installed or no query differs.
    """
    found: dict[str, dict[str, float | None]] = {}
    for measure, of_a in a.items():
        gains = [b[measure][qid] - value for qid, value in of_a.items() if qid in b[measure]]
        found[measure] = {"better": sum(gain > 0 for gain in gains), "worse": sum(gain < 0 for gain in gains),
                          "alike": sum(gain == 0 for gain in gains), "difference": math.fsum(gains) / max(1, len(gains)),
                          "p": _significance(gains)}
    return found


def _significance(gains: Sequence[float]) -> float | None:
    if not any(gains) or len(gains) < 2 or importlib.util.find_spec("scipy") is None:
        return None
    stats: Any = importlib.import_module("scipy.stats")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")              # about gains that are all equal
        p = float(stats.ttest_1samp(gains, 0.0).pvalue)
    return p if math.isfinite(p) else None
