"""``python -m bmp_plugin.search.lucene``: Pyserini's search command, with ``--impact`` answered by the block-max index.

Pyserini's entry point runs unchanged, with its ``LuceneImpactSearcher`` replaced, so that every flag keeps its meaning in
every release. Four flags are added: ``--target-recall``, ``--alpha``, ``--beta`` and ``--bmp-dir``.
"""
from __future__ import annotations

import argparse
import runpy
import sys
from typing import Any

from .atomic_pyserini_output import write_outputs_atomically

PROGRAM = "python -m bmp_plugin.search.lucene"
_FAILED = 2
_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Runs Pyserini's search command on ``argv``; returns the exit status: 0, or 2 after one line on standard error."""
    parser = argparse.ArgumentParser(prog=PROGRAM, add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS,
                                     epilog=f"example: {PROGRAM} --index indexes/my-splade-index --topics topics.tsv --impact"
                                     " --hits 1000 --output run.txt")
    ours = parser.add_argument_group("block-max options (with --impact)")
    ours.add_argument("--target-recall", type=float, metavar="R",
                      help="approximate search that finds this share of the safe hits in the mean, such as 0.99, faster"
                      " (default: all of them)")
    ours.add_argument("--alpha", type=float, default=1.0, metavar="A",
                      help="factor of the upper bounds: below 1, search is faster and may miss hits; 1, the default, is safe")
    ours.add_argument("--beta", type=float, default=1.0, metavar="B",
                      help="below 1, search is faster and may miss hits: only tokens with the largest upper bounds select"
                      " candidates, which all tokens score; 1, the default, is safe")
    ours.add_argument("--bmp-dir", metavar="IDX",
                      help="path of the block-max index that is built on first use (default: next to the Lucene index, else in"
                      " the user's cache, else in a temporary folder)")
    arguments = sys.argv[1:] if argv is None else argv
    try:
        options, rest = parser.parse_known_args(arguments)
        _run_pyserini(rest, options)
    except SystemExit as exit_:
        if "-h" in arguments or "--help" in arguments:
            print("\n" + parser.format_help().strip())
        if exit_.code is None or isinstance(exit_.code, int):
            return exit_.code or 0
        return _fail(str(exit_.code))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        return _fail(_one_line(error))
    return 0


def _run_pyserini(argv: list[str], options: argparse.Namespace) -> None:
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher, replace_searcher

    class CommandLineSearcher(BmpImpactSearcher):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, alpha=options.alpha, beta=options.beta, target_recall=options.target_recall,
                             bmp_dir=options.bmp_dir, **kwargs)

        @classmethod
        def from_prebuilt_index(cls, prebuilt_index_name: str, *args: Any, **kwargs: Any) -> Any:
            searcher = super().from_prebuilt_index(prebuilt_index_name, *args, **kwargs)
            if searcher is None:
                raise FileNotFoundError(f"--index {prebuilt_index_name}: neither a directory nor a prebuilt index")
            return searcher

    saved = sys.argv
    sys.argv = [PROGRAM, *argv]
    try:
        with replace_searcher(CommandLineSearcher), write_outputs_atomically():
            runpy.run_module("pyserini.search.lucene", run_name="__main__")
    finally:
        sys.argv = saved


def _one_line(error: Exception) -> str:
    from ..errors import BmpError

    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, (BmpError, ValueError, FileNotFoundError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _fail(message: str) -> int:
    print(f"{PROGRAM}: error: {message}", file=sys.stderr)
    return _FAILED


if __name__ == "__main__":
    sys.exit(main())
