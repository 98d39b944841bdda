"""Comparison of two runs: what counts as the same, and their first difference."""
from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from bmp_plugin.cli import main
from bmp_plugin.errors import SourceError
from bmp_plugin.trec import run_file
from bmp_plugin.trec.evaluation import evaluate, read_qrels
from bmp_plugin.trec.rank_differences import HARMLESS, Difference
from bmp_plugin.trec.rank_similarity import rank_biased_overlap
from bmp_plugin.trec.run_comparison import compare, compare_runs
from bmp_plugin.trec.run_file import read_run

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
    ("qrels", "message"),
    [
        ("1 0 b\n", "line 1: not TREC qrels"),
        ("1 0 b high\n", "line 1: not TREC qrels"),
        ("", "no judgements"),
        ("9 0 a 1\n", "judges no query of"),
    ],
)
def test_refused_qrels(tmp_path: Path, qrels: str, message: str) -> None:
    (tmp_path / "qrels").write_text(qrels)
    with pytest.raises(SourceError, match=message):
        compare_runs(trec(tmp_path / "a", BASE), tmp_path / "a", tmp_path / "qrels")


def test_unusable_runs(tmp_path: Path) -> None:
    trec(tmp_path / "a", BASE)
    with pytest.raises(FileNotFoundError):
        compare_runs(tmp_path / "a", tmp_path / "nope")
    (tmp_path / "empty").write_text("")
    with pytest.raises(SourceError, match="empty run"):
        compare_runs(tmp_path / "a", tmp_path / "empty")


@pytest.mark.system
def test_large_runs_take_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    trec(tmp_path / "a", {str(q): [(f"doc{d}", "1.000000") for d in range(1000)] for q in range(100)})
    tracemalloc.start()
    assert compare_runs(tmp_path / "a", tmp_path / "a").same
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 100_000, "a run must not be held as objects: less than 100 bytes per line"


LONG = [(f"d{i}", f"{30 - i}.000000") for i in range(20)]


@pytest.mark.parametrize(
    ("a", "b", "kinds"),
    [
        # Anserini's tie adjustment puts 1e-6 between documents of one score
        ([("x", "5.0"), ("y", "4.999999"), ("z", "1.0")], [("y", "5.0"), ("x", "4.999999"), ("z", "1.0")], {"tie order": 1}),
        ([("x", "5.0"), ("y", "5.0"), ("z", "5.0")], [("z", "5.0"), ("x", "5.0"), ("y", "5.0")], {"tie order": 1}),
        ([("x", "5.0"), ("y", "4.0"), ("z", "1.0")], [("y", "5.0"), ("x", "4.0"), ("z", "1.0")], {"order": 1}),
        ([("x", "9.0"), ("y", "1.0"), ("z", "1.0")], [("x", "9.0"), ("z", "1.0"), ("w", "1.0")], {"cut-off": 1}),
        ([("x", "9.0"), ("y", "1.0")], [("x", "9.0"), ("w", "1.5")], {"missing document": 1}),
        ([("x", "5e0")], [("x", "5.000")], {"formatting": 1}),
        # from 2^18 on, a step of float32 is more than tie adjustment ever takes off
        ([("x", "16777218.0"), ("y", "16777216.0")], [("y", "16777218.0"), ("x", "16777216.0")], {"order": 1}),
    ],
)
def test_kinds(tmp_path: Path, a: Ranking, b: Ranking, kinds: dict[str, int]) -> None:
    found = compare_runs(trec(tmp_path / "a", {"1": a}), trec(tmp_path / "b", {"1": b}))
    assert found.kinds == kinds
    assert not found.same
    assert found.equivalent == (next(iter(kinds)) in HARMLESS)


