"""Static pruning keeps the specified postings and reports what it drops; answers are Lucene's on the kept postings."""
from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import VectorEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sources import postings

from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.document_source import VectorSource
from bmp_plugin.adapters.sources.pruning import PrunedSource, Pruning
from bmp_plugin.cli import main
from bmp_plugin.conformance.fuzz.lucene_segments import index_vectors

Vectors = dict[str, dict[str, int]]


def heaviest(weights: dict[str, int], share: float) -> dict[str, int]:
    if not weights:
        return {}
    lightest = sorted(weights.values(), reverse=True)[math.ceil(round(share * len(weights), 9)) - 1]
    return {name: weight for name, weight in weights.items() if weight >= lightest}


def pruned(vectors: Vectors, pruning: Pruning) -> Vectors:
    """An independent implementation of the pruning rules."""
    left = {docid: vector for docid, vector in vectors.items() if docid not in (pruning.drop_documents or ())}
    if pruning.min_quality is not None:
        left = {docid: vector for docid, vector in left.items() if pruning.quality[docid] >= pruning.min_quality}
    if pruning.quality_share is not None:
        best = sorted(vectors, key=lambda docid: (-pruning.quality[docid], docid))
        best = best[: math.ceil(round(pruning.quality_share * len(vectors), 9))]
        left = {docid: vector for docid, vector in left.items() if docid in best}
    left = {docid: heaviest(vector, pruning.document_share) for docid, vector in left.items()}
    terms: dict[str, dict[str, int]] = {}
    for docid, vector in left.items():
        for term, impact in vector.items():
            terms.setdefault(term, {})[docid] = impact
    return {term: heaviest(docs, pruning.term_share) for term, docs in terms.items()}


shares = st.sampled_from([1.0, 0.9, 0.7, 0.5, 0.1, 0.01])
vectors_of = st.lists(st.dictionaries(st.sampled_from("uvwxyz"), st.integers(1, 9), min_size=1), min_size=1, max_size=25)


@settings(max_examples=30, deadline=None)
@given(vectors_of, shares, shares, st.data(), st.booleans())
def test_keeps_the_specified_postings(
    tmp_path_factory: pytest.TempPathFactory, vectors: list[dict[str, int]], document_share: float, term_share: float,
    data: st.DataObject, by_quality: bool,
) -> None:
    docs = {f"d{i:02}": vector for i, vector in enumerate(vectors)}
    options: dict[str, Any] = {"drop_documents": set(data.draw(st.lists(st.sampled_from(sorted(docs)), max_size=5)))}
    if by_quality:
        options["quality"] = {docid: data.draw(st.integers(0, 5)) / 2 for docid in docs}
        options |= data.draw(st.sampled_from([{"min_quality": 1.5}, {"quality_share": 0.6},
                                              {"min_quality": 0.5, "quality_share": 0.3}]))
    pruning = Pruning(document_share, term_share, **options)
    expected = pruned(docs, pruning)
    index = BmpIndex.build(docs.items(), tmp_path_factory.mktemp("pruned") / "i.bmp", prune=pruning,
                           reorder=data.draw(st.sampled_from(["none", "bp"])), progress=False)
    assert postings(index) == expected
    report = index.manifest["source"]["details"].get("pruning")
    if pruning:
        before, after = sum(map(len, vectors)), sum(map(len, expected.values()))
        assert report["postings"] == {"dropped": before - after, "share": pytest.approx((before - after) / before, abs=1e-6)}
        assert report["documents"]["dropped"] == len(docs) - index.num_docs
        assert index.manifest["source"]["num_docs"] == index.num_docs
        assert {token: index.df(token) for token in index.terms()} == {term: len(found) for term, found in expected.items()}
        steps = ("postings_of_documents", "by_document", "by_term")
        assert sum(report[step]["dropped"] for step in steps) == report["postings"]["dropped"]
    else:
        assert report is None


def test_lucenes_answers_on_kept_postings(lucene_index: Any, host: Any, cranfield_documents: Any,
                                          cranfield_queries: Any, tmp_path: Path) -> None:
    gone = {document["id"] for number, document in enumerate(cranfield_documents) if number % 4}
    pruning = Pruning(document_share=0.6, drop_documents=gone)
    index = BmpIndex.build(lucene_index("cranfield"), tmp_path / "i.bmp", prune=pruning, progress=False)
    left = [{"id": document["id"], "contents": "", "vector": heaviest(document["vector"], 0.6)}
            for document in cranfield_documents if document["id"] not in gone]
    folder = index_vectors(left, tmp_path / "lucene")
    lucene = host.LuceneImpactSearcher(str(folder), VectorEncoder(cranfield_queries))
    ours = BmpSearcher(index)
    for qid, query in list(cranfield_queries.items())[:15]:
        assert [(hit.docid, hit.score) for hit in ours.search(query, 50)] == [
            (hit.docid, hit.score) for hit in lucene.search(qid, 50)]


