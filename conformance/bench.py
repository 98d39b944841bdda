"""Benchmark: speed and agreement of engines, each in its own process, interleaved over the same queries, warm.

    python -m bmp_plugin.conformance.bench --vectors VECTORS/ --queries queries.jsonl.gz --work WORK/
    python -m bmp_plugin.conformance.bench --vectors big.npz --vocabulary vocab.txt --queries queries.jsonl.gz --work WORK/ \\
        --output results/ --engines ours ours-bp rust rust-bp seismic approximate --one-at-a-time

engines:
  lucene, drop-in    Pyserini's LuceneImpactSearcher, and BmpImpactSearcher in its place, on one Lucene index
  ours, ours-bp      BmpSearcher, without and with --reorder bp; ours-leading: with --reorder leading
  rust, rust-bp      the paper's bmp with blocks of 8, 16 and 32 (or rust-8 alone), in the given order and in that of ours-bp
  seismic            Seismic at several settings, always approximate; seismic-1000, -300, -100: with so many postings a token,
                     not 3,500; seismic-knn, seismic-knn-1000, -300, -100: with its k-NN graph, too; seismic-grid: all eight
  pisa               PISA's MaxScore
  splade-index       eager scoring of all postings, by its numba backend
  bm25s              the same without weights in queries, whose tokens are repeated instead
  scipy              a sparse matrix product and argpartition
  exhaustive         no pruning, in numpy, by Pyserini's rules; slow, a good reference for small collections
  approximate        ours at several settings; approximate-bp: ours-bp
A single setting: ours:beta=0.5,budget=80 or seismic:query_cut=5,heap_factor=0.8. Engines that are not installed are skipped.

The first engine is the reference for answers. A collection's indexes are kept in WORK/NAME, where NAME is that of the folder
or file, and existing indexes are used: lucene/, lucene.bmp/ (drop-in), ours.bmp/, ours-bp.bmp/, rust-8.bmp-index,
rust-bp-8.bmp-index, seismic.index.seismic, exhaustive/, bm25s/ etc. Whether the current code would build the same is not
checked: after a change of the layout or of the order of ours-bp, delete the indexes concerned (rust-bp-* have that order too).
Results are NAME.json, NAME.md and plots; those of several collections in one output folder are also plotted as time against
size.
"""
from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bmp_plugin._internal.background_compile import require_compiled_search
from bmp_plugin.errors import BmpError, MissingDependencyError
from bmp_plugin.report import machine
from bmp_plugin.trec.topics import read_topics

from . import plots
from .benchmark import engines, runner
from .benchmark import result_tables as report
from .benchmark.agreement import Agreement
from .benchmark.collection import Collection

MODULE = "bmp_plugin.conformance.bench"
DEFAULT_ENGINES = ("lucene", "drop-in", "ours", "ours-bp", "rust", "rust-bp")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 2 unusable input."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    try:
        require_compiled_search()
        _run(options, given)
    except (BmpError, ValueError, OSError) as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"python -m {MODULE}", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", nargs="+", type=Path, required=True, metavar="PATH",
                        help="collections: folders of JSON vectors, or .npz files of arrays ptr, terms, imps, ids")
    parser.add_argument("--vocabulary", type=Path, metavar="FILE", help="the tokens of .npz files' terms, one per line")
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE",
                        help='topics: JSONL {"qid": ..., "vector": {token: weight}}, or TSV')
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder for indexes, which are kept")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the results (default: WORK/results)")
    parser.add_argument("--engines", nargs="+", default=list(DEFAULT_ENGINES), metavar="NAME", help="default: %(default)s")
    parser.add_argument("--k", nargs="+", type=int, default=[10, 100, 1000], help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--max-queries", type=int, metavar="N", help="use a random sample of N queries")
    parser.add_argument("--measure", nargs="+", choices=runner.MEASURES, default=list(runner.MEASURES),
                        help="default: all of %(choices)s")
    parser.add_argument("--one-at-a-time", action="store_true",
                        help="end an engine's process after each step, if memory cannot hold all indexes at once")
    parser.add_argument("--qrels", type=Path, metavar="FILE", help="TREC qrels, for nDCG@10")
    parser.add_argument("--passage-delimiter", metavar="TEXT",
                        help="the qrels judge documents, named by docids up to this delimiter; the best passage counts")
    return parser


def _run(options: argparse.Namespace, given: Sequence[str]) -> None:
    if options.rounds < 1 or min(options.k) < 1 or (options.max_queries is not None and options.max_queries < 1):
        raise ValueError("--rounds, --k and --max-queries are at least 1")
    topics = chosen_topics(options.queries, options.max_queries)
    chosen = runner.available(engines.configurations(options.engines))
    plan = runner.Plan(chosen, [query for _, query in topics], list(dict.fromkeys(options.k)), options.rounds,
                       options.measure, options.one_at_a_time)
    output = options.output or options.work / "results"
    collections = [Collection(path, options.work / path.absolute().name.removesuffix(".npz"),
                              options.vocabulary if path.suffix == ".npz" else None) for path in options.vectors]
    if len({collection.name for collection in collections}) < len(collections):
        raise ValueError("--vectors: two collections have the same name, which their results would share")
    for collection in collections:
        collection.prepare()
        for name in dict.fromkeys(configuration.engine for configuration in chosen):
            runner.build(collection, name)
        agreement = Agreement([qid for qid, _ in topics], options.qrels, options.passage_delimiter)
        rows = runner.measure(collection, plan, agreement)
        _write(output, collection, plan, rows, machine.command(MODULE, given))
    try:
        plots.draw(output)
    except MissingDependencyError as error:
        runner.say(f"no plots: {error}")
    runner.say(f"results are in {output}")


def chosen_topics(path: Path, max_queries: int | None) -> list[tuple[str, engines.Query]]:
    """Reads topics with at least one token, whose weights are integers; of more than ``max_queries`` always the same."""
    topics = [(qid, {token: int(weight) for token, weight in query.items()}) for qid, query in read_topics(path)]
    topics = [(qid, query) for qid, query in topics if any(query.values())]
    if not topics:
        raise ValueError(f"{path}: holds no topic with a weight above 0")
    if max_queries is not None and max_queries < len(topics):
        topics = [topics[i] for i in np.sort(np.random.default_rng(0).permutation(len(topics))[:max_queries])]
    return list(topics)


def _write(output: Path, collection: Collection, plan: runner.Plan, rows: Sequence[runner.Row], command: str) -> None:
    documents, postings = collection.counts()
    distributions = list(dict.fromkeys(engines.ENGINES[row.configuration.engine].distribution for row in rows))
    result: report.Result = {
        "collection": {"name": collection.name, "documents": documents, "postings": postings},
        "queries": len(plan.queries), "tokens_a_query": float(np.mean([len(query) for query in plan.queries])),
        "k": list(plan.ks), "rounds": plan.rounds, "one_at_a_time": plan.one_at_a_time,
        "reference": rows[0].configuration.label, "date": datetime.date.today().isoformat(), "machine": machine.machine(),
        "versions": machine.versions(distributions), "licences": machine.licences(distributions), "command": command,
        "engines": {row.configuration.label: report.figures(row, postings) for row in rows}}
    output.mkdir(parents=True, exist_ok=True)
    text = report.markdown(result)
    (output / f"{collection.name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (output / f"{collection.name}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