def test_tolerance(tmp_path: Path) -> None:
    ours = trec(tmp_path / "a", {"1": LONG, "2": [("x", "5.0"), ("y", "4.9995"), ("z", "1.0")]})
    theirs = trec(tmp_path / "b", {"1": [(docid, f"{float(score) + 0.0004:.4f}") for docid, score in LONG],
                                   "2": [("y", "5.0"), ("x", "4.9996"), ("w", "1.0001")]})
    strict, lenient = compare_runs(ours, theirs), compare_runs(ours, theirs, tolerance=0.001)
    assert strict.kinds == {"score": 1, "order": 1}
    assert (lenient.same, lenient.identical, lenient.equivalent) == (True, 1, 2)
    assert lenient.kinds == {"tie order": 1}
    assert lenient.every_kind == {"tie order": 2, "cut-off": 1}
    assert not compare_runs(ours, theirs, tolerance=0.0001).same
    real = trec(tmp_path / "c", {"1": [LONG[1], LONG[0], *LONG[2:]], "2": [("y", "5.0"), ("x", "4.9996"), ("w", "1.0001")]})
    found = compare_runs(ours, real, tolerance=0.001)
    assert (found.same, found.kinds) == (False, {"order": 1, "tie order": 1})
    with pytest.raises(ValueError, match="tolerance"):
        compare_runs(ours, theirs, tolerance=-1.0)


def test_real_differences_come_before_harmless_ones(tmp_path: Path) -> None:
    found = compare_runs(trec(tmp_path / "a", {"1": [("x", "5.0"), ("y", "5.0"), ("z", "2.0"), ("w", "1.0")]}),
                         trec(tmp_path / "b", {"1": [("y", "5.0"), ("x", "5.0"), ("w", "2.0"), ("z", "1.0")]}))
    assert (found.kinds, found.differences[0].rank) == ({"order": 1}, 3)


def test_similarity(tmp_path: Path) -> None:
    found = compare_runs(trec(tmp_path / "a", {"1": LONG, "2": LONG}),
                         trec(tmp_path / "b", {"1": LONG, "2": [("e", "99.0"), *LONG[:-1]]}), depths=(1, 10, 50))
    assert found.overlap == {1: 0.5, 10: pytest.approx(0.95), 50: pytest.approx(0.975)}
    assert 0.8 < found.rank_biased_overlap < 1.0


def naive_rbo(a: list[str], b: list[str], p: float, depth: int) -> float:
    """The definition, to a depth where the rest is negligible: agreement at ever greater depths, weighted (1 - p) p^(d-1)."""
    return sum((1 - p) * p ** (d - 1) * len(set(a[:d]) & set(b[:d])) / d for d in range(1, depth + 1))


def test_rank_biased_overlap() -> None:
    rng = np.random.default_rng(1)
    assert rank_biased_overlap([], []) == rank_biased_overlap(["a"], ["a"]) == 1.0
    assert rank_biased_overlap(["a"], []) == rank_biased_overlap(["a"], ["b"]) == 0.0
    for p in (0.5, 0.9):
        a, b = ([f"d{i}" for i in rng.permutation(400)] for _ in range(2))
        assert rank_biased_overlap(a, b, p) == pytest.approx(naive_rbo(a, b, p, 400), abs=1e-6)
        assert rank_biased_overlap(a, b, p) == rank_biased_overlap(b, a, p)
    # lists of different lengths, equation 32 written out for s = 1, l = 3: X = 1, 1, 1
    p = 0.9
    expected = (1 - p) / p * (p + p**2 / 2 + p**3 / 3 + p**2 * 1 * 1 / 2 + p**3 * 1 * 2 / 3) + ((1 - 1) / 3 + 1) * p**3
    assert rank_biased_overlap(["a", "b", "c"], ["a"], p) == pytest.approx(expected) == pytest.approx(1.0)


def test_paired_differences_and_significance(tmp_path: Path) -> None:
    from scipy.stats import ttest_rel

    qids = [str(i) for i in range(12)]
    (tmp_path / "qrels").write_text("".join(f"{qid} 0 d{int(qid) % 4} 1\n" for qid in qids))
    a = trec(tmp_path / "a", dict.fromkeys(qids, LONG))
    better = {qid: [(f"d{int(qid) % 4}", "99.0"), *(hit for hit in LONG if hit[0] != f"d{int(qid) % 4}")] for qid in qids}
    b = trec(tmp_path / "b", {qid: LONG if int(qid) % 3 else better[qid] for qid in qids})
    found = compare_runs(a, b, tmp_path / "qrels")
    values = [evaluate({"x": read_run(run)}, read_qrels(tmp_path / "qrels"))["x"]["RR@10"] for run in (a, b)]
    pair = found.paired["RR@10"]
    gains = [values[1][qid] - values[0][qid] for qid in qids]
    assert (pair["better"], pair["worse"], pair["alike"]) == (3, 0, 9)  # of queries 0, 3, 6 and 9, the first was right before
    assert pair["difference"] == pytest.approx(np.mean(gains)) == pytest.approx(
        found.measures["b"]["RR@10"] - found.measures["a"]["RR@10"])
    assert pair["p"] == pytest.approx(ttest_rel(list(values[1].values()), list(values[0].values())).pvalue)
    assert found.paired["R@1000"]["p"] is None


