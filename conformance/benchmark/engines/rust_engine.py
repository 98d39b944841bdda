"""The paper's own code, PyPI's ``bmp``, with one block size; in the collection's document order or in ours."""
from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..collection import Collection
from .engine import Answer, Engine, OpenedEngine, Query, Search, Settings, require_package

BLOCK_SIZES = (8, 16, 32)
ELAPSED = re.compile(rb"search_elapsed = (\d+)")


class Rust(Engine):
    """``rust-8`` etc.; ``rust-bp-8`` etc. with the documents in the order of ``ours-bp``."""

    distribution = "bmp"
    has_kernel_timer = True
    differs = ("it cuts impacts to 8 bits and scores to 16, brings query weights to at most 32 levels, loses documents that "
               "tie with the last, never scores the last candidate block, and does not adjust ties")

    def __init__(self, block_size: int, reorder: str = "none") -> None:
        self._block_size = block_size
        self._reordered = reorder != "none"
        self.name = f"rust-{reorder}-{block_size}" if self._reordered else f"rust-{block_size}"
        if self._reordered:
            self.needs = (f"ours-{reorder}",)

    @property
    def kind(self) -> str:
        return self.name.removesuffix(f"-{self._block_size}")

    def require(self) -> None:
        require_package("bmp", "bmp==0.2.8")

    def load(self) -> None:
        import bmp  # noqa: F401

    def index(self, work: Path) -> Path:
        return work / f"{self.name}.bmp-index"

    def build(self, collection: Collection) -> None:
        import bmp

        path = self.index(collection.work)
        unfinished = path.with_suffix(".unfinished")
        order = _order(collection, collection.work / f"{self.needs[0]}.bmp") if self._reordered else None
        indexer = bmp.Indexer(str(unfinished), self._block_size, False)
        for docid, vector in collection.documents(order):
            indexer.add_document(docid, vector)
        indexer.finish()
        os.replace(unfinished, path)

    def open(self, work: Path) -> OpenedEngine:
        import bmp

        return _OpenedRust(bmp.Searcher(str(self.index(work))))

    def kernel_seconds(self, work: Path, queries: Sequence[Query], k: int, log: Path) -> float | None:
        """Reads what ``bmp.search`` prints: microseconds per query, without term lookup, sorting and docids. Not warmed up."""
        import bmp

        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "queries"
            with open(written, "w", encoding="utf-8") as file:
                for number, query in enumerate(queries):
                    if any(query.values()):                      # it panics on an empty one
                        tokens = (token for token, weight in query.items() for _ in range(weight))
                        file.write(f"{number}:{' '.join(tokens)}\n")
            try:
                bmp.search(str(self.index(work)), str(written), k, 1.0, 1.0)
            except BaseException as error:
                _pass_on_unless_panic(error)
                return None
        found = ELAPSED.findall(log.read_bytes())
        return int(found[-1]) / 1e6 if found else None


def _order(collection: Collection, reordered: Path) -> list[int]:
    """Returns the rows of the collection in the document order of an index of ours."""
    from bmp_plugin import BmpIndex

    index = BmpIndex.open(reordered)
    row = {docid: number for number, docid in enumerate(collection.arrays.docids)}
    return [row[docid] for docid in index.docids(np.arange(index.num_docs, dtype=np.int32))]


class _OpenedRust(OpenedEngine):
    def __init__(self, searcher: Any) -> None:
        self._searcher = searcher

    def searching(self, settings: Settings) -> Search:
        if unknown := set(settings) - {"alpha", "beta"}:
            raise ValueError(f"setting {sorted(unknown)[0]!r} is not one of alpha, beta")
        alpha, beta = float(settings.get("alpha", 1.0)), float(settings.get("beta", 1.0))
        call = self._searcher.search

        def search(query: Query, k: int) -> Any:
            try:
                return call(query, k, alpha, beta)
            except BaseException as error:
                _pass_on_unless_panic(error)
                return [], []

        return search

    def answer(self, result: Any) -> Answer:
        return list(zip(*result, strict=True))


def _pass_on_unless_panic(error: BaseException) -> None:
    """Re-raises an error unless it is the panic with which it answers a query that has no result."""
    if type(error).__name__ != "PanicException":
        raise error
