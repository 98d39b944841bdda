"""``bmp-plugin tune``: measures which approximation reaches which recall, and keeps it in the index."""
from __future__ import annotations

import argparse
from typing import Any

from .arguments import (
    add_command,
    add_json,
    add_quiet,
    input_file,
    positive,
    print_json,
    say,
    shows_progress,
    wants_json,
)

TARGETS = (0.9, 0.95, 0.98, 0.99, 0.995)


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "tune",
        "measure what approximate search finds in a block-max index",
        "bmp-plugin tune --index passages.bmp; on real queries: bmp-plugin tune --index passages.bmp --topics queries.tsv",
        "Recall is the share of the safe hits that an approximate search finds. What is measured is kept in the index, in"
        " recall.json: --target-recall of `bmp-plugin search` and target_recall of the searchers then use it, in place of"
        " measurements of their own on queries made from the documents.",
    )
    parser.add_argument("--index", required=True, metavar="INDEX", default=argparse.SUPPRESS,
                        help="block-max index, sharded or not")
    parser.add_argument("--topics", type=input_file, metavar="FILE", default=argparse.SUPPRESS,
                        help="real queries, as for `bmp-plugin search` (default: queries made from the documents)")
    parser.add_argument("--max-queries", type=positive, metavar="N", default=1000,
                        help="how many of the topics to use, chosen evenly")
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measures, saves and prints; returns the exit status."""
    from .. import BmpIndex, BmpSearcher
    from .._internal.progress import tqdm
    from ..searcher.recall_calibration import DEPTHS, QUERIES, RecallCalibration, save, settings_for
    from ..sharded.sharded_index import open_either, open_shard

    queries, name = _queries(args)
    index = open_either(args.index)
    parts = [index] if isinstance(index, BmpIndex) else [open_shard(entry, index.location(entry)) for entry in index.shards]
    rows: list[dict[str, Any]] = []
    for part in parts:
        searcher = BmpSearcher(part)
        calibration = RecallCalibration(searcher.found, queries or searcher.document_queries(QUERIES))
        pairs = [(depth, setting) for depth in DEPTHS for setting in settings_for(depth)]
        for depth, setting in tqdm(pairs, desc=f"measuring {part.path.name}", unit="setting", disable=not shows_progress(args)):
            calibration.measure(depth, setting)
        save(part.path, calibration.known, name)
        for depth in DEPTHS:
            for target in TARGETS:
                setting = calibration.setting(depth, target)
                recall = calibration.known.get((depth, setting))
                rows.append({"index": str(part.path), "hits": depth, "target_recall": target, **setting._asdict(),
                             "recall": 1.0 if recall is None else recall.mean})
    if wants_json(args):
        print_json({"queries": name, "settings": rows})
        return 0
    say(args, f"{args.index}: measured on {name}")
    print(f"{'hits':>6} {'target':>7} {'alpha':>6} {'beta':>6} {'recall':>8}")
    for row in rows:
        print(f"{row['hits']:>6} {row['target_recall']:>7} {row['alpha']:>6} {row['beta']:>6} {row['recall']:>8.4f}")
    return 0


def _queries(args: argparse.Namespace) -> tuple[list[dict[str, Any]], str]:
    """Returns the queries of the topics, and what they are; none, if queries are to be made from the documents."""
    from ..searcher.recall_calibration import QUERIES
    from ..trec.topics import read_topics

    if not hasattr(args, "topics"):
        return [], f"at most {QUERIES} queries made from the documents"
    topics = read_topics(args.topics)
    step = max(1, -(-len(topics) // args.max_queries))
    queries = [dict(query) for _, query in topics[::step]]
    return queries, f"{len(queries)} queries of {args.topics}"
