"""Details of a query whose answers differ: both rankings side by side around the difference, and explained scores."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from ..trec.rank_differences import Difference, Ranking
from ..trec.run_file import Run

BEFORE, AFTER = 3, 6           # ranks shown around the first difference
EXPLAINED = 6                  # documents explained per query

Explain = Callable[[str, str], dict[str, Any]]       # (query id, docid) to the engines' explanations


def detail(found: Difference, a: Run, b: Run, explain: Explain | None = None) -> dict[str, Any]:
    """Returns the difference with ``rows``, one per rank, and ``explanations`` of documents in rows that differ."""
    lists = [list(run.ranking(found.qid)) if found.qid in run.answers else [] for run in (a, b)]
    first = max(0, found.rank - 1 - BEFORE)
    last = min(max(map(len, lists)), max(1, found.rank) + AFTER)
    rows = [_row(i, *lists) for i in range(first, last)]
    explanations = []
    if explain is not None:
        docids = [row[side] for row in rows if not row["same"] for side in ("a_docid", "b_docid") if row[side] is not None]
        explanations = [explain(found.qid, docid) for docid in list(dict.fromkeys(docids))[:EXPLAINED]]
    return {**asdict(found), "hits": [len(ranking) for ranking in lists], "rows": rows, "explanations": explanations}


def _row(i: int, a: Ranking, b: Ranking) -> dict[str, Any]:
    (a_docid, a_score), (b_docid, b_score) = _at(a, i), _at(b, i)
    return {"rank": i + 1, "a_docid": a_docid, "a_score": a_score, "b_docid": b_docid, "b_score": b_score,
            "same": (a_docid, a_score) == (b_docid, b_score)}


def _at(ranking: Sequence[tuple[str, str | None]], i: int) -> tuple[str | None, str | None]:
    return ranking[i] if i < len(ranking) else (None, None)
