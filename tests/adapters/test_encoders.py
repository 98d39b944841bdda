"""Queries as dictionaries, written out, cached, encoded by models and without: the same answers in every way."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import ranking
from tiny_bert import QUERIES, TEXTS, VOCABULARY, write_masked_language_model, write_tokenizer, write_unicoil

from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.adapters.encoders import CachedEncoder, TokenWeightEncoder
from bmp_plugin.cli import main
from bmp_plugin.conformance.fuzz.lucene_segments import index_vectors

WEIGHTS = {token: 0.1 * number for number, token in enumerate(VOCABULARY)} | {"of": 0.0, "[CLS]": 9.0}


def documents() -> list[tuple[str, dict[str, int]]]:
    """Every document has the tokens of some texts, and one token that is in no query."""
    return [(docid, {token: 1 + (7 * number + len(token)) % 11 for token in VOCABULARY[5:] if token.strip("#") in text}
             | {"else": 1 + number}) for number, (docid, text) in enumerate(TEXTS.items())]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> BmpIndex:
    return BmpIndex.build(documents(), tmp_path_factory.mktemp("encoders") / "i.bmp", progress=False)


@pytest.fixture(scope="module")
def lucene(host: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    vectors = [{"id": docid, "contents": TEXTS[docid], "vector": vector} for docid, vector in documents()]
    return str(index_vectors(vectors, tmp_path_factory.mktemp("encoders") / "lucene"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an inference-free encoder."""
    folder = tmp_path_factory.mktemp("free") / "model"
    write_tokenizer(folder)
    (folder / "idf.json").write_text(json.dumps(WEIGHTS))
    return folder


