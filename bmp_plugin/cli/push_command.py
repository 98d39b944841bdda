"""``bmp-plugin push``: uploads an index to a URL."""
from __future__ import annotations

import argparse
import time
from typing import Any

from .arguments import add_command, add_json, add_quiet, print_json, say, shows_progress, wants_json


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "push",
        "upload a block-max index to a URL, from which others open it",
        "bmp-plugin push passages.bmp hf://datasets/user/passages; then, anywhere:"
        " bmp-plugin search --index hf://datasets/user/passages --topics queries.tsv --output run.txt",
        "The repository or bucket has to exist. An index that is there is replaced, anything else is not. The manifest is"
        " uploaded last, so that nobody opens half an index; it names the path of the source that the index was built from.",
    )
    parser.add_argument("index", metavar="INDEX", help="block-max index, or sharded index with its shards in its folder")
    parser.add_argument(
        "url", metavar="URL", help="where to: hf://datasets/USER/NAME, s3://BUCKET/NAME or another URL that fsspec writes to"
    )
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Uploads the index; returns the exit status."""
    from ..sharded.push import push_index

    started = time.perf_counter()
    index = push_index(args.index, args.url, progress=shows_progress(args))
    seconds = time.perf_counter() - started
    if wants_json(args):
        print_json({"index": args.index, "url": args.url, "num_docs": index.num_docs, "num_postings": index.num_postings,
                    "size_bytes": index.size_bytes, "seconds": round(seconds, 3)})
        return 0
    say(args, f"{args.url}: {index.num_docs:,} documents, {index.size_bytes / 1e6:,.1f} MB, in {seconds:.1f} s")
    return 0
