"""bmp-plugin conform: the runs are the engines' own, every planted difference is found and named, and the page shows it."""
from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin.cli import main
from bmp_plugin.conformance.fuzz.lucene_segments import index_vectors
from bmp_plugin.report.page import page

EVIL_DOCID = "<script>window.hacked=1</script>"
EVIL_QID = "q<img/src=x/onerror=window.hacked=2>"
TOKEN = "<b>bold</b>"


def documents() -> list[dict[str, Any]]:
    found = [{"id": f"d{i}", "contents": "", "vector": {"tie": 5, f"mod{i % 3}": 2, "half" if i % 2 else "other": 1 + i % 9}}
             for i in range(40)]
    found[7]["id"] = EVIL_DOCID
    found[7]["vector"][TOKEN] = 9
    found[0]["vector"]["other"], found[12]["vector"]["other"] = 50, 40
    found.append({"id": "lonely", "contents": "", "vector": {"lonely": 1}})
    return found


QUERIES: dict[str, dict[str, int]] = {
    "1": {"tie": 2}, "2": {"half": 3, "mod1": 1}, EVIL_QID: {TOKEN: 2, "half": 1}, "4": {"other": 2, "mod0": 7},
    "5": {"mod2": 1}, "none": {"nowhere": 4}}


@pytest.fixture(scope="module")
def given(host: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with index/, topics.jsonl and qrels.txt."""
    folder = tmp_path_factory.mktemp("conform")
    index_vectors(documents(), folder / "index")
    (folder / "topics.jsonl").write_text("".join(json.dumps({"qid": qid, "vector": vector}) + "\n"
                                                 for qid, vector in QUERIES.items()))
    (folder / "qrels.txt").write_text("1 0 d3 1\n1 0 d9 1\n2 0 d1 2\n4 0 d0 1\n5 0 d5 1\n")
    return folder


def conform(folder: Path, output: str, *more: str) -> int:
    return main(["conform", "--index", str(folder / "index"), "--topics", str(folder / "topics.jsonl"), "--qrels",
                 str(folder / "qrels.txt"), "--hits", "5,30", "--output", str(folder / output), "--quiet", *more])


def read(folder: Path, output: str) -> Any:
    return json.loads((folder / output / "report.json").read_text())


@pytest.fixture(scope="module")
def proved(given: Path) -> Path:
    assert conform(given, "good", "--approximate", "alpha=0.9,beta=0.8", "budget=1", "--engines") == 0
    return given


class TestIdentical:
    def test_runs_are_there_and_the_same(self, proved: Path) -> None:
        good = proved / "good"
        assert sorted(path.name for path in good.iterdir()) == sorted(
            ["report.html", "report.json", *(f"run.{name}.{k}.txt" for k in (5, 30)
                                             for name in ("lucene", "bmp", "bmp-alpha0.9-beta0.8", "bmp-budget1"))])
        for k in (5, 30):
            run = (good / f"run.lucene.{k}.txt").read_bytes()
            assert run == (good / f"run.bmp.{k}.txt").read_bytes()
            assert EVIL_DOCID.encode() in run

    def test_runs_are_pyserinis(self, proved: Path, host: Any) -> None:
        from pyserini.output_writer import OutputFormat, get_output_writer

        from bmp_plugin.conformance.conform.timed_runs import Encoded

        searcher = host.LuceneImpactSearcher(str(proved / "index"), Encoded())
        with get_output_writer(str(proved / "theirs"), OutputFormat.TREC, tag="Anserini") as writer:
            for qid in sorted(QUERIES):
                writer.write(qid, searcher.search(QUERIES[qid], 30))
        assert (proved / "theirs").read_bytes() == (proved / "good" / "run.bmp.30.txt").read_bytes()

    def test_report(self, proved: Path) -> None:
        report = read(proved, "good")
        assert report["same"]
        safe = [one for one in report["comparisons"] if one["safe"]]
        assert [(one["k"], one["byte_identical"], one["queries"]) for one in safe] == [(5, True, 5), (30, True, 5)]
        assert [one["settings"] for one in report["comparisons"][2::2]] == [{"alpha": 0.9, "beta": 0.8}, {"budget": 1}]
        assert report["index"]["documents"] == 41
        assert report["versions"]["pyserini"]
        assert report["lucene"]["lucene"].startswith("9.")
        assert report["lucene"]["java"]
        assert str(proved) not in json.dumps(report)
        for by_k in report["latency"].values():
            for found in by_k.values():
                assert len(found["ms"]) == len(QUERIES)
                assert 0 < found["median"] <= found["p99"]

    def test_verdict_and_latencies_in_the_terminal(self, given: Path, capfd: pytest.CaptureFixture[str]) -> None:
        capfd.readouterr()
        assert conform(given, "terminal", "--engines") == 0
        out, report = capfd.readouterr().out, read(given, "terminal")
        for label, by_k in report["latency"].items():
            for k, found in by_k.items():
                figures = " +".join(f"{found[name]:.2f}" for name in ("mean", "median", "p99"))
                assert re.search(rf"^{label} +{k} +{figures}\b", out, re.MULTILINE)
        assert re.search(r"^The same 2 runs, byte for byte; \S+( to \S+)? times as fast$", out, re.MULTILINE)

    def test_verdict_as_json(self, given: Path, capfd: pytest.CaptureFixture[str]) -> None:
        capfd.readouterr()
        assert conform(given, "verdict", "--engines", "--json") == 0
        found, report = json.loads(capfd.readouterr().out), read(given, "verdict")
        assert found["same"]
        assert found["output"] == str(given / "verdict")
        assert [one["k"] for one in found["comparisons"]] == [5, 30]
        host, ours = (report["latency"][label]["30"]["mean"] for label in ("LuceneImpactSearcher", "BmpImpactSearcher"))
        assert found["speed_up"]["30"] == host / ours
        assert found["latency"]["BmpImpactSearcher"]["30"]["mean"] == ours
        for one, whole in zip(found["comparisons"], report["comparisons"], strict=True):
            assert one == {name: whole[name] for name in one}
            assert one["byte_identical"]

    def test_effectiveness_is_that_of_ir_measures(self, proved: Path) -> None:
        import ir_measures
        from ir_measures import AP, RR, nDCG

        expected = ir_measures.calc_aggregate([nDCG @ 10, RR @ 10, AP],       # R@1000 says nothing of 30 hits
                                              ir_measures.read_trec_qrels(str(proved / "qrels.txt")),
                                              ir_measures.read_trec_run(str(proved / "good" / "run.lucene.30.txt")))
        found = read(proved, "good")["comparisons"][1]
        for side in ("a", "b"):
            assert found["measures"][side] == {str(measure): pytest.approx(value) for measure, value in expected.items()}
        assert found["paired"]["AP"] == {"better": 0, "worse": 0, "alike": 4, "difference": 0.0, "p": None}


@pytest.fixture(scope="module")
def broken(proved: Path) -> Path:
    """Our searcher with one planted error of every kind, each in a separate query."""
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    original = BmpImpactSearcher.search

    def search(self: Any, query: Any, k: int = 10, *more: Any, **options: Any) -> Any:
        hits = original(self, query, k, *more, **options)
        if query == QUERIES["1"]:                                  # two of a tie change places
            hits[1].docid, hits[2].docid = hits[2].docid, hits[1].docid
        elif query == QUERIES["2"]:
            hits[3].score += 0.5
        elif query == QUERIES["4"]:                                # the best comes second
            hits[0].docid, hits[1].docid = hits[1].docid, hits[0].docid
        elif query == QUERIES["5"]:
            hits[-1].docid = "lonely"
        elif query == QUERIES[EVIL_QID]:
            del hits[0]
        return hits

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BmpImpactSearcher, "search", search)
        assert conform(proved, "bad", "--engines") == 1
    return proved


class TestDifferent:
    def test_kinds(self, broken: Path) -> None:
        report = read(broken, "bad")
        assert not report["same"]
        found = next(one for one in report["comparisons"] if one["k"] == 5)
        first = {one["qid"]: (one["kind"], one["rank"]) for one in found["differing"]}
        assert first["1"] == ("tie order", 2)
        assert first["2"] == ("score", 4)
        assert first["4"] == ("order", 1)
        assert first["5"] == ("cut-off", 5)
        assert first[EVIL_QID] == ("missing document", 1)
        assert found["kinds"] == {"tie order": 1, "score": 1, "order": 1, "cut-off": 1, "missing document": 1}
        assert (found["identical"], found["equivalent"], found["queries"]) == (0, 2, 5)

    def test_rankings_side_by_side_with_both_explanations(self, broken: Path) -> None:
        found = next(one for one in read(broken, "bad")["comparisons"] if one["k"] == 30)
        query = next(one for one in found["differing"] if one["qid"] == "4")
        first, second = query["rows"][:2]
        assert (first["a_docid"], first["b_docid"]) == (second["b_docid"], second["a_docid"])
        assert [explained["docid"] for explained in query["explanations"]] == [first["a_docid"], first["b_docid"]]
        for explained in query["explanations"]:
            assert explained["ours"]["score"] == explained["lucene"]["score"]
            assert {part["token"]: part["impact"] for part in explained["ours"]["contributions"]} == \
                explained["lucene"]["impacts"]

    def test_page_shows_the_verdict_and_escapes_names(self, broken: Path) -> None:
        html = (broken / "bad" / "report.html").read_text()
        assert "The answers differ" in html
        assert EVIL_DOCID not in html
        assert EVIL_QID not in html
        assert TOKEN not in html
        assert html.count("&lt;script&gt;window.hacked=1&lt;/script&gt;") >= 2
        assert len(re.findall("<script", html)) == 1
        assert not re.findall(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", html), "nothing is fetched"
        assert page(read(broken, "bad")) == html, "the page is made of the report alone"


class TestRefusals:
    @pytest.mark.parametrize(("more", "message"), [
        (["--topics", "no-such-topics"], "neither a file, nor ir_datasets:ID, nor one of Pyserini's"),
        (["--qrels", "no-such-qrels"], "neither a file"),
        (["--qrels", "{tmp}/no-such-qrels"], "no such file"),
        (["--qrels", "dl19-passage"], "Pyserini would download"),
        (["--topics", "dl19-passage"], "Pyserini would download"),
        (["--topics", "ir_datasets:no/such"], "has no such id"),
        (["--topics", "ir_datasets:cranfield"], "would be downloaded"),
        (["--index", "{tmp}"], "is not a Lucene index"),
        (["--index", "{tmp}/nope"], "no such directory"),
        (["--encoder", "naver/splade-cocondenser-ensembledistil"], "holds vectors already"),
        (["--approximate", "gamma=1"], "setting 'gamma'"),
        (["--measures", "nonsense@3"], "is not one of ir-measures'"),
        (["--engines", "nonsense"], "engine 'nonsense'"),
        (["--hits", "0"], "--hits"),
    ])
    def test_one_line_and_nothing_written(self, more: list[str], message: str, given: Path, tmp_path: Path, capfd: Any,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
        arguments = ["conform", "--index", str(given / "index"), "--topics", str(given / "topics.jsonl"), "--output",
                     str(tmp_path / "out"), "--quiet", *(part.format(tmp=tmp_path) for part in more)]
        try:
            status = main(arguments)
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("bmp-plugin: error")]
        assert status == 2
        assert len(lines) == 1
        assert message in lines[0]
        assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True

    def test_topics_without_hits(self, given: Path, tmp_path: Path, capfd: Any) -> None:
        (tmp_path / "t.jsonl").write_text('{"qid": "1", "vector": {"nowhere": 1}}\n')
        assert main(["conform", "--index", str(given / "index"), "--topics", str(tmp_path / "t.jsonl"), "--output",
                     str(tmp_path / "out"), "--quiet"]) == 2
        assert "no query found anything" in capfd.readouterr().err
        assert not list((tmp_path / "out").iterdir())


def test_texts_and_tokens_as_pyserini_reads_them(given: Path, host: Any, tmp_path: Path) -> None:
    (tmp_path / "topics.tsv").write_text("2\thalf half mod1\n10\ttie\n1\tother\n")
    assert main(["conform", "--index", str(given / "index"), "--topics", str(tmp_path / "topics.tsv"), "--hits", "7",
                 "--output", str(tmp_path / "out"), "--quiet", "--engines"]) == 0
    qids = [line.split()[0] for line in (tmp_path / "out" / "run.bmp.7.txt").read_text().splitlines()]
    assert list(dict.fromkeys(qids)) == ["1", "2", "10"]


def test_ids_of_ir_datasets(given: Path, host: Any, tmp_path: Path) -> None:
    """Uses a dataset that was created with ir_datasets' API, so that nothing is downloaded."""
    import ir_datasets
    from ir_datasets.datasets.base import Dataset
    from ir_datasets.formats import TrecQrels, TsvQueries
    from ir_datasets.util import LocalDownload

    (tmp_path / "queries.tsv").write_text("b\thalf half mod1\na\ttie\n")
    name = f"bmp-plugin-{tmp_path.name}"
    (tmp_path / "qrels.txt").write_text("a 0 d3 1\nb 0 d1 2\n")
    ir_datasets.registry.register(name, Dataset(TsvQueries(LocalDownload(tmp_path / "queries.tsv")),
                                                TrecQrels(LocalDownload(tmp_path / "qrels.txt"), {1: "", 2: ""})))
    assert main(["conform", "--index", str(given / "index"), "--topics", f"ir_datasets:{name}", "--qrels",
                 f"ir_datasets:{name}", "--hits", "50", "--output", str(tmp_path / "out"), "--quiet", "--engines"]) == 0
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["topics"]["name"] == f"ir_datasets:{name}"
    assert found["qrels"]["judgements"] == 2
    assert found["comparisons"][0]["measures"]["b"]["AP"] > 0


def test_pyserinis_names(given: Path, host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that Pyserini would download are put in place; the test is that the name finds them."""
    import pyserini.query_iterator
    import pyserini.search

    asked = []
    monkeypatch.setattr(pyserini.query_iterator, "get_topics",
                        lambda name: asked.append(name) or {10: {"title": "tie"}, 9: {"title": "half mod1"}})
    monkeypatch.setattr(pyserini.search, "get_qrels_file", lambda name: asked.append(name) or str(tmp_path / "q"))
    (tmp_path / "q").write_text("9 0 d1 1\n10 0 d3 1\n")
    assert main(["conform", "--index", str(given / "index"), "--topics", "dl19-passage", "--qrels", "dl20-passage", "--hits",
                 "9", "--output", str(tmp_path / "out"), "--quiet", "--engines", "--download"]) == 0
    assert asked == ["dl19-passage", "dl20-passage"]
    qids = [line.split()[0] for line in (tmp_path / "out" / "run.lucene.9.txt").read_text().splitlines()]
    assert list(dict.fromkeys(qids)) == ["9", "10"], "in Pyserini's order"


def engine_row(report: Any, name: str) -> Any:
    return next(row for row in report["engines"] if row["engine"].startswith(name))


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None or bool(os.environ.get("CI"))


def test_other_engines(given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bmp_plugin.conformance.benchmark import engines
    from bmp_plugin.errors import MissingDependencyError

    def missing() -> None:
        raise MissingDependencyError("bmp is not installed: pip install bmp==0.2.8")

    monkeypatch.setattr(engines.ENGINES["rust-16"], "require", missing)
    packages = {"rust-8": "bmp", "pisa": "pyterrier_pisa", "seismic:query_cut=10,heap_factor=0.7": "seismic"}
    names = ["exhaustive", "rust-16", *(name for name, package in packages.items() if installed(package))]
    assert conform(given, "engines", "--engines", *names) == 0
    report = read(given, "engines")
    for name in ("LuceneImpactSearcher", "BmpImpactSearcher", "exhaustive"):
        for found in engine_row(report, name)["k"].values():
            assert (found["same_ranking"], found["queries"]) == (len(QUERIES), len(QUERIES)), name
            assert found["overlap"] == found["rank_biased_overlap"] == 1.0
    assert (engine_row(report, "rust-16")["state"], engine_row(report, "rust-16")["k"]) == ("skipped", {})
    assert "pip install" in engine_row(report, "rust-16")["why"]
    for name in names[2:]:
        row = engine_row(report, name.partition(":")[0])
        assert row["state"] == "ran", row["why"]
        assert row["version"]
        found = row["k"]["30"]
        assert found["same_ranking"] + sum(found["kinds"].values()) == len(QUERIES)
        assert row["why"] or found["same_ranking"] == len(QUERIES)
    if installed("pyterrier_pisa"):
        found = engine_row(report, "pisa")["k"]["30"]
        assert set(found["kinds"]) <= {"tie order", "cut-off"}, "PISA scores exactly, and breaks ties differently"
        assert found["kinds"]


def test_encoder_by_name_is_not_downloaded(given: Path, tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "topics.tsv").write_text("1\tsome text\n")
    assert main(["conform", "--index", str(given / "index"), "--topics", str(tmp_path / "topics.tsv"), "--encoder",
                 "naver/splade-cocondenser-ensembledistil", "--output", str(tmp_path / "out"), "--quiet"]) == 2
    assert "allow that with --download" in capfd.readouterr().err


def test_cached_queries(given: Path, host: Any, tmp_path: Path) -> None:
    (tmp_path / "cached.jsonl").write_text("".join(
        json.dumps({"id": qid, "contents": f"text {number}", "vector": vector}) + "\n"
        for number, (qid, vector) in enumerate(QUERIES.items())))
    (tmp_path / "topics.tsv").write_text("".join(f"{number}\ttext {number}\n" for number in range(3)))
    assert main(["conform", "--index", str(given / "index"), "--topics", str(tmp_path / "topics.tsv"), "--encoder",
                 str(tmp_path / "cached.jsonl"), "--hits", "9", "--output", str(tmp_path / "out"), "--quiet", "--engines"]) == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["comparisons"][0]["queries"] == 3


def test_refused_queries_are_reported(host: Any, tmp_path: Path) -> None:
    """Lucene accepts 1,024 tokens per query; ours accepts more, so the runs differ, and the page says why."""
    chain = [{"id": f"x{i}", "contents": "", "vector": {f"t{i}": 1, f"t{i + 1}": 2}} for i in range(1_100)]
    index = index_vectors(chain, tmp_path / "index")
    vector = {f"t{i}": 1 for i in range(1, 1_100)}
    (tmp_path / "t.jsonl").write_text(json.dumps({"qid": "long", "vector": vector}) + "\n"
                                      + json.dumps({"qid": "short", "vector": {"t1": 1}}) + "\n")
    assert main(["conform", "--index", str(index), "--topics", str(tmp_path / "t.jsonl"), "--hits", "5", "--output",
                 str(tmp_path / "out"), "--quiet", "--engines"]) == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(one["engine"], one["qid"]) for one in report["refused"]] == [("LuceneImpactSearcher", "long")]
    assert report["comparisons"][0]["kinds"] == {"missing query": 1}
    assert "Queries that an engine refused" in (tmp_path / "out" / "report.html").read_text()

