"""The benchmark on a small real collection with the installed engines; their speed is not tested."""
import importlib.metadata
import importlib.util
import json
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from bmp_plugin import BmpIndex
from bmp_plugin.conformance import bench, plots
from bmp_plugin.conformance.benchmark import result_tables, runner
from bmp_plugin.conformance.benchmark.agreement import Agreement
from bmp_plugin.conformance.benchmark.collection import Collection
from bmp_plugin.conformance.benchmark.engine_processes import EngineProcess
from bmp_plugin.conformance.benchmark.engines import ENGINES, GROUPS, Configuration, configurations
from bmp_plugin.conformance.benchmark.mapped_arrays import mapped_npz
from bmp_plugin.errors import SourceError
from bmp_plugin.report.machine import licences

DOCUMENTS, QUERIES = 150, 6


def installed(package):
    return importlib.util.find_spec(package) is not None


def needs(package):
    missing = not installed(package) and not os.environ.get("CI")
    return pytest.mark.skipif(missing, reason=f"{package} is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cranfield_documents, cranfield_queries):
    """vectors/ and the same as arrays.npz with vocab.txt; queries.jsonl; qrels.txt."""
    root = tmp_path_factory.mktemp("bench")
    documents = cranfield_documents[:DOCUMENTS]
    (root / "vectors").mkdir()
    with open(root / "vectors" / "docs.jsonl", "w", encoding="utf-8") as file:
        for document in documents:
            file.write(json.dumps(document) + "\n")
    with open(root / "queries.jsonl", "w", encoding="utf-8") as file:
        for qid, vector in list(cranfield_queries.items())[:QUERIES]:
            file.write(json.dumps({"qid": qid, "vector": vector}) + "\n")
    (root / "qrels.txt").write_text("".join(f"{qid} 0 {documents[3]['id']} 1\n" for qid in list(cranfield_queries)[:QUERIES]))
    vocabulary = sorted({token for document in documents for token in document["vector"]})
    column = {token: number for number, token in enumerate(vocabulary)}
    rows = [sorted((column[token], weight) for token, weight in document["vector"].items()) for document in documents]
    terms = np.array([term for row in rows for term, _ in row], np.uint16)
    impacts = np.array([weight for row in rows for _, weight in row], np.uint16)
    ptr = np.cumsum([0] + [len(row) for row in rows])
    ids = np.array([document["id"] for document in documents])
    np.savez(root / "arrays.npz", ptr=ptr, terms=terms, imps=impacts, ids=ids)
    gaps = np.diff(terms.astype(np.int64), prepend=0)
    gaps[ptr[:-1]] = terms[ptr[:-1]]
    np.savez(root / "gaps.npz", ptr=ptr, terms=gaps.astype(np.uint16), imps=impacts, ids=ids, delta=True)
    (root / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    return root


def run(folder, *arguments, vectors=("vectors",)):
    return bench.main(["--vectors", *(str(folder / name) for name in vectors), "--queries", str(folder / "queries.jsonl"),
                       "--work", str(folder / "work"), "--rounds", "1", "--k", "40", *arguments])


@pytest.fixture(scope="module")
def result(folder):
    """The result of all engines except Lucene."""
    assert run(folder, "--engines", "exhaustive", "ours", "ours-bp", "rust-8", "rust-bp-8", "seismic",
               "seismic-300:query_cut=1,heap_factor=1", "seismic-knn-300:query_cut=1,heap_factor=1", "ours:alpha=0.4,beta=0.1",
               "ours:threads=2", "--k", "3", "40", "--rounds", "2", "--qrels", str(folder / "qrels.txt"),
               "--passage-delimiter", "#", "--output", str(folder / "results")) == 0
    return json.loads((folder / "results" / "vectors.json").read_text())


def test_counts_and_circumstances(folder, result):
    assert result["collection"]["name"] == "vectors"
    assert result["collection"]["documents"] == DOCUMENTS
    assert result["collection"]["postings"] == len(np.load(folder / "arrays.npz")["terms"])
    assert result["queries"] == QUERIES
    assert result["reference"] == "exhaustive"
    assert result["machine"]["processor"]
    assert result["versions"]["numpy"] == np.__version__
    assert result["licences"]["bmp-plugin"] == "Apache-2.0"
    assert "--vectors vectors" in result["command"]
    assert str(folder) not in json.dumps(result)


@pytest.mark.parametrize("engine", ["exhaustive", "ours", "ours-bp"])
def test_safe_engines_agree(result, engine):
    for k in ("3", "40"):
        found = result["engines"][engine]["k"][k]
        assert found["same_ranking"] == found["same_scores_too"] == QUERIES
        assert found["overlap"] == 1


def test_every_figure_of_ours(result):
    ours = result["engines"]["ours"]
    assert ours["index_bytes"] > 0
    assert ours["build"]["seconds"] > 0
    assert ours["build"]["peak_bytes"] > 10_000_000
    if sys.platform == "linux":
        assert 10_000_000 < ours["build"]["peak_anonymous_bytes"] < ours["build"]["peak_bytes"]
        assert 10_000_000 < ours["serving"]["anonymous_bytes"] < ours["serving"]["resident_bytes"]
    assert ours["bytes_a_posting"] == ours["index_bytes"] / result["collection"]["postings"]
    assert {"import_s", "open_s", "first_query_s"} == set(ours["new_process"])
    found = ours["k"]["40"]
    assert 0 < found["median_ms"] <= found["p99_ms"]
    assert len(found["round_mean_ms"]) == 2
    assert len(found["kernel_ms"]) == 2
    assert 0 < min(found["kernel_ms"]) < max(found["round_mean_ms"])
    assert set(found["queries_a_second"]) == {"1", "2"}
    assert len(result["engines"]["ours"]["gains_of_two_threads"]) == result["rounds"]
    assert 0 <= found["ndcg_10"] <= 1


def test_approximate_settings_are_rows(result):
    row = result["engines"]["ours alpha=0.4 beta=0.1"]
    assert row["settings"] == {"alpha": 0.4, "beta": 0.1}
    assert 0 < row["k"]["40"]["overlap"] <= 1
    assert row["k"]["3"]["same_scores_too"] < QUERIES, "it loses something"


def test_threads_are_a_row_beside_the_safe_ones(folder, result):
    found = result["engines"]["ours threads=2"]["k"]["40"]
    assert found["same_scores_too"] == QUERIES
    assert found["processor_ms"] > 0
    table, _, _ = (folder / "results" / "vectors.md").read_text().partition("## Approximate")
    assert "| ours threads=2 |" in table


@needs("bmp")
def test_rust_in_both_orders(result):
    for engine in ("rust-8", "rust-bp-8"):
        found = result["engines"][engine]["k"]["40"]
        assert found["overlap"] > 0.8
        assert found["mean_ms"] > 0
        assert len(found["kernel_ms"]) == 2
        assert result["engines"][engine]["index_bytes"] > 0


@needs("bmp")
def test_rust_gets_our_order(folder, result):
    work = folder / "work" / "vectors"
    ours = BmpIndex.open(work / "ours-bp.bmp")
    ordered = ours.docids(np.arange(ours.num_docs, dtype=np.int32))
    assert ordered != [docid for docid, _ in Collection(folder / "vectors", work).documents()]
    stored = b"".join(struct.pack("<Q", len(docid)) + docid.encode() for docid in ordered)     # as Rust writes strings
    assert stored in (work / "rust-bp-8.bmp-index").read_bytes()
    assert stored not in (work / "rust-8.bmp-index").read_bytes()


@needs("seismic")
def test_seismic_at_all_its_settings(result):
    labels = [label for label in result["engines"] if label.startswith("seismic ")]
    assert len(labels) == len(ENGINES["seismic"].default_settings)
    assert result["engines"]["seismic query_cut=16 heap_factor=0.5"]["k"]["3"]["overlap"] > 0.8


@needs("seismic")
def test_seismic_finds_more_with_its_graph(folder, result):
    plain, graph = (result["engines"][f"{name} query_cut=1 heap_factor=1"] for name in ("seismic-300", "seismic-knn-300"))
    assert graph["k"]["40"]["overlap"] > plain["k"]["40"]["overlap"]
    assert graph["index_bytes"] > plain["index_bytes"]


@pytest.mark.parametrize("engine", [pytest.param(name, marks=needs(package)) for name, package in (
    ("scipy", "scipy"), ("bm25s", "bm25s"), ("splade-index", "splade_index"))])
def test_eager_engines_score_exactly(folder, result, engine):
    """Their scores are those of exhaustive search before ties are adjusted; of those that tie with the last, any are there."""
    collection = Collection(folder / "vectors", folder / "work" / "vectors")
    everywhere = set.intersection(*(set(vector) for _, vector in collection.documents()))      # idf 0: Pyserini drops them
    queries = [{token: weight for token, weight in query.items() if token not in everywhere}
               for _, query in bench.chosen_topics(folder / "queries.jsonl", None)]
    queries += [{"nowhere": 3}, {"nowhere": 1, **queries[0]}]
    runner.build(collection, engine)
    process = EngineProcess(collection.work / f"{engine}.log", "serve", engine, collection.work, queries, 3, {})
    try:
        for k in (3, 40, DOCUMENTS + 1):
            found, search = process.ask("answers", {}, k), ENGINES["exhaustive"].open(collection.work).searching({})
            for query, hits in zip(queries, found, strict=True):
                exact = [(docid, round(score)) for docid, score in search(query, k)]
                assert [score for _, score in hits] == [score for _, score in exact]
                last = exact[-1][1] if len(exact) == k else 0
                assert {hit for hit in hits if hit[1] > last} == {hit for hit in exact if hit[1] > last}
        assert engine == "scipy" or process.ask("throughput", {}, 3, 2) > 0
        with pytest.raises(ValueError, match="no settings"):
            process.ask("answers", {"alpha": 1}, 3)
    finally:
        process.close()


def test_licences_as_distributions_state_them():
    assert licences(["numpy", "no-such-distribution", "pytest"]) == {
        "numpy": importlib.metadata.metadata("numpy")["License-Expression"], "pytest": "MIT"}


def test_table_and_plots(folder, result):
    text = (folder / "results" / "vectors.md").read_text()
    assert "| ours-bp |" in text
    assert "| ours alpha=0.4 beta=0.1 |" in text
    assert result_tables.markdown(result) == text
    if installed("matplotlib"):
        assert (folder / "results" / "vectors-latency.svg").stat().st_size > 1000
        assert (folder / "results" / "vectors-overlap.svg").stat().st_size > 1000


def test_arrays_give_the_same_answers_and_a_plot_of_sizes(folder, result, capsys):
    assert run(folder, "--vocabulary", str(folder / "vocab.txt"), "--engines", "exhaustive", "ours", "--measure", "latency",
               "--one-at-a-time", "--max-queries", "4", "--output", str(folder / "results"),
               vectors=("arrays.npz", "gaps.npz")) == 0
    for name in ("arrays", "gaps"):
        found = json.loads((folder / "results" / f"{name}.json").read_text())
        assert found["queries"] == 4
        assert found["collection"]["postings"] == result["collection"]["postings"]
        assert found["engines"]["ours"]["k"]["40"]["same_scores_too"] == 4
        assert "kernel_ms" not in found["engines"]["ours"]["k"]["40"]
    one, other = (Collection(folder / "vectors", folder / "work" / "vectors"),
                  Collection(folder / "gaps.npz", folder / "work" / "gaps", folder / "vocab.txt"))
    assert list(one.documents()) == list(other.documents())
    assert list(one.documents([5, 2])) == [list(other.documents())[row] for row in (5, 2)]
    if installed("matplotlib"):
        assert (folder / "results" / "size.svg").exists()
        assert plots.main([str(folder / "results")]) == 0
        assert "size.svg" in capsys.readouterr().out


def test_indexes_are_kept(folder, result):
    index = folder / "work" / "vectors" / "ours.bmp" / "manifest.json"
    before = index.stat().st_mtime_ns
    note = json.loads((folder / "work" / "vectors" / "ours.build.json").read_text())
    assert run(folder, "--engines", "ours", "--measure", "latency", "--output", str(folder / "again")) == 0
    assert index.stat().st_mtime_ns == before
    again = json.loads((folder / "again" / "vectors.json").read_text())["engines"]["ours"]
    assert again["build"] == note
    assert "queries_a_second" not in again["k"]["40"]


def test_lucene_and_the_drop_in(java, folder):
    assert run(folder, "--engines", "lucene", "drop-in", "exhaustive", "--output", str(folder / "lucene-results"), "--measure",
               "latency", "batch") == 0
    engines = json.loads((folder / "lucene-results" / "vectors.json").read_text())["engines"]
    for engine in ("lucene", "drop-in", "exhaustive"):
        assert engines[engine]["k"]["40"]["same_scores_too"] == QUERIES
    assert set(engines["lucene"]["k"]["40"]["queries_a_second"]) == {"1", "2"}


def test_json_written_of_arrays(folder, tmp_path):
    collection = Collection(folder / "arrays.npz", tmp_path, folder / "vocab.txt")
    again = Collection(collection.json_folder(), tmp_path / "again")
    again.prepare()
    assert list(again.documents()) == list(collection.documents())


@pytest.mark.parametrize(("arguments", "says"), [
    (["--engines", "elastic"], "'elastic' is not one of lucene, drop-in, ours"),
    (["--engines", "ours:gamma=1"], "'gamma' is not one of alpha"),
    (["--engines", "ours:alpha"], "'alpha' is not of the form name=number"),
    (["--engines", "exhaustive:alpha=0.5"], "exhaustive search has no settings"),
    (["--rounds", "0"], "--rounds, --k and --max-queries are at least 1"),
    (["--vectors", "nowhere"], "nowhere: no such collection"),
    (["--queries", "nowhere"], "nowhere"),
])
def test_refusals(folder, capsys, arguments, says):
    assert run(folder, "--engines", "ours", *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("bench: error: ")
    assert says in error


def test_stored_arrays_are_mapped_and_compressed_ones_read(tmp_path):
    given = {"a": np.arange(5000, dtype=np.uint16), "of text": np.array(["x", "yé"]), "none": np.empty((0, 3)),
             "grid": np.arange(6.0).reshape(2, 3)}
    np.savez(tmp_path / "stored.npz", **given)
    np.savez_compressed(tmp_path / "small.npz", **given)
    for name, is_mapped in (("stored", True), ("small", False)):
        found = mapped_npz(tmp_path / f"{name}.npz")
        assert set(found) == set(given)
        for key, values in given.items():
            assert np.array_equal(found[key], values)
            assert found[key].dtype == values.dtype
            assert isinstance(found[key].base, np.memmap) == (is_mapped and values.size > 0)
    (tmp_path / "bad.npz").write_bytes((tmp_path / "stored.npz").read_bytes()[:-40])
    with pytest.raises(SourceError, match=r"bad\.npz"):
        mapped_npz(tmp_path / "bad.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}, None]))
    with pytest.raises(SourceError, match=r"objects\.npz.*plain"):
        mapped_npz(tmp_path / "objects.npz")


def test_refuses_paths_that_are_not_collections(folder, tmp_path):
    with pytest.raises(ValueError, match="--vocabulary"):
        Collection(folder / "arrays.npz", tmp_path)
    Collection(folder / "vectors", tmp_path / "work").prepare()
    with pytest.raises(ValueError, match="another collection"):
        Collection(folder / "arrays.npz", tmp_path / "work", folder / "vocab.txt").prepare()
    (tmp_path / "short.txt").write_text("one\ntwo")
    with pytest.raises(Exception, match=r"short\.txt: has 2 lines"):
        _ = Collection(folder / "arrays.npz", tmp_path, Path(tmp_path / "short.txt")).arrays
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "docs.jsonl").write_text('{"id": "1", "vector": {"a": 1}}\n{"id": "2"}\n')
    with pytest.raises(Exception, match=r"docs\.jsonl, line 2"):
        Collection(tmp_path / "bad", tmp_path / "badwork").prepare()


def test_missing_engines_are_skipped_with_a_notice(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [found.engine for found in runner.available(configurations(
        ["ours", "rust-8", "seismic", "splade-index", "bm25s", "scipy"]))] == ["ours"]
    output = capsys.readouterr().err
    assert "skipped rust-8: bmp is not installed: pip install bmp" in output
    assert "pyseismic-lsr" in output
    assert "skipped splade-index: splade_index is not installed: pip install splade-index==" in output
    assert "skipped bm25s: bm25s is not installed: pip install bm25s==" in output
    assert "skipped scipy: scipy is not installed: pip install scipy" in output
    with pytest.raises(Exception, match="none of the engines"):
        runner.available(configurations(["rust"]))


def test_errors_name_an_index_that_cannot_be_opened(folder, tmp_path, capsys):
    Collection(folder / "vectors", tmp_path / "vectors").prepare()
    (tmp_path / "vectors" / "ours.bmp").mkdir()
    assert run(folder, "--engines", "ours", "--work", str(tmp_path)) == 2
    assert "ours.bmp" in capsys.readouterr().err


def test_names():
    assert configurations(["rust"]) == [Configuration(f"rust-{size}") for size in (8, 16, 32)]
    assert configurations(["ours:alpha=0.9", "ours"]) == [Configuration("ours", (("alpha", 0.9),)), Configuration("ours")]
    assert configurations(["ours", "ours"]) == [Configuration("ours")]
    assert {found.engine for found in configurations(["seismic-grid"])} == {
        "seismic", "seismic-1000", "seismic-300", "seismic-100",
        "seismic-knn", "seismic-knn-1000", "seismic-knn-300", "seismic-knn-100"}
    assert len(configurations(["approximate"])) == len(GROUPS["approximate"])


def test_agreement():
    agreement = Agreement(["q1", "q2"])
    first = [[("a", 2.0), ("b", 1.0)], []]
    assert agreement.compare(first, 2) == {"same_ranking": 2, "same_scores_too": 2, "overlap": 1.0}
    assert agreement.compare([[("a", 1.0), ("b", 0.5)], []], 2) == {"same_ranking": 2, "same_scores_too": 1, "overlap": 1.0}
    assert agreement.compare([[("b", 2.0), ("c", 1.0)], []], 2) == {"same_ranking": 1, "same_scores_too": 1, "overlap": 0.75}


def test_best_passage_counts(tmp_path):
    (tmp_path / "qrels").write_text("q 0 good 1\n")
    agreement = Agreement(["q"], tmp_path / "qrels", "#")
    found = agreement.compare([[("bad#1", 4.0), ("bad#2", 3.0), ("good#7", 2.0)]], 3)
    assert found["ndcg_10"] == pytest.approx(0.6309, abs=1e-4)
