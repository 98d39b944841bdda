"""Comparison of two runs: whether they give the same answers and, if not, how they differ."""
from __future__ import annotations

import filecmp
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SourceError
from .evaluation import MEASURES, averages, evaluate, paired, read_qrels
from .rank_differences import Difference, Kind, differences
from .rank_similarity import overlap, rank_biased_overlap
from .run_file import Run, read_run

DEPTHS = (10, 100, 1000)


@dataclass
class Comparison:
    """The result of :func:`compare`.

    Attributes
    ----------
    a, b : str
        Paths of the runs.
    byte_identical : bool
        Whether the files are equal byte for byte.
    queries, identical, equivalent : int
        Number of queries; of those with identical answers; of those with identical answers or harmless differences only.
    kinds : dict of Kind to int
        Number of queries by the kind of their first difference that is not harmless, else of their first difference.
    every_kind : dict of Kind to int
        Number of ranks that differ, over all queries, by kind.
    tolerance : float or None
        None if scores are compared as they are written.
    overlap : dict of int to float
        Mean share of A's first k documents that are among B's first k, by k.
    rank_biased_overlap : float
        Mean over queries, p = 0.9.
    differences : list of Difference
        The first difference, as in ``kinds``, of each of the worst queries, the worst first: those with a difference that is
        not harmless come before the others, then those of smaller rank-biased overlap, then those that differ at an earlier
        rank.
    measures : dict
        Measures of runs "a" and "b", if there are qrels.
    paired : dict
        See :func:`bmp_plugin.trec.evaluation.paired`.
    """

    a: str
    b: str
    byte_identical: bool
    queries: int
    identical: int
    equivalent: int
    kinds: dict[Kind, int]
    every_kind: dict[Kind, int]
    scores_compared: bool
    tolerance: float | None
    overlap: dict[int, float]
    rank_biased_overlap: float
    differences: list[Difference]
    measures: dict[str, dict[str, float]] = field(default_factory=dict)
    paired: dict[str, dict[str, float | None]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Tells whether all queries have the same answers: exactly, or up to harmless differences if a tolerance was given."""
        return (self.identical if self.tolerance is None else self.equivalent) == self.queries

    def as_dict(self) -> dict[str, Any]:
        """Returns the comparison for JSON output."""
        return {**asdict(self), "same": self.same}


def compare_runs(path_a: str | Path, path_b: str | Path, qrels: str | Path | None = None, max_shown: int = 5, *,
                 tolerance: float | None = None, depths: Sequence[int] = DEPTHS,
                 measures: Iterable[str] = MEASURES) -> Comparison:
    """Reads two runs and compares them, see :func:`compare`.

    Parameters
    ----------
    path_a, path_b : path
    qrels : path, optional
        TREC qrels, by which both runs are evaluated.
    max_shown, tolerance, depths, measures
        See :func:`compare`.

    Raises
    ------
    FileNotFoundError
    SourceError
        If a file is unusable, or a run is empty.
    """
    judged = None if qrels is None else read_qrels(qrels)
    return compare(read_run(path_a), read_run(path_b), judged, max_shown, tolerance=tolerance, depths=depths,
                   measures=measures, judgements=str(qrels))


def compare(a: Run, b: Run, judged: Sequence[Any] | None = None, max_shown: int = 5, *, tolerance: float | None = None,
            depths: Sequence[int] = DEPTHS, measures: Iterable[str] = MEASURES, judgements: str = "the qrels") -> Comparison:
    """Compares docids, their order and their scores as written, query by query; the run tag does not matter.

    If one of the runs is in MS MARCO format, which has no scores, only docids are compared. One query at a time is held in
    memory.

    Parameters
    ----------
    a, b : Run
    judged : list of ir_measures.Qrel, optional
        Qrels by which both runs are evaluated.
    max_shown : int
        Largest number of ``differences``; the counts cover all.
    tolerance : float, optional
        Scores that differ by at most this are equal, and documents with such scores are tied. By default, every difference
        as written counts.
    depths : sequence of int
        Cut-offs k of the overlap.
    measures : iterable of str
        Names of ir-measures.
    judgements : str
        Name of the qrels in error messages.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If the tolerance is negative.
    SourceError
        If a run is empty, or the qrels judge none of its queries.
    """
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}: give 0 or more")
    for run in (a, b):
        if not run.answers:
            raise SourceError(f"{run.path}: an empty run: nothing to compare")
    with_scores = a.run_format == b.run_format == "trec"
    qids = list(dict.fromkeys([*a.answers, *b.answers]))
    counted = _Counts(depths, max_shown)
    for qid in qids:
        if a.run_format == b.run_format and qid in a.answers and a.answers[qid] == b.answers.get(qid):
            counted.add_identical()
        else:
            counted.add(qid, a, b, tolerance or 0.0)
    found = Comparison(str(a.path), str(b.path), _same_bytes(a.path, b.path), len(qids), counted.identical, counted.equivalent,
                       counted.kinds, counted.every_kind, with_scores, tolerance,
                       {k: total / len(qids) for k, total in counted.overlap.items()},
                       counted.similarity / len(qids), counted.worst())
    if judged is not None:
        values = evaluate({"a": a, "b": b}, judged, measures, judgements)
        found.measures = {name: averages(of_run) for name, of_run in values.items()}
        found.paired = paired(values["a"], values["b"])
    return found


def _same_bytes(a: Path, b: Path) -> bool:
    return a.is_file() and b.is_file() and filecmp.cmp(a, b, shallow=False)       # a pipe cannot be read twice


class _Counts:
    def __init__(self, depths: Sequence[int], max_shown: int) -> None:
        self.identical = self.equivalent = 0
        self.kinds: dict[Kind, int] = {}
        self.every_kind: dict[Kind, int] = {}
        self.overlap = dict.fromkeys(depths, 0.0)
        self.similarity = 0.0
        self._differing: list[tuple[bool, float, int, int, Difference]] = []        # the sort key, and the difference
        self._max_shown = max_shown

    def add_identical(self) -> None:
        self.identical += 1
        self.equivalent += 1
        self.similarity += 1.0
        for k in self.overlap:
            self.overlap[k] += 1.0

    def add(self, qid: str, a: Run, b: Run, tolerance: float) -> None:
        if qid not in a.answers or qid not in b.answers:
            lacking = "no such query"
            self._differs(Difference(qid, "missing query", 0, "" if qid in a.answers else lacking,
                                     "" if qid in b.answers else lacking), 0.0)
            self._kind("missing query", 1)
            return
        ranking_a, ranking_b = list(a.ranking(qid)), list(b.ranking(qid))
        first: Difference | None = None
        for found in differences(qid, ranking_a, ranking_b, tolerance):
            self._kind(found.kind, 1)
            if first is None or (first.harmless and not found.harmless):
                first = found
        if first is None:
            self.add_identical()
            return
        self.equivalent += first.harmless
        docids_a, docids_b = [docid for docid, _ in ranking_a], [docid for docid, _ in ranking_b]
        similarity = rank_biased_overlap(docids_a, docids_b)
        self.similarity += similarity
        self._differs(first, similarity)
        for k in self.overlap:
            self.overlap[k] += overlap(docids_a, docids_b, k)

    def _kind(self, kind: Kind, ranks: int) -> None:
        self.every_kind[kind] = self.every_kind.get(kind, 0) + ranks

    def _differs(self, found: Difference, similarity: float) -> None:
        number = sum(self.kinds.values())
        self.kinds[found.kind] = self.kinds.get(found.kind, 0) + 1
        self._differing.append((found.harmless, similarity, found.rank, number, found))
        if len(self._differing) >= 2 * self._max_shown + 100:              # memory is bounded
            del self._sorted()[self._max_shown:]

    def _sorted(self) -> list[tuple[bool, float, int, int, Difference]]:
        self._differing.sort(key=lambda one: one[:4])
        return self._differing

    def worst(self) -> list[Difference]:
        """Returns the differences of the worst queries, the worst first."""
        return [one[4] for one in self._sorted()[:self._max_shown]]
