"""The process of an engine: it builds the index, or opens it and answers the runner's requests, one at a time."""
from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import engines
from .collection import Collection
from .memory import AnonymousPeak, children_peak_bytes, memory_bytes, peak_bytes

WARM_UP = 50          # queries before a round is timed: another engine has used the caches in between


def run(connection: Connection, log: Path, task: str, *arguments: Any) -> None:
    """The process's main function: its output goes to ``log``, its result or exception to the connection."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(target, 1)
    os.dup2(target, 2)
    try:
        if task == "build":
            connection.send((True, build(*arguments)))
        elif task == "kernel":
            connection.send((True, kernel(log, *arguments)))
        else:
            Server(*arguments).serve(connection)
    except Exception as error:
        connection.send((False, error if _picklable(error) else RuntimeError(f"{type(error).__name__}: {error}")))
    connection.close()
    if task == "serve":
        sys.stdout.flush()
        os._exit(0)           # a JVM takes long to shut down


def _picklable(error: Exception) -> bool:
    return type(error).__module__.startswith(("builtins", "bmp_plugin."))


def build(name: str, collection: Collection) -> dict[str, float]:
    """Builds an engine's index; returns seconds, peak memory of this process or of a child in bytes, and its anonymous part."""
    started = time.perf_counter()
    with AnonymousPeak() as anonymous:
        engines.ENGINES[name].build(collection)
    return {"seconds": time.perf_counter() - started, "peak_bytes": max(peak_bytes(), children_peak_bytes()),
            "peak_anonymous_bytes": anonymous.bytes}


def kernel(log: Path, name: str, work: Path, queries: Sequence[engines.Query], ks: Sequence[int]) -> dict[int, float | None]:
    """Returns the mean seconds per query of an engine's innermost timer, by k."""
    return {k: engines.ENGINES[name].kernel_seconds(work, queries, k, log) for k in ks}


class Server:
    """An engine opened in this process, with its queries prepared; it first reports how long that took.

    Parameters
    ----------
    name : str
        Name of the engine.
    work : Path
    queries : sequence of mappings
    k : int
    settings : mapping
        Both of the first search, which is timed.
    """

    def __init__(self, name: str, work: Path, queries: Sequence[engines.Query], k: int, settings: engines.Settings) -> None:
        engine = engines.ENGINES[name]
        started = time.perf_counter()
        engine.load()
        loaded = time.perf_counter()
        self._engine = engine.open(work)
        search = self._engine.searching(settings)
        opened = time.perf_counter()
        search(self._engine.prepare(queries[0]), k)
        done = time.perf_counter()
        self._queries = [self._engine.prepare(query) for query in queries]
        self._warm: set[tuple[Any, ...]] = set()
        self._start = {"import_s": loaded - started, "open_s": opened - loaded, "first_query_s": done - opened}

    def serve(self, connection: Connection) -> None:
        """Answers requests (method, arguments) until there are no more."""
        connection.send((True, self._start))
        while True:
            try:
                method, arguments = connection.recv()
            except EOFError:
                return
            connection.send((True, getattr(self, method)(*arguments)))

    def answers(self, settings: engines.Settings, k: int) -> list[engines.Answer]:
        """Returns the answers to all queries."""
        search = self._engine.searching(settings)
        self._warm.add((k, *settings.items()))
        return [self._engine.answer(search(query, k)) for query in self._queries]

    def latency(self, settings: engines.Settings, k: int) -> tuple[NDArray[np.float64], float]:
        """Returns the seconds of each query, one call each: float64[queries], and processor seconds per query; warms up."""
        search, queries, now = self._engine.searching(settings), self._queries, time.perf_counter
        key = (k, *settings.items())
        for query in queries[:WARM_UP] if key in self._warm else queries:
            search(query, k)
        self._warm.add(key)
        times, processor = np.empty(len(queries)), time.process_time()
        for q, query in enumerate(queries):
            started = now()
            search(query, k)
            times[q] = now() - started
        return times, (time.process_time() - processor) / len(queries)

    def throughput(self, settings: engines.Settings, k: int, threads: int) -> float | None:
        """Returns queries per second when all are searched in one call; None if the engine has no such call."""
        if not self._engine.batch(self._queries[:WARM_UP], k, threads, settings):
            return None
        started = time.perf_counter()
        self._engine.batch(self._queries, k, threads, settings)
        return len(self._queries) / (time.perf_counter() - started)

    def memory(self) -> dict[str, int]:
        """Returns the current memory of this process."""
        return memory_bytes()
