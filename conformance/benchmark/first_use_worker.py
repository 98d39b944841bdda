"""A process that uses an engine for the first time: ``python first_use_worker.py ENGINE WORK SECONDS``.

It opens the engine's index, asks queries one by one until so many seconds after the first answer, and prints, as JSON, when
each answer came, in seconds since the process started, and the processor time, that of compiling in another process included,
which it waits for in the end. It imports only what the engine needs.
"""
from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

K = 10
AT_LEAST = 40            # queries
Query = dict[str, int]


def open_ours(work: Path) -> Callable[[Query], Any]:
    """Opens ``BmpSearcher``."""
    from bmp_plugin import BmpSearcher

    searcher = BmpSearcher(work / "ours.bmp")
    return lambda query: searcher.search(query, K)


def open_bm25s(work: Path) -> Callable[[Query], Any]:
    """Opens ``bm25s`` with its numba backend: BM25 over the same tokens."""
    import bm25s

    retriever = bm25s.BM25.load(str(work / "bm25s"), show_progress=False)
    retriever.backend = "numba"
    return lambda query: retriever.retrieve([list(query)], k=K, show_progress=False)


def open_splade_index(work: Path) -> Callable[[Query], Any]:
    """Opens ``splade-index`` with its numba backend, with an encoder that returns the query's vector."""
    import numpy as np
    import torch
    from splade_index import SPLADE

    vocabulary = json.loads((work / "vocabulary.json").read_bytes())
    numbers = {token: number for number, token in enumerate(vocabulary)}

    class Encoder:
        def encode_query(self, queries: list[Query], **_: Any) -> list[Any]:
            found = [{numbers[token]: weight for token, weight in query.items() if token in numbers} for query in queries]
            return [torch.sparse_coo_tensor(torch.tensor([list(one)]), torch.tensor(list(one.values()), dtype=torch.float32),
                                            (len(numbers),)) for one in found]

    index = SPLADE(backend="numba")
    index.scores = {name: np.load(work / f"splade-{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr")}
    index.scores["num_docs"] = int(json.loads((work / "num_docs.json").read_bytes()))
    index.model, index.vocab_dict = Encoder(), numbers
    index.document_ids = index.corpus = np.arange(index.scores["num_docs"])
    return lambda query: index.retrieve([query], k=K, return_as="doc_ids", show_progress=False)


ENGINES = {"bmp-plugin": open_ours, "bm25s": open_bm25s, "splade-index": open_splade_index}


def main() -> None:
    """Runs the process."""
    engine, work, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    started = float(os.environ["STARTED"])                   # by the clock of all processes
    queries: list[Query] = json.loads((work / "queries.json").read_bytes())
    search = ENGINES[engine](work)
    ends: list[float] = []
    while len(ends) <= AT_LEAST or ends[-1] - ends[0] < seconds:
        search(queries[len(ends) % len(queries)])
        ends.append(time.time() - started)
    if engine == "bmp-plugin":
        from bmp_plugin._internal.background_compile import wait_for_compiling

        wait_for_compiling()
    print(json.dumps({"ends": ends, "processor": sum(os.times()[:4])}))


if __name__ == "__main__":
    main()
