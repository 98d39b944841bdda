"""Documents from Python: iterables, matrices and float weights give the index that the same JSON vectors give."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.adapters.export.block_max_source import BlockMaxSource
from bmp_plugin.adapters.sources.document_source import VectorSource
from bmp_plugin.adapters.sources.matrix_source import MatrixSource
from bmp_plugin.cli import main
from bmp_plugin.conformance.benchmark.oracle import rank
from bmp_plugin.errors import SourceError
from bmp_plugin.index.quantization import Quantization, quantize_query

Postings = dict[str, dict[str, int]]


def postings(index: BmpIndex) -> Postings:
    """term -> docid -> impact."""
    source, found = BlockMaxSource(index), {}
    docids = index.docids(np.arange(index.num_docs, dtype=np.int32))
    for batch in source.batches():
        pairs = iter(zip(batch.docs.tolist(), batch.impacts.tolist(), strict=True))
        for term, count in zip(batch.terms, batch.counts.tolist(), strict=True):
            found[term.decode()] = {docids[doc]: impact for doc, impact in (next(pairs) for _ in range(count))}
    return found


@pytest.fixture(scope="module")
def by_json(cranfield_documents: Any, tmp_path_factory: pytest.TempPathFactory) -> BmpIndex:
    folder = tmp_path_factory.mktemp("json")
    (folder / "docs.jsonl").write_text("".join(json.dumps(document) + "\n" for document in cranfield_documents))
    return BmpIndex.build(folder / "docs.jsonl", folder / "i.bmp", progress=False)


def arrays(index: BmpIndex) -> dict[str, Any]:
    return {name: array["sha256"] for name, array in index.manifest["arrays"].items()}


def pairs(documents: Any) -> Any:
    return ((document["id"], document["vector"]) for document in documents)


@pytest.mark.parametrize("budget", [64_000_000, 20_000])
def test_pairs(budget: int, cranfield_documents: Any, by_json: BmpIndex, tmp_path: Path) -> None:
    source = VectorSource(pairs(cranfield_documents), budget=budget, temp_dir=tmp_path)
    index = BmpIndex.build(source, tmp_path / "i.bmp", progress=False)
    assert (source._inverter.num_segments > 1) == (budget == 20_000)
    source.close()
    source.close()
    assert arrays(index) == arrays(by_json)
    assert index.manifest["source"]["kind"] == "vectors"


def test_toks_of_pyterrier_given_to_build(cranfield_documents: Any, by_json: BmpIndex, tmp_path: Path) -> None:
    documents = [{"docno": document["id"], "toks": document["vector"], "text": "ignored"} for document in cranfield_documents]
    index = BmpIndex.build(iter(documents), tmp_path / "i.bmp", reorder="bp", progress=False)
    assert postings(index) == postings(by_json)


def test_source_document_ids_are_indices(tmp_path: Path) -> None:
    documents = [("a", {"x": 2}), ("none", {}), ("zero", {"x": 0}), ("b", {"x": 1, "y": 7.0})]
    index = BmpIndex.build(documents, tmp_path / "i.bmp", progress=False)
    assert (index.num_docs, index.manifest["source"]["num_docs"]) == (2, 2)
    hits = BmpSearcher(index, min_idf=-1).search({"x": 3})
    assert [(hit.docid, hit.lucene_docid, hit.score) for hit in hits] == [("a", 0, 6.0), ("b", 3, 3.0)]


@pytest.mark.parametrize(("documents", "message"), [
    ([("a", {"x": 1}), ("a", {"x": 2})], "document id 'a' occurs twice"),
    ([("a", {"x": 1, "y": 0.5})], r"document 'a' has the weight 0.5, which is not a whole number .*quantize=8"),
    ([("z", {"x": 1}), ("a", {"x": 1, "y": -2})], "document 'a' has the weight -2"),
    ([("a", {"x": float("nan")})], "document 'a' has the weight nan"),
    ([("a", {"x": 2**31})], "document 'a' has the weight 2147483648"),
    ([("a", {"x": "3"})], "weight '3' of token 'x' is not a number"),
    ([("a b", {"x": 1})], "document 0: docid 'a b' is not one word"),
    ([("a", {"x": 1}), ("\ud800", {"x": 1})], "surrogates not allowed"),
    ([(None, {"x": 1})], "its id is None"),
    ([("a", ["x"])], "document 'a': its vector is list"),
    ([("a", {7: 1})], "token 7 is not a string"),
    ([("a", {"\ud800": 1})], "surrogates not allowed"),
    (["ab", "c"], "document"),
    ([3], "document 0: int is neither"),
])
def test_refused(documents: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BmpError, match=message) as caught:
        BmpIndex.build(documents, tmp_path / "i.bmp", progress=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "i.bmp").exists()


class TestMatrix:
    sparse = pytest.importorskip("scipy.sparse")

    def matrix(self, documents: Any) -> tuple[Any, list[str], list[str]]:
        terms = sorted({token for document in documents for token in document["vector"]})
        column = {term: i for i, term in enumerate(terms)}
        triples = [(row, column[token], weight) for row, document in enumerate(documents)
                   for token, weight in document["vector"].items()]
        rows, columns, weights = zip(*triples, strict=True)
        return (self.sparse.csr_matrix((weights, (rows, columns)), shape=(len(documents), len(terms))),
                [document["id"] for document in documents], terms)

    def test_same_index(self, cranfield_documents: Any, by_json: BmpIndex, tmp_path: Path) -> None:
        matrix, docids, terms = self.matrix(cranfield_documents)
        for number, given in enumerate((matrix, self.sparse.coo_array(matrix), matrix.astype(np.float32).tocsc())):
            index = BmpIndex.build(MatrixSource(given, docids, terms), tmp_path / f"{number}.bmp", progress=False)
            assert postings(index) == postings(by_json)
            assert index.manifest["source"]["num_docs"] == by_json.manifest["source"]["num_docs"]

    def test_zeros_duplicates_and_empty_rows(self, tmp_path: Path) -> None:
        matrix = self.sparse.csr_matrix(([1, 2, 0, 5], ([0, 0, 1, 3], [1, 1, 0, 0])), shape=(4, 2))
        before = matrix.data.copy()
        index = BmpIndex.build(MatrixSource(matrix, list("abcd"), {"x": 0, "y": 1}), tmp_path / "i.bmp", progress=False)
        assert postings(index) == {"x": {"d": 5}, "y": {"a": 3}}
        assert index.arrays["source_docid"].tolist() == [0, 3]
        assert matrix.data.tolist() == before.tolist()

    @pytest.mark.parametrize(("weights", "options", "message"), [
        ([0.5], {}, "quantize=8"), ([-1.0], {}, "not numbers from 0"), ([np.nan], {"quantize": 8}, "not numbers from 0"),
        ([1], {"docids": ["a", "b"]}, "docids: there are 2 for 1 rows"), ([1], {"vocabulary": []}, "0 terms for 1 columns"),
        ([1], {"vocabulary": {"x": 1}}, "columns 0 to 0"), ([1], {"quantize": 17}, "17 bits"),
    ])
    def test_refused(self, weights: Any, options: dict[str, Any], message: str) -> None:
        matrix = self.sparse.csr_matrix((weights, ([0], [0])), shape=(1, 1))
        with pytest.raises((BmpError, ValueError), match=message):
            MatrixSource(matrix, **{"docids": ["a"], "vocabulary": ["x"]} | options)

    def test_dense_arrays_and_tensors(self, tmp_path: Path) -> None:
        torch = pytest.importorskip("torch")
        dense = np.array([[3, 0, 1], [0, 2, 5]], np.float32)
        sparse = MatrixSource(self.sparse.csr_matrix(dense), ["d1", "d2"], ["a", "b", "c"])
        expected = postings(BmpIndex.build(sparse, tmp_path / "sparse", progress=False))
        for number, given in enumerate((dense, dense.astype(np.int64), dense.tolist(), torch.tensor(dense))):
            source = MatrixSource(given, ["d1", "d2"], ["a", "b", "c"])
            assert postings(BmpIndex.build(source, tmp_path / str(number), progress=False)) == expected
        for wrong in (dense[0], "text", torch.tensor(dense).to_sparse(), None):
            with pytest.raises(TypeError, match="neither a SciPy sparse matrix nor a dense array"):
                MatrixSource(wrong, ["d1", "d2"], ["a", "b", "c"])

    def test_columns_without_a_term(self, tmp_path: Path) -> None:
        matrix = self.sparse.csr_matrix([[3, 0, 1, 0], [0, 0, 5, 0]])
        source = MatrixSource(matrix, ["d1", "d2"], ["a", None, "c", None])
        index = BmpIndex.build(source, tmp_path / "i", progress=False)
        assert index.terms() == ["a", "c"]
        assert postings(index) == {"a": {"d1": 3}, "c": {"d1": 1, "d2": 5}}
        with pytest.raises(SourceError, match="column 2 has weights, but its term is None"):
            MatrixSource(matrix, ["d1", "d2"], ["a", "b", None, None])
        with pytest.raises(ValueError, match="a term occurs twice"):
            MatrixSource(matrix, ["d1", "d2"], ["a", "a", None, None])

    def test_quantized_like_the_iterable(self, tmp_path: Path) -> None:
        documents, _ = floats()
        matrix, docids, terms = self.matrix([{"id": docid, "vector": vector} for docid, vector in documents])
        a = BmpIndex.build(MatrixSource(matrix, docids, terms, quantize=6), tmp_path / "a.bmp", progress=False)
        b = BmpIndex.build(documents, tmp_path / "b.bmp", quantize=6, progress=False)
        assert postings(a) == postings(b)
        assert a.manifest["source"]["details"] == b.manifest["source"]["details"]
        assert a.manifest["source"]["details"]["quantize"]["dropped"] > 0


def floats() -> tuple[list[tuple[str, dict[str, float]]], list[dict[str, float]]]:
    rng = np.random.default_rng(3)
    tokens = [f"t{i}" for i in range(40)]

    def vector(length: int) -> dict[str, float]:
        return dict(zip(map(str, rng.permutation(tokens)[:length]), rng.exponential(0.7, length).tolist(), strict=True))

    return [(f"d{i}", vector(12)) for i in range(400)], [vector(6) for _ in range(12)]


class TestQuantized:
    @pytest.mark.parametrize("quantize", [8, 3, Quantization(bits=8, scale=100.0), Quantization(bits=16)])
    def test_answers_of_rounded_weights(self, quantize: Any, tmp_path: Path) -> None:
        documents, queries = floats()
        index = BmpIndex.build(documents, tmp_path / "i.bmp", quantize=quantize, progress=False)
        stated = index.manifest["source"]["details"]["quantize"]
        bits = quantize if isinstance(quantize, int) else quantize.bits
        weights = np.array([weight for _, vector in documents for weight in vector.values()], np.float32)
        scale = getattr(quantize, "scale", None) or (2**bits - 1) / float(weights.max())
        rounded = np.rint(weights.astype(np.float64) * scale)
        assert (stated["bits"], stated["scale"]) == (bits, scale)
        assert stated["dropped"] == np.count_nonzero(rounded == 0)
        assert stated["clipped"] == np.count_nonzero(rounded > 2**bits - 1)
        impacts = iter(np.minimum(rounded, 2**bits - 1).astype(int).tolist())
        vectors = [{token: impact for token in vector if (impact := next(impacts))} for _, vector in documents]
        assert {t: len(p) for t, p in postings(index).items()} == {
            t: sum(t in v for v in vectors) for t in {t for v in vectors for t in v}}
        searcher = BmpSearcher(index)
        for query in queries:
            expected = rank([docid for docid, _ in documents], vectors,
                            {token: round(weight * scale) for token, weight in query.items() if round(weight * scale)}, 20)
            assert [(hit.docid, hit.score) for hit in searcher.search(query, 20)] == [(d, float(s)) for d, s in expected]

    def test_errors_name_the_original_query_weight(self, tmp_path: Path) -> None:
        searcher = BmpSearcher(BmpIndex.build(floats()[0], tmp_path / "i.bmp", quantize=8, progress=False))
        for weight in (-0.5, float("nan"), float("inf"), "3"):
            with pytest.raises(ValueError, match=f"{weight!r}"):
                searcher.search({"t1": weight})

    def test_scores_and_explanations_agree_with_search(self, tmp_path: Path) -> None:
        documents, queries = floats()
        searcher = BmpSearcher(BmpIndex.build(documents, tmp_path / "i.bmp", quantize=8, progress=False))
        for query in queries:
            hits = searcher.search(query, 20)
            found = [searcher.explain(query, hit.docid) for hit in hits]
            assert [(part.rank, part.adjusted) for part in found] == [(n, hit.score) for n, hit in enumerate(hits, 1)]
            assert searcher.score(query, [hit.docid for hit in hits]).tolist() == [part.score for part in found]
        light = searcher.explain(queries[0] | {"t0": 1e-9, "nowhere": 1.0}, documents[0][0])
        assert light.left_out == {"t0": "its weight rounds to 0", "nowhere": "in no document"}

    def test_query(self) -> None:
        assert quantize_query({"a": 0.5, "b": 0.001, "c": 2, "d": 0, "e": "x"}, 10) == {"a": 5, "c": 20, "e": "x"}

    def test_documents_whose_weights_round_to_zero(self, tmp_path: Path) -> None:
        documents = [("a", {"x": 1.0}), ("b", {"x": 0.0001}), ("c", {"x": 0.5, "y": 0.902})]
        index = BmpIndex.build(documents, tmp_path / "i.bmp", quantize=8, progress=False)
        assert postings(index) == {"x": {"a": 255, "c": 128}, "y": {"c": 230}}
        assert index.arrays["source_docid"].tolist() == [0, 2]

    def test_commands(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        documents, queries = floats()
        (tmp_path / "docs.jsonl").write_text("".join(json.dumps({"id": d, "vector": v}) + "\n" for d, v in documents))
        (tmp_path / "topics.jsonl").write_text("".join(
            json.dumps({"qid": str(i), "vector": query}) + "\n" for i, query in enumerate(queries)))
        command = ["index", "--input", str(tmp_path / "docs.jsonl"), "--output", str(tmp_path / "i.bmp")]
        assert main([*command, "--quantize", "7"]) == 0
        assert "quantized to 7 bits" in capsys.readouterr().err
        run = tmp_path / "run.txt"
        assert main(["search", "--index", str(tmp_path / "i.bmp"), "--topics", str(tmp_path / "topics.jsonl"), "--output",
                     str(run), "--hits", "5", "--quiet"]) == 0
        searcher = BmpSearcher(BmpIndex.build(documents, tmp_path / "same.bmp", quantize=7, progress=False))
        expected = [f"{i} Q0 {hit.docid} {n} {hit.score:.6f} Anserini" for i, query in enumerate(queries)
                    for n, hit in enumerate(searcher.search(query, 5), 1)]
        assert run.read_text().splitlines() == expected

    def test_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], by_json: BmpIndex) -> None:
        (tmp_path / "docs.jsonl").write_text('{"id": "a", "vector": {"x": 0.5}}\n')
        arguments = ["index", "--input", str(tmp_path / "docs.jsonl"), "--output", str(tmp_path / "i.bmp")]
        assert main([*arguments, "--quantize-scale", "3"]) == 2
        assert main([*arguments, "--quantize", "0"]) == 2
        arguments[2] = str(by_json.path)
        assert main([*arguments, "--quantize", "8"]) == 2
        assert "Traceback" not in capsys.readouterr().err
        with pytest.raises(ValueError, match="quantize: set it when you create the source"):
            BmpIndex.build(VectorSource([("a", {"x": 1})]), tmp_path / "i.bmp", quantize=8, progress=False)
