"""BmpImpactSearcher has every method and attribute of LuceneImpactSearcher, with the same results."""
from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from conftest import VectorEncoder, ranking
from tiny_onnx import write_splade_model

from bmp_plugin import BmpError, BmpIndex
from bmp_plugin.conformance.fuzz.lucene_segments import write_segments
from bmp_plugin.errors import MissingDependencyError


@pytest.fixture(scope="module")
def dropin(host: Any) -> Any:
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    return BmpImpactSearcher


@pytest.fixture(scope="module")
def pair(dropin: Any, host: Any, lucene_index: Callable[[str], Path], cranfield_queries: Any) -> Iterator[Any]:
    """(ours, Pyserini's) over Cranfield with stored vectors and texts."""
    path, encoder = str(lucene_index("cranfield")), VectorEncoder(cranfield_queries)
    ours, theirs = dropin(path, encoder, progress=False), host.LuceneImpactSearcher(path, encoder)
    yield ours, theirs
    ours.close()
    theirs.close()


class TestSameInterface:
    def test_signatures(self, dropin: Any, host: Any) -> None:
        original = host.LuceneImpactSearcher
        assert issubclass(dropin, original)
        for name, member in inspect.getmembers(original):
            if name.startswith("_") and name != "__init__":
                continue
            ours = getattr(dropin, name)
            if not callable(member):
                continue
            expected = list(inspect.signature(member).parameters.values())
            found = list(inspect.signature(ours).parameters.values())
            kept = [p for p in found if p.kind is not p.KEYWORD_ONLY]
            assert [(p.name, p.default, p.kind) for p in kept] == [(p.name, p.default, p.kind) for p in expected], name
            assert all(p.default is not p.empty for p in found[len(kept):]), name

    def test_written_out_queries_are_counted_as_by_pyserini(self, dropin: Any, lucene_index: Callable[[str], Path]) -> None:
        from pyserini.encode import TokFreqQueryEncoder

        ours = dropin(str(lucene_index("cranfield")), None, progress=False)
        for text in ("", " \t", "a a b", " wing " + "wing " * 700 + "wings\u2003wing\n", "x\x1cx x\u00a0y\x85y", "é é e\u0301"):
            assert list(ours.encode(text).items()) == list(TokFreqQueryEncoder().encode(text).items())
        assert type(ours.query_encoder) is TokFreqQueryEncoder

    def test_attributes(self, pair: Any) -> None:
        ours, theirs = pair
        assert isinstance(ours, type(theirs))
        for name in vars(theirs):
            assert hasattr(ours, name), name
        assert ours.index_dir == theirs.index_dir
        assert (ours.num_docs, ours.min_idf, ours.encoder_type) == (theirs.num_docs, theirs.min_idf, theirs.encoder_type)
        assert ours.query_encoder is theirs.query_encoder
        assert ours.prebuilt_index_name is theirs.prebuilt_index_name is None
        assert list(ours.idf.items()) == list(theirs.idf.items())
        assert type(ours.object) is type(theirs.object)

    def test_counts_with_deletions(self, dropin: Any, host: Any, lucene_index: Any) -> None:
        path = str(lucene_index("deletions"))
        ours, theirs = dropin(path, None, progress=False), host.LuceneImpactSearcher(path, None)
        assert ours.num_docs == theirs.num_docs
        assert ours.idf == theirs.idf

    def test_positional_arguments(self, dropin: Any, lucene_index: Any) -> None:
        searcher = dropin(str(lucene_index("cranfield")), None, 3, "pytorch", "some-name")
        assert (searcher.min_idf, searcher.encoder_type, searcher.prebuilt_index_name) == (3, "pytorch", "some-name")

    def test_prebuilt_indexes(self, dropin: Any, host: Any, lucene_index: Any, monkeypatch: Any, capsys: Any) -> None:
        assert dropin.from_prebuilt_index("no-such-index", None) is None
        ours = capsys.readouterr().out
        assert host.LuceneImpactSearcher.from_prebuilt_index("no-such-index", None) is None
        assert capsys.readouterr().out == ours
        monkeypatch.setattr(host._impact_searcher, "download_prebuilt_index", lambda name: str(lucene_index("cranfield")))
        searcher = dropin.from_prebuilt_index("known", None, min_idf=2)
        assert isinstance(searcher, dropin)
        assert (searcher.prebuilt_index_name, searcher.min_idf) == ("known", 2)
        ours = capsys.readouterr().out
        host.LuceneImpactSearcher.from_prebuilt_index("known", None, min_idf=2)
        assert capsys.readouterr().out == ours
        dropin.list_prebuilt_indexes()
        assert capsys.readouterr().out == "Not Implemented\n"


