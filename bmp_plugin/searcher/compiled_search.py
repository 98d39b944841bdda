"""Whether the search is compiled, and what compiles it: :mod:`.._internal.background_compile` says when that is waited for."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._internal.background_compile import compile_choice, start_compiling, wait_for_compiling
from .._internal.kernels import cache_folder, config, has_code
from ..query.batch import search_many

NOTICE = ("bmp-plugin: compiling kernels in the background, which takes about ten seconds, once; until then queries are scored"
          " exhaustively, with the same answers")

COMPILE = "bmp_plugin.searcher.bmp_searcher:compile_search"
"""What the other process calls, with the path of an index."""

_is_compiled = False


def is_search_compiled(index: Path, arguments: Mapping[str, Any], is_safe: bool) -> bool:
    """Tells whether to call :func:`..query.batch.search_many`; if not, the query is to be scored exhaustively.

    Where it is not compiled yet, another process begins to compile it. If there can be no other process, or it has failed, this
    one compiles in the call.

    Parameters
    ----------
    index : Path
        The index to compile it with, all of which take the same code.
    arguments : mapping
        What ``search_many`` is to be called with.
    is_safe : bool
        If not, the answer of an exhaustive scorer would be another one, so compiling is waited for.
    """
    global _is_compiled
    if not _is_compiled:
        choice = compile_choice()
        if choice == "never" or config.DISABLE_JIT:
            return False
        _is_compiled = (choice == "wait" or has_code(search_many, **arguments)
                        or not compile_in_background(index, NOTICE))
        if not _is_compiled and not is_safe:
            wait_for_compiling()
            _is_compiled = True
    return _is_compiled


def compile_in_background(index: Path, notice: str = "") -> bool:
    """Lets another process compile the search, and prints ``notice`` if it begins; returns whether it is at work."""
    return start_compiling(COMPILE, str(index), cache_folder(), notice)
