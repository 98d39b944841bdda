"""Hybrid search: our runs can be fused with dense ones, by Pyserini's methods and by a convex combination of scores."""
from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin.cli import main
from bmp_plugin.conformance.hybrid import dense_run, read_corpus, reciprocal_rank, sparse_run
from bmp_plugin.trec.evaluation import averages, evaluate, read_qrels
from bmp_plugin.trec.fusion import fuse, fuse_runs, normalized
from bmp_plugin.trec.run_file import read_run
from bmp_plugin.trec.topics import read_topics

DATA = Path(str(resources.files("bmp_plugin.demo")))
QRELS = DATA / "cranfield_qrels.txt"
Ranking = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of Cranfield, (sparse, dense), with 100 hits per query."""
    folder = tmp_path_factory.mktemp("runs")
    corpus, topics = read_corpus(DATA / "cranfield_docs.jsonl.gz"), read_topics(DATA / "cranfield_queries.jsonl.gz")
    sparse_run(corpus, topics, folder / "i.bmp", folder / "sparse.txt", 100)
    dense_run(corpus, topics, folder / "dense.txt", 100, dimensions=64)
    return folder / "sparse.txt", folder / "dense.txt"


def scores(path: Path) -> Ranking:
    run = read_run(path)
    return {qid: {docid: float(score) for docid, score in run.ranking(qid)} for qid in run.answers}


class TestDefinition:
    def test_min_max(self) -> None:
        assert normalized({"a": 3.0, "b": 1.0, "c": 2.0}) == {"a": 1.0, "b": 0.0, "c": 0.5}
        assert normalized({"a": 3.0, "b": 3.0}) == {"a": 1.0, "b": 1.0}
        assert normalized({}) == {}

    def test_theoretical_minimum(self) -> None:
        assert normalized({"a": 4.0, "b": 1.0}, 0.0) == {"a": 1.0, "b": 0.25}
        assert normalized({"a": 0.5, "b": -0.25}, -1.0) == {"a": 1.0, "b": 0.5}
        assert normalized({"a": 0.0}, 0.0) == {"a": 1.0}
        with pytest.raises(ValueError, match="score -2 is below -1"):
            normalized({"a": -2.0}, -1.0)

    def test_absent_documents_add_nothing_and_ties_are_by_docid(self) -> None:
        fused = fuse([{"a": 4.0, "b": 2.0}, {"c": 0.5, "é": 0.5, "z": -1.0}], [0.6, 0.4], [0.0, -1.0])
        assert [(hit.docid, round(hit.score, 9)) for hit in fused] == [
            ("a", 0.6), ("c", 0.4), ("é", 0.4), ("b", 0.3), ("z", 0.0)]


class TestRuns:
    @pytest.mark.parametrize("minima", [None, [0.0, -1.0], [None, -1.0]])
    def test_every_score(self, runs: tuple[Path, Path], minima: Any) -> None:
        fused = fuse_runs(runs, [3, 1], minima, k=50)
        sparse, dense = map(scores, runs)
        assert list(fused) == list(sparse)
        for qid in list(fused)[::20]:
            low = minima or [None, None]
            parts = [(of[qid], min(of[qid].values()) if least is None else least, weight)
                     for of, least, weight in ((sparse, low[0], 0.75), (dense, low[1], 0.25))]
            expected = {docid: sum(weight * (part[docid] - least) / (max(part.values()) - least)
                                   for part, least, weight in parts if docid in part)
                        for docid in {*sparse[qid], *dense[qid]}}
            best = sorted(expected.items(), key=lambda item: (-item[1], item[0].encode()))[:50]
            assert [hit.docid for hit in fused[qid]] == [docid for docid, _ in best]
            assert [hit.score for hit in fused[qid]] == pytest.approx([score for _, score in best])

    def test_better_than_either(self, runs: tuple[Path, Path], tmp_path: Path) -> None:
        assert main(["fuse", *map(str, runs), "--weights", "0.6", "0.4", "--minima", "0", "-1", "--output",
                     str(tmp_path / "hybrid.txt"), "--quiet"]) == 0
        found = evaluate({"sparse": read_run(runs[0]), "dense": read_run(runs[1]),
                          "hybrid": read_run(tmp_path / "hybrid.txt")}, read_qrels(QRELS))
        measured = {name: averages(values) for name, values in found.items()}
        assert measured["hybrid"]["nDCG@10"] > max(measured["sparse"]["nDCG@10"], measured["dense"]["nDCG@10"]) + 0.01

    def test_queries_of_one_run_only(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("1 Q0 x 1 5.0 a\n2 Q0 x 1 5.0 a\n")
        (tmp_path / "b").write_text("2 Q0 y 1 0.5 b\n3 Q0 y 1 0.5 b\n")
        fused = fuse_runs([tmp_path / "a", tmp_path / "b"])
        assert {qid: [hit.docid for hit in hits] for qid, hits in fused.items()} == {"1": ["x"], "2": ["x", "y"], "3": ["y"]}

    @pytest.mark.parametrize(("arguments", "message"), [
        (["a"], "1 run: give two or more"), (["a", "b", "--weights", "1"], "weights: there are 1 for 2 runs"),
        (["a", "b", "--weights", "0", "0"], "not all 0"), (["a", "b", "--weights", "1", "-1"], "at least 0"),
        (["a", "b", "--minima", "0", "none"], "--minima none: give a number, or min"),
        (["a", "b", "--minima", "6", "min"], "query 1: score 5 is below 6"), (["a", "msmarco"], "no scores to combine"),
        (["a", "twice"], "document x occurs twice"), (["a", "nowhere"], "nowhere"),
    ])
    def test_refused(self, arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                     capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.chdir(tmp_path)
        Path("a").write_text("1 Q0 x 1 5.0 a\n")
        Path("b").write_text("1 Q0 x 1 5.0 a\n")
        Path("msmarco").write_text("1\tx\t1\n")
        Path("twice").write_text("1 Q0 x 1 5.0 a\n1 Q0 x 2 4.0 a\n")
        assert main(["fuse", *arguments, "--output", "fused"]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert not Path("fused").exists()


class TestPyserini:
    """``pyserini.fusion`` and ``pyserini.eval.trec_eval`` on our runs, compared with ours."""

    def trec_runs(self, host: Any, runs: tuple[Path, Path]) -> list[Any]:
        from pyserini.trectools import TrecRun

        return [TrecRun(filepath=str(path)) for path in runs]

    def test_reciprocal_rank(self, host: Any, runs: tuple[Path, Path], tmp_path: Path) -> None:
        from pyserini.fusion import reciprocal_rank_fusion

        reciprocal_rank_fusion(self.trec_runs(host, runs), rrf_k=60, k=100).save_to_txt(str(tmp_path / "rrf"), tag="rrf")
        theirs, ours = scores(tmp_path / "rrf"), reciprocal_rank(runs, 100)
        assert set(theirs) == set(ours)
        for qid, hits in ours.items():
            assert sorted(theirs[qid].values(), reverse=True) == pytest.approx([hit.score for hit in hits], abs=1e-6)

    def test_interpolation(self, host: Any, runs: tuple[Path, Path], tmp_path: Path) -> None:
        from pyserini.fusion import interpolation

        interpolation(self.trec_runs(host, runs), alpha=0.01, k=100).save_to_txt(str(tmp_path / "fused"), tag="i")
        sparse, dense = map(scores, runs)
        for qid, found in scores(tmp_path / "fused").items():
            for docid, score in found.items():
                assert score == pytest.approx(0.01 * sparse[qid].get(docid, 0) + 0.99 * dense[qid].get(docid, 0), abs=1e-5)

    def test_min_max_of_equal_weights_is_theirs(self, host: Any, runs: tuple[Path, Path], tmp_path: Path) -> None:
        from pyserini.fusion import normalize

        normalize(self.trec_runs(host, runs), k=100).save_to_txt(str(tmp_path / "fused"), tag="n")
        theirs = scores(tmp_path / "fused")
        for qid, hits in fuse_runs(runs, k=100).items():
            assert sorted(theirs[qid].values(), reverse=True) == pytest.approx([2 * hit.score for hit in hits], abs=1e-5)

    def test_trec_eval(self, host: Any, java: Path, runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        from pyserini.eval.trec_eval import trec_eval

        monkeypatch.setenv("PATH", str(java.parent), prepend=os.pathsep)         # it runs the first java there
        measured = averages(evaluate({"sparse": read_run(runs[0])}, read_qrels(QRELS))["sparse"])
        found = trec_eval(["trec_eval", "-m", "ndcg_cut.10", str(QRELS), str(runs[0])])
        assert found == pytest.approx(measured["nDCG@10"], abs=6e-5)
