"""``bmp-plugin verify``: is an index what was written?"""
from __future__ import annotations

import argparse
import sys
from typing import Any

from .arguments import add_command

DAMAGED = 1


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "verify",
        "check every byte of a block-max index",
        "bmp-plugin verify passages.bmp",
        "Exit status: 0 sound, 1 damaged, 2 unusable input.",
    )
    parser.add_argument("index", metavar="INDEX", help="block-max index, or sharded index")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify; returns the exit status."""
    from bmp_plugin.errors import DamagedIndexError
    from bmp_plugin.sharded.index import open_either

    try:
        index = open_either(args.index)
        index.verify()
    except DamagedIndexError as error:
        print(f"bmp-plugin: damaged: {' '.join(str(error).split())}", file=sys.stderr)
        return DAMAGED
    print(f"{args.index}: sound ({index.num_docs:,} documents, {index.num_postings:,} postings)")
    return 0
