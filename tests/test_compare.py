"""Two runs compared: what counts as the same, and where they part first."""
from __future__ import annotations

from pathlib import Path

import pytest

from bmp_plugin.compare import Difference, compare_runs
from bmp_plugin.errors import SourceError

BASE = {"1": [("a", "3.0"), ("b", "2.0"), ("c", "1.0")], "2": [("x", "9.5")]}
Ranking = list[tuple[str, str]]


def trec(path: Path, run: dict[str, Ranking], tag: str = "t") -> Path:
    path.write_text("".join(
        f"{qid} Q0 {docid} {rank} {score} {tag}\n"
        for qid, ranking in run.items()
        for rank, (docid, score) in enumerate(ranking, 1)
    ))
    return path


def compared(tmp_path: Path, other: dict[str, Ranking], **options: int) -> tuple[int, dict[str, int], list[Difference]]:
    found = compare_runs(trec(tmp_path / "a", BASE), trec(tmp_path / "b", other), **options)
    assert found.same == (found.identical == found.queries) == (not found.kinds)
    return found.identical, found.kinds, found.differences


def test_the_same(tmp_path: Path) -> None:
    assert compared(tmp_path, BASE) == (2, {}, [])
    trec(tmp_path / "c", dict(reversed(BASE.items())), tag="other")
    assert compare_runs(tmp_path / "a", tmp_path / "c").same, "the tag and the order of queries are not answers"


@pytest.mark.parametrize(
    ("ranking", "kind", "rank", "a", "b"),
    [
        ([("a", "3.0"), ("b", "2.000001"), ("c", "1.0")], "score", 2, "b 2.0", "b 2.000001"),
        ([("a", "3.0"), ("b", "2.00"), ("c", "1.0")], "formatting", 2, "b 2.0", "b 2.00"),
        ([("b", "3.0"), ("a", "2.0"), ("c", "1.0")], "order", 1, "a 3.0", "b 3.0"),
        ([("a", "3.0"), ("b", "2.0"), ("d", "1.0")], "cut-off", 3, "c 1.0", "d 1.0"),
        ([("a", "3.0"), ("b", "2.0"), ("d", "1.5")], "missing document", 3, "c 1.0", "d 1.5"),
        ([("a", "3.0"), ("d", "2.0"), ("b", "1.0")], "extra document", 2, "b 2.0", "d 2.0"),
        ([("a", "3.0"), ("b", "2.0")], "missing document", 3, "c 1.0", ""),
        ([("a", "3.0"), ("b", "2.0"), ("c", "1.0"), ("d", "0.5")], "extra document", 4, "", "d 0.5"),
    ],
)
def test_first_difference(tmp_path: Path, ranking: Ranking, kind: str, rank: int, a: str, b: str) -> None:
    identical, kinds, differences = compared(tmp_path, {**BASE, "1": ranking})
    assert (identical, kinds) == (1, {kind: 1})
    assert differences == [Difference("1", kind, rank, a, b)]  # type: ignore[arg-type]


def test_missing_query_on_either_side(tmp_path: Path) -> None:
    identical, kinds, differences = compared(tmp_path, {"1": BASE["1"], "3": BASE["2"]})
    assert (identical, kinds) == (1, {"missing query": 2})
    assert [(found.qid, found.rank, bool(found.a), bool(found.b)) for found in differences] == [
        ("2", 0, False, True), ("3", 0, True, False)
    ]


def test_shown_are_bounded(tmp_path: Path) -> None:
    other = {str(number): BASE["2"] for number in range(100, 150)}
    _, kinds, differences = compared(tmp_path, other, max_shown=3)
    assert kinds == {"missing query": 52}
    assert len(differences) == 3


def test_msmarco_has_no_scores(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("1\ta\t1\n1\tb\t2\n1\tc\t3\n2\tx\t1\n")
    found = compare_runs(trec(tmp_path / "a", BASE), tmp_path / "m")
    assert found.same
    assert not found.scores_compared
    (tmp_path / "m").write_text("1\ta\t1\n1\tc\t2\n1\tb\t3\n2\tx\t1\n")
    assert compare_runs(tmp_path / "a", tmp_path / "m").kinds == {"order": 1}


def test_measures_are_those_of_ir_measures(tmp_path: Path) -> None:
    import ir_measures
    from ir_measures import AP, RR, R, nDCG

    qrels = tmp_path / "qrels"
    qrels.write_text("1 0 b 2\n1 0 z 1\n2 0 x 1\n3 0 y 1\n")
    other = {**BASE, "1": [("b", "3.0"), ("a", "2.0")]}
    found = compare_runs(trec(tmp_path / "a", BASE), trec(tmp_path / "b", other), qrels)
    measures = [nDCG @ 10, RR @ 10, R @ 1000, AP]
    for name in ("a", "b"):
        expected = ir_measures.calc_aggregate(
            measures, ir_measures.read_trec_qrels(str(qrels)), ir_measures.read_trec_run(str(tmp_path / name))
        )
        assert found.measures[name] == {str(measure): expected[measure] for measure in measures}
    assert found.measures["b"]["RR@10"] > found.measures["a"]["RR@10"]


@pytest.mark.parametrize(
    ("qrels", "said"),
    [
        ("1 0 b\n", "line 1: not TREC qrels"),
        ("1 0 b high\n", "line 1: not TREC qrels"),
        ("", "no judgements"),
        ("9 0 a 1\n", "judges no query of"),
    ],
)
def test_refused_qrels(tmp_path: Path, qrels: str, said: str) -> None:
    (tmp_path / "qrels").write_text(qrels)
    with pytest.raises(SourceError, match=said):
        compare_runs(trec(tmp_path / "a", BASE), tmp_path / "a", tmp_path / "qrels")


def test_unusable_runs(tmp_path: Path) -> None:
    trec(tmp_path / "a", BASE)
    with pytest.raises(FileNotFoundError):
        compare_runs(tmp_path / "a", tmp_path / "nope")
    (tmp_path / "empty").write_text("")
    with pytest.raises(SourceError, match="empty run"):
        compare_runs(tmp_path / "a", tmp_path / "empty")


def test_large_runs_take_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    trec(tmp_path / "a", {str(q): [(f"doc{d}", "1.000000") for d in range(1000)] for q in range(100)})
    tracemalloc.start()
    assert compare_runs(tmp_path / "a", tmp_path / "a").same
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 100_000, "a run shall not be held as objects: less than 100 bytes a line"
