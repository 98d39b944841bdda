"""The decorator of all kernels: compiled by numba on first use, without the interpreter's lock, and kept for next time.

Numba keeps compiled code by the time stamp of the one file that a function stands in, and would go on using it after a
change of a function that it calls elsewhere. Here the folder's name is a digest of all kernels' sources, so that code of
another version is never run. It lies in the user's cache, or below ``NUMBA_CACHE_DIR`` where that is set.
"""
from __future__ import annotations

import functools
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.core.config
from platformdirs import user_cache_path

config: Any = numba.core.config          # its names are set when it is loaded, out of a type checker's sight
Function = TypeVar("Function", bound=Callable[..., Any])

_compiling = threading.Lock()


@functools.cache
def cache_folder() -> Path:
    """Where compiled kernels are kept."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted([*package.glob("index/*.py"), *package.glob("query/*.py")]):
        digest.update(path.read_bytes())
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else user_cache_path("bmp-plugin")
    return base / f"kernels-{digest.hexdigest()[:16]}"


def kernel(function: Function) -> Function:
    """``function`` compiled by numba."""
    with _compiling:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(cache_folder())        # read by numba when a function is decorated; others keep theirs
        try:
            compiled: Any = numba.njit(function, cache=True, nogil=True)
        except RuntimeError:                          # no folder that can be written: compiled in every process
            compiled = numba.njit(function, nogil=True)
        finally:
            config.CACHE_DIR = before
    return cast(Function, compiled)


@contextmanager
def saying_so_when_slow(compiled: Any) -> Iterator[None]:
    """Around a call that may compile: after a second of it, a line on standard error says what takes so long."""
    if compiled.overloads:
        yield
        return
    word = threading.Timer(1.0, lambda: print("bmp-plugin: compiling the search kernels, which are kept for next time ...",
                                              file=sys.stderr, flush=True))
    word.daemon = True
    word.start()
    try:
        yield
    finally:
        word.cancel()
