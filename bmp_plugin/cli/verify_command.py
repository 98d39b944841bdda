"""``bmp-plugin verify``: checks an index for damage."""
from __future__ import annotations

import argparse
import sys
from typing import Any

from .arguments import add_command, add_json, print_json, wants_json

DAMAGED = 1


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "verify",
        "check every byte of a block-max index",
        "bmp-plugin verify passages.bmp",
        "Exit status: 0 sound, 1 damaged, 2 unusable input. With --json, the object tells whether it is sound, and the damage.",
    )
    parser.add_argument("index", metavar="INDEX", help="block-max index, sharded or not: path or URL")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verifies the index; returns the exit status."""
    from ..errors import DamagedIndexError
    from ..sharded.sharded_index import open_either

    try:
        index = open_either(args.index)
        index.verify()
    except DamagedIndexError as error:
        damage = " ".join(str(error).split())
        print(f"bmp-plugin: damaged: {damage}", file=sys.stderr)
        if wants_json(args):
            print_json({"path": args.index, "sound": False, "num_docs": None, "num_postings": None, "damage": damage})
        return DAMAGED
    if wants_json(args):
        print_json({"path": args.index, "sound": True, "num_docs": index.num_docs, "num_postings": index.num_postings,
                    "damage": None})
        return 0
    print(f"{args.index}: sound ({index.num_docs:,} documents, {index.num_postings:,} postings)")
    return 0
