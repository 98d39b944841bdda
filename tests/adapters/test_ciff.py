"""CIFF files written by the protobuf library are read, and refused when they are damaged or inconsistent."""
from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_plugin.adapters.sources import ciff_source as ciff
from bmp_plugin.adapters.sources.ciff_messages import messages
from bmp_plugin.adapters.sources.ciff_source import CiffSource, begins_like_ciff
from bmp_plugin.errors import InputWarning, SourceError
from bmp_plugin.index.format_registry import open_source

Lists = dict[str, list[tuple[int, int]]]
LISTS: Lists = {"a": [(0, 1), (2, 70_000)], "bé": [(1, 2**31 - 1)], "c": [(0, 5), (1, 6), (2, 7)], "empty": []}
DOCIDS = ["d0", "ü1", "d2"]


def delimited(message: Any) -> bytes:
    data = message.SerializeToString()
    length, prefix = len(data), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    return bytes([*prefix, length]) + data


def posting_list(term: str, postings: Iterable[tuple[int, int]], **changed: int) -> Any:
    postings = list(postings)
    written = messages().PostingsList(
        term=term, df=changed.get("df", len(postings)), cf=sum(impact for _, impact in postings)
    )
    before = 0
    for doc, impact in postings:
        written.postings.add(docid=doc - before, tf=impact)
        before = doc
    return written


def ciff_bytes(
    lists: Lists = LISTS, docids: list[str] = DOCIDS, numbers: list[int] | None = None, **header: int
) -> bytes:
    kinds = messages()
    counts = {"version": 1, "num_postings_lists": len(lists), "num_docs": len(docids), **header}
    head = kinds.Header(**counts, total_postings_lists=len(lists), total_docs=len(docids), description="a test")
    records = [
        kinds.DocRecord(docid=number, collection_docid=docid, doclength=9)
        for number, docid in zip(numbers or range(len(docids)), docids, strict=True)
    ]
    return b"".join(map(delimited, [head, *(posting_list(*item) for item in lists.items()), *records]))


def content(source: CiffSource) -> tuple[list[str], Lists]:
    lists: Lists = {}
    for batch in source.batches():
        assert batch.docs.dtype == batch.impacts.dtype == np.int32
        assert batch.dfs.tolist() == batch.counts.tolist()
        pairs = iter(zip(batch.docs.tolist(), batch.impacts.tolist(), strict=True))
        for term, count in zip(batch.terms, batch.counts.tolist(), strict=True):
            lists[term.decode()] = [next(pairs) for _ in range(count)]
        assert next(pairs, None) is None
    documents = source.documents()
    assert documents.source_docids.tolist() == list(range(source.info.num_docs))
    ends = documents.docid_ends.tolist()
    return [documents.docid_bytes[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)], lists


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.ciff"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_what_protobuf_wrote(path: Path, pack: Any) -> None:
    path.write_bytes(pack(ciff_bytes()))
    source = open_source(path)
    assert isinstance(source, CiffSource)
    assert content(source) == (DOCIDS, LISTS)
    assert content(source) == (DOCIDS, LISTS), "batches may be asked for again"
    assert source.num_postings_hint() == 6
    assert source.info.kind == "ciff"
    assert source.info.num_docs == 3
    assert source.info.details["description"] == "a test"
    source.close()
    source.close()


def test_postings_of_impact_0_are_left_out(path: Path) -> None:
    """Quantization writes them; the documents after them are where they belong, and document frequencies count none."""
    lists: Lists = {"first": [(0, 0), (1, 5)], "last": [(0, 3), (2, 0)], "all": [(0, 0), (2, 0)],
                    "between": [(0, 1), (1, 0), (2, 4)]}
    path.write_bytes(ciff_bytes(lists))
    source = CiffSource(path)
    with pytest.warns(InputWarning, match="index.ciff: 5 postings with an impact .tf. of 0 are left out"):
        found = content(source)
    assert found == (DOCIDS, {term: [one for one in postings if one[1]] for term, postings in lists.items()})
    assert content(source) == found              # and nothing is said again: warnings are errors in tests


