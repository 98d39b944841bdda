"""LuceneSource reads the same as Pyserini's own reader."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DELETED_TOKEN, LUCENE_INDEXES

from bmp_plugin.adapters.java import lucene_process
from bmp_plugin.adapters.sources.lucene_source import LuceneSource, fingerprint, is_lucene_directory
from bmp_plugin.conformance.fuzz.lucene_segments import write_segments
from bmp_plugin.errors import MissingDependencyError, SourceError


def postings_of(source: LuceneSource) -> dict[str, tuple[int, list[int], list[int]]]:
    found = {}
    for batch in source.batches():
        ends = np.cumsum(batch.counts)
        assert len(batch.docs) == len(batch.impacts) == (ends[-1] if len(ends) else 0)
        for term, df, start, end in zip(batch.terms, batch.dfs, ends - batch.counts, ends, strict=True):
            assert term.decode() not in found
            found[term.decode()] = int(df), batch.docs[start:end].tolist(), batch.impacts[start:end].tolist()
    return found


def stored(reader: Any, number: int) -> Any:
    """Returns a stored document, from Lucene 9 or 10."""
    return reader.storedFields().document(number)


@pytest.mark.parametrize("name", LUCENE_INDEXES)
def test_reads_what_pyserini_reads(name: str, lucene_index: Any, host: Any) -> None:
    from pyserini.index.lucene import LuceneIndexReader

    path = lucene_index(name)
    reader = LuceneIndexReader(str(path))
    deleted = {i for i in range(reader.reader.maxDoc()) if not is_live(reader.reader, i)}
    assert bool(deleted) == (name == "deletions")
    with LuceneSource(path) as source:
        assert source.info.num_docs == reader.stats()["documents"]
        assert source.info.details["num_segments"] == (3 if name in ("segments", "deletions") else 1)
        assert source.info.ties_by_docid == (name != "lucene8")
        documents = source.documents()
        assert documents.source_docids.tolist() == [i for i in range(reader.reader.maxDoc()) if i not in deleted]
        starts = documents.docid_ends - np.diff(documents.docid_ends, prepend=0)
        docids = [documents.docid_bytes[a:b].decode() for a, b in zip(starts, documents.docid_ends, strict=True)]
        assert docids == [stored(reader.reader, i).get("id") for i in documents.source_docids.tolist()]
        found = postings_of(source)
        assert {term.term: term.df for term in reader.terms()} == {term: df for term, (df, _, _) in found.items()}
        assert source.num_postings_hint() == sum(df for df, _, _ in found.values())
        for term in list(found)[::211 if len(found) > 1000 else 1]:
            expected = [(p.docid, p.tf) for p in reader.get_postings_list(term, analyzer=None)]
            # Pyserini lists deleted documents, which its searcher never returns
            assert list(zip(*found[term][1:], strict=True)) == [p for p in expected if p[0] not in deleted]
        if name == "deletions":
            assert found[DELETED_TOKEN][0] > 0
            assert found[DELETED_TOKEN][1] == []


def is_live(reader: Any, document: int) -> bool:
    from jnius import autoclass

    live = autoclass("org.apache.lucene.index.MultiBits").getLiveDocs(reader)
    return live is None or live.get(document)


def test_large_impacts(lucene_index: Any) -> None:
    with LuceneSource(lucene_index("nasty")) as source:
        found = postings_of(source)
    assert found["large"][2][:2] == [256, 267]
    assert found["huge"][2] == [65_536 + i for i in range(0, 600, 97)]


def test_may_be_read_again_and_in_between(lucene_index: Any) -> None:
    with LuceneSource(lucene_index("segments")) as source:
        batches = source.batches()
        first = next(batches)
        documents = source.documents()
        again = list(source.batches())
        batches.close()
        assert again[0].terms == first.terms
        np.testing.assert_array_equal(again[0].impacts, first.impacts)
        np.testing.assert_array_equal(source.documents().source_docids, documents.source_docids)
        next(source.batches())              # left early
        assert len(postings_of(source)) == sum(len(batch.terms) for batch in again)
    source.close()


def test_terms_larger_than_a_batch(lucene_index: Any, tmp_path: Path, java: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    text = (Path(lucene_process.__file__).parent / "PostingReader.java").read_text()
    assert "BATCH_POSTINGS = 1 << 21" in text
    (small / "PostingReader.java").write_text(text.replace("BATCH_POSTINGS = 1 << 21", "BATCH_POSTINGS = 256"))
    javac = java.with_name("javac")
    if not javac.exists():
        pytest.skip("no javac")
    from bmp_plugin.adapters.java.anserini_jar import anserini_jar

    subprocess.run([javac, "-cp", anserini_jar(), "-d", small, small / "PostingReader.java"], check=True)
    for name in ("nasty", "deletions"):
        with LuceneSource(lucene_index(name)) as source:
            expected = postings_of(source)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lucene_process, "_CLASSES", small)
            with LuceneSource(lucene_index(name)) as source:
                assert max(len(batch.docs) for batch in source.batches()) > 256
                assert postings_of(source) == expected


def test_fingerprint_follows_the_commit(lucene_index: Any, host: Any, tmp_path: Path) -> None:
    path = tmp_path / "copy"
    shutil.copytree(lucene_index("cranfield"), path)
    before = fingerprint(path)
    assert before == fingerprint(lucene_index("cranfield"))
    write_segments(path, deleted=["1"])
    after = fingerprint(path)
    assert after != before
    newest = next(path.glob("segments_*"))
    shutil.copy(newest, path / "segments_10")           # 36 in base 36: above every one-digit generation
    (path / "segments_9").write_bytes(b"older")
    assert fingerprint(path) not in (before, after)
    (path / "segments_9").unlink()
    assert is_lucene_directory(path)
    assert not is_lucene_directory(tmp_path)
    assert not is_lucene_directory(newest)


class TestRefusals:
    """One line that names the directory and tells what is wrong with it."""

    @pytest.fixture
    def copy(self, lucene_index: Any, tmp_path: Path) -> Path:
        return Path(shutil.copytree(lucene_index("cranfield"), tmp_path / "copy"))

    @staticmethod
    def refusal(path: Path, field: str = "contents") -> str:
        def read() -> None:
            with LuceneSource(path, field) as source:
                source.documents()
                postings_of(source)

        with pytest.raises(SourceError) as caught:
            read()
        message = str(caught.value)
        assert "\n" not in message
        assert str(path) in message
        return message

    def test_no_directory(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no such directory"):
            LuceneSource(tmp_path / "missing")

    def test_not_an_index(self, tmp_path: Path) -> None:
        assert "not a Lucene index" in self.refusal(tmp_path)

    def test_no_such_field(self, lucene_index: Any) -> None:
        assert "no field 'title'" in self.refusal(lucene_index("cranfield"), "title")

    def test_field_without_impacts(self, lucene_index: Any) -> None:
        assert "without frequencies" in self.refusal(lucene_index("cranfield"), "id")

    def test_damaged_commit(self, copy: Path) -> None:
        commit = next(copy.glob("segments_*"))
        commit.write_bytes(commit.read_bytes()[:-20])
        assert "damaged" in self.refusal(copy)

    def test_damaged_postings(self, copy: Path) -> None:
        postings = next(copy.glob("*.doc"))
        postings.write_bytes(postings.read_bytes()[:1000])
        assert "damaged" in self.refusal(copy)

    def test_one_byte_of_the_postings(self, copy: Path) -> None:
        postings = next(copy.glob("*.doc"))
        content = bytearray(postings.read_bytes())
        content[len(content) // 2] ^= 1
        postings.write_bytes(content)
        assert "damaged" in self.refusal(copy)

    def test_one_byte_of_the_docids(self, copy: Path) -> None:
        docvalues = next(copy.glob("*.dvd"))
        content = bytearray(docvalues.read_bytes())
        content[len(content) // 2] ^= 1
        docvalues.write_bytes(content)
        assert "damaged" in self.refusal(copy)

    def test_missing_file(self, copy: Path) -> None:
        next(copy.glob("*.tim")).unlink()
        assert "missing" in self.refusal(copy)

    def test_unknown_codec(self, copy: Path) -> None:
        commit = next(copy.glob("segments_*"))
        commit.write_bytes(re.sub(rb"Lucene(99|10[0-9])", lambda found: b"Lucene777"[:len(found[0])], commit.read_bytes()))
        self.refusal(copy)

    def test_documents_without_docid(self, copy: Path, host: Any) -> None:
        from jnius import autoclass

        config = autoclass("org.apache.lucene.index.IndexWriterConfig")()
        directory = autoclass("org.apache.lucene.store.FSDirectory").open(
            autoclass("java.nio.file.Paths").get(str(copy)))
        writer = autoclass("org.apache.lucene.index.IndexWriter")(directory, config)
        writer.addDocument(autoclass("org.apache.lucene.document.Document")())
        writer.close()
        assert "no field 'id'" in self.refusal(copy)

    def test_no_jar(self, lucene_index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANSERINI_CLASSPATH", str(tmp_path))
        with pytest.raises(MissingDependencyError, match="ANSERINI_CLASSPATH"):
            LuceneSource(lucene_index("cranfield"))

    def test_not_compiled(self, lucene_index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lucene_process, "_CLASSES", tmp_path)
        with pytest.raises(MissingDependencyError, match="install a JDK"):
            LuceneSource(lucene_index("cranfield"))

    @pytest.mark.parametrize(("options", "message"), [
        ("-XX:NoSuchOption", "Unrecognized VM option 'NoSuchOption'"), ("-Xmx40m", "more memory than Java was given")])
    def test_java_that_fails(self, options: str, message: str, lucene_index: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JAVA_TOOL_OPTIONS", options)
        assert message in self.refusal(lucene_index("cranfield"))

    def test_dead_process(self, lucene_index: Any) -> None:
        with LuceneSource(lucene_index("cranfield")) as source:
            source._readers[0]._process.kill()
            with pytest.raises(SourceError, match="ended early"):
                source.documents()


def test_class_files_run_on_java_17(java: Path) -> None:
    content = (Path(lucene_process.__file__).parent / "PostingReader.class").read_bytes()
    assert content[:8] == bytes.fromhex("cafebabe") + (0).to_bytes(2, "big") + (17 + 44).to_bytes(2, "big")


def test_another_field(host: Any, tmp_path: Path) -> None:
    from jnius import autoclass

    config = autoclass("org.apache.lucene.index.IndexWriterConfig")(
        autoclass("org.apache.lucene.analysis.core.WhitespaceAnalyzer")())
    directory = autoclass("org.apache.lucene.store.FSDirectory").open(
        autoclass("java.nio.file.Paths").get(str(tmp_path)))
    writer = autoclass("org.apache.lucene.index.IndexWriter")(directory, config)
    document = autoclass("org.apache.lucene.document.Document")()
    store = autoclass("org.apache.lucene.document.Field$Store")
    document.add(autoclass("org.apache.lucene.document.StringField")("id", "e", store.YES))
    document.add(autoclass("org.apache.lucene.document.TextField")("title", "x y x", store.NO))
    writer.addDocument(document)
    writer.close()
    with LuceneSource(tmp_path, "title") as source:
        assert postings_of(source) == {"x": (1, [0], [2]), "y": (1, [0], [1])}
        assert source.documents().docid_bytes == b"e"        # from the stored field: there are no docvalues
        assert source.info.details["field"] == "title"
