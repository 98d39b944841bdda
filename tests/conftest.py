"""Real Lucene indexes and a real Pyserini for the tests: Anserini builds each index once per session."""
from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bmp_plugin._internal.background_compile import ENVIRONMENT
from bmp_plugin.conformance.fuzz.lucene_segments import index_vectors, write_segments
from bmp_plugin.errors import BmpError

Document = Mapping[str, Any]
os.environ.setdefault(ENVIRONMENT, "wait")       # tests are of compiled code, but for those of the other

STARTS_A_JVM = {"java", "host", "lucene_index"}
"""Fixtures that need a JDK."""

SYSTEM_ROOMS = {"cli", "conformance", "robustness", "report"}
SYSTEM_MODULES = {"test_any_size", "test_ciff_out", "test_dockerfile", "test_examples", "test_fast_forward", "test_sharded_ray",
                  "test_wheel", "test_workers"}
"""Where tests start whole commands, clusters, browsers or environments, and take seconds each."""


def pytest_configure(config: pytest.Config) -> None:
    """Lets pytest-xdist keep the order of files, see below, instead of starting with those of most tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that the quick tier leaves out: those that need a JDK, and those of whole systems.

    Files of these come first, and short ones last, so that no worker is left with a long file when the others are done.
    """
    longest: dict[Path, int] = {}
    for item in items:
        if STARTS_A_JVM & set(getattr(item, "fixturenames", ())):
            item.add_marker("jvm")
        if item.path.parent.name in SYSTEM_ROOMS or item.path.stem in SYSTEM_MODULES:
            item.add_marker("system")
        rank = 2 if item.get_closest_marker("system") else 1 if item.get_closest_marker("jvm") else 0
        longest[item.path] = max(rank, longest.get(item.path, 0))
    items.sort(key=lambda item: -longest[item.path])


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def cranfield_documents() -> list[dict[str, Any]]:
    return read_jsonl(resources.files("bmp_plugin.demo") / "cranfield_docs.jsonl.gz")


@pytest.fixture(scope="session")
def cranfield_queries() -> dict[str, dict[str, int]]:
    """A fourth of Cranfield's queries, because Pyserini takes 50 ms for each."""
    queries = read_jsonl(resources.files("bmp_plugin.demo") / "cranfield_queries.jsonl.gz")
    return {query["qid"]: query["vector"] for query in queries[::4]}


@pytest.fixture(scope="session")
def java() -> Path:
    """The Java that the plugin finds; without Pyserini or a JDK, tests are skipped, or fail in CI."""
    absent = pytest.fail if os.environ.get("CI") else pytest.skip
    if importlib.util.find_spec("pyserini") is None:
        absent("Pyserini is not installed")
    from bmp_plugin.adapters.java.jdk import find_jdk

    try:
        return find_jdk() / "bin" / "java"
    except BmpError as error:
        absent(str(error))


@pytest.fixture(scope="session")
def host(java: Path) -> Any:
    """Pyserini, imported in this process."""
    from bmp_plugin.adapters.host.pyserini_import import import_pyserini

    import_pyserini()
    import pyserini.search.lucene

    return pyserini.search.lucene


def claim_lucene_8(folder: Path) -> Path:
    """Marks an index's segment as written by Lucene 8, which is all that Anserini checks."""
    segment = next(folder.glob("*.si"))
    content = bytearray(segment.read_bytes())
    at = content.index(b"lucene.version") + len(b"lucene.version") + 1
    if content[at:at + 2] != b"9.":
        pytest.skip("this Pyserini's Lucene opens no index of Lucene 8")
    content[at:at + 1] = b"8"
    content[-8:] = zlib.crc32(content[:-8]).to_bytes(8, "big")
    segment.write_bytes(content)
    return folder


NASTY_DOCIDS = ["é", "z", "10", "9", "Ω", "a", "\uff5e", "\U0001f600", "ß", "-1", "Z", "日本", "a#1", "a#2", "ä", "0"]