def test_documents_in_any_order(path: Path) -> None:
    path.write_bytes(ciff_bytes(docids=["d2", "d0", "ü1"], numbers=[2, 0, 1]))
    assert content(CiffSource(path))[0] == DOCIDS


def test_unknown_fields_are_skipped(path: Path) -> None:
    # field 9: varint, 10: bytes, 11: fixed64, 12: fixed32 - as a later version of the format might have
    unknown = b"\x48\x96\x01" + b"\x52\x02hi" + b"\x59" + bytes(8) + b"\x65" + bytes(4)
    posting = b"\x08\x01\x10\x05" + unknown
    body = unknown + b"\x0a\x01t" + b"\x10\x01" + unknown + b"\x22" + bytes([len(posting)]) + posting
    whole = ciff_bytes({"t": [(1, 5)]})
    expected = delimited(posting_list("t", [(1, 5)]))
    path.write_bytes(whole.replace(expected, bytes([len(body)]) + body))
    source = CiffSource(path)
    assert content(source)[1] == {"t": [(1, 5)]}
    assert source.num_postings_hint() == 1


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=5), st.dictionaries(st.integers(0, 300), st.integers(1, 2**31 - 1), max_size=40), max_size=12
    ),
    st.integers(1, 200),
)
def test_any_index_through_any_window(
    tmp_path_factory: pytest.TempPathFactory, index: dict[str, dict[int, int]], window: int
) -> None:
    lists = {term: sorted(postings.items()) for term, postings in index.items()}
    docids = [f"d{number}" for number in range(301)]
    path = tmp_path_factory.mktemp("ciff") / "index.ciff"
    path.write_bytes(ciff_bytes(lists, docids))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ciff, "_WINDOW", window)
        assert content(CiffSource(path)) == (docids, lists)


def test_same_answers_as_json_vectors(tmp_path: Path) -> None:
    from importlib import resources

    from bmp_plugin import BmpIndex, BmpSearcher
    from bmp_plugin.trec.topics import read_topics

    data = Path(str(resources.files("bmp_plugin.demo")))
    vectors = open_source(data / "cranfield_docs.jsonl.gz")
    documents = vectors.documents()
    ends = documents.docid_ends.tolist()
    docids = [documents.docid_bytes[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]
    lists: Lists = {}
    for batch in vectors.batches():
        pairs = iter(zip(batch.docs.tolist(), batch.impacts.tolist(), strict=True))
        for term, count in zip(batch.terms, batch.counts.tolist(), strict=True):
            lists[term.decode()] = [next(pairs) for _ in range(count)]
    (tmp_path / "cranfield.ciff").write_bytes(ciff_bytes(dict(sorted(lists.items())), docids))
    searchers = [
        BmpSearcher(BmpIndex.build(source, tmp_path / f"{name}.bmp", progress=False))
        for name, source in (("json", data / "cranfield_docs.jsonl.gz"), ("ciff", tmp_path / "cranfield.ciff"))
    ]
    for _, query in read_topics(data / "cranfield_queries.jsonl.gz")[:20]:
        a, b = ([(hit.docid, hit.score, hit.lucene_docid) for hit in s.search(query, 100)] for s in searchers)
        assert a == b


# --- refusals ---------------------------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as refused:
        content(CiffSource(path))
    text = str(refused.value)
    assert str(path) in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: ciff_bytes({"t": [(3, 1)]}), "term 't' has a document that is not one of 0 to 2"),
        (lambda: ciff_bytes({"t": [(0, 1), (2**31 - 1, 1)]}), "not one of 0 to 2"),
        (lambda: ciff_bytes({"t": [(-1, 1)]}), "not one of 0 to 2"),
        (lambda: ciff_bytes({"t": [(1, 1), (1, 1)]}), "has a document twice"),
        (lambda: ciff_bytes({"t": [(2, 1), (1, 1)]}), "not one of 0 to 2"),
        (lambda: ciff_bytes({"t": [(1, -5)]}), "impact (tf) that is not 0"),
        (lambda: ciff_bytes({"t": [(1, 0), (1, 5)]}), "document twice"),
        (lambda: ciff_bytes(num_postings_lists=5), "malformed"),
        (lambda: ciff_bytes(num_postings_lists=3), "document"),
        (lambda: ciff_bytes(num_docs=4), "3 of 4 documents"),
        (lambda: ciff_bytes(num_docs=2), "not one of 0 to 1"),
        (lambda: ciff_bytes({}, num_docs=2), "continues after the last document"),
        (lambda: ciff_bytes(num_docs=-1), "negative counts"),
        (lambda: ciff_bytes(version=2), "version 2"),
        (lambda: ciff_bytes(docids=["a", "b", "a"]), "occurs twice"),
        (lambda: ciff_bytes(docids=["a", "", "b"]), "document record 1: docid '' is not one word"),
        (lambda: ciff_bytes(numbers=[0, 1, 1]), "not 0 to 2"),
        (lambda: ciff_bytes() + b"more", "continues after the last document"),
        (lambda: ciff_bytes({"t": []}).replace(b"\x0a\x01t", b"\x0a\x01\xff"), "not UTF-8"),
        (lambda: ciff_bytes({"t": [(0, 1)], "u": [(0, 1)]}).replace(b"\x0a\x01u", b"\x0a\x01t"), "the same term"),
        (lambda: delimited(posting_list("t", [(0, 1)], df=2)), "CIFF version 0"),
        (lambda: b"", "header"),
    ],
)
def test_refused(path: Path, data: Any, message: str) -> None:
    path.write_bytes(data())
    assert message in refusal(path)


