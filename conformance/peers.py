"""Engines behind one small interface: a name, an index made from JSON vectors, and a search that returns (docid, score).

Each peer imports what it needs when it is made; :func:`make` says which are missing here.
"""
from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from bmp_plugin.errors import BuildError, MissingDependencyError, SourceError

Query = Mapping[str, int]
Answer = list[tuple[str, float]]
RUST_BLOCK_SIZES = (8, 16, 32)


class Peer(Protocol):
    """An engine over one collection, opened and ready."""

    name: str
    size_bytes: int

    def search(self, query: Query, k: int) -> Any:
        """Search as a user would by one Python call; what it returns is the engine's own."""

    def answer(self, result: Any) -> Answer:
        """A result of ``search`` as (docid, score), best first."""


def vectors_of(folder: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """Documents of a folder of JSON-vector files in the order of their names."""
    for path in sorted(folder.iterdir()):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                document = json.loads(line)
                yield document["id"], document["vector"]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


class Lucene:
    """Pyserini's LuceneImpactSearcher on an index that Pyserini made of the vectors."""

    def __init__(self, vectors: Path, work: Path) -> None:
        from bmp_plugin.adapters.host import import_pyserini

        import_pyserini()
        from pyserini.search.lucene import LuceneImpactSearcher

        self.name = "lucene"
        path = lucene_index(vectors, work)
        self.size_bytes = _size(path)
        self._searcher = LuceneImpactSearcher(str(path), _Encoded())

    def search(self, query: Query, k: int) -> Any:
        return self._searcher.search(query, k)

    def answer(self, result: Any) -> Answer:
        return [(hit.docid, hit.score) for hit in result]


class DropIn(Lucene):
    """BmpImpactSearcher on the same Lucene index."""

    def __init__(self, vectors: Path, work: Path) -> None:
        from bmp_plugin.adapters.pyserini import BmpImpactSearcher

        self.name = "drop-in"
        path = lucene_index(vectors, work)
        self._searcher = BmpImpactSearcher(str(path), _Encoded())
        self.size_bytes = self._searcher.bmp_index.size_bytes


class Ours:
    """BmpSearcher on an index of the vectors, reordered or not."""

    def __init__(self, vectors: Path, work: Path, reorder: str = "none") -> None:
        from bmp_plugin import BmpIndex, BmpSearcher

        self.name = "bmp-plugin" if reorder == "none" else f"bmp-plugin {reorder}"
        path = work / f"ours-{reorder}.bmp"
        index = BmpIndex.open(path) if path.exists() else BmpIndex.build(vectors, path, reorder=reorder, threads=2)
        self.size_bytes = index.size_bytes
        self._searcher = BmpSearcher(index)

    def search(self, query: Query, k: int) -> Any:
        return self._searcher.search(query, k)

    def answer(self, result: Any) -> Answer:
        return [(hit.docid, hit.score) for hit in result]


class Rust:
    """The paper's own code, PyPI's ``bmp``, with one block size."""

    def __init__(self, vectors: Path, work: Path, block_size: int) -> None:
        import bmp

        self.name = f"rust b={block_size}"
        path = work / f"rust-{block_size}.bmp-index"
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            indexer = bmp.Indexer(str(unfinished), block_size, False)
            for docid, vector in vectors_of(vectors):
                indexer.add_document(docid, vector)
            indexer.finish()
            os.replace(unfinished, path)
        self.size_bytes = _size(path)
        self._searcher = bmp.Searcher(str(path))

    def search(self, query: Query, k: int) -> Any:
        return self._searcher.search(query, k, 1.0, 1.0)

    def answer(self, result: Any) -> Answer:
        return list(zip(*result, strict=True))


class _Encoded:
    """Queries that are encoded already, as Pyserini's query encoders return them."""

    def encode(self, query: Query) -> Query:
        return query


def lucene_index(vectors: Path, work: Path) -> Path:
    """The Lucene index of the vectors in ``work``, made by Pyserini's command if it is not there yet."""
    from bmp_plugin.adapters.jdk import find_jdk

    path = work / "lucene"
    if path.exists():
        return path
    unfinished = work / "lucene.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "pyserini.index.lucene", "--collection", "JsonVectorCollection", "--input", str(vectors),
         "--index", str(unfinished), "--generator", "DefaultLuceneDocumentGenerator", "--threads", "1", "--impact",
         "--pretokenized", "--optimize"], env=os.environ | {"JAVA_HOME": str(find_jdk())}, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True)
    if done.returncode or not any(unfinished.glob("segments_*")):
        raise BuildError(f"{vectors}: Pyserini could not index it ({(done.stderr.splitlines() or ['no word'])[-1]})")
    os.replace(unfinished, path)
    return path


def make(name: str, vectors: Path, work: Path) -> list[Peer]:
    """The engines of one name: lucene, drop-in, ours, ours-bp or rust (one a block size).

    Errors: MissingDependencyError for a peer that is not installed, ValueError for one that there is not.
    """
    if not vectors.is_dir():
        raise SourceError(f"{vectors}: is not a folder of JSON vectors")
    if name == "ours":
        return [Ours(vectors, work)]
    if name == "ours-bp":
        return [Ours(vectors, work, "bp")]
    if name == "rust":
        if importlib.util.find_spec("bmp") is None:
            raise MissingDependencyError("the Rust bmp is not installed: pip install bmp")
        return [Rust(vectors, work, block_size) for block_size in RUST_BLOCK_SIZES]
    if name in ("lucene", "drop-in"):
        return [(Lucene if name == "lucene" else DropIn)(vectors, work)]
    raise ValueError(f"engine {name!r} is not one of lucene, drop-in, ours, ours-bp, rust")
