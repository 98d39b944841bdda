"""One rule for docids in every format but Lucene's, whose docids are the host's: a run with them can be read back."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from bmp_plugin import BmpError, BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.matrix_source import MatrixSource
from bmp_plugin.trec.run_file import RunWriter, read_run

UNUSABLE = ["with space", "no\xa0break", "a\tb", "unit\x1fseparator", " before", "behind ", "line\nend",
            "next\x85line", "\u3000", "zero\0byte", ""]
USABLE = ["d1", "é", "a#b%20", "日本", "\ufeffmark", "zero\u200bwidth"]
Build = Callable[[str, Path], BmpIndex]


def by_json(docid: str, place: Path) -> BmpIndex:
    (place / "d.jsonl").write_text(json.dumps({"id": docid, "vector": {"x": 1}}) + "\n")
    return BmpIndex.build(place / "d.jsonl", place / "i.bmp", progress=False)


def by_quantized_json(docid: str, place: Path) -> BmpIndex:
    (place / "d.jsonl").write_text(json.dumps({"id": docid, "vector": {"x": 1.5}}) + "\n")
    return BmpIndex.build(place / "d.jsonl", place / "i.bmp", quantize=8, progress=False)


def by_matrix(docid: str, place: Path) -> BmpIndex:
    return BmpIndex.build(MatrixSource(csr_array(np.ones((1, 1), np.int32)), [docid], ["x"]), place / "i.bmp", progress=False)


def by_ciff(docid: str, place: Path) -> BmpIndex:
    from test_ciff import ciff_bytes

    (place / "d.ciff").write_bytes(ciff_bytes({"x": [(0, 1)]}, docids=[docid]))
    return BmpIndex.build(place / "d.ciff", place / "i.bmp", progress=False)


def by_iterable(docid: str, place: Path) -> BmpIndex:
    return BmpIndex.build([(docid, {"x": 1})], place / "i.bmp", progress=False)


@pytest.mark.parametrize("build", [by_json, by_quantized_json, by_matrix, by_ciff, by_iterable])
class TestEveryFormat:
    def test_docids_that_are_not_one_word_are_refused(self, build: Build, tmp_path: Path) -> None:
        for docid in UNUSABLE:
            with pytest.raises((BmpError, ValueError), match=r"docid .* is not one word, and runs separate") as refused:
                build(docid, tmp_path)
            assert "\n" not in str(refused.value)
            assert not (tmp_path / "i.bmp").exists()

    def test_runs_with_all_others_can_be_read_back(self, build: Build, tmp_path: Path) -> None:
        for docid in USABLE:
            searcher = BmpSearcher(build(docid, tmp_path), min_idf=-1)
            with RunWriter(tmp_path / "run.txt") as writer:
                writer.write("q", searcher.search({"x": 1}))
            assert [found for found, _ in read_run(tmp_path / "run.txt").ranking("q")] == [docid]
