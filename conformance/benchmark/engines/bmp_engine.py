"""BmpSearcher on an index of the collection, in the collection's document order or reordered."""
from __future__ import annotations

import functools
import inspect
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..collection import Collection
from .engine import Engine, OpenedEngine, Query, Search, Settings

BUILD_THREADS = 2
PASSES = 5              # over the queries; the kernels' time is their median


class Ours(Engine):
    """``ours``; ``ours-bp`` after recursive graph bisection; ``ours-leading`` in the order of leading terms."""

    has_kernel_timer = True

    def __init__(self, reorder: str = "none") -> None:
        self.name = "ours" if reorder == "none" else f"ours-{reorder}"
        self._reorder = reorder

    def load(self) -> None:
        from bmp_plugin import BmpIndex, BmpSearcher  # noqa: F401

    def index(self, work: Path) -> Path:
        return work / f"{self.name}.bmp"

    def build(self, collection: Collection) -> None:
        from bmp_plugin import BmpIndex

        BmpIndex.build(collection.source(BUILD_THREADS), self.index(collection.work), reorder=self._reorder,
                       threads=BUILD_THREADS, progress=False)

    def open(self, work: Path) -> OpenedEngine:
        from bmp_plugin import BmpSearcher

        return OpenedSearcher(BmpSearcher(self.index(work)))

    def kernel_seconds(self, work: Path, queries: Sequence[Query], k: int, log: Path) -> float | None:
        """Times :func:`bmp_plugin.query.batch.search_many`, called as the searcher calls it, one query per call.

        The result is the median of several passes over the queries, because one takes only a fraction of a second.
        """
        from bmp_plugin import BmpSearcher
        from bmp_plugin.searcher import document_ranker as searcher_module

        module: Any = searcher_module
        searcher = BmpSearcher(self.index(work))
        for query in queries:
            searcher.search(query, k)
        timed = _Timed(module.search_many)
        module.search_many = timed
        passes = []
        try:
            for _ in range(PASSES):
                timed.seconds = 0.0
                for query in queries:
                    searcher.search(query, k)
                passes.append(timed.seconds)
        finally:
            module.search_many = timed.function
        return statistics.median(passes) / len(queries)


class OpenedSearcher(OpenedEngine):
    """A BmpSearcher or BmpImpactSearcher."""

    def __init__(self, searcher: Any) -> None:
        self._searcher = searcher

    def searching(self, settings: Settings) -> Search:
        if not settings:
            return self._searcher.search  # type: ignore[no-any-return]
        check_settings(self._searcher.search, settings)
        return functools.partial(self._searcher.search, **settings)

    def batch(self, queries: Sequence[Any], k: int, threads: int, settings: Settings) -> bool:
        self._searcher.batch_search(queries, [str(i) for i in range(len(queries))], k, threads=threads, **settings)
        return True


def check_settings(function: Any, settings: Settings) -> None:
    """Raises ``ValueError`` for a setting that is not an argument of ``function``."""
    known = set(inspect.signature(function).parameters) - {"query", "q", "k"}
    for name in settings:
        if name not in known:
            raise ValueError(f"setting {name!r} is not one of {', '.join(sorted(known))}")


class _Timed:
    """A compiled kernel that sums the seconds spent in its calls."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        result = self.function(*arguments, **options)
        self.seconds += time.perf_counter() - started
        return result
