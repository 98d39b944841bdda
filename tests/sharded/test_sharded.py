"""A sharded index gives the answers of one index, which are Lucene's, whatever the number of shards."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NASTY_QUERIES, VectorEncoder, nasty_documents, ranking

from bmp_plugin import BmpError, BmpIndex, BmpSearcher, ShardedSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.errors import BuildError, DamagedIndexError, ShardLostError, SourceError
from bmp_plugin.index.format_registry import open_source
from bmp_plugin.sharded.build_shards import build_shards
from bmp_plugin.sharded.join_shards import join
from bmp_plugin.sharded.request_waves import sample_size, waves
from bmp_plugin.sharded.shard_server import ShardServer
from bmp_plugin.sharded.sharded_index import ShardedIndex
from bmp_plugin.sharded.sharded_manifest import read_manifest

SHARDS = (1, 2, 3, 7)
QIDS = list(NASTY_QUERIES)


def documents_once() -> list[dict[str, Any]]:
    """Removes duplicate docids, which Lucene's tests have and the JSON reader refuses."""
    return [document for document in nasty_documents() if document["id"] != "twice#1"]


NUM_POSTINGS = sum(len(document["vector"]) for document in documents_once())


def write_vectors(documents: list[dict[str, Any]], path: Path) -> Path:
    path.write_text("".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nasty.bmp, one index, and nasty-N.bmps, the same documents in N shards."""
    folder = tmp_path_factory.mktemp("sharded")
    source = open_source(write_vectors(documents_once(), folder / "nasty.jsonl"))
    BmpIndex.build(source, folder / "nasty.bmp", progress=False)
    for n in SHARDS:
        build_shards(source, folder / f"nasty-{n}.bmps", n, reorder="bp" if n == 3 else "none", progress=False)
    source.close()
    return folder


@pytest.fixture(scope="module")
def one(folder: Path) -> BmpSearcher:
    return BmpSearcher(folder / "nasty.bmp")


def runs(searcher: Any, k: int, **options: Any) -> dict[str, Any]:
    found = searcher.batch_search(list(NASTY_QUERIES.values()), QIDS, k, **options)
    return {qid: ranking(hits) for qid, hits in found.items()}


@pytest.mark.parametrize("n", SHARDS)
@pytest.mark.parametrize("k", [1, 10, 100, 5_000])
def test_answers_are_those_of_one_index(n: int, k: int, folder: Path, one: BmpSearcher) -> None:
    expected = runs(one, k)
    with ShardedSearcher(folder / f"nasty-{n}.bmps") as searcher:
        assert {qid: ranking(searcher.search(query, k)) for qid, query in NASTY_QUERIES.items()} == expected
        for threads in (1, 3):
            assert runs(searcher, k, threads=threads) == expected
        assert searcher.missing == []


def test_random_queries(folder: Path, one: BmpSearcher) -> None:
    """Any subset of the tokens, weights of any size and of 0."""
    rng = np.random.default_rng(5)
    tokens = sorted({token for document in documents_once() for token in document["vector"]})
    with ShardedSearcher(folder / "nasty-7.bmps") as searcher:
        for _ in range(150):
            chosen = rng.choice(tokens, rng.integers(1, len(tokens)), replace=False).tolist()
            query = dict(zip(chosen, rng.integers(0, 10 ** rng.integers(1, 6), len(chosen)).tolist(), strict=True))
            k = int(rng.integers(1, 700))
            assert ranking(searcher.search(query, k)) == ranking(one.search(query, k)), (query, k)


def test_floors_drop_lower_scores_and_keep_ties(one: BmpSearcher) -> None:
    queries = [{"half": 3, "mod1": 0}, *filter(None, NASTY_QUERIES.values())]
    whole, _ = one.rank(queries, 600)
    for at in (0, 5, 40):
        floors = np.array([scores[min(at, len(scores) - 1)] if len(scores) else 0 for _, scores in whole], np.float32)
        for k in (1, 3, 100, 600):
            ranked, _ = one.rank(queries, k, floors=floors)
            for (docs, scores), (all_docs, all_scores), floor in zip(ranked, whole, floors, strict=True):
                n = min(k, int((all_scores >= floor).sum()))
                assert docs[:n].tolist() == all_docs[:n].tolist()
                assert scores[:n].tolist() == all_scores[:n].tolist()
                true = dict(zip(all_docs.tolist(), all_scores.tolist(), strict=True))
                assert [true[doc] for doc in docs.tolist()] == scores.tolist()


@pytest.mark.parametrize("min_idf", [0, 0.5, 3.0, -1])
def test_min_idf_is_that_of_the_whole_collection(min_idf: float, folder: Path) -> None:
    """A token may be in every document of a shard and rare elsewhere."""
    documents = [{"id": f"d{i}", "vector": {"first": 3, f"t{i % 9}": 2} if i < 20 else {f"t{i % 9}": 2, "rest": 1}}
                 for i in range(80)]
    source = open_source(write_vectors(documents, folder / "idf.jsonl"))
    alone = BmpSearcher(BmpIndex.build(source, folder / "idf.bmp", progress=False), min_idf=min_idf)
    build_shards(source, folder / "idf.bmps", 4, progress=False)
    with ShardedSearcher(folder / "idf.bmps", min_idf=min_idf) as searcher:
        for query in ({"first": 1}, {"rest": 1, "t3": 1}, {"first": 0, "t8": 0}, {"t1": 1}):
            assert ranking(searcher.search(query, 50)) == ranking(alone.search(query, 50))
        assert searcher.index.df("first") == 20
        assert searcher.index.df("rest") == 60
        assert searcher.index.df("none") is None


def test_later_shards_use_the_threshold_of_earlier_ones(tmp_path: Path) -> None:
    """Eight shards score far fewer superblocks than eight independent ones."""
    rng = np.random.default_rng(1)
    num_docs, num_terms = 160_000, 300
    cells = np.unique(rng.integers(0, num_docs, (num_terms, 1_500)) * num_terms + np.arange(num_terms)[:, None])
    source = ArraySource(np.searchsorted(cells // num_terms, np.arange(num_docs + 1)), cells % num_terms,
                         1 + (rng.random(len(cells)) ** 6 * 250).astype(np.int64), [f"d{i}" for i in range(num_docs)],
                         [f"t{i}" for i in range(num_terms)])
    index = build_shards(source, tmp_path / "i.bmps", 8, progress=False)
    queries = [{f"t{t}": int(rng.integers(1, 9)) for t in rng.choice(num_terms, 6, replace=False)} for _ in range(20)]
    with ShardedSearcher(index) as searcher:
        for k in (10, 100):
            ignorant = sum(int(shard._searcher.rank(queries, k)[1][:, 1].sum()) for shard in searcher._shards)
            options = searcher._options(k, 1.0, 1.0, None, None)
            for at_once in (False, True):
                known = sum(int(merging.work[q, 1]) for merging, q in searcher._ask(queries, 0, at_once, options))
                assert known < 0.6 * ignorant


def test_a_first_shard_with_all_the_best_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimated threshold is too high; that is detected, and all shards are asked again."""
    num_docs = 4_000
    scores = np.arange(num_docs, 0, -1) // 3 + 1
    source = ArraySource(np.arange(num_docs + 1), np.zeros(num_docs, np.int64), scores,
                         [f"d{i * 7919 % 10_007}" for i in range(num_docs)], ["t"])
    asked = []
    answer = ShardServer.answer
    monkeypatch.setattr(ShardServer, "answer", lambda shard, question: asked.append(question) or answer(shard, question))
    alone = BmpSearcher(BmpIndex.build(source, tmp_path / "i.bmp", progress=False), min_idf=-1)
    with ShardedSearcher(build_shards(source, tmp_path / "i.bmps", 8, progress=False), min_idf=-1) as searcher:
        for k, rounds in ((1, 1), (10, 2), (400, 2), (501, 2), (3_000, 2), (4_000, 1)):
            asked.clear()
            assert ranking(searcher.search({"t": 2}, k)) == ranking(alone.search({"t": 2}, k))
            assert len(asked) == 8 * rounds, k
            assert asked[0].k == sample_size(k, 8)


def test_a_first_shard_with_all_the_first_docids(tmp_path: Path) -> None:
    """All documents tie, so the estimate is right, and yet documents that the first shard dropped may be among the best."""
    source = ArraySource(np.arange(801), np.zeros(800, np.int64), np.full(800, 7), [f"{i:03}" for i in range(800)], ["t"])
    with ShardedSearcher(build_shards(source, tmp_path / "i.bmps", 8, progress=False), min_idf=-1) as searcher:
        for k in (1, 50, 150):
            assert [hit.docid for hit in searcher.search({"t": 2}, k)] == [f"{i:03}" for i in range(k)]
            assert sample_size(k, 8) < k or k == 1


def test_every_shard_gets_one_request() -> None:
    for n in (1, 2, 5, 100):
        for first in (0, n - 1):
            for at_once in (False, True):
                found = waves(n, first, at_once)
                assert sorted(shard for wave in found for shard in wave) == list(range(n))
                assert found[0] == [first]
                assert len(found) == (min(n, 2) if at_once else n)
    assert [sample_size(k, n) for k, n in ((1, 1), (1, 8), (10, 8), (1000, 8), (1000, 100))] == [1, 1, 5, 159, 20]


def test_approximate_search_keeps_scores(folder: Path, one: BmpSearcher) -> None:
    with ShardedSearcher(folder / "nasty-3.bmps") as searcher:
        for query in NASTY_QUERIES.values():
            exact = {hit.docid: round(hit.score) for hit in one.search(query, 5_000)}
            for options in ({"alpha": 0.5}, {"beta": 0.3}, {"budget": 1}):
                for hit in searcher.search(query, 20, **options):
                    assert exact[hit.docid] == round(hit.score)


# --- Lucene -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nasty", "deletions", "lucene8"])
def test_lucenes_answers(name: str, host: Any, lucene_index: Callable[[str], Path], cranfield_queries: Any,
                         tmp_path: Path) -> None:
    """Through the drop-in, with deleted documents, duplicate docids and the order of Lucene 8."""
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    source = open_source(lucene_index(name))
    build_shards(source, tmp_path / "i.bmps", 3, progress=False)
    source.close()
    encoder = VectorEncoder(cranfield_queries if name == "deletions" else NASTY_QUERIES)
    theirs = host.LuceneImpactSearcher(str(lucene_index(name)), encoder)
    ours = BmpImpactSearcher(str(tmp_path / "i.bmps"), encoder)
    assert ours.num_docs == theirs.num_docs
    for query in list(encoder.vectors)[:25]:
        for k in (1, 10, 1000):
            assert ranking(ours.search(query, k)) == ranking(theirs.search(query, k)), (query, k)
    hit = ours.search(next(iter(encoder.vectors)), 1)[0]
    assert hit.lucene_document.get("id") == hit.docid
    theirs.close()
    ours.close()


# --- joining ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three indexes that were built separately."""
    folder = tmp_path_factory.mktemp("parts")
    documents = documents_once()
    return [BmpIndex.build(write_vectors(documents[lo:hi], folder / f"{lo}.jsonl"), folder / f"{lo}.bmp", progress=False).path
            for lo, hi in ((0, 100), (100, 450), (450, None))]


def test_joined_indexes_are_one(parts: list[Path], tmp_path: Path) -> None:
    whole = BmpSearcher(BmpIndex.build(write_vectors(documents_once(), tmp_path / "v.jsonl"), tmp_path / "all.bmp",
                                       progress=False))
    index = join(parts, tmp_path / "all.bmps", progress=False)
    assert (index.num_docs, index.num_postings) == (whole.index.num_docs, whole.index.num_postings)
    assert index.terms() == whole.index.terms()
    assert index.arrays["term_df"].tolist() == whole.index.arrays["term_df"].tolist()
    with ShardedSearcher(index) as searcher:
        for k in (1, 10, 1_000):
            assert runs(searcher, k) == runs(whole, k)


def test_joining_refuses_parts_that_do_not_fit(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BmpError, match="is the same index as"):
        join([*parts, parts[0]], tmp_path / "x", progress=False)
    again = BmpIndex.build(write_vectors(nasty_documents()[:3], tmp_path / "v.jsonl"), tmp_path / "v.bmp", progress=False)
    with pytest.raises(BmpError, match=r"v\.bmp: has the docid '10', as .*\.bmp has"):
        join([*parts, again.path], tmp_path / "x", progress=False)
    with pytest.raises(FileNotFoundError, match="there is no such index"):
        join([tmp_path / "none"], tmp_path / "x", progress=False)
    with pytest.raises(ValueError, match="no index"):
        join([], tmp_path / "x", progress=False)
    assert not (tmp_path / "x").exists()
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").touch()
    with pytest.raises(BuildError, match="not replaced"):
        join(parts, tmp_path / "x", progress=False)
    assert join([*parts, again.path], tmp_path / "y", check_docids=False, progress=False).num_docs == 599


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder / "nasty-3.bmps", tmp_path / "i.bmps"))


