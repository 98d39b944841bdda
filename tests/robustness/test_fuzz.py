"""The fuzzer finds no difference for a while, finds planted bugs, and minimizes them to printable tests."""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from bmp_plugin.conformance.fuzz.__main__ import fuzz, main
from bmp_plugin.conformance.fuzz.case import Case, Question, draw
from bmp_plugin.conformance.fuzz.check_case import check, failure
from bmp_plugin.conformance.fuzz.shrink import fewest, shrink

pytestmark = pytest.mark.usefixtures("host")
SEED = 20


def test_a_seeded_slice_is_clean(capsys: Any) -> None:
    assert main(["--seed", str(SEED), "--cases", "12", "--seconds", "60"]) == 0
    assert "no difference" in capsys.readouterr().out


def test_draws_adversarial_cases() -> None:
    cases = [draw(np.random.default_rng([1, i])) for i in range(100)]
    assert cases[:10] == [draw(np.random.default_rng([1, i])) for i in range(10)]
    vectors = [[vector for segment in case.segments for _, vector in segment] for case in cases]
    questions = [question for case in cases for question in case.questions]
    assert {case.block_size for case in cases} == {1, 2, 4, 8, 16, 32, 64, 128, 256}
    assert {case.reorder for case in cases} == {"none", "bp"}
    assert max(len(case.segments) for case in cases) >= 4
    assert sum(bool(case.deleted) for case in cases) > 15
    assert any({} in some for some in vectors), "empty documents"
    assert any(len(some) == 1 for some in vectors)
    assert any(not docid.isascii() for docid, _ in cases[0].segments[0] + cases[1].segments[0])
    assert any(len(some) > 20 and len({frozenset(v.items()) for v in some}) <= 3 for some in vectors), "ties everywhere"
    assert any(0 in question.query.values() for question in questions)
    sums = [sum(weight * max((vector.get(token, 0) for vector in some), default=0) for token, weight in question.query.items())
            for case, some in zip(cases, vectors, strict=True) for question in case.questions]
    assert sum(abs(total - 2**24) < 2**18 for total in sums) > 6


def planted(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Our searcher with its hits modified by ``change`` before they are returned."""
    from bmp_plugin.searcher import bmp_searcher as searcher

    original = searcher.finish_hits
    monkeypatch.setattr(searcher, "finish_hits", lambda *arguments: change(original(*arguments)))


def documents(case: Case) -> list[Any]:
    return [document for segment in case.segments for document in segment]


def reverse_ties(hits: list[Any]) -> list[Any]:
    for one, other in itertools.pairwise(hits):
        if one.score - other.score < 1e-5:
            one.docid, other.docid = other.docid, one.docid
            one.lucene_docid, other.lucene_docid = other.lucene_docid, one.lucene_docid
            break
    return hits


def round_large(hits: list[Any]) -> list[Any]:
    for hit in hits:
        if hit.score > 2**14:
            hit.score = float(np.float32(hit.score) - np.float32(1))
    return hits


@pytest.mark.parametrize(("change", "most_documents", "most_tokens"), [(reverse_ties, 3, 1), (round_large, 2, 2)])
def test_planted_bugs_are_found_and_minimized(change: Any, most_documents: int, most_tokens: int,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, change)
    outcome = fuzz(SEED, 120, failure)
    assert outcome.smallest is not None
    case = outcome.smallest
    assert len(documents(case)) <= most_documents
    assert (len(case.questions), len(case.deleted), len(case.segments)) == (1, 0, 1)
    assert len(case.questions[0].query) <= most_tokens
    assert failure(case) is not None
    monkeypatch.undo()
    assert failure(case) is None, "the failure is the planted one"
    text = case.as_test("planted")
    names: dict[str, Any] = {}
    exec(compile(text, "test_planted.py", "exec"), names)
    names["test_planted"]()                                     # clean without the bug
    planted(monkeypatch, change)
    with pytest.raises(AssertionError, match="Lucene has"):
        names["test_planted"]()


def test_ddmin() -> None:
    tried = []

    def fails(some: list[int]) -> bool:
        tried.append(some)
        return {3, 77} <= set(some)

    assert fewest(range(100), fails) == [3, 77]
    assert len(tried) < 100
    assert fewest([1, 2, 3], lambda some: True) == []
    assert fewest([1, 2, 3], lambda some: len(some) == 3) == [1, 2, 3]


def test_shrinking_keeps_the_failure() -> None:
    case = draw(np.random.default_rng([7, 3]))
    asked = {token for question in case.questions if question.k > 1 for token in question.query}
    token = min(asked & {token for _, vector in documents(case) for token in vector})

    def fails(some: Case) -> bool:
        held = any(token in vector for _, vector in documents(some))
        return held and any(token in question.query and question.k > 1 for question in some.questions)

    small = shrink(case, fails)
    assert [(set(question.query), question.k) for question in small.questions] == [({token}, 2)]
    assert len(documents(small)) == 1


def test_regressions() -> None:
    """The cases that earlier fuzzing examined most closely."""
    check(Case([[("b", {"x": 3, "y": 1}), ("a", {"x": 3}), ("é", {"y": 2})], [("Z", {"x": 3}), ("c", {})]],
               [Question({"x": 2**24 // 3, "y": 1}, 2), Question({"x": 0, "y": 0}, 9, -1.0), Question({}, 1)], ["a"], 1, "bp"))
