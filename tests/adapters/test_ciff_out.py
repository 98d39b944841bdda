"""CIFF files of ``bmp-plugin export`` are byte for byte the protobuf library's, and other engines read them."""
from __future__ import annotations

import gzip
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ciff import DOCIDS, LISTS, ciff_bytes, content, delimited, posting_list

from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.adapters.export import block_max_source as block_max
from bmp_plugin.adapters.export.block_max_source import BlockMaxSource
from bmp_plugin.adapters.export.ciff_writing import write_ciff
from bmp_plugin.adapters.sources.ciff_messages import messages
from bmp_plugin.adapters.sources.ciff_source import CiffSource
from bmp_plugin.cli import main
from bmp_plugin.trec.topics import read_topics

DATA = Path(str(resources.files("bmp_plugin.demo")))


@pytest.fixture(scope="module")
def queries() -> list[dict[str, Any]]:
    return [query for _, query in read_topics(DATA / "cranfield_queries.jsonl.gz")[::5]]


@pytest.fixture(scope="module", params=["none", "bp"])
def cranfield(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BmpIndex:
    output = tmp_path_factory.mktemp("out") / f"{request.param}.bmp"
    return BmpIndex.build(DATA / "cranfield_docs.jsonl.gz", output, reorder=request.param, progress=False)


in_one_order = pytest.mark.parametrize("cranfield", ["bp"], indirect=True)       # where the other order proves nothing more


@pytest.fixture(scope="module")
def exported(cranfield: BmpIndex) -> Path:
    path = cranfield.path.with_suffix(".ciff")
    assert main(["export", str(cranfield.path), "--to", "ciff", "--output", str(path), "--quiet"]) == 0
    return path


def written_by_protobuf(lists: dict[str, list[tuple[int, int]]], docids: list[str], description: str) -> bytes:
    kinds, lengths = messages(), [0] * len(docids)
    for postings in lists.values():
        for doc, impact in postings:
            lengths[doc] += impact
    head = kinds.Header(version=1, num_postings_lists=len(lists), num_docs=len(docids), total_postings_lists=len(lists),
                        total_docs=len(docids), total_terms_in_collection=sum(lengths),
                        average_doclength=sum(lengths) / len(docids), description=description)
    records = [kinds.DocRecord(docid=number, collection_docid=docid, doclength=min(length, 2**31 - 1))
               for number, (docid, length) in enumerate(zip(docids, lengths, strict=True))]
    ordered = sorted(lists.items(), key=lambda item: item[0].encode())
    return b"".join(map(delimited, [head, *(posting_list(*item) for item in ordered), *records]))


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.dictionaries(st.integers(0, 300), st.integers(1, 2**31 - 1), min_size=1,
                                                            max_size=60), max_size=12), st.integers(1, 50))
def test_bytes_of_the_protobuf_library(tmp_path_factory: pytest.TempPathFactory, postings: dict[str, dict[int, int]],
                                       batch: int) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    lists = {term: sorted(docs.items()) for term, docs in postings.items()}
    docids = [f"d{number}" for number in range(301)]
    (folder / "in.ciff").write_bytes(ciff_bytes(lists, docids))
    index = BmpIndex.build(folder / "in.ciff", folder / "i.bmp", progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_max, "BATCH", batch)
        write_ciff(index, folder / "out.ciff", description="über", progress=False)
    assert (folder / "out.ciff").read_bytes() == written_by_protobuf(lists, docids, "über")


def test_every_kind_of_list(tmp_path: Path) -> None:
    """Lists with block maxima and sparse ones, impacts of one to four digits, and a list that ends a superblock."""
    rng = np.random.default_rng(7)
    lists = {}
    for share in (1, 2, 3, 20, 60, 700):
        for top in (200, 60_000, 2**30):
            docs = np.flatnonzero(rng.random(2304) < 1 / share)
            lists[f"{share}-{top}"] = [(int(doc), int(rng.integers(1, top))) for doc in docs]
        lists[f"{share}-overflow"] = [(int(doc), 300 if doc % 50 == 0 else 9) for doc in docs]
    docids = [f"{number:x}" for number in range(2304)]
    (tmp_path / "in.ciff").write_bytes(ciff_bytes(lists, docids))
    index = BmpIndex.build(tmp_path / "in.ciff", tmp_path / "i.bmp", progress=False)
    assert set(zip((index.arrays["list_row"] >= 0).tolist(), index.arrays["list_shift"].tolist(), strict=True)) \
        >= {(kind, shift) for kind in (False, True) for shift in (0, 8)}
    write_ciff(index, tmp_path / "out.ciff", progress=False)
    assert content(CiffSource(tmp_path / "out.ciff")) == (docids, lists)


def test_order_of_the_index(cranfield: BmpIndex, exported: Path) -> None:
    source = CiffSource(exported)
    docids, _ = content(source)
    assert docids == cranfield.docids(np.arange(cranfield.num_docs, dtype=np.int32))
    source_docids = cranfield.arrays["source_docid"].tolist()
    assert (source_docids == sorted(source_docids)) == (cranfield.manifest["reorder"] == "none")
    assert source.info.details["description"].endswith(cranfield.manifest["reorder"])


