"""``bmp-plugin demo``: index, search and evaluate a small real collection."""
from __future__ import annotations

import argparse
from typing import Any

from .arguments import add_command, named_path, positive


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "demo",
        "index, search and evaluate Cranfield, and compare with Lucene where it is installed",
        "bmp-plugin demo --output demo/",
        "Needs no network. Exit status: 0, or 1 if the run differs from Lucene's.",
    )
    parser.add_argument(
        "--output",
        type=named_path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="keep indexes and runs in this folder (default: a temporary one)",
    )
    parser.add_argument("--hits", type=positive, default=1000, metavar="K", help="hits per query")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the demo; returns the exit status."""
    from ..demo import run_demo

    return run_demo(getattr(args, "output", None), hits=args.hits)
