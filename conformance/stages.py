"""Where the time of a search goes: to Python, to each kernel, and to waiting for memory.

    python -m bmp_plugin.conformance.stages --index passages.bmp --queries queries.jsonl.gz --k 10 1000

Every figure is a mean over the queries, in microseconds, and is given twice: *hot*, the same query repeated, with all its
data in the caches; and *cycled*, the queries one after the other, so that each finds the data of others in the caches.
Kernels are profiled by counters compiled into them; those that are called too often to be counted without slowing down the
search are counted in their caller. "Referenced" are the index's memory pages (4 KiB) that one query reads.
"""
from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmp_plugin._internal.background_compile import require_compiled_search
from bmp_plugin.errors import BmpError
from bmp_plugin.report.machine import machine
from bmp_plugin.trec.topics import read_topics

from .benchmark import bandwidth
from .benchmark.bandwidth import CACHE_LINE, Bandwidth

Queries = Sequence[dict[str, Any]]
Times = dict[str, float]
REPEATS = 5                 # of a hot query; the first is not counted
COUNTER_SECONDS = 25e-9     # approximate cost of counting a call
LARGEST_SHARE = 0.03        # of a search's time that counting one kernel may take
PAGES_OF = 20               # queries whose referenced pages are measured


class Share(NamedTuple):
    """Seconds per query: of the whole call, in Python before the kernels, in the kernels, in Python after them."""

    call: float
    before: float
    kernels: float
    after: float


class _Clocked:
    """The kernels' entry point, with the times of entry and exit."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.entered = self.left = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.entered = time.perf_counter()
        result = self._function(*arguments, **options)
        self.left = time.perf_counter()
        return result


def python_share(path: Path, queries: Queries, k: int, rounds: int) -> dict[str, Share]:
    """Measures Python's share, hot and cycled: medians over rounds, means over queries. Runs in a separate process."""
    from bmp_plugin import BmpSearcher
    from bmp_plugin.searcher import document_ranker as searcher_module

    module: Any = searcher_module
    searcher = BmpSearcher(path)
    clocked: Any = _Clocked(module.search_many)
    module.search_many = clocked

    def ask(query: Any) -> tuple[float, ...]:
        started = time.perf_counter()
        searcher.search(query, k)
        done = time.perf_counter()
        return done - started, clocked.entered - started, clocked.left - clocked.entered, done - clocked.left

    return {way: Share(*np.median(times, axis=1).mean(axis=0).tolist()) for way, times in _both_ways(ask, queries, rounds)}


def _both_ways(ask: Callable[[Any], tuple[float, ...]], queries: Queries, rounds: int) -> list[tuple[str, Any]]:
    """Returns the values of ``ask`` for every query, float64[queries, rounds, values], hot and cycled."""
    hot = np.array([[ask(query) for _ in range(REPEATS)][1:] for query in queries])
    cycled = np.array([[ask(query) for query in queries] for _ in range(rounds)]).swapaxes(0, 1)
    return [("hot", hot), ("cycled", cycled)]


def profiled(path: Path, queries: Queries, k: int, rounds: int, chosen: set[str] | None) -> dict[str, dict[str, Any]]:
    """Measures calls, seconds and own seconds of each kernel per query, hot and cycled; of the chosen kernels or of all."""
    from .benchmark.kernel_profile import Measured, instrument

    profile = instrument(chosen)
    from bmp_plugin import BmpSearcher

    searcher = BmpSearcher(path)
    found = {}
    for query in queries:
        searcher.search(query, k)
    profile.reset()
    for _ in range(rounds):
        for query in queries:
            searcher.search(query, k)
    found["cycled"] = profile.measured(), rounds
    profile.reset()
    for query in queries:
        with profile.off():                            # warms the caches
            searcher.search(query, k)
        for _ in range(REPEATS - 1):
            searcher.search(query, k)
    found["hot"] = profile.measured(), REPEATS - 1
    return {way: {name: Measured(*(value / (times * len(queries)) for value in values)) for name, values in kernels.items()}
            for way, (kernels, times) in found.items()}


def referenced_bytes(path: Path, queries: Queries, k: int) -> Times | None:
    """Returns the bytes of the index's pages that a query reads, by file; None where the system does not report them."""
    from bmp_plugin import BmpSearcher

    searcher = BmpSearcher(path)
    sample = queries[:PAGES_OF]
    for query in sample:
        searcher.search(query, k)
    total: Times = {}
    try:
        for query in sample:
            Path("/proc/self/clear_refs").write_text("1")
            searcher.search(query, k)
            for file, size in _referenced(str(path.resolve())).items():
                total[file] = total.get(file, 0.0) + size / len(sample)
    except OSError:
        return None
    return total


