"""``bmp-plugin search``: searches topics and writes a run file."""
from __future__ import annotations

import argparse
import contextlib
import sys
import time
from typing import Any

from .._internal import interrupts
from ..trec.run_file import DEFAULT_TAG, RUN_FORMATS
from .arguments import (
    add_command,
    add_quiet,
    input_file,
    is_quiet,
    output_file,
    positive,
    print_json,
    say,
    shows_progress,
    wants_json,
)
from .ranking_output import add_ranking_json, open_output, writes_hit_lines

PARTIAL = "-partial"
_SHARDED = ("ray_address", "shards_at", "allow_partial", "patience")

_SLICE = 128
"""Queries per thread and shard between two steps of the progress bar: bounds the hits held in memory."""

_SUSPICIOUS_SHARE = 0.2
"""Share of unknown tokens above which topics may not be encoded by the model that encoded the documents."""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "search",
        "search a block-max index and write a run file",
        "bmp-plugin search --index passages.bmp --topics queries.tsv --output run.txt --hits 1000 --threads 2;"
        " faster, but approximate: bmp-plugin search --index passages.bmp --topics queries.tsv --output top.txt --hits 10"
        " --target-recall 0.99",
        "The run is, byte for byte, the one that `python -m pyserini.search.lucene --impact` writes, unless a target recall,"
        " alpha or beta is below 1 or a budget is set: then documents may be missing, but every score is still exact.",
    )
    parser.add_argument(
        "--index",
        required=True,
        metavar="INDEX",
        default=argparse.SUPPRESS,
        help="block-max index, sharded or not: path or URL",
    )
    parser.add_argument(
        "--topics",
        required=True,
        type=input_file,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="TSV (qid<TAB>tokens, a token's count is its weight) or JSONL with qid and vector; plain or gzipped;"
        " - for standard input",
    )
    parser.add_argument(
        "--encoder",
        metavar="PATH",
        default=argparse.SUPPRESS,
        help="encoder of topics that are TSV of qid<TAB>text: a folder with tokenizer.json and a table of token"
        " weights (idf.json), or JSONL of encoded queries with contents and vector",
    )
    parser.add_argument(
        "--encoder-scale", type=float, default=100.0, metavar="S", help="integer weight of a token of weight 1 in the table"
    )
    parser.add_argument(
        "--output", required=True, type=output_file, metavar="RUN", default=argparse.SUPPRESS,
        help="run file to write, or - for standard output",
    )
    parser.add_argument("--hits", type=positive, default=1000, metavar="K", help="hits per query")
    parser.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="queries searched at the same time, or parts of a single query"
    )
    parser.add_argument(
        "--target-recall",
        type=float,
        metavar="R",
        default=argparse.SUPPRESS,
        help="approximate: find this share of the safe hits in the mean over many queries, such as 0.99, faster; alpha and beta"
        " are chosen for this index, on queries made from its documents or as `bmp-plugin tune` has measured (default: all)",
    )
    parser.add_argument(
        "--alpha", type=float, default=1.0, help="approximate below 1: factor of the upper bounds, so that more is skipped"
    )
    parser.add_argument(
        "--beta",
        type=float,
        default=1.0,
        help="approximate below 1: only tokens with the largest upper bounds select candidates, which all tokens score;"
        " lower values use fewer tokens",
    )
    parser.add_argument(
        "--budget",
        type=positive,
        metavar="N",
        default=argparse.SUPPRESS,
        help="approximate: score at most N superblocks of 256 documents per query, those of the largest upper bounds"
        " (default: no limit)",
    )
    parser.add_argument(
        "--min-idf", type=float, default=0, metavar="IDF", help="keep only tokens with ln(N/df) above this"
    )
    parser.add_argument("--tag", default=DEFAULT_TAG, help="last column of a TREC run")
    parser.add_argument("--format", choices=RUN_FORMATS, default="trec", help="format of the run")
    add_ranking_json(parser)
    add_quiet(parser)
    sharded = parser.add_argument_group("sharded indexes")
    sharded.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        default=argparse.SUPPRESS,
        help="serve the shards on a Ray cluster: auto, host:port, ray://host:port, or local to start one on this machine;"
        " --threads then apply to each shard (default: serve them in this process)",
    )
    sharded.add_argument(
        "--shards-at",
        metavar="LOCATION",
        default=argparse.SUPPRESS,
        help="folder or URL that contains the shards' folders, as the nodes see it (default: their paths in the manifest)",
    )
    sharded.add_argument(
        "--allow-partial",
        action="store_true",
        default=argparse.SUPPRESS,
        help=f"continue without shards that are lost for good; the run tag then ends in {PARTIAL}",
    )
    sharded.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        default=argparse.SUPPRESS,
        help="time to wait until a cluster has room for a shard, also after its node died (default: 60)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Searches all topics; returns the exit status."""
    from ..trec.topics import read_topics

    with _searcher(args) as searcher:
        topics = read_topics(args.topics, _encode(args))
        missing = None
        while missing != _missing(searcher):           # start anew when a shard is lost: all queries need the same shards
            missing = _missing(searcher)
            tag = args.tag
            if missing:
                tag += PARTIAL
                print(f"bmp-plugin: partial: the run lacks {'; '.join(missing)}", file=sys.stderr)
            seconds = _write_run(args, searcher, topics, tag, missing)
        _report_unknown_tokens(args, searcher, topics)
    if wants_json(args) and not writes_hit_lines(args):
        print_json({"output": args.output, "format": args.format, "tag": tag, "queries": len(topics), "hits": args.hits,
                    "seconds": round(seconds, 6), "missing": missing or []})
        return 0
    uncompiled = getattr(searcher, "num_uncompiled", 0)
    note = f", {uncompiled:,} of them while kernels were compiled" if uncompiled else ""
    say(args, f"{args.output}: {len(topics):,} queries, {1000 * seconds / len(topics):.2f} ms per query{note}")
    return 0


