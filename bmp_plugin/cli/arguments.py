"""What the commands' arguments have in common."""
from __future__ import annotations

import argparse
import sys
from typing import Any


def add_command(
    commands: Any, name: str, summary: str, example: str, details: str = ""
) -> argparse.ArgumentParser:
    """Add a command whose help shows defaults and ends with an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.{' ' if details else ''}{details}",
        epilog=f"example: {example}",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    return parser


def positive(text: str) -> int:
    """An integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """``--quiet``."""
    parser.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="no progress bar, no summary")


def is_quiet(args: argparse.Namespace) -> bool:
    """Whether ``--quiet`` was given."""
    return getattr(args, "quiet", False)


def shows_progress(args: argparse.Namespace) -> bool:
    """Whether a progress bar is wanted and somebody is there to see it."""
    return not is_quiet(args) and sys.stderr.isatty()


def say(args: argparse.Namespace, message: str) -> None:
    """A line of summary on standard error, unless ``--quiet``."""
    if not is_quiet(args):
        print(message, file=sys.stderr)