class TestDocuments:
    @pytest.mark.parametrize("docid", ["1", "1400", 0, 17, "no-such-docid", 99_999, -1])
    def test_doc(self, docid: str | int, pair: Any) -> None:
        ours, theirs = (searcher.doc(docid) for searcher in pair)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert (ours.docid(), ours.raw(), ours.contents()) == (theirs.docid(), theirs.raw(), theirs.contents())

    def test_doc_by_field(self, pair: Any) -> None:
        ours, theirs = pair
        assert ours.doc_by_field("id", "7").raw() == theirs.doc_by_field("id", "7").raw()
        assert ours.doc_by_field("id", "x") is theirs.doc_by_field("id", "x") is None

    def test_lucene_document_is_fetched_on_access(self, dropin: Any, lucene_index: Any, cranfield_queries: Any) -> None:
        ours = dropin(str(lucene_index("cranfield")), VectorEncoder(cranfield_queries))
        hits = ours.search(next(iter(cranfield_queries)), 5)
        assert not ours._lucene_is_open()
        assert [hit.lucene_document.get("id") for hit in hits] == [hit.docid for hit in hits]
        assert hits[0].lucene_document is hits[0].lucene_document
        assert ours._lucene_is_open()

    def test_hits_are_a_list_of_assignable_scores(self, pair: Any) -> None:
        hits = pair[0].search("1", 10)
        assert isinstance(hits, list)
        hits[3].score = 12.5
        assert sorted(hits, key=lambda hit: hit.score)[0] is hits[3]


class TestEncoders:
    def test_cached_queries(self, dropin: Any, host: Any, lucene_index: Any, cranfield_queries: Any, tmp_path: Path) -> None:
        cached = tmp_path / "queries.jsonl"
        cached.write_text("".join(json.dumps({"id": q, "contents": f"text {q}", "vector": v}) + "\n"
                                  for q, v in cranfield_queries.items()))
        path = str(lucene_index("cranfield"))
        ours, theirs = dropin(path, str(cached)), host.LuceneImpactSearcher(path, str(cached))
        assert type(ours.query_encoder) is type(theirs.query_encoder)
        for query in list(cranfield_queries)[:10]:
            assert ranking(ours.search(f" text {query} ", 20)) == ranking(theirs.search(f" text {query} ", 20))
            assert ours.encode(f"text {query}") == theirs.encode(f"text {query}")

    def test_pretokenized_queries(self, dropin: Any, host: Any, lucene_index: Any) -> None:
        path = str(lucene_index("cranfield"))
        ours, theirs = dropin(path, None), host.LuceneImpactSearcher(path, None)
        for query in ("high speed aircraft", "wing wing  wing\tflow flow", "", "   ", "##s", "no-such-token"):
            assert ranking(ours.search(query)) == ranking(theirs.search(query))

    @pytest.mark.parametrize(("name", "encoder"), [
        ("castorini/UniCOIL-msmarco", "UniCoilQueryEncoder"), ("naver/SPLADE-cocondenser", "SpladeQueryEncoder")])
    def test_by_name(self, name: str, encoder: str, dropin: Any, host: Any, lucene_index: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(host._impact_searcher, encoder, lambda given: ("loaded", given))    # no downloads in tests
        assert dropin(str(lucene_index("cranfield")), name).query_encoder == ("loaded", name)

    def test_invalid_types(self, dropin: Any, lucene_index: Any) -> None:
        path = str(lucene_index("cranfield"))
        with pytest.raises(ValueError, match="Invalid encoder type: tensorflow"):
            dropin(path, None, encoder_type="tensorflow")
        with pytest.raises(ValueError, match="for onnx encoder"):
            dropin(path, None, encoder_type="onnx")

    def test_onnx(self, dropin: Any, host: Any, lucene_index: Any, cranfield_documents: Any, tmp_path: Path) -> None:
        from jnius import autoclass

        tokens = sorted({token for document in cranfield_documents for token in document["vector"]})
        autoclass("java.lang.System").setProperty("user.home", str(tmp_path))     # where Anserini keeps its models
        write_splade_model(tmp_path / ".cache" / "pyserini" / "encoders", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *tokens])
        path, name = str(lucene_index("cranfield")), "SpladePlusPlusSelfDistil"
        ours = dropin(path, name, 3, "onnx")
        theirs = host.LuceneImpactSearcher(path, name, 3, "onnx")         # min_idf is without effect there
        queries = ["high speed aircraft", "the of and", "flow", "boundary layer flow in a shock tube", "zzzz"]
        assert ours.encode(queries[0]).toString() == theirs.encode(queries[0]).toString()
        for query in queries:
            assert ranking(ours.search(query, 50)) == ranking(theirs.search(query, 50)), query
        assert ours.search(queries[1])
        batches = [s.batch_search(queries, list("abcde"), 20, 2) for s in (ours, theirs)]
        assert {q: ranking(hits) for q, hits in batches[0].items()} == {q: ranking(hits) for q, hits in batches[1].items()}
        english = host.LuceneSearcher(path).object.get_analyzer()         # stems and drops stop words
        for searcher in (ours, theirs):
            searcher.set_analyzer(english)
        for query in queries:
            assert ranking(ours.search(query, 50)) == ranking(theirs.search(query, 50)), query


