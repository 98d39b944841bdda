"""``bmp-plugin index``: builds a block-max index of a source of postings."""
from __future__ import annotations

import argparse
import time
from typing import Any

from . import conversion_options
from .arguments import add_command, add_json, add_quiet, named_path, positive, print_json, say, shows_progress, wants_json
from .info_command import described


class _DefaultBlockSize:
    """The default of the build, looked up when it is shown or used: the lookup imports numpy, which other help does without."""

    def __int__(self) -> int:
        from ..index.layout import DEFAULT_BLOCK_SIZE

        return DEFAULT_BLOCK_SIZE

    def __str__(self) -> str:
        return str(int(self))


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "index",
        "build a block-max index",
        "bmp-plugin index --input lucene-index/ --output passages.bmp",
        "The index is written atomically: an existing index is usable until it is replaced.",
    )
    parser.add_argument(
        "--input",
        required=True,
        metavar="SRC",
        default=argparse.SUPPRESS,
        help="Lucene impact index, CIFF file, or file or folder of JSON vectors (plain or gzipped)",
    )
    parser.add_argument(
        "--output", required=True, type=named_path, metavar="INDEX", default=argparse.SUPPRESS,
        help="folder to write, e.g. passages.bmp"
    )
    parser.add_argument("--field", default="contents", help="field of the Lucene index")
    parser.add_argument(
        "--reorder",
        choices=("none", "bp", "leading"),
        default="none",
        help="cluster similar documents: bp, by recursive graph bisection, is slower to build and faster to search; leading,"
        " by the documents' leading terms, lies between bp and none",
    )
    parser.add_argument(
        "--block-size",
        type=positive,
        default=_DefaultBlockSize(),
        metavar="N",
        help="documents per block, a power of two from 1 to 256; smaller blocks take more space and have tighter bounds",
    )
    parser.add_argument(
        "--shards",
        type=positive,
        metavar="N",
        default=argparse.SUPPRESS,
        help="split the documents into N contiguous ranges, each a shard, and write a folder with all shards and their"
        " manifest, which is searched like one index (default: no shards)",
    )
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="threads for building")
    conversion_options.add_arguments(parser)
    add_json(parser, "print one JSON object on standard output in place of text: that of `info --json`, and seconds")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Builds the index; returns the exit status."""
    from bmp_plugin.index.format_registry import ReadingOptions, given_source

    from .. import BmpIndex
    from ..sharded.build_shards import build_shards

    quantize, prune = conversion_options.quantization_of(args), conversion_options.pruning_of(args)
    progress = shows_progress(args)
    started = time.perf_counter()
    options: dict[str, Any] = {
        "reorder": args.reorder,
        "block_size": int(args.block_size),
        "threads": args.threads,
        "progress": progress,
    }
    index: Any
    reading = ReadingOptions(args.field, quantize, args.threads, args.output.parent, progress)
    with given_source(args.input, args.output, reading, prune) as source:
        if hasattr(args, "shards"):
            index = build_shards(source, args.output, args.shards, **options)
        else:
            index = BmpIndex.build(source, args.output, **options)
    seconds = time.perf_counter() - started
    if wants_json(args):
        print_json(described(index) | {"seconds": round(seconds, 3)})
        return 0
    per_posting = index.size_bytes / max(index.num_postings, 1)
    say(
        args,
        f"{args.output}: {_shards(args)}{index.num_docs:,} documents, {index.num_terms:,} terms,"
        f" {index.num_postings:,} postings, {index.size_bytes / 1e6:,.1f} MB"
        f" ({per_posting:.1f} bytes per posting), built in {seconds:.1f} s",
    )
    for line in conversion_options.report(index.manifest["source"]["details"]):
        say(args, line)
    return 0


def _shards(args: argparse.Namespace) -> str:
    return f"{args.shards} shards, " if hasattr(args, "shards") else ""
