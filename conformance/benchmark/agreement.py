"""Agreement of answers with a reference, and their effectiveness by qrels."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .engines import Answer


class Agreement:
    """Compares engines' answers with a reference's.

    Parameters
    ----------
    qids : sequence of str
    qrels : path, optional
        TREC qrels, for nDCG@10.
    passage_delimiter : str, optional
        The qrels judge documents, whose ids are the docids up to this delimiter; the best passage counts.
    """

    def __init__(self, qids: Sequence[str], qrels: Path | None = None, passage_delimiter: str | None = None) -> None:
        self._qids = qids
        self._delimiter = passage_delimiter
        self._judged: list[Any] | None = None
        if qrels is not None:
            from bmp_plugin.trec.evaluation import read_qrels

            self._judged = read_qrels(qrels)
        self._reference: dict[int, Sequence[Answer]] = {}

    def compare(self, answers: Sequence[Answer], k: int) -> dict[str, float]:
        """Compares answers with the reference, which is the first list of answers given for k.

        Returns
        -------
        dict
            Number of queries with the same ranking, and with the same scores too; mean share of the reference's documents that
            were found; nDCG@10 if there are qrels.
        """
        expected = self._reference.setdefault(k, answers)
        rankings = sum([docid for docid, _ in a] == [docid for docid, _ in b] for a, b in zip(answers, expected, strict=True))
        both = sum(a == b for a, b in zip(answers, expected, strict=True))
        found = {"same_ranking": rankings, "same_scores_too": both,
                 "overlap": float(np.mean([_overlap(a, b) for a, b in zip(answers, expected, strict=True)]))}
        if self._judged is not None:
            found["ndcg_10"] = self._ndcg(answers, self._judged)
        return found

    def _ndcg(self, answers: Sequence[Answer], judged: list[Any]) -> float:
        import ir_measures

        run = [ir_measures.ScoredDoc(qid, docid, -float(rank)) for qid, answer in zip(self._qids, answers, strict=True)
               for rank, docid in enumerate(self._documents(answer))]
        asked = set(self._qids)
        mine = [qrel for qrel in judged if qrel.query_id in asked]
        return float(ir_measures.calc_aggregate([ir_measures.nDCG @ 10], mine, run)[ir_measures.nDCG @ 10]) if mine else 0.0

    def _documents(self, answer: Answer) -> list[str]:
        docids = [docid for docid, _ in answer]
        if self._delimiter is not None:
            docids = [docid.split(self._delimiter)[0] for docid in docids]
        return list(dict.fromkeys(docids))


def _overlap(answer: Answer, expected: Answer) -> float:
    if not expected:
        return 1.0
    wanted = {docid for docid, _ in expected}
    return len(wanted & {docid for docid, _ in answer}) / len(wanted)