def nasty_documents() -> list[dict[str, Any]]:
    """Docids whose byte order is neither index nor UTF-16 order, massive ties, large impacts, odd tokens."""
    documents = []
    for i in range(600):
        stem = NASTY_DOCIDS[i % len(NASTY_DOCIDS)]
        docid = stem if i < len(NASTY_DOCIDS) else f"{stem}{(i * 7919) % 1000}_{i}"
        if i % 149 == 148:
            docid = "twice#1"               # Anserini indexes a docid as often as it comes
        vector = {"all": 1, "tie": 5, f"mod{i % 7}": 3, "##s": 1 + i % 3}
        if i % 11 == 0:
            vector |= {"large": 256 + i, "日本": 2, "\U0001f600": 7}
        if i % 97 == 0:
            vector |= {"huge": 65_536 + i, "a\"b\\c": 1, "'": 9}
        if i % 2:
            vector["half"] = 1 + (i * 31) % 400
        if i == 300:
            vector = {"all": 1}
        documents.append({"id": docid, "contents": "", "vector": vector})
    return documents


NASTY_QUERIES: dict[str, dict[str, int | float]] = {
    "ties": {"tie": 2}, "ties-and-more": {"tie": 3, "mod3": 1},
    "everywhere": {"all": 4}, "all-and-half": {"all": 4, "half": 1},
    "zero": {"tie": 0}, "zeros": {"half": 0, "mod1": 2, "large": 0}, "large": {"large": 1, "half": 2},
    "beyond-float32": {"huge": 4_001, "half": 3_333, "large": 2_047, "tie": 1_999}, "huge": {"huge": 12},
    "odd": {"日本": 3, "\U0001f600": 1, "a\"b\\c": 2, "'": 1, "##s": 1}, "unknown": {"nowhere": 5, "tie": 1},
    "unknown-only": {"nowhere": 5}, "empty": {}, "mod6": {"mod6": 1, "all": 1},
    "thousands": {"tie": 23_160, "half": 7_001},
}


@pytest.fixture(scope="session")
def lucene_index(java: Path, cranfield_documents: list[Document], tmp_path_factory: pytest.TempPathFactory,
                 request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """The path of an index by name: cranfield, segments, deletions, nasty, lucene8; built at first use.

    The workers of pytest-xdist share them, because Anserini, which repeats each token by its impact, takes seconds for each.
    """
    session = tmp_path_factory.getbasetemp()
    root = (session.parent if "PYTEST_XDIST_WORKER" in os.environ else session) / "lucene"
    root.mkdir(exist_ok=True)

    def build(name: str) -> Path:
        folder = root / name
        if name == "lucene8":
            return claim_lucene_8(Path(shutil.copytree(get("nasty"), folder, dirs_exist_ok=True)))     # again after a skip
        request.getfixturevalue("host")                 # starts the JVM with Lucene in it
        if name == "cranfield":
            return index_vectors(cranfield_documents, folder, "-storeRaw", "-storeDocvectors")
        if name == "nasty":
            return index_vectors(nasty_documents(), folder)
        some = cranfield_documents[:700]
        if name == "segments":
            return write_segments(folder, [index_vectors(some[i::3], root / f"part{i}") for i in range(3)])
        assert name == "deletions"
        shutil.copytree(get("segments"), folder)
        gone = [document["id"] for i, document in enumerate(some) if i % 5 == 0]
        # and every document with some token, so that one is left in the dictionary without a live posting
        gone += [document["id"] for document in some if DELETED_TOKEN in document["vector"]]
        return write_segments(folder, deleted=gone)

    def get(name: str) -> Path:
        built = root / f"{name}.built"
        with FileLock(root / f"{name}.lock"):
            if not built.exists():
                build(name)
                built.touch()
        return root / name

    return get


DELETED_TOKEN = "##tock"

LUCENE_INDEXES = ["cranfield", "segments", "deletions", "nasty", "lucene8"]


class VectorEncoder:
    """A query encoder for queries that are the keys of a dict of vectors."""

    def __init__(self, vectors: Mapping[str, Mapping[str, float]]) -> None:
        self.vectors = vectors

    def encode(self, query: str) -> Mapping[str, float]:
        return self.vectors[query]


def ranking(hits: Iterable[Any]) -> list[tuple[str, int, float]]:
    """The docids, ids and scores that make up a run."""
    return [(hit.docid, hit.lucene_docid, hit.score) for hit in hits]
