"""Engines that search the same queries: their run files, their latencies, their effectiveness."""
from __future__ import annotations

import filecmp
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._internal.background_compile import compile_choice, require_compiled_search
from ..trec.evaluation import MEASURES, averages, evaluate, read_qrels
from ..trec.run_file import RunWriter, read_run

ROUNDS = 3


@dataclass(frozen=True)
class Engine:
    """An engine, with the queries in its own form, and the run file that it writes."""

    name: str
    search: Callable[[Any], Sequence[Any]]
    queries: Mapping[str, Any]
    run: Path

    def write_run(self) -> None:
        """Searches for all queries, which warms the engine up, and writes the run file."""
        with RunWriter(self.run) as writer:
            for qid, query in self.queries.items():
                writer.write(qid, self.search(query))

    def seconds(self) -> float:
        """Searches for all queries again, and reads the docids and scores of all hits; returns the seconds."""
        started = time.perf_counter()
        for query in self.queries.values():
            for hit in self.search(query):
                _ = hit.docid, hit.score
        return time.perf_counter() - started

    def has_run_of(self, other: Engine) -> bool:
        """Tells whether both run files have the same bytes."""
        return filecmp.cmp(self.run, other.run, shallow=False)


def search_is_compiled() -> bool:
    """Makes searches wait for compiled code; returns False where there is to be none, and hence no latency to report."""
    from .._internal.kernels import config

    if config.DISABLE_JIT or compile_choice() == "never":
        return False
    require_compiled_search()
    return True


def latencies(engines: Sequence[Engine]) -> list[float]:
    """Returns each engine's mean latency in milliseconds, of the best of some rounds in which the engines take turns.

    The rounds let a virtual machine that compiles what is hot reach its speed, and a disturbance meet only one round.
    """
    rounds = [[1000 * engine.seconds() / len(engine.queries) for engine in engines] for _ in range(ROUNDS)]
    return [min(milliseconds) for milliseconds in zip(*rounds, strict=True)]


def print_table(engines: Sequence[Engine], milliseconds: Sequence[float], qrels: Path) -> None:
    """Prints a row for each engine: its latency, unless there are none, and its effectiveness."""
    judged = read_qrels(qrels)
    print()
    print(f"{'engine':<31}" + f"{'ms/query':>11}" * bool(milliseconds) + "".join(f"{name:>9}" for name in MEASURES))
    for number, engine in enumerate(engines):
        values = averages(evaluate({engine.name: read_run(engine.run)}, judged)[engine.name])
        latency = f"{milliseconds[number]:>11.2f}" if milliseconds else ""
        print(f"{engine.name:<31}{latency}" + "".join(f"{values[name]:>9.4f}" for name in MEASURES))
    if milliseconds:
        print(f"(one thread, compiled code, docids and scores of all hits read; best of {ROUNDS} rounds)")
    print(flush=True)
