"""Detection of the format of a path, and the errors for paths of no known format."""
from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bmp_plugin.adapters.sources.json_vector_source import JsonVectorSource
from bmp_plugin.errors import BmpError, SourceError
from bmp_plugin.index.format_registry import open_source

LINE = '{"id": "1", "contents": "", "vector": {"a": 1}}\n'


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.gz", "without suffix"])
def test_json_vectors_by_content(tmp_path: Path, name: str) -> None:
    data = LINE.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    for path in (tmp_path / name, tmp_path, str(tmp_path)):
        source = open_source(path)
        assert isinstance(source, JsonVectorSource)
        assert source.info.num_docs == 1


def test_lucene_directory(tmp_path: Path) -> None:
    (tmp_path / "segments_1").write_bytes(b"not really")
    (tmp_path / "a.jsonl").write_text(LINE)
    with pytest.raises(BmpError):  # taken for Lucene, and then refused: damaged, or no Pyserini here
        open_source(tmp_path)


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nope: no such file or folder: give a CIFF file"):
        open_source(tmp_path / "nope")
    (tmp_path / "text").write_text("text\n")
    with pytest.raises(SourceError, match="text: not recognized: give a CIFF"):
        open_source(tmp_path / "text")
    (tmp_path / "nothing").write_bytes(b"")
    with pytest.raises(SourceError, match="nothing: an empty file"):
        open_source(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError, match="no JSON file in this folder"):
        open_source(tmp_path / "folder")
    (tmp_path / "named.gz").write_text("text\n")
    with pytest.raises(SourceError, match=r"named\.gz"):
        open_source(tmp_path / "named.gz")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(LINE.encode())[:12])
    with pytest.raises(SourceError, match="damaged gzip"):
        open_source(tmp_path / "cut.gz")
