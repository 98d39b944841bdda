"""Searches the same topics with Pyserini and its replacement, alternating by query; returns run files and times."""
from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin._internal.progress import tqdm
from bmp_plugin.trec.run_file import DEFAULT_TAG, RunWriter

from ..benchmark.engines.bmp_engine import check_settings

HOST = "LuceneImpactSearcher"
OURS = "BmpImpactSearcher"
WARM_UP = 20           # queries before those that are timed


class Encoded:
    """The query encoder for queries that are already encoded."""

    def encode(self, query: Mapping[str, Any]) -> Mapping[str, Any]:
        return query


@dataclass(frozen=True)
class Engine:
    """An engine: a label, and whether its runs must be Pyserini's; Pyserini's engine has no settings."""

    label: str
    search: Callable[[Any, int], Any]
    settings: Mapping[str, float] = field(default_factory=dict)
    is_host: bool = False

    @property
    def safe(self) -> bool:
        """Tells whether its runs must be Pyserini's."""
        return not self.is_host and not self.settings

    def file_name(self, k: int) -> str:
        """Returns the name of its run of k hits."""
        name = "lucene" if self.is_host else "-".join(["bmp", *(f"{key}{value:g}" for key, value in self.settings.items())])
        return f"run.{name}.{k}.txt"


@dataclass
class Searched:
    """The outcome of the searches.

    Attributes
    ----------
    seconds : dict of (label, k) to float64[queries]
        Time of each query, including the reading of docids and scores of all hits.
    refused : list of (label, k, query id, reason)
        Queries that an engine refused; they have no hits.
    """

    seconds: dict[tuple[str, int], NDArray[np.float64]] = field(default_factory=dict)
    refused: list[tuple[str, int, str, str]] = field(default_factory=list)


def engines(host: Any, ours: Any, approximate: Iterable[Mapping[str, float]]) -> list[Engine]:
    """Returns Pyserini, ours, and ours with each of the approximate settings.

    Raises
    ------
    ValueError
        If our search does not have a setting.
    """
    found = [Engine(HOST, host.search, is_host=True), Engine(OURS, ours.search)]
    for settings in approximate:
        check_settings(ours.search, settings)
        label = " ".join([OURS, *(f"{name}={value:g}" for name, value in settings.items())])
        found.append(Engine(label, _with(ours.search, settings), settings))
    return found


def _with(search: Callable[..., Any], settings: Mapping[str, float]) -> Callable[[Any, int], Any]:
    return lambda query, k: search(query, k, **settings)


def search_all(engines: Sequence[Engine], queries: Sequence[tuple[str, Any]], ks: Sequence[int], folder: Path,
               progress: bool = False) -> Searched:
    """Searches for every query with every engine, for each k; writes the runs to ``folder``.

    Pyserini's runs are written by its own writer, ours by :class:`bmp_plugin.trec.run_file.RunWriter`. Engines alternate at
    every query, and the first one rotates.
    """
    searched = Searched()
    bar = tqdm(total=len(ks) * len(queries), desc="searching", unit="query", disable=not progress)
    with bar:
        for k in ks:
            _warm_up(engines, queries, k)
            for engine in engines:
                searched.seconds[engine.label, k] = np.zeros(len(queries))
            with contextlib.ExitStack() as stack:
                writers = [stack.enter_context(_writer(engine, folder / engine.file_name(k), k)) for engine in engines]
                for number, (qid, query) in enumerate(queries):
                    for turn in range(len(engines)):
                        which = (number + turn) % len(engines)
                        hits = _ask(engines[which], qid, query, k, number, searched)
                        writers[which].write(qid, hits)
                    bar.update()
    return searched


def _writer(engine: Engine, path: Path, k: int) -> Any:
    if not engine.is_host:
        return RunWriter(path)
    from pyserini.output_writer import OutputFormat, get_output_writer

    return get_output_writer(str(path), OutputFormat.TREC, "w", max_hits=k, tag=DEFAULT_TAG)


def _ask(engine: Engine, qid: str, query: Any, k: int, number: int, searched: Searched) -> Any:
    started = time.perf_counter()
    try:
        hits = engine.search(query, k)
    except Exception as error:                           # Pyserini raises all kinds of Java exceptions
        searched.refused.append((engine.label, k, qid, _reason(error)))
        hits = []
    for hit in hits:
        _ = hit.docid, hit.score
    searched.seconds[engine.label, k][number] = time.perf_counter() - started
    return hits


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _warm_up(engines: Sequence[Engine], queries: Sequence[tuple[str, Any]], k: int) -> None:
    for engine in engines:
        for _, query in queries[:WARM_UP]:
            with contextlib.suppress(Exception):         # reported by the search that is timed
                engine.search(query, k)