class TestFeedback:
    QUERIES = ("1", "21", "101")

    def same(self, pair: Any) -> None:
        ours, theirs = pair
        for query in self.QUERIES:
            assert ranking(ours.search(query, 100)) == ranking(theirs.search(query, 100))
        batches = [searcher.batch_search(list(self.QUERIES), list("abc"), 10, 2) for searcher in pair]
        assert {q: ranking(hits) for q, hits in batches[0].items()} == {q: ranking(hits) for q, hits in batches[1].items()}

    def test_rm3(self, pair: Any) -> None:
        ours = pair[0]
        plain = ranking(ours.search("1", 10))
        for searcher in pair:
            searcher.set_rm3(fb_terms=20, fb_docs=5, original_query_weight=0.6)
        assert ours.is_using_rm3() is True
        self.same(pair)
        assert ranking(ours.search("1", 10)) != plain
        for searcher in pair:
            searcher.unset_rm3()
        assert ours.is_using_rm3() is False
        self.same(pair)
        assert ranking(ours.search("1", 10)) == plain

    def test_rocchio(self, pair: Any) -> None:
        ours = pair[0]
        for options in ({}, {"gamma": 0.15, "use_negative": True}):
            for searcher in pair:
                searcher.set_rocchio(**options)
            assert ours.is_using_rocchio() is True
            self.same(pair)
            for searcher in pair:
                searcher.unset_rocchio()
        assert ours.is_using_rocchio() is False
        self.same(pair)

    def test_without_vectors_or_texts(self, dropin: Any, host: Any, lucene_index: Any) -> None:
        path = str(lucene_index("nasty"))
        for searcher in (dropin(path, None, progress=False), host.LuceneImpactSearcher(path, None)):
            with pytest.raises(TypeError, match="RM3 is not supported"):
                searcher.set_rm3()
            assert not searcher.is_using_rm3()

    def test_is_using_does_not_open_lucene(self, dropin: Any, lucene_index: Any) -> None:
        searcher = dropin(str(lucene_index("cranfield")), None)
        assert not searcher.is_using_rm3()
        assert not searcher.is_using_rocchio()
        searcher.search("flow")
        searcher.close()
        searcher.close()
        assert not searcher._lucene_is_open()


