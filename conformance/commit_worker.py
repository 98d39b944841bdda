"""The process of one side of :mod:`.commits`: it takes the package from a checkout, and does as the orchestrator says.

It is a script that is run by its path, since as a module it would bring the installed package with it. Of the package it
uses only what is public, so that it serves earlier commits too. Requests and replies are lines of JSON.
"""
from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

Answer = list[tuple[str, float]]        # docid and score, best first

LEAD_IN = 10          # queries before a block that are asked without being timed: the other side has had the caches meanwhile
BUILD_THREADS = 2


def processor_seconds() -> float:
    """What this process and the ended ones of its children have used, as user and as system."""
    return sum(os.times()[:4])


class Worker:
    """The methods that can be asked for; indexes are known by their order of documents, sets of queries by a name."""

    def __init__(self) -> None:
        self._searchers: dict[str, Any] = {}
        self._queries: dict[str, list[dict[str, int]]] = {}

    def load(self, root: str) -> None:
        """Import the package from the checkout ``root``, before anything else.

        Errors: ``ImportError`` if another installation takes its place.
        """
        sys.path.insert(0, root)
        import bmp_plugin

        bmp_plugin.__path__.append(root)          # where adapters/ lies, which an installation has inside of the package
        import bmp_plugin.adapters

        for module in (bmp_plugin, bmp_plugin.adapters):
            if not Path(str(module.__file__)).resolve().is_relative_to(Path(root).resolve()):
                raise ImportError(f"{module.__name__} is not taken from the checkout, but from {module.__file__}")

    def build(self, arrays: str, output: str, reorder: str, rows: int | None = None) -> dict[str, float]:
        """Build an index of the collection whose arrays lie in the folder ``arrays``, or of its first rows.

        Returns
        -------
        dict of str to number
            ``wall`` and ``processor`` seconds; ``bytes`` and ``postings`` of the index.
        """
        import numpy as np

        from bmp_plugin import BmpIndex
        from bmp_plugin.adapters.arrays import ArraySource

        folder = Path(arrays)
        ptr, terms, impacts = (np.asarray(np.load(folder / f"{name}.npy", "r")) for name in ("ptr", "terms", "impacts"))
        docids, vocabulary = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("docids", "vocabulary"))
        if rows is not None:
            ptr, docids = ptr[:rows + 1], docids[:rows]
            terms, impacts = terms[:ptr[-1]], impacts[:ptr[-1]]
        started, used = time.perf_counter(), processor_seconds()
        source = ArraySource(ptr, terms, impacts, docids, vocabulary, threads=BUILD_THREADS, temp_dir=Path(output).parent)
        index = BmpIndex.build(source, output, reorder=reorder, threads=BUILD_THREADS, progress=False)
        found = {"wall": time.perf_counter() - started, "processor": processor_seconds() - used}
        size = sum(file.stat().st_size for file in Path(output).rglob("*") if file.is_file())
        return found | {"bytes": size, "postings": index.num_postings}

    def open(self, order: str, index: str) -> None:
        """Open an index, the one in this order of documents."""
        from bmp_plugin import BmpSearcher

        self._searchers[order] = BmpSearcher(index)

    def take(self, name: str, queries: list[dict[str, int]]) -> None:
        """Keep a set of queries."""
        self._queries[name] = queries

    def answers(self, order: str, name: str, k: int, lo: int, hi: int) -> list[Answer]:
        """The answers to the queries from ``lo`` up to ``hi`` of a set."""
        search = self._searchers[order].search
        return [[(hit.docid, float(hit.score)) for hit in search(query, k)] for query in self._queries[name][lo:hi]]

    def times(self, order: str, name: str, k: int, lo: int, hi: int) -> list[list[float]]:
        """Seconds of each of these queries: those of this thread on the processor, and those that passed."""
        search, queries = self._searchers[order].search, self._queries[name]
        processor, wall = time.thread_time, time.perf_counter
        for at in range(lo - LEAD_IN, lo):
            search(queries[at % len(queries)], k)
        found: list[list[float]] = [[], []]
        for query in queries[lo:hi]:
            wall_before, processor_before = wall(), processor()
            search(query, k)
            processor_after, wall_after = processor(), wall()
            found[0].append(processor_after - processor_before)
            found[1].append(wall_after - wall_before)
        return found

    def first(self, index: str, query: dict[str, int], k: int) -> float:
        """Open an index, and answer one query: the processor seconds since the process began."""
        from bmp_plugin import BmpSearcher

        BmpSearcher(index).search(query, k)
        return processor_seconds()


def main() -> None:
    """Answer requests until there are no more."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                                 # what the package may print is no reply
    worker = Worker()
    for line in sys.stdin.buffer:
        method, arguments = json.loads(line)
        try:
            reply = {"value": getattr(worker, method)(*arguments)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()


if __name__ == "__main__":
    main()
