"""A format of another package is found through its entry point, in Python and by the command, and is asked before ours."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmp_plugin.errors import SourceError
from bmp_plugin.index.format_registry import ReadingOptions, given_source, open_source

OUTPUT = Path("passages.bmp")

MODULE = '''
"""Reads lines of `docid token impact`, below a line that says so."""
from pathlib import Path

from bmp_plugin.index.source import PostingSource
from bmp_plugin.index.format_registry import ReadingOptions


class TripleFormat:
    description = "a file of triples"
    quantizes = False

    def recognizes(self, source: object) -> bool:
        return isinstance(source, Path) and source.is_file() and source.read_bytes()[:9] == b"{triples}"

    def open(self, source: Path, options: ReadingOptions) -> PostingSource:
        from bmp_plugin.adapters.sources.document_source import VectorSource

        vectors: dict[str, dict[str, int]] = {}
        for line in source.read_text().splitlines()[1:]:
            docid, token, impact = line.split()
            vectors.setdefault(docid, {})[token] = int(impact)
        return VectorSource(vectors.items(), origin=str(source))
'''
SEARCH = """
import sys
from bmp_plugin import BmpIndex, BmpSearcher
hits = BmpSearcher(BmpIndex.build(sys.argv[1], sys.argv[2], progress=False)).search({"heat": 2})
print([(hit.docid, hit.score) for hit in hits])
"""


@pytest.fixture
def with_triples(tmp_path: Path) -> dict[str, str]:
    """The environment of processes that have another package with a format, as pip installs it."""
    site = tmp_path / "site"
    info = site / "triples-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "triples.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: triples\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bmp_plugin.sources]\ntriples = triples:TripleFormat\n")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *sys.path])}


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True)


def test_another_package_adds_a_format(with_triples: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / "some.triples"
    source.write_text("{triples}\nd1 heat 3\nd2 heat 5\nd1 flow 1\nd3 flow 2\n")      # to ours, it begins like JSON
    done = run(with_triples, "-c", SEARCH, source, tmp_path / "triples.bmp")
    assert (done.returncode, done.stdout) == (0, "[('d2', 10.0), ('d1', 6.0)]\n")
    done = run(with_triples, "-m", "bmp_plugin", "index", "--input", source, "--output", tmp_path / "again.bmp")
    assert done.returncode == 0
    assert "3 documents, 2 terms, 4 postings" in done.stderr


def test_its_description_is_part_of_refusals(with_triples: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text\n")
    done = run(with_triples, "-m", "bmp_plugin", "index", "--input", tmp_path / "text", "--output", tmp_path / "x.bmp")
    assert done.returncode == 2
    assert "text: not recognized: give a file of triples, a CIFF file" in done.stderr


def test_formats_of_whole_numbers_are_not_quantized(with_triples: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{triples}\nd1 heat 3\n")
    done = run(with_triples, "-m", "bmp_plugin", "index", "--input", tmp_path / "t", "--output", tmp_path / "x.bmp",
               "--quantize", 8)
    assert done.returncode == 2
    assert "t: a file of triples, whose impacts are whole numbers already: omit quantize" in done.stderr


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(TypeError, match="int is no source: give a CIFF file"):
        open_source(7)


def test_a_closed_source_is_the_caller_s(tmp_path: Path) -> None:
    documents = [("d1", {"heat": 3})]
    with given_source(documents, OUTPUT, ReadingOptions()) as opened, given_source(opened, OUTPUT, ReadingOptions()) as same:
        assert same is opened
        assert same.info.num_docs == 1
    with pytest.raises(SourceError, match="quantize=8"), given_source([("d1", {"heat": 0.5})], OUTPUT, ReadingOptions()):
        pass
