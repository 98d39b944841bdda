"""Arguments and output that the commands share."""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_command(
    commands: Any, name: str, summary: str, example: str, details: str = ""
) -> argparse.ArgumentParser:
    """Adds a command whose help shows defaults and ends with an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.{' ' if details else ''}{details}",
        epilog=f"example: {example}",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    return parser


def positive(text: str) -> int:
    """Converts to an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def input_file(text: str) -> str:
    """Converts to the path of a file to read, of which ``-`` is standard input."""
    return "/dev/stdin" if text == "-" else text


def output_file(text: str) -> str:
    """Converts to the path of a file to write, of which ``-`` is standard output."""
    return "/dev/stdout" if text == "-" else text


def named_path(text: str) -> Path:
    """Converts to a path, which ``-`` is not: neither is a folder, or what is written at once, a stream."""
    if text == "-":
        raise argparse.ArgumentTypeError("- is no path here: give a name")
    return Path(text)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Adds ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="no progress bar, no summary")


def is_quiet(args: argparse.Namespace) -> bool:
    """Tells whether ``--quiet`` was given."""
    return getattr(args, "quiet", False)


def shows_progress(args: argparse.Namespace) -> bool:
    """Tells whether to show a progress bar: not with ``--quiet``, and only on a terminal."""
    return not is_quiet(args) and sys.stderr.isatty()


def say(args: argparse.Namespace, message: str) -> None:
    """Prints a line of summary on standard error, unless ``--quiet``."""
    if not is_quiet(args):
        print(message, file=sys.stderr)


def add_json(
    parser: argparse.ArgumentParser, help_text: str = "print one JSON object on standard output in place of text"
) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=help_text)


def wants_json(args: argparse.Namespace) -> bool:
    """Tells whether ``--json`` was given."""
    return getattr(args, "json", False)


def print_json(value: Any) -> None:
    """Prints a JSON value on standard output, for scripts; progress and summaries go to standard error."""
    print(json.dumps(value, indent=1, ensure_ascii=False))
