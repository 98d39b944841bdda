"""``bmp-plugin export``: converts a block-max index to a file that other engines read."""
from __future__ import annotations

import argparse
import time
from typing import Any

from .arguments import add_command, add_json, add_quiet, named_path, print_json, say, shows_progress, wants_json

FORMATS = ("ciff",)


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "export",
        "write a block-max index in a format that other engines read",
        "bmp-plugin export passages.bmp --to ciff --output passages.ciff.gz",
        "Documents are numbered in the order of the index, which --reorder may have changed. Impacts become term"
        " frequencies. The file is written atomically.",
    )
    parser.add_argument("index", metavar="INDEX", help="block-max index")
    parser.add_argument(
        "--to", choices=FORMATS, default="ciff", help="format: the Common Index File Format, for PISA, JASS, Anserini and bmp"
    )
    parser.add_argument(
        "--output", required=True, type=named_path, metavar="FILE", default=argparse.SUPPRESS,
        help="file to write; gzipped if named .gz"
    )
    parser.add_argument("--description", metavar="TEXT", default=argparse.SUPPRESS, help="description in the file's header")
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exports the index; returns the exit status."""
    from bmp_plugin.adapters.export.ciff_writing import write_ciff

    from .. import BmpIndex

    started = time.perf_counter()
    index = BmpIndex.open(args.index)
    size = write_ciff(index, args.output, description=getattr(args, "description", None), progress=shows_progress(args))
    seconds = time.perf_counter() - started
    if wants_json(args):
        print_json({"output": str(args.output), "format": args.to, "num_docs": index.num_docs, "num_terms": index.num_terms,
                    "num_postings": index.num_postings, "size_bytes": size, "seconds": round(seconds, 3)})
        return 0
    say(args, f"{args.output}: {index.num_docs:,} documents, {index.num_postings:,} postings, {size / 1e6:,.1f} MB,"
              f" written in {seconds:.1f} s")
    return 0
