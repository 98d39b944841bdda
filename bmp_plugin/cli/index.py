"""``bmp-plugin index``: a source of postings becomes a block-max index."""
from __future__ import annotations

import argparse
import time
from typing import Any

from . import conversion
from .arguments import add_command, add_quiet, positive, say, shows_progress


class _DefaultBlockSize:
    """The build's own default, looked up when it is shown or used: that imports numpy, which the other help need not."""

    def __int__(self) -> int:
        from bmp_plugin.index.layout import DEFAULT_BLOCK_SIZE

        return DEFAULT_BLOCK_SIZE

    def __str__(self) -> str:
        return str(int(self))


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "index",
        "build a block-max index",
        "bmp-plugin index --input lucene-index/ --output passages.bmp",
        "The index appears only when it is whole; an index that was there serves until then, and is replaced.",
    )
    parser.add_argument(
        "--input",
        required=True,
        metavar="SRC",
        default=argparse.SUPPRESS,
        help="Lucene impact index, CIFF file, or file or folder of JSON vectors (plain or gzipped)",
    )
    parser.add_argument(
        "--output", required=True, metavar="INDEX", default=argparse.SUPPRESS, help="folder to write, e.g. passages.bmp"
    )
    parser.add_argument("--field", default="contents", help="field of the Lucene index")
    parser.add_argument(
        "--reorder",
        choices=("none", "bp"),
        default="none",
        help="put similar documents together, by recursive graph bisection: slower to build, faster to search",
    )
    parser.add_argument(
        "--block-size",
        type=positive,
        default=_DefaultBlockSize(),
        metavar="N",
        help="documents a block, a power of two from 1 to 256; smaller is larger on disk, with tighter bounds",
    )
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="threads to build with")
    conversion.add_arguments(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build the index; returns the exit status."""
    from bmp_plugin import BmpIndex
    from bmp_plugin.adapters.sniff import open_source

    quantize, prune = conversion.quantization_of(args), conversion.pruning_of(args)
    progress = shows_progress(args)
    started = time.perf_counter()
    source = open_source(args.input, field=args.field, progress=progress, quantize=quantize)
    try:
        index = BmpIndex.build(
            source,
            args.output,
            reorder=args.reorder,
            block_size=int(args.block_size),
            threads=args.threads,
            progress=progress,
            prune=prune,
        )
    finally:
        source.close()
    seconds = time.perf_counter() - started
    per_posting = index.size_bytes / max(index.num_postings, 1)
    say(
        args,
        f"{args.output}: {index.num_docs:,} documents, {index.num_terms:,} terms, {index.num_postings:,} postings,"
        f" {index.size_bytes / 1e6:,.1f} MB ({per_posting:.1f} bytes a posting), built in {seconds:.1f} s",
    )
    for line in conversion.report(index.manifest["source"]["details"]):
        say(args, line)
    return 0