def test_same_answers_through_our_own_reader(cranfield: BmpIndex, exported: Path, queries: Any) -> None:
    again = BmpIndex.build(exported, exported.with_suffix(".again.bmp"), progress=False)
    ours, theirs = BmpSearcher(cranfield), BmpSearcher(again)
    index_of = dict(zip(again.docids(np.arange(again.num_docs, dtype=np.int32)), range(again.num_docs), strict=True))
    for query in queries:
        hits = theirs.search(query, 200)
        assert [(hit.docid, hit.score) for hit in hits] == [(hit.docid, hit.score) for hit in ours.search(query, 200)]
        assert [hit.lucene_docid for hit in hits] == [index_of[hit.docid] for hit in hits]       # CIFF's own ids


@in_one_order
def test_gzipped_by_suffix(cranfield: BmpIndex, exported: Path) -> None:
    packed = exported.with_suffix(".ciff.gz")
    write_ciff(cranfield, packed, progress=False)
    assert gzip.decompress(packed.read_bytes()) == exported.read_bytes()
    first = packed.read_bytes()
    write_ciff(cranfield, packed, progress=False)
    assert packed.read_bytes() == first


@in_one_order
def test_ciff_toolkit(cranfield: BmpIndex, exported: Path, tmp_path: Path) -> None:
    read, write = pytest.importorskip("ciff_toolkit.read"), pytest.importorskip("ciff_toolkit.write")
    with read.CiffReader(exported) as reader, write.CiffWriter(tmp_path / "toolkit.ciff.gz") as writer:
        header = reader.read_header()
        assert (header.num_docs, header.num_postings_lists) == (cranfield.num_docs, cranfield.num_terms)
        writer.write_header(header)
        writer.write_postings_lists(reader.read_postings_lists())
        writer.write_documents(reader.read_documents())
    assert gzip.decompress((tmp_path / "toolkit.ciff.gz").read_bytes()) == exported.read_bytes()
    assert content(CiffSource(tmp_path / "toolkit.ciff.gz")) == content(CiffSource(exported))


def test_ciff_toolkit_merges(tmp_path: Path) -> None:
    merge = pytest.importorskip("ciff_toolkit.merge")
    halves = [{term: [(doc, impact) for doc, impact in postings if doc % 2 == half] for term, postings in LISTS.items()}
              for half in (0, 1)]
    halves = [{term: postings for term, postings in half.items() if postings} for half in halves]
    for half, lists in enumerate(halves):
        (tmp_path / f"{half}.in.ciff").write_bytes(ciff_bytes(lists, [f"{half}-{docid}" for docid in DOCIDS]))
        index = BmpIndex.build(tmp_path / f"{half}.in.ciff", tmp_path / f"{half}.bmp", progress=False)
        write_ciff(index, tmp_path / f"{half}.ciff", progress=False)
    merge.merge_ciff_files([tmp_path / "0.ciff", tmp_path / "1.ciff"], tmp_path / "merged.ciff")
    docids, merged = content(CiffSource(tmp_path / "merged.ciff"))
    assert sorted(docids) == sorted(f"{half}-{docid}" for half in (0, 1) for docid in DOCIDS)
    by_docid = {term: {docids[doc]: impact for doc, impact in postings} for term, postings in merged.items()}
    assert by_docid == {term: {f"{half}-{DOCIDS[doc]}": impact for half in (0, 1) for doc, impact in halves[half].get(term, [])}
                        for term in {*halves[0], *halves[1]}}


def test_rust_bmp(cranfield: BmpIndex, exported: Path, queries: Any, tmp_path: Path) -> None:
    """The Rust engine scales weights up to 32, truncates sums to 16 bits and may lose ties: few tokens, and its own hits."""
    bmp = pytest.importorskip("bmp")
    bmp.ciff2bmp(str(exported), str(tmp_path / "rust.bmp"), 8, False)
    theirs, ours = bmp.Searcher(str(tmp_path / "rust.bmp")), BmpSearcher(cranfield)
    found = 0
    for query in queries:
        few = dict.fromkeys(list(query)[:7], 1)
        scores = {hit.docid: hit.score for hit in ours.search(few, cranfield.num_docs)}
        docids, values = theirs.search(few, 20, 1.0, 1.0)
        assert [value / 32 for value in values] == [round(scores[docid]) for docid in docids]
        found += len(docids)
    assert found > 10 * len(queries)


def test_deleted_documents_and_their_terms_are_omitted(lucene_index: Any, tmp_path: Path) -> None:
    index = BmpIndex.build(lucene_index("deletions"), tmp_path / "i.bmp", progress=False)
    assert (index.arrays["list_count"][: index.num_terms] == 0).any()
    write_ciff(index, tmp_path / "o.ciff", progress=False)
    docids, lists = content(CiffSource(tmp_path / "o.ciff"))
    assert len(docids) == index.num_docs
    assert len(lists) == BlockMaxSource(index).num_terms < index.num_terms
    assert all(lists.values())


@in_one_order
def test_command(cranfield: BmpIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "o.ciff"
    assert main(["export", str(cranfield.path), "--output", str(target), "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["num_docs"], output["size_bytes"]) == (1400, target.stat().st_size)
    assert main(["export", str(tmp_path / "none.bmp"), "--output", str(target)]) == 2
    assert main(["export", str(cranfield.path), "--output", str(tmp_path)]) == 2
    assert "a folder exists" in capsys.readouterr().err


@in_one_order
def test_no_partial_output(cranfield: BmpIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "o.ciff"
    target.write_bytes(b"precious")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bmp_plugin.adapters.export.ciff_writing._write", full)
    with pytest.raises(BmpError, match="No space left"):
        write_ciff(cranfield, target, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["o.ciff"]
    assert target.read_bytes() == b"precious"