def test_a_missing_shard_is_named(copy: Path, one: BmpSearcher) -> None:
    shutil.rmtree(copy / "shard-001.bmp")
    with pytest.raises(ShardLostError, match=r"^shard-001: .*shard-001\.bmp: there is no such index$"):
        ShardedSearcher(copy)
    with ShardedSearcher(copy, allow_partial=True) as searcher:
        assert [reason.partition(":")[0] for reason in searcher.missing] == ["shard-001"]
        mine = [hit for hit in one.search({"tie": 1}, 600) if not 198 <= hit.lucene_docid < 397]
        assert [hit.docid for hit in searcher.search({"tie": 1}, 600)] == [hit.docid for hit in mine]
    for shard in ("shard-000.bmp", "shard-002.bmp"):
        shutil.rmtree(copy / shard)
    with pytest.raises(ShardLostError, match="all shards are lost"):
        ShardedSearcher(copy, allow_partial=True)


def test_another_index_in_place_of_a_shard_is_refused(copy: Path) -> None:
    shutil.rmtree(copy / "shard-001.bmp")
    shutil.copytree(copy / "shard-000.bmp", copy / "shard-001.bmp")
    with pytest.raises(ShardLostError, match=r"shard-001: .*is not the index that shard-001 was"):
        ShardedSearcher(copy)
    with pytest.raises(BmpError, match="is not the index that shard-001 was"):
        ShardedIndex.open(copy).verify()


