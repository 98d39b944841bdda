"""The textbook version of the algorithm, in docs/, gives the answers of the kernels, and stops early."""
from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin import BmpIndex, BmpSearcher

PATH = Path(__file__).parents[2] / "docs" / "explanation" / "textbook_bmp.py"


@pytest.fixture(scope="module")
def textbook() -> Any:
    spec = importlib.util.spec_from_file_location("textbook_bmp", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["textbook_bmp"] = module
    spec.loader.exec_module(module)
    return module


def read(name: str) -> list[dict[str, Any]]:
    with gzip.open(str(resources.files("bmp_plugin.demo") / name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def both(textbook: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, BmpSearcher]:
    """The textbook's index and ours, of Cranfield; documents are named so that ties are broken alike."""
    vectors = [document["vector"] for document in read("cranfield_docs.jsonl.gz")]
    documents = [(f"{doc:05}", vector) for doc, vector in enumerate(vectors)]
    index = BmpIndex.build(documents, tmp_path_factory.mktemp("textbook") / "cranfield.bmp", progress=False)
    return textbook.TextbookIndex(vectors), BmpSearcher(index, min_idf=-1)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_same_answers(both: tuple[Any, BmpSearcher], k: int) -> None:
    theirs, ours = both
    stopped = 0
    for topic in read("cranfield_queries.jsonl.gz")[:40]:
        answer, visits = theirs.search(topic["vector"], k)
        docs, scores = ours.rank([topic["vector"]], k)[0][0]
        assert answer == [(doc, int(score)) for doc, score in zip(docs.tolist(), scores.tolist(), strict=True)]
        assert [visit.bound for visit in visits] == sorted((visit.bound for visit in visits), reverse=True)
        stopped += len(visits) < theirs.num_blocks
    assert stopped > 30


def test_bounds_bound(both: tuple[Any, BmpSearcher]) -> None:
    index = both[0]
    query = read("cranfield_queries.jsonl.gz")[0]["vector"]
    for block, bound in enumerate(index.upper_bounds(query)):
        assert index.block_scores(query, block).max() <= bound


def test_its_code_is_short() -> None:
    code = [line for line in PATH.read_text().split("\n") if line.strip() and not line.strip().startswith(("#", '"""'))]
    assert len(code) < 80