class TestInferenceFree:
    def test_distinct_tokens_and_their_weights(self, folder: Path) -> None:
        encoder = TokenWeightEncoder.load(folder)
        assert encoder.encode("Supersonic HEAT heat of wings") == {
            "super": 90, "##sonic": 100, "heat": 60, "wing": 70, "##s": 80}
        assert encoder.encode("") == {}
        assert encoder.encode("xyzzy") == {"[UNK]": 10}
        assert TokenWeightEncoder.load(folder, scale=1).encode("supersonic wing flow") == {
            "super": 1, "##sonic": 1, "wing": 1}              # flow weighs 0.5, which rounds to 0
        assert TokenWeightEncoder(str.split, {"a": 0.126}).encode("a b") == {"a": 13}

    def test_in_the_drop_in(self, folder: Path, lucene: str, host: Any) -> None:
        from bmp_plugin.adapters.pyserini import BmpImpactSearcher

        encoder = TokenWeightEncoder.load(folder)
        ours, theirs = BmpImpactSearcher(lucene, encoder, progress=False), host.LuceneImpactSearcher(lucene, encoder)
        for query in QUERIES:
            assert ranking(ours.search(query)) == ranking(theirs.search(query))
        assert ours.search(QUERIES[0])

    def test_on_the_command_line(self, folder: Path, index: BmpIndex, tmp_path: Path) -> None:
        topics, run = tmp_path / "topics.tsv", tmp_path / "run.txt"
        topics.write_text("".join(f"q{number}\t{text}\n" for number, text in enumerate(QUERIES)))
        assert main(["search", "--index", str(index.path), "--topics", str(topics), "--encoder", str(folder), "--encoder-scale",
                     "10", "--output", str(run), "--quiet"]) == 0
        encoder, searcher = TokenWeightEncoder.load(folder, scale=10), BmpSearcher(index)
        assert run.read_text().splitlines() == [
            f"q{number} Q0 {hit.docid} {place} {hit.score:.6f} Anserini" for number, text in enumerate(QUERIES)
            for place, hit in enumerate(searcher.search(encoder.encode(text), 1000), 1)]

    def test_other_files_of_the_same(self, folder: Path, tmp_path: Path) -> None:
        safetensors = pytest.importorskip("safetensors.numpy")
        import numpy as np

        expected = [TokenWeightEncoder.load(folder).encode(text) for text in QUERIES]
        write_tokenizer(tmp_path / "opensearch")
        (tmp_path / "opensearch" / "tokenizer.json").unlink()                  # vocab.txt will do
        (tmp_path / "opensearch" / "query_token_weights.txt").write_text(
            "".join(f"{token}\t{weight}\n" for token, weight in WEIGHTS.items()))
        write_tokenizer(tmp_path / "numbered" / "query_0_SparseStaticEmbedding")
        safetensors.save_file({"weight": np.array([WEIGHTS[token] for token in VOCABULARY], np.float32)},
                              tmp_path / "numbered" / "query_0_SparseStaticEmbedding" / "model.safetensors")
        for name in ("opensearch", "numbered"):
            encoder = TokenWeightEncoder.load(tmp_path / name)
            assert [encoder.encode(text) for text in QUERIES] == expected

    @pytest.mark.system
    def test_like_sentence_transformers(self, folder: Path, tmp_path: Path) -> None:
        _sentence_transformers()
        import torch
        from sentence_transformers import SparseEncoder
        from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
        from transformers import BertTokenizer

        module = SparseStaticEmbedding(BertTokenizer(str(folder / "vocab.txt")),
                                       torch.tensor([WEIGHTS[token] for token in VOCABULARY]))
        model = SparseEncoder(modules=[module], device="cpu")
        model.save_pretrained(str(tmp_path / "saved"))
        encoder = TokenWeightEncoder.load(tmp_path / "saved", scale=1000)
        for text in QUERIES:
            theirs = {token: round(1000 * weight) for token, weight in model.decode(model.encode_query(text))}
            assert encoder.encode(text) == theirs

    @pytest.mark.parametrize(("name", "content", "message"), [
        ("idf.json", '{"a": -1}', "weight -1 of token 'a'"), ("idf.json", "[1]", "not a table"),
        ("idf.json", "{", "not a table"),
        ("query_token_weights.txt", "a 1\n", "not a table"), ("model.safetensors", "junk", "not one weight per token"),
        ("other.json", "{}", "no inference-free encoder"),
    ])
    def test_refused(self, name: str, content: str, message: str, tmp_path: Path) -> None:
        write_tokenizer(tmp_path / "model")
        (tmp_path / "model" / name).write_text(content)
        with pytest.raises(BmpError, match=message) as caught:
            TokenWeightEncoder.load(tmp_path / "model")
        assert "\n" not in str(caught.value)

    def test_the_limit_is_the_model_s(self, folder: Path, tmp_path: Path) -> None:
        tokenizers = pytest.importorskip("tokenizers")
        model = tmp_path / "model"
        write_tokenizer(model)
        (model / "idf.json").write_text(json.dumps(WEIGHTS))
        tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
        tokenizer.enable_truncation(128)                    # as it was trained
        tokenizer.enable_padding(length=128)
        tokenizer.save(str(model / "tokenizer.json"))
        late = "speed " * 199 + "heat"
        assert "heat" in TokenWeightEncoder.load(model).encode(late)
        for declared, found in ((256, True), (200, True), (199, False), (1e30, True), (None, True)):
            (model / "tokenizer_config.json").write_text(json.dumps({"model_max_length": declared}))
            assert ("heat" in TokenWeightEncoder.load(model).encode(late)) == found
        (model / "tokenizer_config.json").write_text("{")
        with pytest.raises(BmpError, match=r"tokenizer_config.json: not JSON"):
            TokenWeightEncoder.load(model)

    @pytest.mark.system
    def test_long_queries_like_sentence_transformers(self, folder: Path, tmp_path: Path) -> None:
        _sentence_transformers()
        import torch
        from sentence_transformers import SparseEncoder
        from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
        from transformers import BertTokenizer

        for limit, found in ((256, True), (128, False)):
            tokenizer = BertTokenizer(str(folder / "vocab.txt"), model_max_length=limit)
            module = SparseStaticEmbedding(tokenizer, torch.tensor([WEIGHTS[token] for token in VOCABULARY]))
            model = SparseEncoder(modules=[module], device="cpu")
            model.save_pretrained(str(tmp_path / str(limit)))
            late = "speed " * 199 + "heat"
            theirs = {token: round(1000 * weight) for token, weight in model.decode(model.encode_query(late))}
            assert TokenWeightEncoder.load(tmp_path / str(limit), scale=1000).encode(late) == theirs
            assert ("heat" in theirs) == found

    def test_damaged_tokenizer(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "tokenizer.json").write_text("{}")
        (tmp_path / "idf.json").write_text("{}")
        with pytest.raises(BmpError, match="not a tokenizer"):
            TokenWeightEncoder.load(tmp_path)
        with pytest.raises(FileNotFoundError, match="no such folder"):
            TokenWeightEncoder.load(tmp_path / "nowhere")


