"""PISA's MaxScore (Mallia, Siedlaczek, Mackenzie, Suel, OSIRRC@SIGIR 2019) on impacts, PyPI's ``pyterrier-pisa``."""
from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ..collection import Collection
from .engine import Answer, Engine, OpenedEngine, Query, Search, Settings, require_package


class Pisa(Engine):
    """``pisa``: the scorer ``quantized``, whose scores are sums of impact times weight."""

    name = "pisa"
    distribution = "pyterrier-pisa"
    differs = "it breaks ties by the order of indexing, not by docid, and does not adjust their scores"

    def require(self) -> None:
        require_package("pyterrier_pisa", "python-terrier pyterrier-pisa==0.4.9")

    def load(self) -> None:
        import pyterrier_pisa  # noqa: F401

    def index(self, work: Path) -> Path:
        return work / "pisa"

    def build(self, collection: Collection) -> None:
        import pyterrier_pisa

        path = self.index(collection.work)
        unfinished = path.with_name("pisa.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        index = pyterrier_pisa.PisaIndex(str(unfinished), stemmer="none", stops="none")
        index.toks_indexer(mode="create", scale=1.0).index(
            {"docno": docid, "toks": vector} for docid, vector in collection.documents())
        os.replace(unfinished, path)

    def open(self, work: Path) -> OpenedEngine:
        import pyterrier_pisa

        return _OpenedPisa(pyterrier_pisa.PisaIndex(str(self.index(work)), stemmer="none", stops="none"))


class _OpenedPisa(OpenedEngine):
    """Queries are prepared as the data frame that its retriever takes; there is one retriever per k."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._retrievers: dict[int, Any] = {}

    def prepare(self, query: Query) -> Any:
        import pandas

        return pandas.DataFrame([{"qid": "q", "query_toks": {token: float(weight) for token, weight in query.items()}}])

    def searching(self, settings: Settings) -> Search:
        if settings:
            raise ValueError("PISA has no settings")

        def search(query: Any, k: int) -> Any:
            if k not in self._retrievers:
                self._retrievers[k] = self._index.quantized(num_results=k, threads=1, query_algorithm="maxscore",
                                                            query_weighted=True, toks_scale=1.0)
            return self._retrievers[k].transform(query)

        return search

    def answer(self, result: Any) -> Answer:
        ranked = result.sort_values("rank")
        return list(zip(ranked["docno"].astype(str), ranked["score"].astype(float), strict=True))