def test_damage_is_found(copy: Path, tmp_path: Path) -> None:
    ShardedIndex.open(copy).verify()
    for name in ("term_df.bin", "shard-002.bmp/postings.bin"):
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(DamagedIndexError, match=name):
            ShardedIndex.open(copy).verify()
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)


@pytest.mark.parametrize(("change", "message"), [
    ({"num_docs": 1}, "contradicts its own counts"), ({"shards": []}, "lists no shards"), ({"version": 9}, "version 9"),
    ({"num_terms": -1}, "out of range"), ({"order": {}}, "ties"), ({"shards": [{"name": 1}]}, "shards"),
    ({"arrays": {}}, "arrays")])
def test_a_wrong_manifest_is_refused(change: dict[str, Any], message: str, copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(BmpError, match=message) as caught:
        ShardedSearcher(copy)
    assert "\n" not in str(caught.value)
    assert "manifest.json" in str(caught.value)


def test_paths_that_are_not_sharded_indexes(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such index"):
        ShardedSearcher(tmp_path / "none")
    with pytest.raises(BmpError, match="not a sharded index"):
        ShardedSearcher(folder / "nasty.bmp")
    with pytest.raises(BmpError, match="is a sharded index; search it with"):
        BmpSearcher(folder / "nasty-2.bmps")
    with pytest.raises(SourceError, match="too few for 7 shards"):
        build_shards(open_source(write_vectors(nasty_documents()[:3], tmp_path / "v.jsonl")), tmp_path / "x", 7, progress=False)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("weight", [-1, float("nan"), "3", None, 2**31, True])
def test_bad_queries_are_refused_as_by_one_index(weight: Any, folder: Path, one: BmpSearcher) -> None:
    with ShardedSearcher(folder / "nasty-2.bmps") as searcher:
        for query in ({"tie": weight}, {"nowhere": weight}, {7: 1}):
            with pytest.raises(ValueError, match="token") as theirs:
                one.search(query)
            with pytest.raises(ValueError, match="token") as caught:
                searcher.search(query)
            assert str(caught.value) == str(theirs.value)
        with pytest.raises(ValueError, match="k=0"):
            searcher.search({"tie": 1}, 0)
        with pytest.raises(ValueError, match="qids"):
            searcher.batch_search([{"tie": 1}], [])
        assert searcher.batch_search([], []) == {}


def test_manifest_describes_the_collection(folder: Path) -> None:
    manifest = read_manifest(folder / "nasty-7.bmps")
    assert manifest.source.num_docs == manifest.num_docs == 596
    assert (manifest.order.ties, manifest.order.adjust_ties) == ("docid", True)
    assert [shard.first_lucene_docid for shard in manifest.shards] == [596 * i // 7 for i in range(7)]
    assert [BmpIndex.open(folder / "nasty-7.bmps" / shard.path).num_docs for shard in manifest.shards] == [
        shard.num_docs for shard in manifest.shards]


# --- object stores ----------------------------------------------------------------------------------------------------


def test_shards_in_an_object_store(folder: Path, one: BmpSearcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards in an object store are copied once; a damaged copy is not used."""
    import fsspec

    from bmp_plugin.index import local_copy

    monkeypatch.setattr(local_copy, "cache_folder", lambda: tmp_path / "cache")
    store = fsspec.filesystem("memory")
    store.put(str(folder / "nasty-2.bmps"), "/bucket/", recursive=True)
    for options in ({"index": "memory://bucket/nasty-2.bmps"},
                    {"index": folder / "nasty-2.bmps", "shards_at": "memory://bucket/nasty-2.bmps"}):
        with ShardedSearcher(**options) as searcher:
            assert runs(searcher, 100) == runs(one, 100)
    copies = sorted(path.name for path in (tmp_path / "cache").iterdir() if path.is_dir())
    assert len(copies) == 3
    shutil.rmtree(tmp_path / "cache")
    store.pipe_file("/bucket/nasty-2.bmps/shard-001.bmp/postings.bin", b"\0" * store.size(
        "/bucket/nasty-2.bmps/shard-001.bmp/postings.bin"))
    with pytest.raises(ShardLostError, match=r"shard-001: .*checksum"):
        ShardedSearcher("memory://bucket/nasty-2.bmps")
    with pytest.raises(FileNotFoundError, match="memory://bucket/none"):
        ShardedSearcher("memory://bucket/none")
    with pytest.raises(BmpError, match="nosuch://bucket/x"):
        ShardedSearcher("nosuch://bucket/x")


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line in this process; returns status, standard output, standard error."""
    from bmp_plugin._internal import interrupts
    from bmp_plugin.cli import main

    monkeypatch.setattr(interrupts, "install", lambda: None)             # pytest's own stay

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return status, output.out, output.err

    return run


@pytest.fixture(scope="module")
def topics(folder: Path) -> Path:
    path = folder / "topics.jsonl"
    path.write_text("".join(json.dumps({"qid": qid, "vector": query}) + "\n" for qid, query in NASTY_QUERIES.items()))
    return path


def test_commands(command: Any, folder: Path, topics: Path, tmp_path: Path) -> None:
    many, one_run, many_run = tmp_path / "i.bmps", tmp_path / "one.txt", tmp_path / "many.txt"
    status, _, output = command("index", "--input", folder / "nasty.jsonl", "--output", many, "--shards", 4)
    assert status == 0
    assert output.startswith(f"{many}: 4 shards, 596 documents, ")
    assert command("index", "--input", folder / "nasty.jsonl", "--output", many, "--shards", 3, "--quiet") == (0, "", "")
    assert sorted(path.name for path in many.iterdir() if path.is_dir()) == [f"shard-00{i}.bmp" for i in range(3)]
    for index, run in ((folder / "nasty.bmp", one_run), (many, many_run)):
        assert command("search", "--index", index, "--topics", topics, "--output", run, "--threads", 2)[0] == 0
    assert many_run.read_bytes() == one_run.read_bytes()
    assert command("verify", many)[:2] == (0, f"{many}: sound (596 documents, {NUM_POSTINGS:,} postings)\n")
    status, output, _ = command("info", many)
    assert status == 0
    assert "\nshard-002         shard-002.bmp: 199 documents from 397 on, " in output
    assert [shard["num_docs"] for shard in json.loads(command("info", many, "--json")[1])["shards"]] == [198, 199, 199]
    impacts = many / "shard-001.bmp" / "postings.bin"
    impacts.write_bytes(bytes(byte ^ 1 for byte in impacts.read_bytes()))
    status, _, output = command("verify", many)
    assert status == 1
    assert output.startswith(f"bmp-plugin: damaged: {impacts}: ")


def test_shards_create(command: Any, parts: list[Path], topics: Path, tmp_path: Path) -> None:
    status, _, output = command("shards", "create", "--output", tmp_path / "i.bmps", *parts)
    assert status == 0
    assert output.startswith(f"{tmp_path / 'i.bmps'}: 3 shards, 596 documents, ")
    assert command("verify", tmp_path / "i.bmps")[0] == 0
    status, _, output = command("shards", "create", "--output", tmp_path / "x.bmps", parts[0], parts[0])
    assert status == 2
    assert output.startswith("bmp-plugin: error: ")
    assert output.count("\n") == 1


def test_a_partial_run_is_marked(command: Any, copy: Path, topics: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "shard-001.bmp")
    search = ("search", "--index", copy, "--topics", topics, "--output")
    status, _, output = command(*search, tmp_path / "run.txt")
    assert status == 2
    assert output.startswith("bmp-plugin: error: shard-001: ")
    assert not (tmp_path / "run.txt").exists()
    status, _, output = command(*search, tmp_path / "run.txt", "--allow-partial")
    assert status == 0
    assert output.startswith("bmp-plugin: partial: the run lacks shard-001: ")
    assert {line.split()[-1] for line in (tmp_path / "run.txt").read_text().splitlines()} == {"Anserini-partial"}
    status, _, output = command(*search, "/dev/stdout", "--allow-partial")
    assert (status, output.count("\n")) == (2, 1)
    assert "--allow-partial: /dev/stdout is not a file" in output


def test_options_of_sharded_indexes_only(command: Any, folder: Path, topics: Path, tmp_path: Path) -> None:
    search = ("search", "--index", folder / "nasty.bmp", "--topics", topics, "--output", tmp_path / "run.txt")
    for option in (("--ray-address", "auto"), ("--allow-partial",), ("--patience", 3), ("--shards-at", "x")):
        status, _, output = command(*search, *option)
        assert status == 2
        assert output.startswith(f"bmp-plugin: error: {option[0]}: ")


def test_scaling_measures(folder: Path, topics: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bmp_plugin.conformance.scaling import main

    assert main(["--parts", str(folder / "nasty.bmp"), "--whole", str(folder / "nasty.bmp"), "--sharded",
                 str(folder / "nasty-2.bmps"), "--queries", str(topics), "--k", "10", "--rounds", "1"]) == 0
    output = capsys.readouterr().out
    assert f"| 596 | {NUM_POSTINGS:,} |" in output
    assert f"| {len(NASTY_QUERIES)} of {len(NASTY_QUERIES)} |" in output
    assert main(["--sharded", str(folder / "nasty-2.bmps"), "--queries", str(topics)]) == 2
