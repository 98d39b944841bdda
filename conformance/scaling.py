"""The cost of a shard, and the savings of thresholds that shards share: measurements for sizing a cluster.

    python -m bmp_plugin.conformance.scaling --parts 250k.bmp 2m.bmp --whole 2m.bmp --sharded 2.bmps 8.bmps
        --queries queries.jsonl

Every index is measured in a separate process, in one thread, after one round of warm-up. ``--parts`` are indexes of several
sizes, measured in milliseconds per query and memory. ``--sharded`` are the collection of ``--whole`` in several shards,
measured in scored superblocks and milliseconds per query: with shards asked one after the other, each with the threshold of
those before, and with shards asked independently; and whether the answers are those of the whole index.
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
from bmp_plugin.report.machine import command, machine, versions
from bmp_plugin.trec.topics import read_topics

Queries = list[dict[str, Any]]


class Cost(NamedTuple):
    """Cost of one index: mean and 99th percentile of seconds per query, superblocks scored per query, resident bytes."""

    mean: float
    p99: float
    superblocks: float
    file_bytes: int
    own_bytes: int


class Saving(NamedTuple):
    """Costs of a sharded index per query: seconds and superblocks, with and without thresholds; queries answered alike."""

    shared_seconds: float
    shared_superblocks: float
    independent_seconds: float
    independent_superblocks: float
    same: int


def cost(path: Path, queries: Queries, k: int, rounds: int) -> Cost:
    """Searches one index."""
    from bmp_plugin import BmpSearcher

    searcher = BmpSearcher(path)
    seconds = []
    for _ in range(1 + rounds):
        seconds.append([_seconds(searcher.search, query, k) for query in queries])
    scored = sum(int(searcher.rank([query], k)[1][0, 1]) for query in queries)
    median = np.median(np.array(seconds[1:]), axis=0)
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:"))
    return Cost(float(median.mean()), float(np.percentile(median, 99)), scored / len(queries),
                _mapped(str(path.resolve())), int(own.split()[1]) * 1024)


def saving(path: Path, whole: Path, queries: Queries, k: int, rounds: int) -> Saving:
    """Searches one sharded index, and its shards independently."""
    from bmp_plugin import BmpSearcher, ShardedSearcher

    one = BmpSearcher(whole)
    with ShardedSearcher(path) as searcher:
        qids = [str(i) for i in range(len(queries))]
        found = searcher.batch_search(queries, qids, k)
        same = sum([(hit.docid, hit.score) for hit in found[qid]] == [(hit.docid, hit.score) for hit in one.search(query, k)]
                   for qid, query in zip(qids, queries, strict=True))
        known = [_seconds(searcher.batch_search, queries, qids, k) for _ in range(rounds)]
        options = searcher._options(k, 1.0, 1.0, None, None)
        asked = [searcher._ask([searcher._prepared(query)], i % len(searcher._shards), False, options)
                 for i, query in enumerate(queries)]
        work = sum(int(merging.work[q, 1]) for ((merging, q),) in asked)
    alone = [BmpSearcher(searcher.index.location(shard), min_idf=float("-inf")) for shard in searcher.index.shards]
    prepared = [searcher._prepared(query) for query in queries]
    ignorant = [sum(_seconds(shard.search, query, k) for query in prepared for shard in alone) for _ in range(1 + rounds)][1:]
    scored = sum(int(shard.rank([query], k)[1][0, 1]) for query in prepared for shard in alone)
    n = len(queries)
    return Saving(float(np.median(known)) / n, work / n, float(np.median(ignorant)) / n, scored / n, same)


def _seconds(function: Callable[..., Any], *arguments: Any) -> float:
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def _mapped(folder: str) -> int:
    """Returns the bytes of a folder's files that are in this process's memory."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            inside = len(words) > 5 and words[-1].startswith(folder)
        elif words[0] == "Rss:" and inside:
            found += int(words[1]) * 1024
    return found


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def report(options: argparse.Namespace, queries: Queries, k: int) -> str:
    """Returns the tables for one k."""
    from bmp_plugin import BmpIndex, BmpSearcher
    from bmp_plugin.sharded.sharded_index import ShardedIndex

    lines = [f"## k = {k}", ""]
    if options.parts:
        lines += ["| documents | postings | MB | mean ms | p99 ms | superblocks scored | index in memory, MB | else, MB |",
                  "|---|---|---|---|---|---|---|---|"]
    for path in options.parts:
        index = BmpIndex.open(path)
        found = _alone(cost, path, queries, k, options.rounds)
        lines.append(f"| {index.num_docs:,} | {index.num_postings:,} | {index.size_bytes / 1e6:.0f} | {1e3 * found.mean:.2f} | "
                     f"{1e3 * found.p99:.2f} | {found.superblocks:.0f} | {found.file_bytes / 1e6:.0f} | "
                     f"{found.own_bytes / 1e6:.0f} |")
    if options.sharded:
        searcher = BmpSearcher(options.whole)
        one = sum(int(searcher.rank([query], k)[1][0, 1]) for query in queries) / len(queries)
        lines += ["", f"The whole index: {one:.0f} superblocks scored per query.", "",
                  "| shards | superblocks | ms | independent shards: superblocks | ms | queries answered as by the whole |",
                  "|---|---|---|---|---|---|"]
    for path in options.sharded:
        shards = len(ShardedIndex.open(path).shards)
        found = _alone(saving, path, options.whole, queries, k, options.rounds)
        lines.append(f"| {shards} | {found.shared_superblocks:.0f} ({found.shared_superblocks / one:.2f} x) | "
                     f"{1e3 * found.shared_seconds:.2f} | {found.independent_superblocks:.0f} "
                     f"({found.independent_superblocks / one:.2f} x) | {1e3 * found.independent_seconds:.2f} | "
                     f"{found.same} of {len(queries)} |")
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 2 unusable input."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.scaling", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", type=Path, default=[], metavar="DIR", help="block-max indexes of several sizes")
    parser.add_argument("--whole", type=Path, metavar="DIR", help="a block-max index")
    parser.add_argument("--sharded", nargs="*", type=Path, default=[], metavar="DIR", help="the same in several shards")
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE", help="topics, JSONL or TSV")
    parser.add_argument("--k", nargs="+", type=int, default=[10, 100, 1000], help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--max-queries", type=int, default=100, metavar="N", help="default: %(default)s, chosen at random")
    options = parser.parse_args(arguments)
    try:
        if min(*options.k, options.rounds, options.max_queries) < 1:
            raise ValueError("--k, --rounds and --max-queries are at least 1")
        if options.sharded and options.whole is None:
            raise ValueError("--sharded needs --whole to compare with")
        require_compiled_search()
        topics = read_topics(options.queries)
        chosen = np.random.default_rng(0).permutation(len(topics))[:options.max_queries]
        queries = [dict(topics[i][1]) for i in chosen]
        made_on = machine()
        print(f"{made_on['processor']}, {made_on['cores']} cores; {', '.join(f'{n} {v}' for n, v in versions().items())}.\n")
        print(f"    {command('bmp_plugin.conformance.scaling', sys.argv[1:] if arguments is None else arguments)}\n")
        for k in options.k:
            print(report(options, queries, k), flush=True)
    except (BmpError, ValueError, OSError) as error:
        print(f"scaling: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