def test_gzipped_runs_that_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_file, "MEMORY_BYTES", 1000)
    plain = trec(tmp_path / "a", {str(q): LONG for q in range(50)})
    (tmp_path / "a.gz").write_bytes(gzip.compress(plain.read_bytes()))
    shuffled = sorted(plain.read_text().splitlines(keepends=True), key=lambda line: int(line.split()[3]))
    (tmp_path / "b").write_text("".join(shuffled))
    for other in ("a.gz", "b"):
        found = compare_runs(plain, tmp_path / other)
        assert found.same
        assert not found.byte_identical
    assert compare_runs(plain, plain).byte_identical
    assert read_run(tmp_path / "b").answers == read_run(plain).answers


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = trec(tmp_path / "a", BASE)
    b = trec(tmp_path / "b", {**BASE, "1": [("a", "3.0"), ("b", "2.0001"), ("d", "1.0")]})
    assert main(["compare", str(a), str(b)]) == 1
    output = capsys.readouterr().out
    assert "query 1: score at rank 2: A b 2.0 | B b 2.0001" in output
    assert "rank-biased overlap" in output
    assert main(["compare", str(a), str(b), "--tolerance", "0.001", "--output", str(tmp_path / "out")]) == 0
    assert "1 more differ harmlessly" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["same"]
    assert report["comparisons"][0]["differing"][0]["kind"] == "cut-off"
    assert str(tmp_path) not in json.dumps(report)
    assert "The same answers." in (tmp_path / "out" / "report.html").read_text()
    assert main(["compare", str(a), str(b), "--tolerance", "nan"]) == 2


def test_qrels_of_a_local_dataset(tmp_path: Path) -> None:
    """Reads ``ir_datasets:ID`` of a dataset that was created with ir_datasets' API."""
    import ir_datasets
    from ir_datasets.datasets.base import Dataset
    from ir_datasets.formats import TrecQrels, TsvQueries
    from ir_datasets.util import LocalDownload

    from bmp_plugin.adapters.host.topics_and_qrels import open_qrels, open_topics

    (tmp_path / "qrels").write_text("1 0 b 2\n2 0 x 1\n")
    (tmp_path / "queries.tsv").write_text("2\tsecond query\n1\tfirst query\n")
    name = f"bmp-plugin-test-{tmp_path.name}"
    ir_datasets.registry.register(name, Dataset(
        TsvQueries(LocalDownload(tmp_path / "queries.tsv")), TrecQrels(LocalDownload(tmp_path / "qrels"), {1: "", 2: ""})))
    topics = open_topics(f"ir_datasets:{name}")
    assert topics.queries == [("2", "second query"), ("1", "first query")]
    assert not topics.encoded
    assert [tuple(qrel)[:3] for qrel in open_qrels(f"ir_datasets:{name}")] == [("1", "b", 2), ("2", "x", 1)]
    found = [compare(read_run(trec(tmp_path / "a", BASE)), read_run(tmp_path / "a"), judged).measures
             for judged in (open_qrels(f"ir_datasets:{name}"), open_qrels(str(tmp_path / "qrels")))]
    assert found[0] == found[1]
    with pytest.raises(SourceError, match="has no such id"):
        open_qrels("ir_datasets:no-such-thing")


def test_qrels_with_a_byte_order_mark_and_of_beir(tmp_path: Path) -> None:
    from bmp_plugin.trec.evaluation import read_qrels

    (tmp_path / "plain").write_bytes(b"1 0 a 2\n1 0 b 0\n")
    (tmp_path / "mark").write_bytes(b"\xef\xbb\xbf1 0 a 2\r\n1 0 b 0\r\n\r\n")
    (tmp_path / "beir.tsv").write_bytes(b"query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n")
    plain = read_qrels(tmp_path / "plain")
    assert [(qrel.query_id, qrel.doc_id, qrel.relevance) for qrel in plain] == [("1", "a", 2), ("1", "b", 0)]
    assert read_qrels(tmp_path / "mark") == read_qrels(tmp_path / "beir.tsv") == plain