class TestRefusals:
    def test_fields(self, pair: Any) -> None:
        with pytest.raises(ValueError, match="contents"):
            pair[0].search("1", fields={"title": 2.0})
        with pytest.raises(ValueError, match="contents"):
            pair[0].batch_search(["1"], ["a"], fields={"title": 2.0})

    def test_as_many_ids_as_queries(self, pair: Any) -> None:
        with pytest.raises(ValueError, match="qids"):
            pair[0].batch_search(["1", "5"], ["a"])

    def test_missing_index(self, dropin: Any, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="missing"):
            dropin(str(tmp_path / "missing"), None)
        with pytest.raises(BmpError, match="not a Lucene index"):
            dropin(str(tmp_path), None)

    def test_pyserini_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from bmp_plugin.adapters.host import pyserini_import as host

        monkeypatch.setattr(host.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(MissingDependencyError, match=r"pip install \"bmp-plugin\[pyserini\]\""):
            host.import_pyserini()

    def test_no_network_for_what_it_fetches_at_import(self, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from bmp_plugin.adapters.host import pyserini_import as importer

        def fail(name: str) -> None:
            raise URLError("[Errno -2] Name or service not known")

        monkeypatch.setattr(importer.importlib, "import_module", fail)
        with pytest.raises(MissingDependencyError, match=r"catalogues .* cannot .*Name or service.*pyserini==2.3.0") as caught:
            importer.import_pyserini()
        assert "\n" not in str(caught.value)

    def test_openai_needs_a_key(self, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        import openai

        from bmp_plugin.adapters.host import pyserini_import as importer

        def fail(name: str) -> None:
            raise openai.OpenAIError("Missing credentials.\nPlease pass an `api_key`")

        monkeypatch.setattr(importer.importlib, "import_module", fail)
        with pytest.raises(MissingDependencyError, match="OPENAI_API_KEY") as caught:
            importer.import_pyserini()
        assert "\n" not in str(caught.value)


class TestSidecarIndex:
    @pytest.fixture
    def copy(self, lucene_index: Any, tmp_path: Path) -> Path:
        return Path(shutil.copytree(lucene_index("cranfield"), tmp_path / "index"))

    def test_built_once_and_reused(self, copy: Path, dropin: Any) -> None:
        dropin(f"{copy}/", None, progress=False)
        sidecar = copy.with_name("index.bmp")
        made = (sidecar / "manifest.json").stat().st_mtime_ns
        dropin(str(copy), None)
        assert (sidecar / "manifest.json").stat().st_mtime_ns == made
        assert BmpIndex.open(sidecar).manifest["source"]["path"] == str(copy)

    def test_use_removes_files_of_a_killed_build(self, copy: Path, dropin: Any) -> None:
        dropin(str(copy), None)
        left = copy.with_name(f".{copy.name}.bmp.building-0123456789ab")       # the old index, when the new one has its place
        left.mkdir()
        (left / "docid_bytes.bin").touch()
        dropin(str(copy), None)
        assert not left.exists()

    def test_rebuilt_when_lucene_changed(self, copy: Path, dropin: Any, host: Any) -> None:
        sidecar = copy.with_name("index.bmp")
        BmpIndex.build(copy, sidecar, block_size=32, progress=False)
        before = dropin(str(copy), None)
        assert before.bmp_index.manifest["block_size"] == 32
        best = before.search("flow", 1)[0].docid
        write_segments(copy, deleted=[best])
        with pytest.raises(BmpError, match="changed"):
            before.doc("1")                 # numbers may mean other documents now
        after = dropin(str(copy), None, progress=False)
        assert after.bmp_index.manifest["block_size"] == 32         # as it was asked for
        assert ranking(after.search("flow", 50)) == ranking(host.LuceneImpactSearcher(str(copy), None).search("flow", 50))
        assert best not in [hit.docid for hit in after.search("flow", 50)]

    def test_damaged_index_is_rebuilt(self, copy: Path, dropin: Any) -> None:
        expected = ranking(dropin(str(copy), None, progress=False).search("flow"))
        array = next(copy.with_name("index.bmp").glob("*.bin"))
        array.write_bytes(b"")
        assert ranking(dropin(str(copy), None, progress=False).search("flow")) == expected

    def test_other_files_at_the_sidecar_path(self, copy: Path, dropin: Any) -> None:
        sidecar = copy.with_name("index.bmp")
        sidecar.mkdir()
        (sidecar / "precious.txt").write_text("mine")
        with pytest.raises(BmpError, match="is not a block-max index"):
            dropin(str(copy), None)
        assert (sidecar / "precious.txt").read_text() == "mine"

    def test_bmp_dir(self, copy: Path, dropin: Any, tmp_path: Path) -> None:
        searcher = dropin(str(copy), None, bmp_dir=str(tmp_path / "other" / "place.bmp"), progress=False)
        assert searcher.bmp_index.path == tmp_path / "other" / "place.bmp"
        assert not copy.with_name("index.bmp").exists()

    def test_read_only_folder(self, copy: Path, dropin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from bmp_plugin.adapters.host import sidecar_index

        sidecar = copy.resolve().parent                 # where root may write
        monkeypatch.setattr(sidecar_index, "_is_writable", lambda folder: folder != sidecar)
        monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
        first = dropin(str(copy), None, progress=False)
        assert tmp_path / "cache" in first.bmp_index.path.parents
        assert dropin(str(copy), None).bmp_index.path == first.bmp_index.path
        assert not copy.with_name("index.bmp").exists()

    def test_block_max_directory_as_index(self, copy: Path, dropin: Any) -> None:
        sidecar = copy.with_name("index.bmp")
        expected = ranking(dropin(str(copy), None, progress=False).search("flow"))
        searcher = dropin(str(sidecar), None)
        assert ranking(searcher.search("flow")) == expected
        assert searcher.doc("1").docid() == "1"
        shutil.rmtree(copy)
        alone = dropin(str(sidecar), None)
        assert ranking(alone.search("flow")) == expected
        assert len(alone.idf) == alone.bmp_index.num_terms
        with pytest.raises(BmpError, match="gone"):
            alone.doc("1")

    def test_two_processes_at_once(self, copy: Path) -> None:
        code = ("import sys; from bmp_plugin.adapters.host.sidecar_index import index_of; "
                "print(index_of(sys.argv[1]).num_postings)")
        both = [subprocess.Popen([sys.executable, "-c", code, str(copy)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True) for _ in range(2)]
        results = [process.communicate(timeout=300) for process in both]
        assert [process.returncode for process in both] == [0, 0], results
        assert results[0][0] == results[1][0]
        assert sorted("Building" in err for _, err in results) == [False, True]
        assert [name for name in os.listdir(copy.parent) if ".building" in name] == []
