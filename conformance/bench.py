"""How fast, and the same answers? Engines interleaved over the same queries in one run, warm, by the call a user makes.

    python -m bmp_plugin.conformance.bench --vectors DIR --queries Q.jsonl --work DIR [--engines lucene drop-in ours rust]

Prints a Markdown table and, with --json, writes every figure. A round asks every engine every query at every k; a query's
time is its median over the rounds, and mean, median and p99 are over queries. Answers are compared with the first engine's.
"""
from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bmp_plugin.errors import BmpError, MissingDependencyError

from . import peers


def measure(engines: list[peers.Peer], queries: list[dict[str, int]], ks: list[int], rounds: int) -> dict[str, Any]:
    """Times and agreement of every engine at every k; see the module's text."""
    results: dict[str, Any] = {}
    for k in ks:
        times = np.zeros((len(engines), len(queries), rounds))
        same = np.zeros((len(engines), 2), np.int64)
        for query in queries:                                          # warm-up, and the answers
            expected = engines[0].answer(engines[0].search(query, k))
            for e, engine in enumerate(engines):
                found = engine.answer(engine.search(query, k))
                same[e] += ([docid for docid, _ in found] == [docid for docid, _ in expected], found == expected)
        for r in range(rounds):
            for e in np.random.default_rng(r).permutation(len(engines)):
                search = engines[e].search
                for q, query in enumerate(queries):
                    started = time.perf_counter()
                    search(query, k)
                    times[e, q, r] = time.perf_counter() - started
        for e, engine in enumerate(engines):
            a_query = np.median(times[e], axis=1) * 1e3
            results.setdefault(engine.name, {"bytes": engine.size_bytes})[f"k={k}"] = {
                "mean_ms": float(a_query.mean()), "median_ms": float(np.median(a_query)),
                "p99_ms": float(np.percentile(a_query, 99)), "rounds_mean_ms": (times[e].mean(axis=0) * 1e3).tolist(),
                "same_ranking": int(same[e, 0]), "same_scores_too": int(same[e, 1]), "queries": len(queries)}
    return results


def table(results: dict[str, Any], ks: list[int], reference: str) -> str:
    """The results in Markdown."""
    heads = [f"k={k}: mean / median / p99 ms | ranking / and scores as {reference}" for k in ks]
    lines = [f"| engine | MB | {' | '.join(heads)} |",
             "|---|---|" + "---|---|" * len(ks)]
    for name, result in results.items():
        cells = []
        for k in ks:
            r = result[f"k={k}"]
            cells.append(f"{r['mean_ms']:.2f} / {r['median_ms']:.2f} / {r['p99_ms']:.2f} | "
                         f"{r['same_ranking']} / {r['same_scores_too']} of {r['queries']}")
        lines.append(f"| {name} | {result['bytes'] / 1e6:.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True, help="folder of JSON vectors")
    parser.add_argument("--queries", type=Path, required=True, help='JSONL topics: {"qid": ..., "vector": {token: weight}}')
    parser.add_argument("--work", type=Path, required=True, help="folder for the engines' indexes, which are kept")
    parser.add_argument("--engines", nargs="+", default=["lucene", "drop-in", "ours", "rust"], metavar="NAME",
                        help="of lucene, drop-in, ours, ours-bp, rust; the first is the reference (default: %(default)s)")
    parser.add_argument("--k", nargs="+", type=int, default=[10, 100, 1000], help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--max-queries", type=int, help="use only so many, chosen at random")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except (BmpError, ValueError, OSError) as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    from bmp_plugin.topics import read_topics

    queries = [dict(query) for _, query in read_topics(options.queries)]
    if options.max_queries is not None and options.max_queries < len(queries):
        queries = [queries[i] for i in np.random.default_rng(0).permutation(len(queries))[:options.max_queries]]
    options.work.mkdir(parents=True, exist_ok=True)
    engines: list[peers.Peer] = []
    for name in options.engines:
        try:
            engines += peers.make(name, options.vectors, options.work)
        except MissingDependencyError as error:
            print(f"skipped {name}: {error}", file=sys.stderr)
    if not engines:
        raise BmpError("none of the engines is installed")
    results = measure(engines, queries, options.k, options.rounds)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
          f"{len(queries)} queries, median of {options.rounds} rounds")
    print(table(results, options.k, engines[0].name))
    if options.json:
        options.json.write_text(json.dumps({"arguments": sys.argv[1:], "results": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
