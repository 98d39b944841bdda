"""JSON vectors, compared with the Lucene index that Anserini builds from the same folder, and refused if invalid."""
from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_plugin.adapters.sources import json_vector_source
from bmp_plugin.adapters.sources.inversion import Inverter
from bmp_plugin.adapters.sources.json_vector_source import JsonVectorSource, lucene_tokens
from bmp_plugin.errors import SourceError
from bmp_plugin.index.source import PostingSource

Content = tuple[list[str], int, dict[str, tuple[int, list[tuple[str, int]]]]]


def content(source: PostingSource) -> Content:
    """(docids in order, N, term -> (df, [(docid, impact)]))."""
    documents = source.documents()
    ends = documents.docid_ends.tolist()
    docids = [documents.docid_bytes[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]
    name = dict(zip(documents.source_docids.tolist(), docids, strict=True))
    lists = {}
    for batch in source.batches():
        assert batch.docs.dtype == batch.impacts.dtype == np.int32
        assert batch.dfs.dtype == batch.counts.dtype == np.int64
        at = 0
        for term, df, count in zip(batch.terms, batch.dfs.tolist(), batch.counts.tolist(), strict=True):
            docs = batch.docs[at : at + count].tolist()
            assert docs == sorted(set(docs))
            impacts = batch.impacts[at : at + count].tolist()
            lists[term.decode()] = df, [(name[doc], impact) for doc, impact in zip(docs, impacts, strict=True)]
            at += count
        assert at == batch.docs.size == batch.impacts.size
    return docids, source.info.num_docs, lists


@pytest.fixture(scope="module", params=["parsed", "compiled"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reads all collections in the way of small ones, and in that of large ones."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_vector_source, "is_compiled", lambda: False)
        patched.setattr(json_vector_source, "COMPILED_FROM", 0 if request.param == "compiled" else 1 << 62)
        yield


def read(path: Path, **options: object) -> Content:
    source = JsonVectorSource(path, **options)
    try:
        return content(source)
    finally:
        source.close()


def line(docid: object, vector: object) -> str:
    return json.dumps({"id": docid, "contents": "", "vector": vector}, ensure_ascii=False) + "\n"


def write(path: Path, *documents: tuple[object, object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(line(*document) for document in documents)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


# --- against Anserini -------------------------------------------------------------------------------------------------


def lucene_index(java: Path, folder: Path, index: Path) -> None:
    """Indexes a folder of JSON vectors as a user of Pyserini does."""
    environment = {**os.environ, "JAVA_HOME": str(java.parent.parent)}
    command = [sys.executable, "-m", "pyserini.index.lucene", "--collection", "JsonVectorCollection", "--input",
               str(folder), "--index", str(index), "--generator", "DefaultLuceneDocumentGenerator", "--threads", "1",
               "--impact", "--pretokenized"]
    subprocess.run(command, env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All unusual input that Anserini indexes in a defined way."""
    folder = tmp_path_factory.mktemp("odd")
    write(
        folder / "b.jsonl",
        ("b1", {"x": 1, "zero": 0, "t": True, "no": False, "whole": 3.0, "big": 70_000}),
        ("empty", {}),
        ("allzero", {"x": 0}),
        ("b2", {"two words": 2, "two": 5, "y": 1, "t" * 300: 2, "t" * 45: 1, " pad ": 1, "": 4, "\U0001F600" * 200: 1}),
        (7, {"x": 1}),
        ("only-blanks", {" ": 3, "": 2}),
        ("ideographic-blank", {"\u3000": 3}),
        ("p\u00e9riod.1#%", {"x": 2}),
        ("unicode-blanks", {"a\u00a0b": 1, "c\u3000d": 1, "e\x1cf": 1, "g\x85h": 1, "q\u2028r": 1, "i\u2007j": 1}),
        ("é", {"ü": 2, "x": 255}),
    )
    with open(folder / "b.jsonl", "a") as file:
        file.write('\n  \n{"id":"twice-the-key","contents":"","vector":{"x":1,"x":5}}\n')
        file.write('{"id":"surrogate","contents":"\\ud83d","vector":{"x":2}}\n{"id":"huge","size":1e400,"vector":{"x":2}}\n')
        file.write('{"id":"no-contents","vector":{"x":3}}')  # and no end of line
    (folder / "latin.jsonl").write_bytes(line("l1", {"x": 4}).replace('"contents": ""', '"contents": "é"').encode("latin-1"))
    surrogate = {"id": "pretty", "contents": "\ud83d", "vector": {"x": 6}}
    (folder / "pretty.json").write_text(json.dumps(surrogate, indent=1))
    array = [{"id": "a1", "vector": {"x": 1}}, {"id": "a2", "vector": {"x": 2, "y": 9}}]
    (folder / "a.json").write_text(json.dumps(array, indent=1))
    (folder / "c.json").write_text(json.dumps({"id": "c1", "contents": "", "vector": {"x": 1}}, indent=2))
    write(folder / "d.txt", ("txt", {"x": 1}))
    write(folder / "no extension", ("noext", {"x": 1}))
    write(folder / "sub" / "deeper" / "e.json", ("e1", {"x": 1}), ("e2", {"x": 1}))
    write(folder / "f.jsonl.gz", ("f1", {"x": 1}))
    write(folder / "g.json.gz", ("g1", {"x": 1}))
    write(folder / "H.JSONL", ("upper", {"x": 1}))
    write(folder / ".hidden.jsonl", ("hidden", {"x": 1}))
    (folder / "README.md").write_text("# not JSON\n")
    (folder / "linked").symlink_to(write(folder.parent / "elsewhere" / "z.jsonl", ("linked", {"x": 1})).parent)
    return folder


def test_same_documents_terms_and_postings_as_anserini(java: Path, odd_folder: Path, tmp_path: Path) -> None:
    from bmp_plugin.adapters.sources.lucene_source import LuceneSource

    lucene_index(java, odd_folder, tmp_path / "lucene")
    with LuceneSource(tmp_path / "lucene") as lucene:
        expected = content(lucene)
    ours = read(odd_folder)
    assert ours[0] == expected[0]
    assert ours[1] == expected[1]
    assert ours[2] == expected[2]
    assert ours[2]["two"] == (1, [("b2", 7)])
    assert "ideographic-blank" in ours[0]
    assert "empty" not in ours[0]


def test_spilled_segments_give_the_same(odd_folder: Path, tmp_path: Path) -> None:
    whole = read(odd_folder)
    source = JsonVectorSource(odd_folder, budget=3, temp_dir=tmp_path)
    assert content(source) == whole
    assert content(source) == whole, "batches may be asked for again"
    assert source.num_postings_hint() == sum(df for df, _ in whole[2].values())
    assert source.info.details["documents_without_weights"] == 3
    assert source._inverter.spilled, "nothing was spilled: the budget was not met"
    assert not list(tmp_path.iterdir()), "the temporary file has a name"
    source.close()
    source.close()
    assert not list(tmp_path.iterdir())


def test_cranfield(tmp_path: Path) -> None:
    from importlib import resources

    source = JsonVectorSource(Path(str(resources.files("bmp_plugin.demo"))) / "cranfield_docs.jsonl.gz")
    assert source.num_postings_hint() is None
    assert source.info.num_docs == 1400
    assert source.info.kind == "json-vectors"
    assert sum(int(batch.counts.sum()) for batch in source.batches()) == source.num_postings_hint() == 298_535


def test_no_jvm_torch_or_pyserini(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ("d", {"x": 1}))
    code = ("import sys; from bmp_plugin.index.format_registry import open_source; list(open_source(sys.argv[1]).batches());"
            "print(sorted({'jnius', 'torch', 'pyserini', 'transformers'} & set(sys.modules)))")
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- properties -------------------------------------------------------------------------------------------------------

tokens = st.text(st.sampled_from("ab \u00a0\u3000\U0001F600"), max_size=6)
vectors = st.dictionaries(tokens, st.integers(0, 2**20), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(vectors, max_size=20), st.integers(1, 12))
def test_postings_are_those_of_the_vectors(
    tmp_path_factory: pytest.TempPathFactory, documents: list[dict[str, int]], budget: int
) -> None:
    folder = tmp_path_factory.mktemp("vectors")
    path = write(folder / "a.jsonl", *((str(number), vector) for number, vector in enumerate(documents)))
    expected: dict[str, list[tuple[str, int]]] = {}
    present = []
    for number, vector in enumerate(documents):
        sums: dict[str, int] = {}
        for token, weight in vector.items():
            for term in lucene_tokens(token) if weight else []:
                sums[term] = sums.get(term, 0) + weight
        if any(weight and token.strip("".join(map(chr, range(33)))) for token, weight in vector.items()):
            present.append(str(number))
        for term, weight in sums.items():
            expected.setdefault(term, []).append((str(number), weight))
    docids, num_docs, lists = read(path, budget=budget)
    assert docids == present
    assert num_docs == len(present)
    assert lists == {term: (len(postings), postings) for term, postings in expected.items()}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 99)), max_size=9), max_size=12),
    st.integers(1, 30),
    st.integers(1, 20),
)
def test_inversion(chunks: list[list[tuple[int, int]]], budget: int, batch: int) -> None:
    inverter = Inverter(budget)
    expected: dict[int, list[tuple[int, int]]] = {}
    for doc, postings in enumerate(chunks):
        once = dict(postings)
        for term, impact in once.items():
            expected.setdefault(term, []).append((doc, impact))
        terms = np.array(list(once), np.int32)
        inverter.add(terms, np.full(terms.size, doc, np.int32), np.array(list(once.values()), np.int32))
    inverter.finish(10)
    found: dict[int, list[tuple[int, int]]] = {}
    for numbers, counts, docs, impacts in inverter.batches(batch):
        assert docs.size <= batch or numbers.size == 1
        pairs = iter(zip(docs.tolist(), impacts.tolist(), strict=True))
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            assert number not in found
            found[number] = [next(pairs) for _ in range(count)]
    inverter.close()
    assert found == expected


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "1", "vector": {"a": 1}\n', "broken JSON"),
        (line("1", {"a": 1}) + '{"id": "2", \n', "line 2: broken JSON"),
        (line("1", [0.5]), "line 1: \"vector\" of document '1' is not an object"),
        (line("1", None), "not an object"),
        ('{"id": "1"}\n', 'no "vector"'),
        ('{"vector": {"a": 1}}\n', 'no "id"'),
        ("[1, 2]", "not a JSON object"),
        ('[{"id": "1", "vector": {"a": 1}},', "the array does not end"),
        (line("1", {"a": 1}) + "7\n", "line 2: not a JSON object"),
        (line(None, {"a": 1}), '"id" is None'),
        (line(1.5, {"a": 1}), '"id" is 1.5'),
        (line("", {"a": 1}), "line 1: docid '' is not one word"),
        (line("1", {"a": 1}) + line("with space", {"a": 1}), "line 2: docid 'with space' is not one word"),
        (line("1", {"a": 0.5}), "weight 0.5 of token 'a' in document '1' is not a whole number: quantize"),
        (line("1", {"b": 1, "a": "12"}), "is not a number"),
        (line("1", {"a": None}), "is not a number"),
        (line("1", {"a": -1}), "negative"),
        (line("1", {"a": -1.0}), "negative"),
        (line("1", {"a": 2**31}), "above 2147483647"),
        (line("1", {"a": 1e300}), "above 2147483647"),
        (line("1", {"a": 2**31 - 1, " a": 1}), "add up to"),
        (line("1", {"a": 1}) + line("2", {"a": 1}) + line("1", {"b": 1}), "line 3: document id '1' occurs before"),
        ("\ufeff" + line("1", {"a": 1}), "broken JSON"),
        (line("1", {"a": 1}) + '{"id": "2", "vector": {"\\ud800": 1}}\n', "line 2: token '\\ud800' is not Unicode text"),
        ('{"id": "a\\ud83d", "vector": {"a": 1}}\n', "line 1: docid 'a\\ud83d' is not Unicode text"),
        ('\n{\n"id": "a\\ud83d", "vector": {"a": 1}}\n', "line 2: docid 'a\\ud83d' is not Unicode text"),
        ('{"id": "1", "vector": {"a": 1e400}}\n', "line 1: weight inf of token 'a' in document '1' is above 2147483647"),
        ('{"id": "1", "size": NaN, "vector": {"a": 1}}\n', "line 1: broken JSON (NaN is no number of JSON)"),
        ('{"id": "1",\n"size": -Infinity, "vector": {"a": 1}}\n', "line 1: broken JSON (-Infinity is no number of JSON)"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_refused_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "vectors.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as refused:
        read(path)
    assert str(path) in str(refused.value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes((line("1", {"a": 1}) + line("é", {"a": 1})).encode("latin-1"))
    with pytest.raises(SourceError, match=r"latin\.jsonl, line 2: docid '\\udce9' is not Unicode text"):
        read(path)
    path.write_bytes(line("1", {"é": 1}).encode("latin-1"))
    with pytest.raises(SourceError, match=r"latin\.jsonl, line 1: token '\\udce9' is not Unicode text"):
        read(path)


def test_largest_weight_is_accepted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ("1", {"a": 2**31 - 1, "b": 2147483647.0}))
    assert read(path)[2] == {"a": (1, [("1", 2**31 - 1)]), "b": (1, [("1", 2**31 - 1)])}


@pytest.mark.parametrize("damage", ["truncated", "flipped", "not gzip"])
def test_damaged_gzip(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "a.jsonl.gz", *((str(i), {f"t{i * 7919 % 1000}": i + 1}) for i in range(5000)))
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[len(data) // 2] ^= 255
    else:
        data = bytearray(b"plain text")
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.jsonl\.gz"):
        read(path)


def test_duplicate_docids_across_files_are_both_named(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ("1", {"a": 1}))
    write(tmp_path / "b.jsonl", ("0", {"a": 1}), ("1", {"a": 1}))
    with pytest.raises(SourceError, match="occurs before") as refused:
        read(tmp_path)
    assert "a.jsonl" in str(refused.value)
    assert "b.jsonl" in str(refused.value)


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nope"):
        JsonVectorSource(tmp_path / "nope")
    (tmp_path / "README.md").write_text("nothing\n")
    with pytest.raises(SourceError, match="no JSON file"):
        print(JsonVectorSource(tmp_path).info)
    (tmp_path / "empty.jsonl").write_text("")
    assert read(tmp_path) == ([], 0, {})


def test_cyclic_links(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ("1", {"a": 1}))
    (tmp_path / "round").symlink_to(tmp_path)
    with pytest.raises(SourceError, match="symbolic link"):
        print(JsonVectorSource(tmp_path).info)


def test_fingerprint_changes_with_the_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ("1", {"a": 1}))
    before = JsonVectorSource(tmp_path).info.fingerprint
    assert JsonVectorSource(tmp_path).info.fingerprint == before
    os.utime(path, (1, 1))
    assert JsonVectorSource(tmp_path).info.fingerprint != before


def test_change_while_reading_is_detected(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ("1", {"a": 1}))
    source = JsonVectorSource(tmp_path)
    write(path, ("1", {"a": 1}), ("2", {"a": 1}))
    with pytest.raises(SourceError, match="changed while"):
        source.documents()


def test_files_of_macos_are_skipped(tmp_path: Path) -> None:
    write(tmp_path / "part.jsonl", ("1", {"a": 1}))
    (tmp_path / "._part.jsonl").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    (tmp_path / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    source = JsonVectorSource(tmp_path)
    assert source.info.num_docs == 1
    source.close()


def test_float_weights_are_referred_to_quantization(tmp_path: Path) -> None:
    write(tmp_path / "part.jsonl", ("1", {"a": 1.5}))
    with pytest.raises(SourceError, match=r"part.jsonl.*is not a whole number: quantize float weights \(--quantize 8"):
        print(JsonVectorSource(tmp_path).info)
