"""The process of one side of :mod:`..commits`, which imports the package from a checkout and answers requests.

It is a script that is run by its path, since importing it as a module would import the installed package. It uses only the
public interface of the package, so that it works with earlier commits too. Requests and replies are lines of JSON.
"""
from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

Answer = list[tuple[str, float]]        # docid and score, best first

WARM_UP_QUERIES = 10  # queries before timed ones that are not timed: the other side has used the caches meanwhile
BUILD_THREADS = 2


def processor_seconds() -> float:
    """Returns the user and system time of this process and of its children that have ended."""
    return sum(os.times()[:4])


class Worker:
    """The methods that requests call; indexes are identified by their document order, sets of queries by a name."""

    def __init__(self) -> None:
        self._searchers: dict[str, Any] = {}
        self._queries: dict[str, list[dict[str, int]]] = {}

    def load(self, root: str) -> None:
        """Imports the package from the checkout ``root``; the first request.

        Raises
        ------
        ImportError
            If another installation is imported instead.
        """
        sys.path.insert(0, root)
        import bmp_plugin

        bmp_plugin.__path__.append(root)          # contains adapters/, which an installation has inside the package
        import bmp_plugin.adapters

        for module in (bmp_plugin, bmp_plugin.adapters):
            if not Path(str(module.__file__)).resolve().is_relative_to(Path(root).resolve()):
                raise ImportError(f"{module.__name__} is not imported from the checkout, but from {module.__file__}")

    def build(self, arrays: str, output: str, reorder: str, rows: int | None = None) -> dict[str, float]:
        """Builds an index of the collection whose arrays are in the folder ``arrays``, or of its first rows.

        Returns
        -------
        dict of str to number
            ``wall`` and ``processor`` seconds; ``bytes`` and ``postings`` of the index.
        """
        import numpy as np

        from bmp_plugin import BmpIndex
        try:
            from bmp_plugin.adapters import ArraySource
        except ImportError:                       # of commits before 0.2
            from bmp_plugin.adapters.arrays import ArraySource  # type: ignore[no-redef]

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
        """Opens the index with a document order."""
        from bmp_plugin import BmpSearcher

        self._searchers[order] = BmpSearcher(index)

    def add_queries(self, name: str, queries: list[dict[str, int]]) -> None:
        """Receives a set of queries."""
        self._queries[name] = queries

    def answers(self, order: str, name: str, k: int, lo: int, hi: int) -> list[Answer]:
        """Returns the answers to the queries lo to hi - 1 of a set."""
        search = self._searchers[order].search
        return [[(hit.docid, float(hit.score)) for hit in search(query, k)] for query in self._queries[name][lo:hi]]

    def times(self, order: str, name: str, k: int, lo: int, hi: int) -> list[list[float]]:
        """Returns the seconds of each of these queries, one by one: processor time of this thread, and wall-clock time."""
        search, queries = self._searchers[order].search, self._queries[name]
        processor, wall = time.thread_time, time.perf_counter
        for at in range(lo - WARM_UP_QUERIES, lo):
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
        """Opens an index and answers one query; returns the processor seconds since the process started."""
        from bmp_plugin import BmpSearcher

        BmpSearcher(index).search(query, k)
        return processor_seconds()


def main() -> None:
    """Answers requests until the input ends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                                 # what the package prints must not become a reply
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