VECTORS = {text: {token: 3 + len(token) for token in text.split()} for text in QUERIES}


class TestCachedQueries:
    def test_dictionaries_topics_and_cached_queries(self, index: BmpIndex, lucene: str, host: Any, tmp_path: Path) -> None:
        """The same queries in four forms, compared with Pyserini's answers."""
        (tmp_path / "cached.jsonl").write_text("".join(
            json.dumps({"contents": f" {text}", "vector": vector}) + "\n" for text, vector in VECTORS.items()))
        (tmp_path / "texts.tsv").write_text("".join(f"{n}\t{text}\n" for n, text in enumerate(QUERIES)))
        (tmp_path / "written.tsv").write_text("".join(
            f"{n}\t{' '.join(' '.join([token] * weight) for token, weight in VECTORS[text].items())}\n"
            for n, text in enumerate(QUERIES)))
        (tmp_path / "vectors.jsonl").write_text("".join(
            json.dumps({"qid": str(n), "vector": VECTORS[text]}) + "\n" for n, text in enumerate(QUERIES)))
        for name, topics, options in (("a", "texts.tsv", ["--encoder", str(tmp_path / "cached.jsonl")]),
                                      ("b", "written.tsv", []), ("c", "vectors.jsonl", [])):
            assert main(["search", "--index", str(index.path), "--topics", str(tmp_path / topics), "--output",
                         str(tmp_path / name), "--quiet", *options]) == 0
        searcher = host.LuceneImpactSearcher(lucene, str(tmp_path / "cached.jsonl"))
        expected = [f"{n} Q0 {hit.docid} {place} {hit.score:.6f} Anserini" for n, text in enumerate(QUERIES)
                    for place, hit in enumerate(searcher.search(text, 1000), 1)]
        assert expected
        for name in "abc":
            assert (tmp_path / name).read_text().splitlines() == expected
        ours = BmpSearcher(index).batch_search(list(VECTORS.values()), list("0123"), 1000)
        assert [f"{n} Q0 {hit.docid} {place} {hit.score:.6f} Anserini" for n, hits in ours.items()
                for place, hit in enumerate(hits, 1)] == expected

    def test_refused(self, tmp_path: Path, index: BmpIndex, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "cached.jsonl").write_text('{"contents": "a", "vector": {}}\n{"contents": "b"}\n')
        with pytest.raises(BmpError, match="line 2"):
            CachedEncoder.load(tmp_path / "cached.jsonl")
        (tmp_path / "cached.jsonl").write_text('{"contents": "a", "vector": {}}\n')
        (tmp_path / "topics.tsv").write_text("1\tb\n")
        assert main(["search", "--index", str(index.path), "--topics", str(tmp_path / "topics.tsv"), "--output",
                     str(tmp_path / "run"), "--encoder", str(tmp_path / "cached.jsonl")]) == 2
        assert "query 'b' is not among the cached queries" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


class TestModels:
    @pytest.mark.parametrize(("name", "write"), [("tiny-splade", write_masked_language_model), ("tiny-unicoil", write_unicoil)])
    def test_pyserinis_encoders(self, name: str, write: Any, lucene: str, host: Any, tmp_path: Path,
                                 monkeypatch: pytest.MonkeyPatch) -> None:
        """Real models of a few hundred weights, loaded by Pyserini like those of the hub."""
        from pyserini.encode import UniCoilEncoder

        from bmp_plugin.adapters.pyserini import BmpImpactSearcher

        # transformers 5 looks for it, and Pyserini's class, written for transformers 4, has it not
        monkeypatch.setattr(UniCoilEncoder, "all_tied_weights_keys", {}, raising=False)
        write(tmp_path / name)
        ours = BmpImpactSearcher(lucene, str(tmp_path / name), progress=False)
        theirs = host.LuceneImpactSearcher(lucene, str(tmp_path / name))
        assert type(ours.query_encoder) is type(theirs.query_encoder)
        for query in QUERIES:
            assert ours.encode(query) == theirs.encode(query)
            assert ranking(ours.search(query)) == ranking(theirs.search(query))
        assert any(ours.search(query) for query in QUERIES)


def _sentence_transformers() -> None:
    if os.environ.get("CI"):
        import sentence_transformers  # noqa: F401
    else:
        pytest.importorskip("sentence_transformers")
