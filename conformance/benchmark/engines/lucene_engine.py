"""Pyserini's LuceneImpactSearcher, and BmpImpactSearcher in its place, on an index that Pyserini built."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bmp_plugin.errors import BuildError

from ..collection import Collection
from .bmp_engine import OpenedSearcher
from .engine import Engine, OpenedEngine, Query, Search, Settings, require_package


class Encoded:
    """The query encoder for queries that are already encoded."""

    def encode(self, query: Query) -> Query:
        return query


class Lucene(Engine):
    """``lucene``: LuceneImpactSearcher."""

    name = "lucene"
    distribution = "pyserini"

    def require(self) -> None:
        from bmp_plugin.adapters.java.jdk import find_jdk

        require_package("pyserini", '"bmp-plugin[pyserini]"')
        find_jdk()

    def load(self) -> None:
        from bmp_plugin.adapters.host.pyserini_import import import_pyserini

        import_pyserini()
        import pyserini.search.lucene  # noqa: F401

    def index(self, work: Path) -> Path:
        return work / "lucene"

    def build(self, collection: Collection) -> None:
        from bmp_plugin.adapters.java.jdk import find_jdk

        vectors, path = collection.json_folder(), self.index(collection.work)
        unfinished = path.with_name("lucene.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "pyserini.index.lucene", "--collection", "JsonVectorCollection", "--input", str(vectors),
             "--index", str(unfinished), "--generator", "DefaultLuceneDocumentGenerator", "--threads", "1", "--impact",
             "--pretokenized", "--optimize"], env=os.environ | {"JAVA_HOME": str(find_jdk())}, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        if done.returncode or not any(unfinished.glob("segments_*")):
            raise BuildError(f"{vectors}: Pyserini could not index it ({(done.stderr.splitlines() or ['no word'])[-1]})")
        os.replace(unfinished, path)

    def open(self, work: Path) -> OpenedEngine:
        from pyserini.search.lucene import LuceneImpactSearcher

        return _OpenedLucene(LuceneImpactSearcher(str(self.index(work)), Encoded()))


class _OpenedLucene(OpenedEngine):
    def __init__(self, searcher: Any) -> None:
        self._searcher = searcher

    def searching(self, settings: Settings) -> Search:
        if settings:
            raise ValueError("Lucene has no settings")
        return self._searcher.search  # type: ignore[no-any-return]

    def batch(self, queries: Sequence[Any], k: int, threads: int, settings: Settings) -> bool:
        self._searcher.batch_search(list(queries), [str(i) for i in range(len(queries))], k, threads)
        return True


class DropIn(Lucene):
    """``drop-in``: BmpImpactSearcher on the same Lucene index, with its sidecar index."""

    name = "drop-in"
    distribution = "bmp-plugin"
    needs = ("lucene",)

    def load(self) -> None:
        import bmp_plugin.adapters.pyserini  # noqa: F401

    def index(self, work: Path) -> Path:
        return work / "lucene.bmp"

    def build(self, collection: Collection) -> None:
        from bmp_plugin.adapters.host.sidecar_index import index_of

        index_of(str(collection.work / "lucene"), progress=False)

    def open(self, work: Path) -> OpenedEngine:
        from bmp_plugin.adapters.pyserini import BmpImpactSearcher

        return OpenedSearcher(BmpImpactSearcher(str(work / "lucene"), Encoded(), progress=False))