def test_drop_in_never_prunes(lucene_index: Any, tmp_path: Path) -> None:
    from bmp_plugin.adapters.host.sidecar_index import index_of

    path = tmp_path / "pruned.bmp"
    BmpIndex.build(lucene_index("cranfield"), path, prune=Pruning(term_share=0.5), progress=False)
    with pytest.raises(BmpError, match="not built from all of the field"):
        index_of(lucene_index("cranfield"), bmp_dir=path, progress=False)
    assert BmpIndex.open(path).manifest["source"]["details"]["pruning"]["by_term"]["dropped"]


def test_source_document_ids_do_not_change(tmp_path: Path) -> None:
    index = BmpIndex.build([("a", {"x": 1}), ("b", {"x": 2}), ("c", {"y": 3})], tmp_path / "i.bmp", progress=False,
                           prune=Pruning(drop_documents=["a"]))
    assert index.lucene_docid_of("b") == 1
    assert index.terms() == ["x", "y"]


def test_read_twice_reports_once() -> None:
    source = PrunedSource(VectorSource([("a", {"x": 1, "y": 2}), ("b", {"x": 2, "z": 9})]), Pruning(document_share=0.5))
    for _ in range(2):
        assert sum(len(batch.docs) for batch in source.batches()) == 2
    assert source.info.details["pruning"]["by_document"] == {"kept_share": 0.5, "dropped": 2, "share": 0.5}
    source.close()


def test_command(cranfield_documents: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = tmp_path / "docs.jsonl"
    vectors.write_text("".join(json.dumps(document) + "\n" for document in cranfield_documents))
    (tmp_path / "gone.txt").write_text("1\n\n17 \n")
    with gzip.open(tmp_path / "quality.tsv.gz", "wt") as file:
        file.writelines(f"{document['id']}\t{len(document['vector'])}\n" for document in cranfield_documents)
    command = ["index", "--input", str(vectors), "--output", str(tmp_path / "i.bmp"), "--drop-documents",
               str(tmp_path / "gone.txt"), "--quality", str(tmp_path / "quality.tsv.gz"), "--keep-quality-share", "0.9",
               "--keep-document-share", "0.8", "--keep-term-share", "0.9"]
    assert main(command) == 0
    message = capsys.readouterr().err
    lengths = {document["id"]: float(len(document["vector"])) for document in cranfield_documents}
    pruning = Pruning(0.8, 0.9, drop_documents={"1", "17"}, quality=lengths, quality_share=0.9)
    index = BmpIndex.open(tmp_path / "i.bmp")
    assert postings(index) == pruned({document["id"]: document["vector"] for document in cranfield_documents}, pruning)
    details = index.manifest["source"]["details"]["pruning"]
    for name in ("documents", "postings_of_documents", "by_document", "by_term"):
        assert f"pruned {details[name]['dropped']:,} " in message
    assert main(["info", str(index.path)]) == 0
    assert "pruning" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "message"), [
    ({"drop_documents": ["q"]}, "drop_documents: 1 of its 1 documents are not in the source, such as 'q'"),
    ({"quality": {"a": 1}, "min_quality": 0}, "no score of document 'b'"),
    ({"quality": {"a": 1, "b": float("nan")}, "min_quality": 0}, "not a finite number"),
    ({"quality": "nowhere.txt", "min_quality": 0}, "nowhere.txt"),
    ({"quality": {"a": 1, "b": 1}}, "quality scores need"), ({"min_quality": 3}, "quality scores need"),
    ({"document_share": 0}, "document_share=0 is not above 0"), ({"term_share": 1.5}, "term_share=1.5"),
])
def test_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises((BmpError, ValueError, FileNotFoundError), match=message):
        BmpIndex.build([("a", {"x": 1}), ("b", {"x": 2})], tmp_path / "i.bmp", prune=Pruning(**options), progress=False)
    assert not (tmp_path / "i.bmp").exists()


def test_malformed_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs.jsonl").write_text('{"id": "a", "vector": {"x": 1}}\n')
    (tmp_path / "q.txt").write_text("a 1\nb high\n")
    assert main(["index", "--input", str(tmp_path / "docs.jsonl"), "--output", str(tmp_path / "i.bmp"), "--quality",
                 str(tmp_path / "q.txt"), "--min-quality", "1"]) == 2
    assert f"{tmp_path / 'q.txt'}, line 2" in capsys.readouterr().err
