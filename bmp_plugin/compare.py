"""Two runs side by side: the same answers? And if not, where do they part first?"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from bmp_plugin.compressed import damage_named, open_maybe_gzip
from bmp_plugin.errors import SourceError
from bmp_plugin.run_file import Run, read_run

Kind = Literal["score", "order", "membership", "missing query"]
MEASURES = ("nDCG@10", "RR@10", "R@1000", "AP")


@dataclass
class Difference:
    """Where a query's answers part first.

    Attributes
    ----------
    kind : {"score", "order", "membership", "missing query"}
        At the first rank where they differ: the same document with another score; another document that the other run
        ranks elsewhere; a document that the other run does not have (or no document); or one run lacks the query.
    rank : int
        Counted from 1; 0 for a missing query.
    a, b : str
        What stands there, ``docid score``; empty if nothing does.
    """

    qid: str
    kind: Kind
    rank: int
    a: str
    b: str


@dataclass
class Comparison:
    """What :func:`compare_runs` found; ``identical`` counts queries."""

    a: str
    b: str
    queries: int
    identical: int
    kinds: dict[str, int]
    scores_compared: bool
    differences: list[Difference]
    measures: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether every query has the same answers."""
        return self.identical == self.queries

    def as_dict(self) -> dict[str, Any]:
        """For JSON output."""
        return {**asdict(self), "same": self.same}


def compare_runs(
    path_a: str | Path, path_b: str | Path, qrels: str | Path | None = None, max_shown: int = 5
) -> Comparison:
    """Compare docids, their order and their scores as written, query by query; the run tag does not matter.

    Where one of the runs is in MS MARCO format, which has no scores, only docids are compared. With ``qrels`` both are
    evaluated too. ``max_shown`` bounds ``differences``, not the counts.

    Errors: ``FileNotFoundError`` and SourceError for unusable files, empty runs included.
    """
    a, b = read_run(path_a), read_run(path_b)
    for run in (a, b):
        if not run.answers:
            raise SourceError(f"{run.path}: an empty run: nothing to compare")
    with_scores = a.run_format == b.run_format == "trec"
    qids = list(dict.fromkeys([*a.answers, *b.answers]))
    identical = 0
    kinds: dict[str, int] = {}
    differences: list[Difference] = []
    for qid in qids:
        if a.run_format == b.run_format and a.answers.get(qid) == b.answers.get(qid):
            identical += 1
            continue
        difference = _first_difference(qid, a, b, with_scores)
        if difference is None:
            identical += 1
            continue
        kinds[difference.kind] = kinds.get(difference.kind, 0) + 1
        if len(differences) < max_shown:
            differences.append(difference)
    measures = evaluate({"a": a, "b": b}, qrels) if qrels is not None else {}
    return Comparison(str(a.path), str(b.path), len(qids), identical, kinds, with_scores, differences, measures)


def _first_difference(qid: str, a: Run, b: Run, with_scores: bool) -> Difference | None:
    if qid not in a.answers or qid not in b.answers:
        lacking = "no such query"
        return Difference(qid, "missing query", 0, "" if qid in a.answers else lacking,
                          "" if qid in b.answers else lacking)
    ranking_a, ranking_b = list(a.ranking(qid)), list(b.ranking(qid))
    for rank, (hit_a, hit_b) in enumerate(zip_longest(ranking_a, ranking_b), 1):
        if hit_a == hit_b or (hit_a and hit_b and not with_scores and hit_a[0] == hit_b[0]):
            continue
        kind: Kind = "membership"
        if hit_a and hit_b:
            if hit_a[0] == hit_b[0]:
                kind = "score"
            elif any(hit_a[0] == docid for docid, _ in ranking_b) and any(hit_b[0] == docid for docid, _ in ranking_a):
                kind = "order"
        return Difference(qid, kind, rank, _shown(hit_a), _shown(hit_b))
    return None


def _shown(hit: tuple[str, str | None] | None) -> str:
    return " ".join(part for part in hit if part is not None) if hit else ""


def evaluate(runs: dict[str, Run], qrels: str | Path) -> dict[str, dict[str, float]]:
    """nDCG@10, RR@10, R@1000 and AP of each run, by ir-measures, averaged over the judged queries.

    Errors: ``FileNotFoundError``; SourceError if the qrels are malformed or judge no query of a run.
    """
    import ir_measures

    judged = read_qrels(qrels)
    judged_qids = {qrel.query_id for qrel in judged}
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    result = {}
    for name, run in runs.items():
        if judged_qids.isdisjoint(run.answers):
            raise SourceError(f"{qrels}: judges no query of {run.path}: give the qrels of its topics")
        values = ir_measures.calc_aggregate(measures, judged, list(_scored(run, judged_qids)))
        result[name] = {str(measure): float(values[measure]) for measure in measures}
    return result


def read_qrels(path: str | Path) -> list[Any]:
    """Read TREC qrels (``qid 0 docid relevance``), plain or gzipped, as ``ir_measures.Qrel``.

    Errors: ``FileNotFoundError``; SourceError naming file and line.
    """
    import ir_measures

    path, judged = Path(path), []
    with damage_named(path), open_maybe_gzip(path) as file:
        for number, line in enumerate(file, 1):
            parts = line.decode().split()
            if not parts:
                continue
            try:
                qid, iteration, docid, relevance = parts
                judged.append(ir_measures.Qrel(qid, docid, int(relevance), iteration))
            except ValueError:
                raise SourceError(f"{path}, line {number}: not TREC qrels (qid 0 docid relevance)") from None
    if not judged:
        raise SourceError(f"{path}: no judgements: give TREC qrels (qid 0 docid relevance)")
    return judged


def _scored(run: Run, qids: set[str]) -> Iterator[Any]:
    import ir_measures

    for qid in run.answers:
        if qid in qids:
            for rank, (docid, score) in enumerate(run.ranking(qid), 1):
                yield ir_measures.ScoredDoc(qid, docid, float(score) if score is not None else -float(rank))
