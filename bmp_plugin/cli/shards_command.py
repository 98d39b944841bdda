"""``bmp-plugin shards``: joins indexes that were built elsewhere into one sharded index."""
from __future__ import annotations

import argparse
import time
from typing import Any

from .arguments import add_command, add_json, add_quiet, named_path, print_json, say, shows_progress, wants_json
from .info_command import described


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "shards",
        "join block-max indexes into one sharded index",
        "bmp-plugin shards create --output passages.bmps part1.bmp part2.bmp",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = add_command(
        actions,
        "create",
        "write the manifest of indexes that are parts of one collection",
        "bmp-plugin shards create --output passages.bmps part1.bmp part2.bmp",
        "The indexes stay in place, and the manifest holds their absolute paths; source document ids continue from part to"
        " part, in the order given. The same index twice and a docid in two parts are refused (a million docids per second"
        " are compared; those of indexes that Lucene 8 wrote are not). Whether the parts were encoded alike is not checked.",
    )
    create.add_argument("indexes", nargs="+", metavar="IDX", help="block-max indexes, in the order of the collection")
    create.add_argument(
        "--output", required=True, type=named_path, metavar="M", default=argparse.SUPPRESS,
        help="folder to write, e.g. passages.bmps"
    )
    create.add_argument(
        "--no-docid-check",
        action="store_true",
        default=argparse.SUPPRESS,
        help="do not check for docids that are in two parts",
    )
    add_json(create, "print one JSON object on standard output in place of text: that of `info --json`, and seconds")
    add_quiet(create)
    create.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Joins indexes; returns the exit status."""
    from ..sharded.join_shards import join

    started = time.perf_counter()
    index = join(
        args.indexes,
        args.output,
        check_docids=not getattr(args, "no_docid_check", False),
        progress=shows_progress(args),
    )
    if wants_json(args):
        print_json(described(index) | {"seconds": round(time.perf_counter() - started, 3)})
        return 0
    say(
        args,
        f"{args.output}: {len(index.shards)} shards, {index.num_docs:,} documents, {index.num_terms:,} terms,"
        f" {index.num_postings:,} postings",
    )
    return 0
