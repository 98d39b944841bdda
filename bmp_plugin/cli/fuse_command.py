"""``bmp-plugin fuse``: fuses the runs of several retrievers."""
from __future__ import annotations

import argparse
import time
from typing import Any

from .arguments import add_command, add_quiet, input_file, output_file, positive, print_json, say, wants_json
from .ranking_output import add_ranking_json, open_output, writes_hit_lines


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "fuse",
        "fuse runs by a convex combination of normalized scores",
        "bmp-plugin fuse sparse.txt dense.txt --weights 0.4 0.6 --minima 0 -1 --output hybrid.txt",
        "The scores of each query are normalized to at most 1, from the least score in the run (min-max) or from the"
        " theoretical minimum that --minima gives (0 for impacts, -1 for cosines). For reciprocal rank fusion, use"
        " `python -m pyserini.fusion`.",
    )
    parser.add_argument("runs", type=input_file, metavar="RUN", nargs="+", help="TREC runs, plain or gzipped")
    parser.add_argument("--output", required=True, type=output_file, metavar="RUN", default=argparse.SUPPRESS,
                        help="run file to write, or - for standard output")
    parser.add_argument("--weights", type=float, nargs="+", metavar="W", default=argparse.SUPPRESS,
                        help="weight of each run, divided by their sum (default: equal weights)")
    parser.add_argument("--minima", nargs="+", metavar="MIN", default=argparse.SUPPRESS,
                        help="theoretical minimum of each run's scores, or `min` for the least in the run (default: min)")
    parser.add_argument("--hits", type=positive, default=1000, metavar="K", help="hits per query")
    parser.add_argument("--tag", default="fused", help="last column of the run")
    add_ranking_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fuses runs; returns the exit status."""
    from ..trec.fusion import fuse_runs

    started = time.perf_counter()
    minima = getattr(args, "minima", None)
    fused = fuse_runs(args.runs, getattr(args, "weights", None),
                      None if minima is None else [_minimum(text) for text in minima], args.hits)
    with open_output(args, "trec", args.tag) as writer:
        for qid, hits in fused.items():
            writer.write(qid, hits)
    if wants_json(args) and not writes_hit_lines(args):
        print_json({"output": args.output, "tag": args.tag, "runs": args.runs, "queries": len(fused), "hits": args.hits,
                    "seconds": round(time.perf_counter() - started, 3)})
        return 0
    say(args, f"{args.output}: {len(args.runs)} runs, {len(fused):,} queries")
    return 0


def _minimum(text: str) -> float | None:
    if text == "min":
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--minima {text}: give a number, or min") from None
