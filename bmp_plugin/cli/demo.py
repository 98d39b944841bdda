"""``bmp-plugin demo``: the whole way on a small real collection."""
from __future__ import annotations

import argparse
from typing import Any

from .arguments import add_command, positive


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "demo",
        "index, search and evaluate Cranfield, beside Lucene where it is installed",
        "bmp-plugin demo --output demo/",
        "Needs no network. Exit status: 0, or 1 if the run differs from Lucene's.",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="keep indexes and runs in this folder; without it, a temporary one is used and removed",
    )
    parser.add_argument("--hits", type=positive, default=1000, metavar="K", help="hits a query")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo; returns the exit status."""
    from bmp_plugin.demo import run_demo

    return run_demo(getattr(args, "output", None), hits=args.hits)
