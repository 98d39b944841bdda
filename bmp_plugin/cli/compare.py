"""``bmp-plugin compare``: do two runs give the same answers?"""
from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from .arguments import add_command

if TYPE_CHECKING:
    from bmp_plugin.compare import Comparison


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "compare",
        "compare two run files",
        "bmp-plugin compare lucene.txt bmp.txt --qrels qrels.txt",
        "Exit status: 0 the same answers (docids, order and scores as written), 1 different, 2 unusable input.",
    )
    parser.add_argument("run_a", metavar="RUN_A", help="TREC or MS MARCO run, plain or gzipped")
    parser.add_argument("run_b", metavar="RUN_B", help="the other run")
    parser.add_argument("--qrels", metavar="FILE", default=argparse.SUPPRESS, help="evaluate both runs on these qrels")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare; returns the exit status."""
    from bmp_plugin.compare import compare_runs

    comparison = compare_runs(args.run_a, args.run_b, getattr(args, "qrels", None))
    if getattr(args, "json", False):
        print(json.dumps(comparison.as_dict(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(_lines(comparison)))
    return 0 if comparison.same else 1


def _lines(comparison: Comparison) -> list[str]:
    what = "" if comparison.scores_compared else " (docids only: an MS MARCO run has no scores)"
    lines = [f"{comparison.identical:,} of {comparison.queries:,} queries have identical answers{what}"]
    if comparison.kinds:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in comparison.kinds.items())
        lines.append(f"first difference by kind: {kinds}")
    for found in comparison.differences:
        where = f" at rank {found.rank}" if found.rank else ""
        a, b = found.a or "(nothing)", found.b or "(nothing)"
        lines.append(f"  query {found.qid}: {found.kind}{where}: A {a} | B {b}")
    rest = comparison.queries - comparison.identical - len(comparison.differences)
    if rest > 0:
        lines.append(f"  and {rest:,} more")
    if comparison.measures:
        of_a, of_b = comparison.measures["a"], comparison.measures["b"]
        lines.append(f"{'measure':<10}{'A':>10}{'B':>10}{'B - A':>10}")
        lines += [f"{name:<10}{x:>10.4f}{of_b[name]:>10.4f}{of_b[name] - x:>+10.4f}" for name, x in of_a.items()]
    return lines
