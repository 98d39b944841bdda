"""``bmp-plugin search``: topics in, run file out."""
from __future__ import annotations

import argparse
import time
from typing import Any

from bmp_plugin.run_file import DEFAULT_TAG, RUN_FORMATS

from . import interrupts
from .arguments import add_command, add_quiet, positive, say, shows_progress

_SLICE = 128
"""Queries a thread between two steps of the progress bar: bounds the hits held in memory."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "search",
        "search a block-max index and write a run file",
        "bmp-plugin search --index passages.bmp --topics queries.tsv --output run.txt --hits 1000 --threads 2;"
        " faster, and not safe: bmp-plugin search --index passages.bmp --topics queries.tsv --output top.txt --hits 10"
        " --beta 0.5 --budget 80",
        "The run is, byte for byte, the one that `python -m pyserini.search.lucene --impact` writes, unless alpha or"
        " beta is below 1 or a budget is set: then documents may be missing, but every score is the document's own.",
    )
    parser.add_argument("--index", required=True, metavar="INDEX", default=argparse.SUPPRESS, help="block-max index")
    parser.add_argument(
        "--topics",
        required=True,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="TSV (qid<TAB>tokens, a token's count is its weight) or JSONL with qid and vector; plain or gzipped",
    )
    parser.add_argument(
        "--encoder",
        metavar="PATH",
        default=argparse.SUPPRESS,
        help="topics are TSV of qid<TAB>text, and this encodes them: a folder with tokenizer.json and a table of token"
        " weights (idf.json), or JSONL of encoded queries with contents and vector",
    )
    parser.add_argument(
        "--encoder-scale", type=float, default=100.0, metavar="S", help="integer weight of a token with 1 in the table"
    )
    parser.add_argument("--output", required=True, metavar="RUN", default=argparse.SUPPRESS, help="run file to write")
    parser.add_argument("--hits", type=positive, default=1000, metavar="K", help="hits a query")
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="queries searched at the same time")
    parser.add_argument(
        "--alpha", type=float, default=1.0, help="approximate below 1: factor on the upper bounds, so more is skipped"
    )
    parser.add_argument(
        "--beta",
        type=float,
        default=1.0,
        help="approximate below 1: upper bounds leave out tokens that add less than 1 - beta of the average one",
    )
    parser.add_argument(
        "--budget",
        type=positive,
        metavar="N",
        default=argparse.SUPPRESS,
        help="approximate: score at most N superblocks of 256 documents a query, the most promising (default: all)",
    )
    parser.add_argument(
        "--min-idf", type=float, default=0, metavar="IDF", help="tokens are kept only if ln(N/df) is greater"
    )
    parser.add_argument("--tag", default=DEFAULT_TAG, help="last column of a TREC run")
    parser.add_argument("--format", choices=RUN_FORMATS, default="trec", help="format of the run")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Search all topics; returns the exit status."""
    from tqdm import tqdm

    from bmp_plugin import BmpSearcher
    from bmp_plugin.run_file import RunWriter
    from bmp_plugin.topics import read_topics

    with BmpSearcher(args.index, min_idf=args.min_idf) as searcher:
        topics = read_topics(args.topics, _encode(args))
        seconds = 0.0
        size = _SLICE * args.threads
        with (
            RunWriter(args.output, args.format, args.tag) as writer,
            tqdm(total=len(topics), desc="searching", unit="query", disable=not shows_progress(args)) as bar,
        ):
            for first in range(0, len(topics), size):
                interrupts.check()
                part = topics[first : first + size]
                qids = [qid for qid, _ in part]
                started = time.perf_counter()
                answers = searcher.batch_search(
                    [query for _, query in part],
                    qids,
                    k=args.hits,
                    threads=args.threads,
                    alpha=args.alpha,
                    beta=args.beta,
                    budget=getattr(args, "budget", None),
                )
                seconds += time.perf_counter() - started
                for qid in qids:
                    writer.write(qid, answers[qid])
                bar.update(len(part))
    say(args, f"{args.output}: {len(topics):,} queries, {1000 * seconds / len(topics):.2f} ms a query")
    return 0


def _encode(args: argparse.Namespace) -> Any:
    if not hasattr(args, "encoder"):
        return None
    from bmp_plugin.adapters.encoders import open_encoder

    return open_encoder(args.encoder, args.encoder_scale).encode