def _write_run(
    args: argparse.Namespace, searcher: Any, topics: list[tuple[str, Any]], tag: str, missing: list[str]
) -> float:
    """Writes the run of all shards except ``missing``, until another is lost; returns the seconds of searching alone."""
    from .._internal.kernels import compile_time
    from .._internal.progress import tqdm

    seconds = 0.0
    size = _SLICE * args.threads * len(getattr(searcher.index, "shards", [None]))
    with (
        contextlib.suppress(_Abandoned),
        open_output(args, args.format, tag) as writer,
        tqdm(total=len(topics), desc="searching", unit="query", disable=not shows_progress(args)) as bar,
    ):
        for first in range(0, len(topics), size):
            interrupts.check()
            part = topics[first : first + size]
            qids = [qid for qid, _ in part]
            compiled = compile_time.seconds
            started = time.perf_counter()
            answers = searcher.batch_search(
                [query for _, query in part],
                qids,
                k=args.hits,
                threads=args.threads,
                alpha=args.alpha,
                beta=args.beta,
                budget=getattr(args, "budget", None),
                target_recall=getattr(args, "target_recall", None),
            )
            seconds += max(time.perf_counter() - started - (compile_time.seconds - compiled), 0.0)
            if _missing(searcher) != missing:
                raise _Abandoned
            for qid in qids:
                writer.write(qid, answers[qid])
            bar.update(len(part))
    return seconds


def _report_unknown_tokens(args: argparse.Namespace, searcher: Any, topics: list[tuple[str, Any]]) -> None:
    """Prints what the index does not know of the queries on standard error; if it is little, not with ``--quiet``."""
    tokens = sorted({token for _, query in topics for token in query})
    unknown = {token for token, number in zip(tokens, searcher.index.term_ids(tokens), strict=True) if number < 0}
    total = sum(len(query) for _, query in topics)
    missed = sum(len(unknown.intersection(query)) for _, query in topics)
    lost = sum(1 for _, query in topics if query and unknown.issuperset(query))
    unweighted = bool(total) and all(weight == 1 for _, query in topics for weight in query.values())
    found = []
    if missed:
        found = [f"{lost:,} of {len(topics):,} queries have no token that the index knows",
                 f"{100 * missed / total:.1f} % of all tokens are unknown"]
    if unweighted and not hasattr(args, "encoder"):
        found.append("every token weighs 1")
    suspicious = unweighted or missed > total * _SUSPICIOUS_SHARE
    if suspicious and not hasattr(args, "encoder"):
        found.append("is this text? use --encoder")
    if found and (suspicious or lost or not is_quiet(args)):
        print(f"bmp-plugin: {args.topics}: {'; '.join(found)}", file=sys.stderr)


class _Abandoned(Exception):
    """Raised to discard the run."""


def _missing(searcher: Any) -> list[str]:
    """Returns the shards that answers lack."""
    missing: list[str] = getattr(searcher, "missing", [])
    return missing


def _searcher(args: argparse.Namespace) -> Any:
    """Opens a searcher on an index, sharded or not."""
    from .. import BmpIndex, BmpSearcher, ShardedSearcher
    from ..sharded.sharded_index import open_either
    from ..trec.run_file import is_written_atomically

    index = open_either(args.index)
    options = {name: getattr(args, name) for name in _SHARDED if hasattr(args, name)}
    if isinstance(index, BmpIndex):
        for name in options:
            raise ValueError(f"--{name.replace('_', '-')}: {args.index} is one index: give a sharded one, or omit it")
        return BmpSearcher(index, min_idf=args.min_idf)
    if "allow_partial" in options and not is_written_atomically(args.output):
        raise ValueError(f"--allow-partial: {args.output} is not a file, and the run is restarted when a shard is lost")
    return ShardedSearcher(index, min_idf=args.min_idf, threads=args.threads, **options)


def _encode(args: argparse.Namespace) -> Any:
    if not hasattr(args, "encoder"):
        return None
    from bmp_plugin.adapters.encoders import open_encoder

    return open_encoder(args.encoder, args.encoder_scale).encode