def _referenced(folder: str) -> Times:
    found: Times = {}
    file = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            file = Path(words[-1]).name if len(words) > 5 and words[-1].startswith(folder) else None
        elif words[0] == "Referenced:" and file is not None:
            found[file] = found.get(file, 0.0) + int(words[1]) * 1024
    return {file: size for file, size in found.items() if size}


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def report(path: Path, queries: Queries, k: int, rounds: int, memory: Bandwidth) -> str:
    """Returns the tables for one k."""
    shares = _alone(python_share, path, queries, k, rounds)
    calls = _alone(profiled, path, queries, k, 1, None)["cycled"]
    affordable = LARGEST_SHARE * shares["cycled"].kernels / COUNTER_SECONDS
    chosen = {name for name, measured in calls.items() if measured.calls <= affordable}
    kernels = _alone(profiled, path, queries, k, rounds, chosen)
    hot, cycled = shares["hot"], shares["cycled"]
    rows = [("a search", 1, hot.call, cycled.call), ("in Python, before the kernels", 1, hot.before, cycled.before),
            ("in the kernels", 1, hot.kernels, cycled.kernels), ("in Python, after them", 1, hot.after, cycled.after)]
    lines = [f"## k = {k}", "", "| | calls | hot, us | cycled, us |", "|---|---|---|---|"]
    lines += [f"| {name} | {number:.1f} | {a * 1e6:.1f} | {b * 1e6:.1f} |" for name, number, a, b in rows]
    own = sorted(kernels["cycled"].items(), key=lambda item: -item[1].own_seconds)
    lines += [f"| {name} | {found.calls:.1f} | {kernels['hot'][name].own_seconds * 1e6:.1f} | {found.own_seconds * 1e6:.1f} |"
              for name, found in own]
    counted = sum(found.own_seconds for found in kernels["cycled"].values())
    lines += ["", f"Kernels by their own time; with counters they take {counted * 1e6:.1f} us in all, cycled. Not counted, but "
              "in their callers' time: " + (", ".join(f"{name} ({found.calls:.0f} calls)" for name, found in calls.items()
                                                      if name not in chosen) or "none") + "."]
    waiting = max(0.0, cycled.kernels - hot.kernels)
    cache_lines = waiting / memory.line_seconds
    lines += ["", f"Cycled, the kernels take {waiting * 1e6:.1f} us longer than hot: the time of {cache_lines:.0f} cache lines "
              f"anywhere ({cache_lines * CACHE_LINE / 1e3:.0f} KB), or of {waiting * memory.bytes_a_second / 1e3:.0f} KB in "
              "order."]
    pages = _alone(referenced_bytes, path, queries, k)
    if pages:
        lines += ["", "| referenced a query | KB |", "|---|---|", f"| all | {sum(pages.values()) / 1e3:.0f} |"]
        lines += [f"| {file} | {size / 1e3:.0f} |" for file, size in sorted(pages.items(), key=lambda item: -item[1])]
    return "\n".join([*lines, ""])


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 2 unusable input."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.stages", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="a block-max index")
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE", help="topics, JSONL or TSV")
    parser.add_argument("--k", nargs="+", type=int, default=[10, 1000], help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--max-queries", type=int, default=200, metavar="N", help="default: %(default)s, chosen at random")
    options = parser.parse_args(arguments)
    try:
        if min(*options.k, options.rounds, options.max_queries) < 1:
            raise ValueError("--k, --rounds and --max-queries are at least 1")
        require_compiled_search()
        topics = read_topics(options.queries)
        chosen = np.random.default_rng(0).permutation(len(topics))[:options.max_queries]
        queries = [dict(topics[i][1]) for i in chosen]
        memory = bandwidth.measure()
        print(f"{machine()['processor']}: one core reads {memory.bytes_a_second / 1e9:.1f} GB/s in order; a cache line "
              f"anywhere takes {memory.line_seconds * 1e9:.1f} ns when many are asked for. {len(queries)} queries.\n")
        for k in options.k:
            print(report(options.index, queries, k, options.rounds, memory), flush=True)
    except (BmpError, ValueError, OSError) as error:
        print(f"stages: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
