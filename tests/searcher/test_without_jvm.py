"""Without a JVM, hence on any processor: answers on random collections are those of the oracle, those on Cranfield Lucene's."""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.document_source import VectorSource
from bmp_plugin.conformance.fuzz.__main__ import fuzz, main
from bmp_plugin.conformance.fuzz.case import Case, Question
from bmp_plugin.conformance.fuzz.check_case import failure_by_oracle
from bmp_plugin.searcher import bmp_searcher

CRANFIELD_HITS = "e1e91de1dabf8b56e9075c2ea92ff631b42f6e803b1cee012a686b8b58a8fe68"
"""SHA-256 of what LuceneImpactSearcher finds for the Cranfield queries of the tests, on an x86-64."""


def test_a_seeded_slice_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--oracle", "--seed", "8", "--cases", "10", "--seconds", "600"]) == 0
    assert "seed 8: 10 cases" in capsys.readouterr().out


def test_deleted_and_empty_documents_and_equal_docids_are_left_out() -> None:
    assert failure_by_oracle(Case([[("b", {"x": 3, "y": 1}), ("a", {"x": 3}), ("é", {})], [("b", {"y": 300}), ("c", {"y": 2})]],
                                  [Question({"x": 2**24 // 3, "y": 1}, 2), Question({"x": 0, "y": 0}, 9, -1.0)], ["c"])) is None


def test_a_score_that_is_rounded_differently_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    original = bmp_searcher.finish_hits

    def next_to_them(*arguments: Any) -> Any:
        hits = original(*arguments)
        for hit in hits:
            hit.score += 2.0 ** -20 * (hit.score > 2**10)
        return hits

    monkeypatch.setattr(bmp_searcher, "finish_hits", next_to_them)
    outcome = fuzz(8, 600, failure_by_oracle)
    assert outcome.smallest is not None
    assert list(map(len, outcome.smallest.segments)) == [1]
    names: dict[str, Any] = {}
    exec(outcome.smallest.as_test("rounding", "check_by_oracle"), names)
    with pytest.raises(AssertionError, match="rank 1"):
        names["test_rounding"]()
    monkeypatch.undo()
    names["test_rounding"]()


@pytest.mark.parametrize("reorder", ["none", "bp"])
def test_the_hits_of_cranfield_are_the_same_on_every_processor(reorder: str, cranfield_documents: Any, cranfield_queries: Any,
                                                               tmp_path: Path) -> None:
    source = VectorSource((document["id"], document["vector"]) for document in cranfield_documents)
    searcher = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", reorder=reorder, progress=False))
    digest = hashlib.sha256()
    for qid, hits in searcher.batch_search(list(cranfield_queries.values()), list(cranfield_queries), 1000).items():
        digest.update("".join(f"{qid} {hit.docid} {hit.score:f}\n" for hit in hits).encode())
    assert digest.hexdigest() == CRANFIELD_HITS
