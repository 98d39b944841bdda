"""The command line ``bmp-plugin``, one module per command; a command's imports happen when it runs."""
from __future__ import annotations

import argparse
import difflib
import errno
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

from .._internal import interrupts
from .._internal.atomic_write import errors_name
from ..errors import BmpError, InputWarning
from . import (
    compare_command,
    completion_command,
    conform_command,
    demo_command,
    export_command,
    fuse_command,
    index_command,
    info_command,
    push_command,
    search_command,
    shards_command,
    tune_command,
    verify_command,
    warmup_command,
)

UNUSABLE = 2
INTERRUPTED = 130

_EXAMPLES = """\
  bmp-plugin demo
  bmp-plugin index --input lucene-index/ --output passages.bmp
  bmp-plugin search --index passages.bmp --topics queries.tsv --output run.txt --hits 1000

Run `bmp-plugin COMMAND --help` for a command's arguments.

exit status:
  0    done; compare: the same answers; verify: sound
  1    compare: different answers; verify: damaged
  2    unusable input or arguments, explained in one line on standard error
  130  interrupted (Ctrl-C); 143 terminated"""


_COMMANDS = (index_command, shards_command, search_command, compare_command, conform_command, verify_command, info_command,
             fuse_command, export_command, push_command, tune_command, demo_command, warmup_command, completion_command)
"""In the order of the help."""


class _Parser(argparse.ArgumentParser):
    """Reports errors in one line, as all commands do."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"argument COMMAND: invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if unknown:
            near = difflib.get_close_matches(unknown[1], re.findall(r"[a-z]+", unknown[2]), 1)
            message = f"no command is called {unknown[1]}" + (f": do you mean {near[0]}?" if near else "")
        self.exit(UNUSABLE, f"bmp-plugin: error: {_one_line(message)} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    def __init__(self, **options: Any) -> None:
        super().__init__(nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"bmp-plugin {version('bmp-plugin')}")
        parser.exit(0)


def parser() -> argparse.ArgumentParser:
    """Returns the argparse parser of the whole command line; ``run`` of the parsed arguments is the command's function."""
    whole = _Parser(
        prog="bmp-plugin",
        description="Search impact indexes (uniCOIL, SPLADE, DeepImpact) by Block-Max Pruning,"
        " with the answers of Pyserini's LuceneImpactSearcher.",
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action=_Version, help="print the version and exit")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for module in _COMMANDS:
        module.add_parser(commands)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status: 0 done, 1 a negative answer, 2 unusable input, 130 interrupted.

    Every error is one line on standard error.
    """
    whole = parser()
    args = whole.parse_args(argv)
    if args.command is None:
        whole.print_help()
        return 0
    args.parser = whole
    args.given = list(sys.argv[1:] if argv is None else argv)
    interrupts.install()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", InputWarning)
            warnings.showwarning = _show_warning
            status: int = args.run(args)
        _flush_output()
        return status
    except BrokenPipeError:
        _abandon_output()                       # its reader has gone
        return UNUSABLE
    except OSError as error:
        # errors of files name them; those of standard output have no name
        printed = _abandon_output() or error.errno == errno.ENOSPC
        filename = error.filename or ("standard output" if printed else None)
        return _refuse(f"{filename}: {error.strerror}" if filename and error.strerror else str(error))
    except (BmpError, ValueError) as error:
        return _refuse(str(error))
    except MemoryError:
        return _refuse(f"out of memory in {args.command}: use a machine with more")
    except KeyboardInterrupt:
        print("bmp-plugin: interrupted", file=sys.stderr)
        return INTERRUPTED


_show_as_python_does = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
                  line: str | None = None) -> None:
    """Prints a warning about an input in one line, and others as Python does."""
    if issubclass(category, InputWarning):
        print(f"bmp-plugin: {message}", file=sys.stderr)
    else:
        _show_as_python_does(message, category, filename, lineno, file, line)


def _flush_output() -> None:
    if sys.stdout is not None:                  # None if the shell has closed it
        with errors_name("standard output"):
            sys.stdout.flush()


def _abandon_output() -> bool:
    """Discards what standard output does not accept, else Python would complain again when it flushes at exit."""
    try:
        _flush_output()
        return False
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True


def _refuse(message: str) -> int:
    print(f"bmp-plugin: error: {_one_line(message)}", file=sys.stderr)
    return UNUSABLE


def _one_line(message: str) -> str:
    return " ".join(message.split())
