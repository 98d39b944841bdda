"""``bmp-plugin completion``: a shell's completion script for the command line."""
from __future__ import annotations

import argparse
from typing import Any

from .arguments import add_command

SHELLS = ("bash", "zsh", "tcsh")


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "completion",
        "print a shell's completion script for this command line",
        "bmp-plugin completion bash > ~/.local/share/bash-completion/completions/bmp-plugin",
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the script; returns the exit status."""
    from ..errors import MissingDependencyError

    try:
        import shtab
    except ImportError:
        raise MissingDependencyError("completion needs the package shtab: pip install 'bmp-plugin[completion]'") from None
    _complete_files(args.parser)
    print(shtab.complete(args.parser, args.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Makes shells complete paths for arguments that take one."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                _complete_files(command)
        elif action.metavar in ("FILE", "RUN", "RUN_A", "RUN_B", "SRC", "INDEX", "PATH"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
