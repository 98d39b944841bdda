"""Answers on random collections are those of the oracle: the part of the fuzzer that needs no JVM, for any processor."""
from __future__ import annotations

from typing import Any

import pytest

from bmp_plugin.conformance.fuzz.__main__ import fuzz, main
from bmp_plugin.conformance.fuzz.case import Case, Question
from bmp_plugin.conformance.fuzz.check_case import failure_by_oracle
from bmp_plugin.searcher import bmp_searcher


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
