"""``bmp-plugin conform``: proof on the user's own data that the swap changes nothing but the time."""
from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..report.headline import rounded_ratio, speed_ups, verdict
from .arguments import add_command, add_json, add_quiet, named_path, positive, print_json, say, shows_progress, wants_json

DIFFERENT = 1
MODULE = "bmp_plugin"
VERDICT = ("b_label", "k", "settings", "safe", "byte_identical", "queries", "identical", "equivalent", "kinds", "overlap")
"""Fields of a comparison in the output of `--json`, named as in report.json."""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "conform",
        "search your topics with LuceneImpactSearcher and with BmpImpactSearcher, and report every difference",
        "bmp-plugin conform --index lucene-index/ --topics topics.tsv --qrels qrels.txt --output report/",
        "Writes both runs, report.json and a page, report.html, that needs no network. Exit status: 0 if all safe runs are"
        " byte-identical to Pyserini's, 1 if not, 2 unusable input. Nothing is downloaded without --download.",
    )
    hide = argparse.SUPPRESS
    parser.add_argument("--index", required=True, type=Path, metavar="LUCENE_DIR", default=hide, help="Lucene impact index")
    parser.add_argument("--topics", required=True, metavar="TOPICS", default=hide,
                        help="a file (TSV of texts or tokens, JSONL of texts or vectors, or any other format of Pyserini's),"
                        " ir_datasets:ID, or one of Pyserini's names")
    parser.add_argument("--output", required=True, type=named_path, metavar="DIR", default=hide, help="folder for the report")
    parser.add_argument("--qrels", metavar="QRELS", default=hide,
                        help="qrels: a TREC file, ir_datasets:ID, or one of Pyserini's names")
    parser.add_argument("--hits", type=_depths, default="10,100,1000", metavar="K,K", help="numbers of hits per query")
    parser.add_argument("--encoder", metavar="NAME", default=hide, help="query encoder, as in pyserini.search.lucene")
    parser.add_argument("--onnx-encoder", metavar="NAME", default=hide, help="query encoder that Anserini runs")
    parser.add_argument("--min-idf", type=float, default=0, metavar="IDF", help="keep only tokens with ln(N/df) above this")
    parser.add_argument("--approximate", nargs="+", metavar="SETTINGS", default=hide,
                        help="approximate settings to measure as well, such as alpha=0.9,beta=0.8")
    parser.add_argument("--engines", nargs="*", metavar="NAME", default=hide,
                        help="other engines for the second table, see `python -m bmp_plugin.conformance.bench --help`"
                        " (default: exhaustive rust-8 pisa seismic if the index is small, else none)")
    parser.add_argument("--measures", nargs="+", metavar="NAME", default=["nDCG@10", "RR@10", "R@1000", "AP"],
                        help="names of ir-measures")
    parser.add_argument("--download", action="store_true", default=hide,
                        help="allow Pyserini, ir_datasets and the Hugging Face hub to download what is missing")
    add_json(parser, "print one JSON object on standard output in place of text: verdicts and latencies; all else is in"
                     " report.json")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Searches with both engines and reports; returns the exit status."""
    from bmp_plugin.conformance.conform.prove_identity import Options, prove

    from ..report import machine
    from ..report.page import require

    require()
    report = prove(Options(
        index=args.index, topics=args.topics, output=args.output, qrels=getattr(args, "qrels", None), hits=args.hits,
        encoder=getattr(args, "encoder", None), onnx_encoder=getattr(args, "onnx_encoder", None), min_idf=args.min_idf,
        approximate=[_settings(text) for text in getattr(args, "approximate", [])], engines=getattr(args, "engines", None),
        measures=args.measures, download=getattr(args, "download", False), progress=shows_progress(args),
        command=machine.command(MODULE, args.given)))
    if wants_json(args):
        print_json({"output": str(args.output), "same": report["same"], "speed_up": speed_ups(report["latency"]),
                    "latency": {label: {k: {name: value for name, value in found.items() if name != "ms"}
                                        for k, found in by_k.items()} for label, by_k in report["latency"].items()},
                    "comparisons": [{name: one[name] for name in VERDICT} for one in report["comparisons"]]})
        return 0 if report["same"] else DIFFERENT
    for one in report["comparisons"]:
        state = "byte-identical" if one["byte_identical"] else f"{one['identical']:,} of {one['queries']:,} queries identical"
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in one["kinds"].items())
        print(f"{one['b_label']}, k = {one['k']}: {state}" + (f" ({kinds})" if kinds else ""))
    print("\n".join(["", *_latencies(report["latency"]), "", verdict(report)]))
    say(args, f"{args.output / 'report.html'}: the full report")
    return 0 if report["same"] else DIFFERENT


def _latencies(latency: Mapping[str, Any]) -> list[str]:
    """Returns a table of mean, median and 99th percentile in milliseconds a query, and of speed-ups."""
    width = max(len("engine"), *map(len, latency))
    lines = [f"{'engine':<{width}}{'k':>7}{'mean ms':>10}{'median':>10}{'p99':>10}{'speed-up':>10}"]
    for number, (label, by_k) in enumerate(latency.items()):
        ratios = speed_ups(latency, label) if number else {}
        for k, found in by_k.items():
            ratio = f"{rounded_ratio(ratios[k])}x" if k in ratios else ""
            lines.append(f"{label:<{width}}{k:>7}{found['mean']:>10.2f}{found['median']:>10.2f}{found['p99']:>10.2f}"
                         f"{ratio:>10}".rstrip())
    return lines


def _depths(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


def _settings(text: str) -> Mapping[str, float]:
    """Parses ``alpha=0.9,beta=0.8``; raises ``ValueError`` if it is malformed."""
    from bmp_plugin.conformance.benchmark.engines import configurations

    return dict(configurations([f"ours:{text}"])[0].settings)