def test_wrong_df(path: Path) -> None:
    good, bad = delimited(posting_list("c", LISTS["c"])), delimited(posting_list("c", LISTS["c"], df=2))
    path.write_bytes(ciff_bytes().replace(good, bad))
    assert "term 'c' has another number of postings than its df states" in refusal(path)


def test_truncated_anywhere(path: Path) -> None:
    whole = ciff_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refusal(path)


@pytest.mark.filterwarnings("ignore::bmp_plugin.errors.InputWarning")       # an impact may become 0, which is left out
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_anywhere_is_refused_or_consistent(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(ciff_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.ciff"
    path.write_bytes(whole)
    try:
        source = CiffSource(path)
        docids, lists = content(source)
    except SourceError:
        return
    for postings in lists.values():
        docs = [doc for doc, _ in postings]
        assert docs == sorted(set(docs))
        assert all(0 <= doc < len(docids) for doc in docs)
        assert all(1 <= impact < 2**31 for _, impact in postings)


def test_damaged_gzip(path: Path) -> None:
    packed = gzip.compress(ciff_bytes({f"t{n}": [(0, n + 1)] for n in range(3000)}))
    path.write_bytes(packed[: len(packed) // 2])
    assert "gzip" in refusal(path)


def test_detection_by_content() -> None:
    assert begins_like_ciff(ciff_bytes())
    assert begins_like_ciff(ciff_bytes(num_docs=2**31 - 1))
    assert not begins_like_ciff(b"")
    assert not begins_like_ciff(b"1\tto be or not to be\n")
    assert not begins_like_ciff(b"\x7fELF\x02\x01\x01")


def test_error_without_protobuf_tells_what_to_install(path: Path) -> None:
    path.write_bytes(ciff_bytes())
    code = ("import sys; sys.modules['google.protobuf'] = None\n"
            "from bmp_plugin import BmpError\nfrom bmp_plugin.index.format_registry import open_source\n"
            "try:\n    open_source(sys.argv[1])\nexcept BmpError as error:\n    print(type(error).__name__, error)")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "MissingDependencyError CIFF needs the package protobuf: pip install 'bmp-plugin[ciff]'\n"
    )
