"""``bmp-plugin compare``: whether two runs give the same answers."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..report.headline import signed
from .arguments import add_command, add_json, named_path, positive, print_json, wants_json

if TYPE_CHECKING:
    from ..trec.run_comparison import Comparison

SHOWN = 5
SHOWN_ON_PAGE = 1000
FEWEST_HITS = 10
"""Runs with fewer hits are evaluated as if by so many, since a small collection may have no more."""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "compare",
        "compare two run files",
        "bmp-plugin compare lucene.txt bmp.txt --qrels qrels.txt --output report/",
        "Exit status: 0 the same answers (docids, order and scores as written), 1 different, 2 unusable input."
        " With --tolerance, harmless differences count as the same: scores within the tolerance, another order of documents"
        " with such scores, and another choice among those that tie at the end of the list.",
    )
    parser.add_argument("run_a", metavar="RUN_A", help="TREC or MS MARCO run, plain or gzipped")
    parser.add_argument("run_b", metavar="RUN_B", help="the other run")
    parser.add_argument("--qrels", metavar="QRELS", default=argparse.SUPPRESS,
                        help="evaluate both runs by these qrels: a TREC file, ir_datasets:ID, or one of Pyserini's names")
    parser.add_argument("--download", action="store_true", default=argparse.SUPPRESS,
                        help="allow ir_datasets and Pyserini to download qrels")
    parser.add_argument("--tolerance", type=float, metavar="T", default=argparse.SUPPRESS,
                        help="largest difference of scores that count as equal, for runs of different engines")
    parser.add_argument("--depths", nargs="+", type=positive, metavar="K", default=[10, 100, 1000],
                        help="cut-offs of the overlap")
    parser.add_argument("--output", metavar="DIR", type=named_path, default=argparse.SUPPRESS,
                        help="also write report.json and a page, report.html, to this folder")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compares two runs; returns the exit status."""
    from ..trec.evaluation import MEASURES, measures_within
    from ..trec.run_comparison import compare
    from ..trec.run_file import read_run

    qrels, tolerance = getattr(args, "qrels", None), getattr(args, "tolerance", None)
    output: Path | None = getattr(args, "output", None)
    if output is not None:
        from ..report.page import require

        require()                                    # fail before the work, not after it
    judged = None
    if qrels is not None:
        from bmp_plugin.adapters.host.topics_and_qrels import open_qrels

        judged = open_qrels(qrels, getattr(args, "download", False))
    runs = read_run(args.run_a), read_run(args.run_b)
    longest = max((answer.count(b"\n") for run in runs for answer in run.answers.values()), default=0) if judged else 0
    measures = measures_within(MEASURES, max(longest, FEWEST_HITS)) if judged else MEASURES
    comparison = compare(*runs, judged, SHOWN if output is None else SHOWN_ON_PAGE, tolerance=tolerance, depths=args.depths,
                         measures=measures, judgements=str(qrels))
    if output is not None:
        from ..report import comparison_report, machine

        report = comparison_report.of_two_runs(comparison, *runs, machine.command("bmp_plugin", args.given))
        comparison_report.write(output, report)
    if wants_json(args):
        shown = comparison.as_dict()
        print_json(shown | {"differences": shown["differences"][:SHOWN]})
    else:
        from ..report.comparison_report import names

        print("\n".join(_lines(comparison, *names(runs[0].path, runs[1].path))))
    return 0 if comparison.same else 1


def _lines(comparison: Comparison, a_name: str, b_name: str) -> list[str]:
    what = "" if comparison.scores_compared else " (docids only: an MS MARCO run has no scores)"
    lines = [f"{comparison.identical:,} of {comparison.queries:,} queries have identical answers{what}"]
    if comparison.kinds or comparison.measures:
        lines.append(f"A is {a_name}, B is {b_name}")
    if comparison.kinds:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in comparison.kinds.items())
        lines += [f"first difference by kind: {kinds}",
                  f"{comparison.equivalent - comparison.identical:,} more differ harmlessly: in number format, order of ties,"
                  " or choice among documents tied at the end",
                  "overlap " + ", ".join(f"@{k} {share:.4f}" for k, share in comparison.overlap.items())
                  + f"; rank-biased overlap (p 0.9) {comparison.rank_biased_overlap:.4f}"]
    for found in comparison.differences[:SHOWN]:
        where = f" at rank {found.rank}" if found.rank else ""
        a, b = found.a or "(nothing)", found.b or "(nothing)"
        lines.append(f"  query {found.qid}: {found.kind}{where}: A {a} | B {b}")
    rest = comparison.queries - comparison.identical - len(comparison.differences[:SHOWN])
    if rest > 0:
        lines.append(f"  and {rest:,} more, which differ less")
    return lines + _measures(comparison) if comparison.measures else lines


def _measures(comparison: Comparison) -> list[str]:
    """Returns a table of the measures in which queries differ, and one line for those in which none does."""
    of_a, of_b = comparison.measures["a"], comparison.measures["b"]
    pairs = comparison.paired
    alike = {name: x for name, x in of_a.items() if not pairs[name]["better"] and not pairs[name]["worse"]}
    lines = []
    if len(alike) < len(of_a):
        lines.append(f"{'measure':<10}{'A':>10}{'B':>10}{'B - A':>10}{'p':>10}{'better':>8}{'worse':>8}")
    for name, x in of_a.items():
        if name not in alike:
            gain = pairs[name]
            p = "" if gain["p"] is None else f"{gain['p']:.3g}"
            lines.append(f"{name:<10}{x:>10.4f}{of_b[name]:>10.4f}{signed(of_b[name] - x):>10}{p:>10}"
                         f"{gain['better']:>8}{gain['worse']:>8}")
    if alike:
        lines.append("no judged query differs in " + ", ".join(f"{name} {x:.4f}" for name, x in alike.items()))
    return lines
